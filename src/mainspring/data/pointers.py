"""Pointer files: what Git keeps of a tracked file or folder, `photos.mainspring` beside `photos`.

    # Mainspring keeps what is in photos; `mainspring data checkout` brings it here.
    dataset = "flights/photos"
    tree = "4f0c..."
    files = 20000
    bytes = 200000000

TOML, one fact a line, always in this order, and nothing in it but what the content says: no time, no machine. So two
branches that changed different data merge as text, two that made the same change agree, and two that changed the same
data differ in three lines. `tree` is the root of the Merkle tree of folders, BLAKE3.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

import msgspec

from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, UnsupportedFormat
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.names import check_name
from mainspring.store.buckets import translate_os_error

__all__ = [
    "SUFFIX",
    "Pointer",
    "data_of",
    "load_pointer",
    "pointer_of",
    "read_pointer",
    "save_pointer",
    "write_pointer",
]

SUFFIX = ".mainspring"
"""What is behind the name of the data in the name of its pointer file."""
_CONFLICT = ("<<<<<<<", ">>>>>>>")


class Pointer(msgspec.Struct, frozen=True):
    """What a pointer file says."""

    dataset: str
    tree: str
    """The root of the tree of a version: its digest."""
    files: int
    size: int
    file: bool = False
    """Whether a single file is tracked and not a folder."""


def pointer_of(path: str | Path) -> Path:
    """The pointer file of data, `path` itself when it is one.

    Example:
        >>> pointer_of("data/photos/").as_posix(), pointer_of("model.bin.mainspring").as_posix()
        ('data/photos.mainspring', 'model.bin.mainspring')
    """
    place = Path(path)
    return place if place.name.endswith(SUFFIX) and place.name != SUFFIX else place.with_name(place.name + SUFFIX)


def data_of(pointer: Path) -> Path:
    """Where the data of a pointer file lies."""
    return pointer.with_name(pointer.name.removesuffix(SUFFIX))


def write_pointer(pointer: Pointer, name: str) -> str:
    """The text of a pointer file for the data with this name.

    Example:
        >>> text = write_pointer(Pointer("flights", "0" * 64, 2, 10), "photos")
        >>> read_pointer(text, "photos.mainspring").files
        2
    """
    lines = [
        f"# Mainspring keeps what is in {posixpath.basename(name)}; `mainspring data checkout` brings it here.",
        f"dataset = {_quoted(pointer.dataset)}",
        f"tree = {_quoted(pointer.tree)}",
        f"files = {pointer.files}",
        f"bytes = {pointer.size}",
    ]
    if pointer.file:
        lines.append("file = true")
    return "\n".join(lines) + "\n"


def read_pointer(text: str, where: str) -> Pointer:
    """What a pointer file says.

    Raises:
        Conflict: A merge left it with two contents.
        UnsupportedFormat: It is no pointer file.
    """
    if any(line.startswith(_CONFLICT) for line in text.splitlines()):
        hint = (
            f"git checkout --ours {where} (or --theirs), then git add it; `mainspring data hooks install` merges data"
        )
        raise Conflict(f"{where} was changed on both sides of a merge", hint=hint)
    import tomllib

    try:
        said = tomllib.loads(text)
        file = bool(said.get("file", False))
        files, size = int(said["files"]), int(said["bytes"])
        made = Pointer(check_name(said["dataset"]), check_digest(said["tree"]), files, size, file)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnsupportedFormat(f"{where} is no pointer file: {error}") from error
    except InvalidInput as error:
        raise UnsupportedFormat(f"{where} is no pointer file: {error.message}") from error
    if made.files <= 0 or made.size < 0:
        raise UnsupportedFormat(f"{where} is no pointer file: it has at least one file")
    return made


def load_pointer(path: Path) -> Pointer:
    """The pointer file at a path; raises `NotFound`, and what `read_pointer` does."""
    try:
        return read_pointer(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{data_of(path)} is not tracked", hint=f"mainspring data track {data_of(path)}") from None
    except UnicodeDecodeError as error:
        raise UnsupportedFormat(f"{path} is no pointer file") from error
    except OSError as error:
        raise translate_os_error(error, f"reading {path}") from error


def save_pointer(path: Path, pointer: Pointer) -> bool:
    """Write a pointer file, whole or not at all; whether it was another before."""
    text = write_pointer(pointer, data_of(path).name)
    partial = path.with_name(f".{os.urandom(8).hex()}.partial")
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise translate_os_error(error, f"writing {path}") from error
    return True


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON text of a name is a TOML text too
