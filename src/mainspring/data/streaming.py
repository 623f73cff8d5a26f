"""A file of a dataset version as a file object: read by ranges, each checked, without fetching the whole."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import File

if TYPE_CHECKING:
    from mainspring.store.service import Storage

__all__ = ["AHEAD", "open_file"]

AHEAD = 4 << 20
"""Bytes that are asked for at once."""


def open_file(storage: Storage, file: File) -> io.BufferedReader:
    """A readable, seekable file object over a stored file."""
    return io.BufferedReader(_StoredFile(storage, file), buffer_size=AHEAD)


class _StoredFile(io.RawIOBase):
    def __init__(self, storage: Storage, file: File) -> None:
        self._storage, self._file, self._at = storage, file, 0
        self.name = file.path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise InvalidInput(f"{self._file.path} has no place before its beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readall(self) -> bytes:  # the one of io asks for 8 kB at a time
        rest = bytearray(max(0, self._file.size - self._at))
        self.readinto(rest)
        return bytes(rest)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._file.size - self._at))
        done = 0
        while done < wanted:
            length = min(wanted - done, AHEAD)
            for piece in self._storage.read_blob(self._file.digest, start=self._at, length=length):
                view[done : done + len(piece)] = piece
                done += len(piece)
                self._at += len(piece)
        return done
