"""A bundle: many small blobs in one stream, so that a thousand files are one request.

Each blob is its length (8 bytes, little endian) and its bytes; a length of 2^64 - 1 ends the stream, so that one which
was cut off at a border is not taken for a whole one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from mainspring.kernel.errors import InvalidInput, TooLarge
from mainspring.kernel.hashing import Buffer
from mainspring.store.chunks import Pieces

__all__ = ["BUNDLED_BELOW", "bundle", "unbundle"]

BUNDLED_BELOW = 1 << 20
"""Blobs of fewer bytes than this travel in bundles."""

_LENGTH = struct.Struct("<Q")
_END = (1 << 64) - 1


def bundle(blobs: Iterable[Buffer]) -> Iterator[bytes]:
    """The blobs as a stream.

    Example:
        >>> list(unbundle(bundle([b"one", b""])))
        [b'one', b'']
    """
    for blob in blobs:
        data = bytes(blob)
        yield _LENGTH.pack(len(data)) + data
    yield _LENGTH.pack(_END)


def unbundle(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """The blobs of a stream, as they come; raises `InvalidInput` when it ends early or goes on after its end."""
    source = Pieces(pieces)
    while True:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise InvalidInput("a bundle of files was cut off", hint="send it again")
        (length,) = _LENGTH.unpack(head)
        if length == _END:
            break
        if length >= BUNDLED_BELOW:
            raise TooLarge(f"a bundle holds a blob of {length} bytes; send it by itself")
        blob = source.read(length)
        if len(blob) < length:
            raise InvalidInput("a bundle of files was cut off", hint="send it again")
        yield blob
    if source.read(1):
        raise InvalidInput("a bundle of files goes on after its end")
