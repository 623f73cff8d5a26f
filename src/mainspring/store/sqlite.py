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

import contextlib
import fcntl
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from errno import EACCES, EDQUOT, EFBIG, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Any

import apsw

from mainspring.kernel.errors import (
    AlreadyExists,
    Conflict,
    Damaged,
    InternalError,
    InvalidInput,
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
_CHECKSUMMED = 0x4D535052  # "MSPR"
_RESTORE = "run `mainspring verify`; restore from backups/ in the store"
_BUSY_MILLISECONDS = 60_000
_STATEMENTS = 400
_PRAGMAS = (
    "synchronous = full",
    "fullfsync = on",  # on macOS a plain fsync stops at the drive's cache
    "foreign_keys = on",
    "temp_store = memory",
    "cache_size = -8000",
    "journal_size_limit = 67108864",  # what a long reader let the log grow to is given back
)
_FAILURES = (apsw.Error, OverflowError, TypeError, UnicodeEncodeError)  # the latter of values that SQLite does not know
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
    holder that was stopped costs the caller `StoreBusy` after a while and not for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()
        _locks.add(self)

    def acquire(self, *, timeout: float) -> None:
        """Take the lock; raise `StoreBusy` when another process keeps it longer than `timeout` seconds."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(timeout)
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be locked: {error.strerror}", hint="put the store on a local disk"
            ) from error

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, which gives the lock back too."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise translate(error) from error

    def _wait(self, timeout: float) -> None:
        # A lock belongs to an opening of the file. With one of its own, what comes too late takes nothing from, and
        # gives nothing back in place of, a later `acquire`, and the file may be closed while this waits.
        waiting = self._open()
        decided = threading.Lock()
        arrived = threading.Event()
        given_up = False

        def wait_in_kernel() -> None:
            try:
                fcntl.flock(waiting, fcntl.LOCK_EX)
                with decided:
                    if not given_up:
                        os.dup2(waiting, self._file, inheritable=False)
                        arrived.set()
            finally:
                os.close(waiting)

        threading.Thread(target=wait_in_kernel, name="mainspring-write-lock", daemon=True).start()
        try:
            arrived.wait(timeout)
        finally:
            with decided:
                given_up = not arrived.is_set()
        if given_up:
            raise StoreBusy(
                "another process has held the store's write lock too long", hint=f"find it with: fuser {self._path}"
            )


_locks: weakref.WeakSet[WriteLock] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A forked child lets go of what it inherited: else a lock would outlive the process that took it."""
    for lock in list(_locks):
        lock.close()


os.register_at_fork(after_in_child=_leave_to_parent)


class SqliteConnection:
    """One SQLite connection in the manner of `transaction.Connection`."""

    dialect = "sqlite"

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        has_checksums = _load_checksums()
        self._waits = True
        try:
            # A reader opens for writing too: a write-ahead log needs its index recovered by whoever comes first.
            self._db = apsw.Connection(str(path), statementcachesize=_STATEMENTS)
            self._db.set_busy_timeout(_BUSY_MILLISECONDS)
            if has_checksums and path.stat().st_size == 0:
                self._db.reserve_bytes(None, _CHECKSUM_BYTES)
                self.script(f"PRAGMA application_id = {_CHECKSUMMED}")
            self.script(f"PRAGMA journal_mode = {'wal' if wal_is_safe() else 'truncate'}")
            self._check_checksums(path, available=has_checksums)
            for pragma in _PRAGMAS:
                self.script(f"PRAGMA {pragma}")
            if readonly:
                self.script("PRAGMA query_only = on")
                _load_regexp(self._db)
        except (apsw.Error, OSError) as error:
            raise self._translate(error) from error

    def _check_checksums(self, path: Path, *, available: bool) -> None:
        """The header says whether pages have checksums: where it was damaged, they must not go unchecked."""
        has, should_have = self._db.reserve_bytes(None) == _CHECKSUM_BYTES, self.rows("PRAGMA application_id")[0][0]
        if has and not available:
            raise UnsafeDriver(
                f"{path} has page checksums and this build of apsw cannot keep them",
                hint="pip install --force-reinstall --only-binary apsw apsw",
            )
        if should_have == _CHECKSUMMED and not has:
            raise Damaged(f"the database file is damaged: the header of {path} was changed", hint=_RESTORE)

    def wait_for_disk(self, wanted: bool) -> None:  # noqa: FBT001 -- it is all that it says
        # In the rollback journal, a commit that is not synced could be half there after a power cut.
        if wanted != self._waits and (wanted or wal_is_safe()):
            self.script(f"PRAGMA synchronous = {'full' if wanted else 'normal'}")
            self._waits = wanted

    def begin(self, *, write: bool) -> None:
        self.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction():
            self.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def intact(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        try:
            before = self._db.total_changes()
            for _ in self._db.execute(sql, params):  # apsw runs a statement to its end only as its rows are taken
                pass
            return self._db.total_changes() - before
        except _FAILURES as error:
            raise self._translate(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            for _ in self._db.executemany(sql, rows):
                pass
        except _FAILURES as error:
            raise self._translate(error) from error

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, params).fetchall()
        except _FAILURES as error:
            raise self._translate(error) from error

    def script(self, sql: str) -> None:
        try:
            for _ in self._db.execute(sql):
                pass
        except _FAILURES as error:
            raise self._translate(error) from error

    def backup_to(self, path: Path) -> None:
        """Write a consistent copy of the database, whole or not at all, synced."""
        partial = path.with_suffix(".partial")
        try:
            path.parent.mkdir(exist_ok=True)
            partial.unlink(missing_ok=True)
            target = apsw.Connection(str(partial))
            try:
                with target.backup("main", self._db, "main") as copy:
                    copy.step()
            finally:
                target.close()
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        except (apsw.Error, OSError) as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise self._translate(error) from error

    def close(self) -> None:
        self._db.close()

    def _translate(self, error: Exception) -> MainspringError:
        db = getattr(self, "_db", None)  # there is none when opening it failed
        return translate(error, errno=db.system_errno if db is not None and isinstance(error, apsw.IOError) else 0)


def translate(error: Exception, *, errno: int = 0) -> MainspringError:
    """The driver's error as ours. Constraint failures are conflicts; the rest is storage."""
    text = str(error)
    if isinstance(error, OverflowError | TypeError | UnicodeEncodeError):
        return InvalidInput(f"a value cannot be stored: {text}")
    if isinstance(error, apsw.ConstraintError):
        taken = "UNIQUE" in text or "PRIMARY KEY" in text
        return (
            AlreadyExists(f"already there: {text}") if taken else Conflict(f"the change contradicts the store: {text}")
        )
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreBusy("another connection holds the database", hint="run `mainspring doctor`")
    errno = getattr(error, "errno", 0) or errno
    if isinstance(error, apsw.FullError) or errno in (ENOSPC, EDQUOT, EFBIG):
        return StorageFull(
            "no space left for the database; the change was not kept", hint="free space and repeat the call"
        )
    readonly = apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError | apsw.AuthError
    if isinstance(error, readonly) or errno in (EROFS, EACCES, EPERM):
        return ReadOnlyStore(
            f"the database cannot be opened or written: {text}", hint="check the rights of the store's folder"
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError) or extended == apsw.SQLITE_IOERR_DATA:
        return Damaged(
            f"the database file is damaged: {text}", hint="run `mainspring verify`; restore from backups/ in the store"
        )
    if isinstance(error, apsw.IOError | OSError):
        return StorageError(f"the disk failed under the database: {text}; the change was not kept")
    return InternalError(f"SQLite refused a statement: {text}")


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _load_regexp(db: apsw.Connection) -> None:
    """Give a reader `REGEXP`: SQLite's own extension, shipped with apsw, which never takes exponential time."""
    if extension := _extension("regexp"):  # without it a filter with `=~` is refused by the database
        _load_extension(db, extension)


def _load_checksums() -> bool:
    """Put SQLite's checksum layer under every connection of this process; False where the wheel lacks it."""
    global _checksums  # noqa: PLW0603 -- a property of the process: SQLite's default VFS
    with _setup:
        if _checksums is None:
            extension = _extension("cksumvfs")
            if extension:
                carrier = apsw.Connection(":memory:")
                _load_extension(carrier, extension)
                carrier.close()
            _checksums = bool(extension)
        return _checksums


def _extension(name: str) -> str:
    """The file of an extension that is shipped with apsw; empty where the wheel lacks it.

    `apsw.sqlite_extra` knows it too; loading that module takes as long as opening a store does.
    """
    start = os.path.join(os.path.dirname(apsw.__file__), "sqlite_extra_binaries", name)  # noqa: PTH118, PTH120
    for ending in (".so", ".dylib", ".dll"):
        if os.path.exists(f"{start}{ending}"):  # noqa: PTH110
            return f"{start}{ending}"
    from apsw import sqlite_extra

    return sqlite_extra.path(name) if sqlite_extra.has(name) else ""


def _load_extension(db: apsw.Connection, path: str) -> None:
    before = db.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1)
    try:
        db.load_extension(path)
    finally:
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, before)
