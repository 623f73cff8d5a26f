"""The spool: what a run has written and the store has not acknowledged, in a file that outlives the process.

Every record is in the file before `log` returns. The file is mapped into memory, so that writing a record is a copy and
no call of the system; the pages are the system's, so that `kill -9` cannot take them back. Room is allocated before it
is written, so that a full disk is an error of the call that finds it and never a fault in the middle of one.

The file is locked for as long as its process lives. Whoever finds one that is not locked sends the rest of it, which is
how a run that was killed, or whose server was away, loses nothing.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from mainspring.kernel.errors import StorageError, StorageFull
from mainspring.kernel.ids import new_id
from mainspring.tracking.rows import HEAD, Form, Gathering, SendFile, encode_form
from mainspring.tracking.types import RunStart

__all__ = ["Batch", "Header", "Spool", "abandoned"]

_BATCH = 4 << 20
_LONG = 32 << 20
_FIRST_WINDOW, _WINDOW = 64 << 10, 8 << 20
_WORTH_CLEARING = 64 << 20
_SUFFIX, _BESIDE = ".spool", ".files"


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
    beside: list[str] = []
    """Names of files beside the spool that were sent with it."""


class Spool:
    """One file of records. Safe for the threads of one process; locked against all others."""

    def __init__(self, path: Path, handle: int, header: Header, start: int, *, adopted: bool) -> None:
        self.path = path
        self.header = header
        self.start = start
        """Where the first record begins."""
        self.records = header.base
        """How many records were appended by this process, counted from the base."""
        self.forms: dict[tuple[str, ...], Form] = {}
        """The sets of names that rows were written with."""
        self._handle = handle
        self._adopted = adopted
        self._gathering = Gathering(checked=adopted)
        self._lock = threading.Lock()
        self._window: mmap.mmap | None = None
        self._offset = 0
        """Where in the file the window begins."""
        self._place = start
        """Where in the window the next record goes."""
        self._limit = 0
        """How long the window is."""

    @classmethod
    def create(cls, folder: Path, start: RunStart, *, workspace: str, main: bool = True) -> Spool:
        """A new spool in `folder`, locked before it has its name."""
        header = Header(start, new_id(), workspace, main)
        path = folder / f"{start.run_id}.{header.writer}{_SUFFIX}"
        handle, size = _new_file(path, header)
        return cls(path, handle, header, size, adopted=False)

    @classmethod
    def adopt(cls, path: Path) -> Spool | None:
        """The spool at `path`, when its process is gone; None while it lives or when there is nothing to read."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or path.stat().st_ino != os.fstat(handle).st_ino:  # finished with, or begun anew
                os.close(handle)
                return None
            line = os.pread(handle, 1 << 20, 0).partition(b"\n")[0]
            return cls(path, handle, msgspec.json.decode(line, type=Header), len(line) + 1, adopted=True)
        except (BlockingIOError, msgspec.DecodeError):
            os.close(handle)
            return None

    def append(self, frame: bytes) -> int:
        """Write one record; how many there are now."""
        with self._lock:
            self._put(frame)
            self.records += 1
            return self.records

    def append_row(self, form: Form, step: int, at: int, values: Iterable[float]) -> None:
        """Write the values of one call of `log`; what `struct` raises where they are none."""
        row = form.pack(form.tag, step, at, *values)
        checksum = zlib.crc32(row)
        with self._lock:
            place = self._place
            stop = place + form.size
            if stop > self._limit:
                self._grow(form.size)
                place = self._place
                stop = place + form.size
            window = self._window
            window[place + 8 : stop] = row  # type: ignore[index]  # there is one, as there is a limit
            HEAD.pack_into(window, place, form.length, checksum)  # type: ignore[arg-type]
            self._place = stop
            self.records += 1

    def form(self, names: tuple[str, ...]) -> Form:
        """The form of rows with these names, which were checked before."""
        with self._lock:
            found = self.forms.get(names)
            if found is None:
                found = Form(len(self.forms) + 1, names)
                self._put(encode_form(found))
                self._gathering.know(found)
                self.forms[names] = found
            return found

    def keep_beside(self, content: bytes | Path) -> str:
        """Copy what is too large for a record beside the spool; its name there. Later edits do not change it."""
        folder, name = self.path.with_suffix(_BESIDE), new_id()
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                shutil.copyfile(content, folder / name)
        except OSError as error:
            (folder / name).unlink(missing_ok=True)
            raise _failure(folder, error) from error
        return name

    def beside(self, name: str) -> Path:
        """Where a file lies that was kept beside the spool."""
        return self.path.with_suffix(_BESIDE) / name

    def batch(self, sequence: int, position: int, *, send: SendFile | None = None) -> Batch | None:
        """The records from `position` on, some mebibytes of them; None when there is none.

        Args:
            sequence: The number of the record at `position`.
            position: A place between records.
            send: Sends a file that lies beside; the record that names its bytes.
        """
        for most in (_BATCH, _LONG):  # the second for a record that is longer than a batch
            size = most if self._adopted else min(most, self._offset + self._place - position)
            data = os.pread(self._handle, max(0, size), position)
            found = self._gathering.gather(data, send=send)
            if found.count or len(data) < most:
                break
        if not found.count:
            return None
        return Batch(sequence, found.count, found.data, position + found.stop, found.beside)

    def skip(self, position: int, count: int) -> int:
        """Where the record begins that comes `count` records after the one at `position`."""
        while count:
            data = os.pread(self._handle, _LONG, position)
            found = self._gathering.gather(data, most=count)
            if not found.count:
                break
            position, count = position + found.stop, count - found.count
        return position

    def clear(self, acknowledged: int) -> int | None:
        """Begin the file anew when it is long and all of it is acknowledged; where its records begin then."""
        with self._lock:
            if acknowledged != self.records or self._offset + self._place < _WORTH_CLEARING:
                return None
            header = msgspec.structs.replace(self.header, base=self.records)
            handle, size = _new_file(self.path, header)
            os.close(self._handle)
            self._handle, self.header, self.start = handle, header, size
            self._drop_window()
            self._offset, self._place = 0, size
            for form in self.forms.values():
                self._put(encode_form(form))
            return size

    def sync(self) -> None:
        """Return when what was written is on the disk."""
        with self._lock:
            os.fsync(self._handle)

    def close(self, *, remove: bool) -> None:
        """Let go of the file; `remove` it when everything in it is acknowledged."""
        with self._lock:
            if remove:
                self.path.unlink(missing_ok=True)
                shutil.rmtree(self.path.with_suffix(_BESIDE), ignore_errors=True)
            self._drop_window()
            os.close(self._handle)

    def leave(self) -> None:
        """In a forked child: close what is the parent's. Its lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
        self.close(remove=False)

    def _put(self, frame: bytes) -> None:
        if self._place + len(frame) > self._limit:
            self._grow(len(frame))
        place, stop = self._place, self._place + len(frame)
        self._window[place + HEAD.size : stop] = frame[HEAD.size :]  # type: ignore[index]
        self._window[place : place + HEAD.size] = frame[: HEAD.size]  # type: ignore[index]  # last: now it is there
        self._place = stop

    def _grow(self, need: int) -> None:
        """Map a stretch of the file that begins at the next record, allocated whole."""
        position = self._offset + self._place
        offset = position - position % mmap.ALLOCATIONGRANULARITY
        usual = _FIRST_WINDOW if self._window is None else min(_WINDOW, 4 * self._limit)
        size = max(usual, -(-(need + mmap.ALLOCATIONGRANULARITY) // _FIRST_WINDOW) * _FIRST_WINDOW)
        try:
            _allocate(self._handle, offset, size)
            window = mmap.mmap(self._handle, size, offset=offset)
        except OSError as error:
            raise _failure(self.path, error) from error
        self._drop_window()
        self._window, self._offset, self._place, self._limit = window, offset, position - offset, size

    def _drop_window(self) -> None:
        if self._window is not None:
            self._window.close()
        self._window, self._limit = None, 0


def abandoned(folder: Path, *, workspace: str, run_id: str = "") -> Iterator[Spool]:
    """Every spool of a workspace in `folder` (of one run, when named) whose process is gone, locked by us now."""
    for path in sorted(folder.glob(f"{run_id or '*'}.*{_SUFFIX}")):
        spool = Spool.adopt(path)
        if spool is not None and spool.header.workspace == workspace:
            yield spool
        elif spool is not None:
            spool.close(remove=False)


def _new_file(path: Path, header: Header) -> tuple[int, int]:
    """A file that holds a header, locked before it has its name; its handle and length."""
    hidden = path.with_suffix(".new")
    line = msgspec.json.encode(header) + b"\n"
    try:
        handle = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, line)
        hidden.rename(path)
    except OSError as error:
        raise _failure(path, error) from error
    return handle, len(line)


def _allocate(handle: int, offset: int, size: int) -> None:
    """Make room in a file, zeros, what is there already excepted."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, offset, size)
        return
    there = os.fstat(handle).st_size
    while there < offset + size:  # where there is no such call, writing is what allocates
        there += os.pwrite(handle, bytes(min(1 << 20, offset + size - there)), there)


def _failure(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space left for the spool {path}", hint="free space; what was logged before is safe")
    return StorageError(
        f"the spool {path} cannot be written: {error.strerror}", hint="set MAINSPRING_SPOOL to another folder"
    )
