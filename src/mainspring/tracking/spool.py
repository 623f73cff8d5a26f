"""The spool: what a run has written and the store has not acknowledged, in a file that outlives the process.

Every record is in the file before `log` returns, handed to the operating system in one write: `kill -9` cannot
take it back. The file is locked for as long as its process lives. Whoever finds one that is not locked sends
the rest of it, which is how a run that was killed, or whose server was away, loses nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mainspring.kernel.errors import StorageError, StorageFull
from mainspring.kernel.ids import new_id
from mainspring.tracking.frames import split_frames
from mainspring.tracking.types import RunStart

__all__ = ["Batch", "Header", "Spool", "abandoned"]

_BATCH = 1 << 20
_SUFFIX = ".spool"


class Header(msgspec.Struct, frozen=True):
    """The first line of a spool."""

    start: RunStart
    writer: str
    workspace: str
    main: bool = True
    """Whether the run ends with this writer; a child process is not the main one."""
    base: int = 0
    """The number of the first record in the file."""


class Batch(msgspec.Struct, frozen=True):
    """Whole records from a spool."""

    sequence: int
    """The number of the first one."""
    count: int
    data: bytes
    stop: int
    """Where in the file the next one begins."""


class Spool:
    """One file of records. Safe for the threads of one process; locked against all others."""

    def __init__(self, path: Path, handle: int, header: Header, start: int) -> None:
        self.path = path
        self.header = header
        self.start = start
        """Where the first record begins."""
        self.records = header.base
        """How many records were appended by this process, counted from the base."""
        self._handle = handle
        self._size = start
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, start: RunStart, *, workspace: str, main: bool = True) -> Spool:
        """A new spool in `folder`, locked before it has its name."""
        header = Header(start, new_id(), workspace, main)
        path = folder / f"{start.run_id}.{header.writer}{_SUFFIX}"
        hidden = path.with_suffix(".new")
        line = msgspec.json.encode(header) + b"\n"
        try:
            handle = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, line)
            hidden.rename(path)
        except OSError as error:
            raise _failure(path, error) from error
        return cls(path, handle, header, len(line))

    @classmethod
    def adopt(cls, path: Path) -> Spool | None:
        """The spool at `path`, when its process is gone; None while it lives or when there is nothing to read."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():  # its owner finished with it between our open and our lock
                os.close(handle)
                return None
            line = os.pread(handle, 1 << 16, 0).partition(b"\n")[0]
            return cls(path, handle, msgspec.json.decode(line, type=Header), len(line) + 1)
        except (BlockingIOError, msgspec.DecodeError):
            os.close(handle)
            return None

    def append(self, frame: bytes) -> int:
        """Write one record; how many there are now."""
        with self._lock:
            try:
                written = os.write(self._handle, frame)
                while written < len(frame):
                    written += os.write(self._handle, frame[written:])
            except OSError as error:
                os.ftruncate(self._handle, self._size)  # what is half there would end the file for every reader
                raise _failure(self.path, error) from error
            self._size += len(frame)
            self.records += 1
            return self.records

    def batch(self, sequence: int, position: int) -> Batch | None:
        """The records from `position` on, about a mebibyte of them; None when there is none.

        Args:
            sequence: The number of the record at `position`.
            position: A place between records.
        """
        data = os.pread(self._handle, _BATCH, position)
        stop, count = self._whole(data)
        if not count and len(data) == _BATCH:  # a record longer than a batch
            data = os.pread(self._handle, 32 << 20, position)
            stop, count = self._whole(data)
        return Batch(sequence, count, data[:stop], position + stop) if count else None

    def close(self, *, remove: bool) -> None:
        """Let go of the file; `remove` it when everything in it is acknowledged."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)

    @staticmethod
    def _whole(data: bytes) -> tuple[int, int]:
        stop = count = 0
        for _, stop in split_frames(data):  # noqa: B007 -- the last value is what is wanted
            count += 1
        return stop, count


def abandoned(folder: Path, *, workspace: str, run_id: str = "") -> Iterator[Spool]:
    """Every spool of a workspace in `folder` (of one run, when named) whose process is gone, locked by us now."""
    for path in sorted(folder.glob(f"{run_id or '*'}.*{_SUFFIX}")):
        spool = Spool.adopt(path)
        if spool is not None and spool.header.workspace == workspace:
            yield spool
        elif spool is not None:
            spool.close(remove=False)


def _failure(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space left for the spool {path}", hint="free space; what was logged before is safe")
    return StorageError(
        f"the spool {path} cannot be written: {error.strerror}", hint="set MAINSPRING_SPOOL to another folder"
    )
