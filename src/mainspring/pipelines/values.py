"""Values as JSON: what steps return and flows are given, written down so that the same Python values come back.

JSON types stand for themselves. Everything else is an object with the key `$`: tuples, sets, dates, enums, dataclasses
and msgspec structs by name and fields, and bytes of a codec (frames, arrays, models), inline when they are small and as
a blob otherwise. One walk serves two ends: writing a value down, and digesting its content.

Reading constructs only types that are dataclasses, structs, enums or named tuples, by calling them with their fields.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import importlib
import math
import pickle
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mainspring.kernel.errors import UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes, digest_value
from mainspring.pipelines.codecs import codec_for, codec_named

__all__ = ["BlobPort", "blobs_in", "decode", "digest", "encode", "nodes_in"]

INLINE_BYTES = 8 << 10
"""Bytes of a codec up to this size are kept in the row; a blob of its own would cost more than it saves."""

_ALWAYS_NODES = frozenset({"frame", "model"})
"""What is inline is small, yet people ask where a table or a model came from."""

_SCRIPT = "__mainspring_main__"
"""What the script is called in the processes of its steps, which run it again."""
# What those processes pickle is of a class of that module; here it is the script itself.
sys.modules.setdefault(_SCRIPT, sys.modules["__main__"])

_LARGE_JSON = 64 << 10
_MAX_INT = 1 << 63
Leaf = Callable[[Any], Any]


class BlobPort(Protocol):
    """Where large values lie: the store's blobs, or a server's."""

    def put(self, data: bytes, /) -> str: ...
    def get(self, digest: str, /) -> bytes: ...


class _OpaqueError(Exception):
    """A value without a digest of its content."""


def encode(
    value: Any, blobs: BlobPort, *, allow_pickle: bool = False, known: Callable[[Any], Any] | None = None
) -> Any:
    """`value` as JSON, its large parts as blobs.

    Args:
        value: What a step returned or is given.
        blobs: Where the large parts go.
        allow_pickle: Whether a part of an unknown type may be pickled. Such bytes are read back only where this is
            True as well: by the run that made them, and by steps that say so.
        known: Gives the JSON form of parts that were written before, and None for others.

    Raises:
        UnsupportedFormat: A part has a type without a codec.
    """

    def leaf(part: Any) -> Any:
        if known is not None and (written := known(part)) is not None:
            return written
        codec = codec_for(part)
        if codec is not None:
            data, extra = codec.encode(part)
            return _bytes_leaf(codec.name, data, extra, blobs)
        if not allow_pickle:
            raise _unknown(part)
        try:
            return _bytes_leaf("pickle", pickle.dumps(part, protocol=5), {}, blobs)
        except Exception as error:
            raise _unknown(part) from error

    tree = _walk(value, leaf)
    if isinstance(tree, dict | list) and len(text := msgspec.json.encode(tree)) > _LARGE_JSON:
        return {"$": "json", "digest": blobs.put(text), "size": len(text), "blobs": list(_leaves(tree))}
    return tree


def decode(tree: Any, blobs: BlobPort, *, allow_pickle: bool = False, frames: dict[str, Any] | None = None) -> Any:
    """The value again; see `encode`.

    Args:
        tree: What `encode` gave.
        blobs: Where the large parts lie.
        allow_pickle: Whether pickled parts may be read.
        frames: Frames that were read before, by digest; what is read now is added. They are handed out as clones.
    """

    def inner(part: Any) -> Any:
        return decode(part, blobs, allow_pickle=allow_pickle, frames=frames)

    if isinstance(tree, list):
        return [inner(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag = tree.get("$")
    if tag is None:
        return {key: inner(item) for key, item in tree.items()}
    if tag == "json":
        return inner(msgspec.json.decode(blobs.get(tree["digest"])))
    if tag != "bytes":
        return _restore(tag, tree, inner)
    if frames is not None and tree["codec"] == "frame" and not tree.get("extra"):
        if tree["digest"] not in frames:
            frames[tree["digest"]] = _read_bytes(tree, blobs, allow_pickle=allow_pickle)
        return frames[tree["digest"]].clone()
    return _read_bytes(tree, blobs, allow_pickle=allow_pickle)


def _read_bytes(tree: dict[str, Any], blobs: BlobPort, *, allow_pickle: bool) -> Any:
    data = base64.b64decode(tree["data"]) if "data" in tree else blobs.get(tree["digest"])
    if tree["codec"] != "pickle":
        return codec_named(tree["codec"]).decode(data, tree.get("extra", {}))
    if not allow_pickle:
        raise UnsupportedFormat("a pickled value is read only by the run that made it")
    return pickle.loads(data)  # noqa: S301 -- written by this workspace's own run; its digest was checked


def digest(value: Any, *, known: Callable[[Any], str] | None = None) -> str:
    """A digest of the content of `value`, equal only for equal content; empty when a part of it cannot be digested.

    Args:
        value: Anything that `encode` takes, and more.
        known: Gives the digest of parts whose origin is known, and an empty text for others. With it, parts whose
            content has no canonical digest (models) count only by their origin.
    """

    def leaf(part: Any) -> Any:
        if known is not None and (origin := known(part)):
            return {"$": "origin", "digest": origin}
        codec = codec_for(part)
        if codec is None or (known is not None and not codec.canonical) or not (found := codec.digest(part)):
            raise _OpaqueError
        return {"$": "content", "codec": codec.name, "digest": found}

    try:
        return digest_value("step-input", _walk(value, leaf))
    except (_OpaqueError, UnsupportedFormat):
        return ""


def blobs_in(tree: Any) -> list[dict[str, Any]]:
    """What a codec wrote in an encoded value: `digest`, `size`, `codec`, and whether it is `inline`, of each."""
    return list(_leaves(tree))


def nodes_in(tree: Any) -> list[dict[str, Any]]:
    """Those of `blobs_in` that the lineage has an artifact for: what is large, and every table and model."""
    if not isinstance(tree, dict | list):
        return []
    return [blob for blob in _leaves(tree) if not blob["inline"] or blob["codec"] in _ALWAYS_NODES]


def _walk(value: Any, leaf: Leaf) -> Any:  # noqa: C901, PLR0911 -- one line for each kind of value
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_MAX_INT <= value < _MAX_INT else {"$": "int", "value": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "value": repr(value)}
    if kind is list:
        return [_walk(item, leaf) for item in value]
    if kind is dict:
        if all(type(key) is str for key in value) and "$" not in value:
            return {key: _walk(item, leaf) for key, item in value.items()}
        return {"$": "dict", "items": [[_walk(key, leaf), _walk(item, leaf)] for key, item in value.items()]}
    if kind is tuple:
        return {"$": "tuple", "items": [_walk(item, leaf) for item in value]}
    if kind in (set, frozenset):
        items = sorted((_walk(item, leaf) for item in value), key=msgspec.json.encode)
        return {"$": kind.__name__, "items": items}
    if kind in _TEXT_TYPES:
        return {"$": kind.__name__, "value": _TEXT_TYPES[kind][0](value)}
    if isinstance(value, Path):
        return {"$": "Path", "value": str(value)}
    if isinstance(value, enum.Enum):
        return {"$": "enum", "type": _address(kind), "name": value.name}
    if (fields := _fields(value)) is not None:
        return {"$": "struct", "type": _address(kind), "fields": {key: _walk(item, leaf) for key, item in fields}}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and not value.dtype.hasobject:
        return {"$": "scalar", "dtype": value.dtype.str, "data": base64.b64encode(value.tobytes()).decode()}
    return leaf(value)


def _restore(tag: str, tree: dict[str, Any], inner: Leaf) -> Any:
    if tag in ("tuple", "set", "frozenset"):
        made: Callable[[Any], Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}[tag]
        return made(inner(item) for item in tree["items"])
    if tag == "dict":
        return {inner(key): inner(item) for key, item in tree["items"]}
    if tag in ("int", "float"):
        return (int if tag == "int" else float)(tree["value"])
    if tag in _BY_NAME:
        return _BY_NAME[tag](tree["value"])
    if tag == "scalar":
        import numpy as np

        return np.frombuffer(base64.b64decode(tree["data"]), dtype=tree["dtype"])[0]
    if tag == "enum":
        return _type(tree["type"], enum.Enum)[tree["name"]]
    if tag == "struct":
        return _construct(tree["type"], {key: inner(item) for key, item in tree["fields"].items()})
    raise UnsupportedFormat(f"a value is written in a form that this version does not know: {tag!r}")


_TEXT_TYPES: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (
        lambda delta: str(delta // timedelta(microseconds=1)),
        lambda text: timedelta(microseconds=int(text)),
    ),
    Decimal: (str, Decimal),
    uuid.UUID: (str, uuid.UUID),
    complex: (repr, complex),
}
_BY_NAME: dict[str, Callable[[str], Any]] = {kind.__name__: read for kind, (_, read) in _TEXT_TYPES.items()} | {
    "Path": Path
}


def _bytes_leaf(codec: str, data: bytes, extra: dict[str, Any], blobs: BlobPort) -> dict[str, Any]:
    tree: dict[str, Any] = {"$": "bytes", "codec": codec, "size": len(data)}
    if extra:
        tree["extra"] = extra
    if len(data) <= INLINE_BYTES:
        return tree | {"data": base64.b64encode(data).decode(), "digest": digest_bytes(data)}
    return tree | {"digest": blobs.put(data)}


def _leaves(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _leaves(item)
    elif isinstance(tree, dict):
        if tree.get("$") == "json":
            yield {"digest": tree["digest"], "size": tree["size"], "codec": "json", "inline": False}
            yield from tree["blobs"]
        elif tree.get("$") == "bytes":
            yield {name: tree[name] for name in ("digest", "size", "codec")} | {"inline": "data" in tree}
        else:
            for item in tree.values():
                yield from _leaves(item)


def _fields(value: Any) -> list[tuple[str, Any]] | None:
    """The fields of a record, or None for anything else. Hidden state (`init=False`) makes it something else."""
    if isinstance(value, msgspec.Struct):
        return [(name, getattr(value, name)) for name in value.__struct_fields__]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return (
            [(field.name, getattr(value, field.name)) for field in fields]
            if all(field.init for field in fields)
            else None
        )
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    return None


def _address(kind: type) -> str:
    if "<locals>" in kind.__qualname__:
        raise UnsupportedFormat(
            f"{kind.__qualname__} is defined inside a function, where nobody could find it again",
            hint="move the class to the top of its module",
        )
    module = "__main__" if kind.__module__ == _SCRIPT else kind.__module__
    return f"{module}:{kind.__qualname__}"


def _type(address: str, parent: type) -> Any:
    module, _, name = address.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UnsupportedFormat(f"the type {address} of a stored value is not there any more: {error}") from error
    if not (isinstance(found, type) and issubclass(found, parent)):
        raise UnsupportedFormat(f"{address} is not a {parent.__name__}")
    return found


def _construct(address: str, fields: dict[str, Any]) -> Any:
    found = _type(address, object)
    if not (dataclasses.is_dataclass(found) or issubclass(found, msgspec.Struct) or hasattr(found, "_fields")):
        raise UnsupportedFormat(f"{address} is not a record")
    try:
        return found(**fields)
    except TypeError as error:
        raise UnsupportedFormat(f"{address} has other fields now: {error}") from error


def _unknown(part: Any) -> UnsupportedFormat:
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    return UnsupportedFormat(
        f"a value of the type {kind} cannot be kept",
        hint="return a frame, an array, an estimator, a dataclass or JSON; or allow it with @step(allow_pickle=True)",
    )
