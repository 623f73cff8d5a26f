"""A bundle: many small blobs in one stream, so that a thousand files are one request.

Each blob is its length (8 bytes, little endian) and its bytes; a length of 2^64 - 1 ends the stream, so that one which
was cut off at a border is not taken for a whole one. A length of 2^64 - 2 says that the next blob is damaged: what
follows is the error as JSON, so that whoever asked hears which one it is and not that a connection broke.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from mainspring.kernel.errors import Damaged, InvalidInput, MainspringError, TooLarge
from mainspring.kernel.hashing import Buffer
from mainspring.store.chunks import Pieces

__all__ = ["BUNDLED_BELOW", "bundle", "unbundle"]

BUNDLED_BELOW = 1 << 20
"""Blobs of fewer bytes than this travel in bundles."""

_LENGTH = struct.Struct("<Q")
_END = (1 << 64) - 1
_DAMAGED = (1 << 64) - 2
_ERROR_LIMIT = 1 << 16


def bundle(blobs: Iterable[Buffer]) -> Iterator[bytes]:
    """The blobs as a stream.

    Example:
        >>> list(unbundle(bundle([b"one", b""])))
        [b'one', b'']
    """
    try:
        for blob in blobs:
            data = bytes(blob)
            yield _LENGTH.pack(len(data)) + data
    except Damaged as error:
        told = msgspec.json.encode({"message": error.message, "hint": error.hint, "details": error.details})
        yield _LENGTH.pack(_DAMAGED) + told
        return
    yield _LENGTH.pack(_END)


def unbundle(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """The blobs of a stream, as they come.

    Raises:
        InvalidInput: It ends early, or goes on after its end.
        Damaged: Where it comes from, a blob is damaged.
    """
    source = Pieces(pieces)
    while True:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise InvalidInput("a bundle of files was cut off", hint="send it again")
        (length,) = _LENGTH.unpack(head)
        if length == _END:
            break
        if length == _DAMAGED:
            raise _told(source.read(_ERROR_LIMIT))
        if length >= BUNDLED_BELOW:
            raise TooLarge(f"a bundle holds a blob of {length} bytes; send it by itself")
        blob = source.read(length)
        if len(blob) < length:
            raise InvalidInput("a bundle of files was cut off", hint="send it again")
        yield blob
    if source.read(1):
        raise InvalidInput("a bundle of files goes on after its end")


def _told(data: bytes) -> MainspringError:
    try:
        told = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError:
        return InvalidInput("a bundle of files was cut off", hint="send it again")
    details = told.get("details")
    return Damaged(
        str(told.get("message")),
        hint=str(told.get("hint") or ""),
        details=details if isinstance(details, dict) else None,
    )
