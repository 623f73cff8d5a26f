"""Reading files once: hashed, and given on to whoever takes them in; one that changes meanwhile is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Protocol

from blake3 import blake3

from mainspring.data.bundle import BUNDLED_BELOW
from mainspring.data.local_tree import changed
from mainspring.kernel.errors import InvalidInput

__all__ = ["Row", "Taker", "hash_pieces", "read_again", "read_file", "read_large", "read_small"]

_PIECE = 4 << 20
_TRIES = 3

Row = tuple[str, int, int, int, int, int, int]
"""Name, size, inode, device, time of modification, time of change, and that of the link itself or 0."""


class Taker(Protocol):
    """Takes in what is read; `transfer.Intake` is one."""

    def small(self, digest: bytes, data: bytes) -> None:
        """The content of a small file, or a node."""
        ...

    def large(self, location: str, pieces: Callable[[], Iterator[bytes]]) -> bytes:
        """The content of a large file, as often as it is asked for; its digest."""
        ...

    def passed(self, size: int) -> None:
        """So many bytes did not have to be read."""
        ...


def read_file(location: str, taker: Taker | None) -> tuple[bytes, int]:
    """Digest and size of one file, which is taken in."""
    try:
        row = _row((location, 0, 0, 0, 0, 0, 0), os.stat(location))  # noqa: PTH116 -- as text, as everything here
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error
    if row[1] >= BUNDLED_BELOW:
        row, digest = read_large(location, row, taker)
        return digest, row[1]
    ((row, digest, data),) = read_small([(location, row)])
    if taker:
        taker.small(digest, data)
    return digest, row[1]


def read_again(location: str, digest: bytes, size: int, taker: Taker) -> None:
    """Take in a file that was hashed before; raises `Conflict` when it is another now."""
    if read_file(location, taker) != (digest, size):
        raise changed(location)


def read_small(wanted: list[tuple[str, Row]]) -> list[tuple[Row, bytes, bytes]]:
    """Content and digest of small files, each with how it was while it was read."""
    found = []
    for location, row in wanted:
        seen = row
        for _ in range(_TRIES):
            handle = _open(location)
            try:
                data = os.read(handle, seen[1] + 1)
                now = _row(row, os.fstat(handle))
            finally:
                os.close(handle)
            if now == seen and len(data) == seen[1] < BUNDLED_BELOW:
                found.append((seen, blake3(data).digest(), data))
                break
            seen = now  # it is another than when it was looked at: then it is read again
        else:
            raise changed(location)
    return found


def read_large(location: str, row: Row, taker: Taker | None) -> tuple[Row, bytes]:
    """The digest of a large file, which is taken in on the way."""
    handle = _open(location)
    try:
        before = os.fstat(handle)
        digest = taker.large(location, lambda: _pieces(handle)) if taker else hash_pieces(_pieces(handle))
        if not _still(before, os.fstat(handle)):
            raise changed(location)
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error
    finally:
        os.close(handle)
    return _row(row, before), digest


def hash_pieces(pieces: Iterator[bytes]) -> bytes:
    """The digest of a large file, on several cores."""
    whole = blake3(max_threads=blake3.AUTO)
    for piece in pieces:
        whole.update(piece)
    return whole.digest()


def _pieces(handle: int) -> Iterator[bytes]:
    """What is in an open file, from its beginning, as often as it is asked for."""
    at = 0
    while piece := os.pread(handle, _PIECE, at):
        at += len(piece)
        yield piece


def _open(location: str) -> int:
    try:
        return os.open(location, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise changed(location) from None
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error


def _still(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def _row(row: Row, found: os.stat_result) -> Row:
    return (row[0], found.st_size, found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns, row[6])
