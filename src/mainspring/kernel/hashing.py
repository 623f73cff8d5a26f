"""Identity: how content becomes a digest. Every rule of identity is on this page.

1. Bytes are addressed by BLAKE3-256 of the plain bytes, in lower-case hex.
2. A value (parameters, a definition, a ledger event) is addressed by BLAKE3 of its *canonical JSON*:
   UTF-8, keys sorted by code point, no spaces, no NaN; keyed by a *tag* so that two kinds of thing
   with the same fields never share a digest.
3. A tree (the files of an artifact) is addressed by its Merkle root: the canonical JSON of the
   sorted list of `[name, size, digest]`, under the tag `tree`. Equal content, equal digest, on any machine.
4. A dataset may have a million files, so its tree has a node for each folder; see `data.trees`. Its root is a blob, and
   the version's digest is the address of that.

Source: BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020), key derivation mode for the tags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from blake3 import blake3

from mainspring.kernel.errors import InvalidInput

__all__ = ["Buffer", "canonical_json", "check_digest", "digest_bytes", "digest_tree", "digest_value", "hasher"]

Buffer = bytes | bytearray | memoryview
"""Anything with contiguous bytes."""


_HEX = frozenset("0123456789abcdef")


class Hasher(Protocol):
    """An incremental hash: feed with `update`, read with `hexdigest`."""

    def update(self, data: Buffer, /) -> Any: ...
    def hexdigest(self) -> str: ...


def hasher() -> Hasher:
    """An incremental BLAKE3 over plain bytes; its `hexdigest()` equals `digest_bytes` of all it was fed."""
    return blake3()


def digest_bytes(data: Buffer) -> str:
    """The address of `data`: 64 hex digits.

    Example:
        >>> digest_bytes(b"")[:8]
        'af1349b9'
    """
    return blake3(data).hexdigest()


def check_digest(text: str) -> str:
    """Return `text` when it has the form of a digest; raise `InvalidInput` otherwise."""
    if len(text) != 64 or not set(text) <= _HEX:
        raise InvalidInput(f"{text[:80]!r} is not a digest: 64 hex digits in lower case")
    return text


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value; raises `InvalidInput` for NaN, infinities and foreign types.

    Example:
        >>> canonical_json({"b": 1, "a": [1.5, None]})
        b'{"a":[1.5,null],"b":1}'
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=True)
        text = msgspec.json.encode(plain, order="deterministic")
        if b"null" in text:  # which is how msgspec writes NaN too
            _refuse_nan(plain)
        return text
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"this value has no canonical form: {error}") from error


def digest_value(tag: str, value: Any) -> str:
    """The address of a value under a tag, for example `digest_value("params", {"depth": 3})`."""
    return blake3(canonical_json(value), derive_key_context=f"mainspring {tag} v1").hexdigest()


def digest_tree(entries: Iterable[tuple[str, int, str]]) -> str:
    """The Merkle root over `(name, size, digest)` of every file, in any order."""
    return digest_value("tree", sorted(entries))


def _refuse_nan(value: Any) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not JSON")
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_nan(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_nan(item)
