"""SQLite, embedded: a driver with a fixed library, page checksums, and one writer at a time across processes.

Why `apsw` and not the standard library: SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode that several
connections use (the "WAL-reset" bug, fixed in 3.51.3), and Python's own `sqlite3` on common systems is linked to such
a version. apsw's wheels carry a fixed library. Where apsw was built against an older one, the store falls back to
the rollback journal, which does not have the bug and is slower; `mainspring doctor` says which is in use.

Every page carries a checksum (SQLite's own cksumvfs extension, shipped with apsw), so that a byte that the disk
changed is an error and never an answer.

Writers of all processes queue on an advisory lock of the file `write.lock`, which the kernel releases when a process
dies. So nobody meets SQLite's "database is locked", which comes of polling with a time-out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from mainspring.kernel.errors import (
    AlreadyExists,
    Conflict,
    Damaged,
    InternalError,
    MainspringError,
    ReadOnlyStore,
    StorageError,
    StorageFull,
    StoreBusy,
    UnsafeDriver,
)

__all__ = ["SAFE_WAL", "SqliteConnection", "WriteLock", "driver_report", "wal_is_safe"]

SAFE_WAL = (3, 51, 3)
"""The first SQLite version whose write-ahead log is safe for several connections."""

_CHECKSUM_BYTES = 8
_BUSY_MILLISECONDS = 60_000
_setup = threading.Lock()
_checksums: bool | None = None


def wal_is_safe(version: str | None = None) -> bool:
    """Whether this SQLite library may use a write-ahead log that several connections share.

    Example:
        >>> wal_is_safe("3.40.1"), wal_is_safe("3.51.3")
        (False, True)
    """
    parts = (version or apsw.sqlite_lib_version()).split(".")
    return tuple(int(part) for part in parts[:3]) >= SAFE_WAL


def driver_report() -> dict[str, Any]:
    """What `mainspring doctor` says about the driver."""
    return {
        "driver": f"apsw {apsw.apsw_version()}",
        "sqlite": apsw.sqlite_lib_version(),
        "journal": "write-ahead log" if wal_is_safe() else "rollback journal (this SQLite's WAL may corrupt)",
        "page_checksums": _load_checksums(),
    }


class WriteLock:
    """The right to write, held by one process at a time; the kernel gives it back when its holder dies.

    Acquiring is a system call when it is free. When it is not, one helper thread waits in the kernel's queue, so that a
    holder that was stopped costs the caller `StoreBusy` after `timeout` seconds and not for ever.
    """

    def __init__(self, path: Path, *, timeout: float = _BUSY_MILLISECONDS / 1000) -> None:
        self._path = path
        self._timeout = timeout
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ReadOnlyStore(f"cannot open {path} for writing: {error.strerror}", hint="check the rights of the folder") from error

    def acquire(self) -> None:
        """Take the lock; raise `StoreBusy` when another process keeps it too long."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, which gives the lock back too."""
        os.close(self._file)

    def _wait(self) -> None:
        outcome: list[str] = []
        decided = threading.Lock()
        arrived = threading.Event()

        def wait_in_kernel() -> None:
            # A lock belongs to an opening of the file. With one of its own, what comes too late takes nothing from, and
            # gives nothing back in place of, a later `acquire`, and the file may be closed while this waits.
            waiting = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(waiting, fcntl.LOCK_EX)
                with decided:
                    if not outcome:  # else the caller gave up
                        outcome.append("held")
                        os.dup2(waiting, self._file, inheritable=False)
            finally:
                os.close(waiting)
            arrived.set()

        threading.Thread(target=wait_in_kernel, name="mainspring-write-lock", daemon=True).start()
        arrived.wait(self._timeout)
        with decided:
            if not outcome:
                outcome.append("gave up")
                raise StoreBusy(
                    f"another process has held the store's write lock for {self._timeout:.0f} s",
                    hint=f"find it with: fuser {self._path}",
                )


class SqliteConnection:
    """One SQLite connection in the manner of `transaction.Connection`."""

    dialect = "sqlite"

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        has_checksums = _load_checksums()
        flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        try:
            self._db = apsw.Connection(str(path), flags=flags)
            self._db.set_busy_timeout(_BUSY_MILLISECONDS)
            is_new = not readonly and path.stat().st_size == 0
            if is_new and has_checksums:
                self._db.reserve_bytes(None, _CHECKSUM_BYTES)
            elif not has_checksums and self._db.reserve_bytes(None) == _CHECKSUM_BYTES:
                raise UnsafeDriver(
                    f"{path} has page checksums and this build of apsw cannot keep them",
                    hint="pip install --force-reinstall --only-binary apsw apsw",
                )
            if not readonly:
                list(self._db.execute(f"PRAGMA journal_mode = {'wal' if wal_is_safe() else 'truncate'}"))
            for pragma in ("synchronous = full", "foreign_keys = on", "temp_store = memory", "cache_size = -8000"):
                list(self._db.execute(f"PRAGMA {pragma}"))
        except (apsw.Error, OSError) as error:
            raise translate(error) from error

    def begin(self, *, write: bool) -> None:
        self.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction():
            self.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        try:
            before = self._db.total_changes()
            for _ in self._db.execute(sql, params):  # apsw runs a statement to its end only as its rows are taken
                pass
            return self._db.total_changes() - before
        except apsw.Error as error:
            raise translate(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            for _ in self._db.executemany(sql, rows):
                pass
        except apsw.Error as error:
            raise translate(error) from error

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, params).fetchall()
        except apsw.Error as error:
            raise translate(error) from error

    def script(self, sql: str) -> None:
        try:
            for _ in self._db.execute(sql):
                pass
        except apsw.Error as error:
            raise translate(error) from error

    def backup_to(self, path: Path) -> None:
        """Write a consistent copy of the database, whole or not at all, synced."""
        partial = path.with_suffix(".partial")
        try:
            target = apsw.Connection(str(partial))
            with target.backup("main", self._db, "main") as copy:
                copy.step()
            target.close()
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except (apsw.Error, OSError) as error:
            partial.unlink(missing_ok=True)
            raise translate(error) from error

    def close(self) -> None:
        self._db.close()


def translate(error: Exception) -> MainspringError:
    """The driver's error as ours. Constraint failures are conflicts; the rest is storage."""
    text = str(error)
    if isinstance(error, apsw.ConstraintError):
        taken = "UNIQUE" in text or "PRIMARY KEY" in text
        return AlreadyExists(f"already there: {text}") if taken else Conflict(f"the change contradicts the store: {text}")
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreBusy("another connection holds the database", hint="run `mainspring doctor`")
    if isinstance(error, apsw.FullError) or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("no space left for the database; the change was not kept", hint="free space and repeat the call")
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError | apsw.AuthError | PermissionError):
        return ReadOnlyStore(f"the database cannot be opened or written: {text}", hint="check the rights of the store's folder")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError) or extended == apsw.SQLITE_IOERR_DATA:
        return Damaged(f"the database file is damaged: {text}", hint="run `mainspring verify`; restore from backups/ in the store")
    if isinstance(error, apsw.IOError | OSError):
        return StorageError(f"the disk failed under the database: {text}; the change was not kept")
    return InternalError(f"SQLite refused a statement: {text}")


def _load_checksums() -> bool:
    """Put SQLite's checksum layer under every connection of this process; False where the wheel lacks it."""
    global _checksums  # noqa: PLW0603 -- a property of the process: SQLite's default VFS
    with _setup:
        if _checksums is None:
            from apsw import sqlite_extra  # noqa: PLC0415 -- reads a resource file; only wanted here

            _checksums = bool(sqlite_extra.has("cksumvfs"))
            if _checksums:
                carrier = apsw.Connection(":memory:")
                sqlite_extra.load(carrier, "cksumvfs")
                carrier.close()
        return _checksums
