"""What this machine knows of files that it hashed before, so that a file that did not change is not read again.

A file is believed to be unchanged when its inode, device, size, and its times of modification *and of change*, in
nanoseconds, are what they were. Nobody can set the time of change: `utime` and `rename` move it on as a write does.
What is left is Git's racy file, written again within one tick of the file system's clock after it was hashed. So a file
is remembered only when its time of change lies before a stamp that the clock of its own file system gave before it was
looked at: every later write gets a later time. (A program that goes on writing through a shared memory map which it
opened before is seen by no file system's times until the system has written the page back.)

One row stands for a folder: a fingerprint over all that is above of its files, and the node of the tree that it makes.
So a folder of a thousand files costs one comparison, and an unchanged one is not built again. SQLite rather than a file
of our own, because several processes write, and because a change rewrites its own folder's row and not the index of a
million files. It is a cache: it may be deleted at any time, and a row that is damaged is not believed.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw
import msgspec
from blake3 import blake3

from mainspring.data.trees import Entry

__all__ = ["FileClock", "Folder", "Seen", "StatCache"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE folder (path BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE content (path BLOB PRIMARY KEY, body BLOB NOT NULL);
"""
_CHECK = 16
_PENDING = 16 << 20
_BUSY_MILLISECONDS = 5_000
_BLIND_DAY = 86_400 * 10**9
"""Where no clock of the file system can be asked, times of change less than a day ago by our own are not believed."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was when it was hashed."""

    name: str
    """As it is on the disk."""
    size: int
    digest: bytes
    inode: int
    device: int
    modified: int
    """Nanoseconds, as `changed`."""
    changed: int
    """0 when it must be hashed again: it may change without its times showing it."""
    linked: int = 0
    """When it is a link: the time of change of the link itself."""


class Folder(msgspec.Struct, frozen=True, array_like=True):
    """What a folder came to."""

    fingerprint: bytes
    """Over all of its files; empty when one of them must be hashed again."""
    below: bytes
    """Over the entries of its subfolders."""
    digest: bytes
    files: int
    size: int


class _Content(msgspec.Struct, frozen=True, array_like=True):
    files: list[Seen]
    folders: list[Entry]


_encode = msgspec.msgpack.Encoder().encode
_decode_folder = msgspec.msgpack.Decoder(Folder).decode
_decode_content = msgspec.msgpack.Decoder(_Content).decode


class StatCache:
    """The rows, in a SQLite file. For one thread; other processes may have it open.

    Example:
        >>> import tempfile
        >>> with StatCache(Path(tempfile.mkdtemp()) / "files.db") as cache:
        ...     cache.folder("/photos") is None
        True
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: dict[bytes, tuple[bytes, bytes] | None] = {}
        self._pending_bytes = 0
        try:
            self._connection = self._open()
        except (apsw.CorruptError, apsw.NotADBError):
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
            self._connection = self._open()

    def folder(self, path: str) -> Folder | None:
        """What the folder at an absolute path came to, when that is known."""
        body = self._body("folder", path, 0)
        return _decode_folder(body) if body else None

    def content(self, path: str) -> tuple[list[Seen], list[Entry]] | None:
        """The files of a folder as they were hashed, and the entries of its subfolders."""
        body = self._body("content", path, 1)
        if not body:
            return None
        content = _decode_content(body)
        return content.files, content.folders

    def keep(self, path: str, folder: Folder, files: list[Seen], folders: list[Entry]) -> None:
        """Remember a folder; written with others."""
        body = _sealed(_encode(_Content(files, folders)))
        self._pending[os.fsencode(path)] = (_sealed(_encode(folder)), body)
        self._pending_bytes += len(body)
        if self._pending_bytes >= _PENDING:
            self.flush()

    def forget(self, path: str) -> None:
        """Forget a folder and what is below it."""
        self.flush()
        start = os.fsencode(path)
        with suppress(apsw.Error):
            for table in ("folder", "content"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE path = ? OR (path >= ? AND path < ?)",  # noqa: S608 -- ours
                    (start, start + b"/", start + b"0"),
                )

    def flush(self) -> None:
        """Write what is pending; where another process writes for long, it stays unknown."""
        rows = [(path, both) for path, both in self._pending.items() if both]
        self._pending, self._pending_bytes = {}, 0
        if not rows:
            return
        with suppress(apsw.Error), self._connection:  # what cannot be written is learned again
            self._connection.executemany(
                "INSERT OR REPLACE INTO folder VALUES (?, ?)", ((path, both[0]) for path, both in rows)
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO content VALUES (?, ?)", ((path, both[1]) for path, both in rows)
            )

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.flush()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _body(self, table: str, path: str, place: int) -> bytes:
        key = os.fsencode(path)
        pending = self._pending.get(key)
        if pending is not None:
            return pending[place][_CHECK:]
        query = f"SELECT body FROM {table} WHERE path = ?"  # noqa: S608 -- ours
        try:
            found = self._connection.execute(query, (key,)).fetchone()
        except (apsw.Error, UnicodeDecodeError):  # the file is damaged: then nothing is known
            return b""
        if found is None or not isinstance(found[0], bytes):
            return b""
        sound = blake3(found[0][_CHECK:]).digest(_CHECK) == found[0][:_CHECK]
        return found[0][_CHECK:] if sound else b""

    def _open(self) -> apsw.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-4000")
        if connection.pragma("user_version") != _VERSION:
            connection.execute("BEGIN IMMEDIATE")  # two processes that open a new file at once take turns
            if connection.pragma("user_version") != _VERSION:
                connection.execute(f"DROP TABLE IF EXISTS folder; DROP TABLE IF EXISTS content; {_SCHEMA}")
                connection.pragma("user_version", _VERSION)
            connection.execute("COMMIT")
        return connection


class FileClock:
    """Stamps that the clocks of file systems give: the time of change of a file that is touched now.

    Args:
        scratch: A folder that may be written, on the file system of most of what is looked at.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._probes: dict[int, tuple[int, Path] | None] = {}
        self._guard = threading.Lock()

    def now(self, device: int, folder: str) -> int:
        """A stamp, in nanoseconds, of the file system of a folder on a device."""
        with self._guard:
            if device not in self._probes:
                self._probes[device] = self._probe(device, folder)
            probe = self._probes[device]
            if probe is None:
                return time.time_ns() - _BLIND_DAY
            os.utime(probe[0])
            return os.fstat(probe[0]).st_ctime_ns

    def close(self) -> None:
        """Remove the files that were touched."""
        for probe in self._probes.values():
            if probe:
                os.close(probe[0])
                with suppress(OSError):
                    probe[1].unlink()
        self._probes = {}

    def _probe(self, device: int, folder: str) -> tuple[int, Path] | None:
        for place in (self._scratch, Path(folder)):
            path = place / f".mainspring-{os.urandom(8).hex()}"
            with suppress(OSError):
                if place.stat().st_dev == device:
                    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path
        return None


def _sealed(body: Any) -> bytes:
    return blake3(body).digest(_CHECK) + bytes(body)
