"""Values in files that hold all of themselves: what containers of other orchestrators hand to each other.

A file is the JSON of `pipelines.values` when that is everything, and otherwise a zip archive of that JSON
(`value.json`) and of the bytes of codecs that it names (`blobs/<digest>`), so that a frame is a Parquet file in it.
Reading one needs no store and no server.
"""

from __future__ import annotations

import base64
import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.errors import UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes
from mainspring.pipelines.values import decode, encode

__all__ = ["Bytes", "each_of", "pack", "read_tree", "unpack", "whole_tree", "write_file"]

_LARGEST = 8 << 30


class Bytes:
    """A `values.BlobPort` in memory."""

    def __init__(self, held: dict[str, bytes] | None = None) -> None:
        self.held = held if held is not None else {}

    def put(self, data: bytes, /) -> str:
        digest = digest_bytes(data)
        self.held[digest] = data
        return digest

    def get(self, digest: str, /) -> bytes:
        try:
            return self.held[digest]
        except KeyError:
            raise UnsupportedFormat(f"the value lacks a part, {digest}") from None


def pack(value: Any, *, allow_pickle: bool = False) -> bytes:
    """The bytes of a file that holds `value`.

    Example:
        >>> pack([1, "two"])
        b'[1,"two"]'
        >>> unpack(pack({"large": b"x" * 100_000}))["large"][:2]
        b'xx'
    """
    blobs = Bytes()
    tree = msgspec.json.encode(encode(value, blobs, allow_pickle=allow_pickle))
    if not blobs.held:
        return tree
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # codecs compress what is worth it
        for name, data in [("value.json", tree), *((f"blobs/{each}", data) for each, data in blobs.held.items())]:
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time: equal values are equal files
    return buffer.getvalue()


def unpack(data: bytes, *, allow_pickle: bool = False) -> Any:
    """The value that a file holds; see `read_tree`."""
    blobs = Bytes()
    return decode(read_tree(data, blobs), blobs, allow_pickle=allow_pickle)


def read_tree(data: bytes, blobs: Bytes) -> Any:
    """What a file holds, in the form of `values.encode`; its bytes of codecs are put into `blobs`.

    Raises:
        UnsupportedFormat: It is no such file.
    """
    try:
        if data[:2] != b"PK":
            return msgspec.json.decode(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _LARGEST:
                raise UnsupportedFormat(f"a value of more than {_LARGEST} bytes")
            for name in archive.namelist():
                if name.startswith("blobs/"):
                    blobs.held[name[6:]] = archive.read(name)
            return msgspec.json.decode(archive.read("value.json"))
    except (zipfile.BadZipFile, KeyError, msgspec.DecodeError) as error:
        raise UnsupportedFormat(f"a file that should hold a value holds none: {error}") from None


def whole_tree(value: Any, *, allow_pickle: bool = False) -> Any:
    """`value` as JSON with everything inside of it, for where only JSON can pass."""
    blobs = Bytes()
    return _filled(encode(value, blobs, allow_pickle=allow_pickle), blobs)


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(target)


def each_of(value: Iterable[Any]) -> list[Any]:
    """The parts of a value: the step that makes a parameter, or what `ms.each` is around, into a list."""
    return list(value)


def _filled(tree: Any, blobs: Bytes) -> Any:
    if isinstance(tree, list):
        return [_filled(each, blobs) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("$") == "json":
        return _filled(msgspec.json.decode(blobs.get(tree["digest"])), blobs)
    if tree.get("$") == "bytes" and "data" not in tree:
        return tree | {"data": base64.b64encode(blobs.get(tree["digest"])).decode()}
    return {key: _filled(each, blobs) for key, each in tree.items()}
