"""What a database must be able to do for the store, and SQLite in a folder, which can."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mainspring.store.transaction import Connection
from mainspring.store.wakeups import Ear, Pipes

__all__ = ["Engine", "SqliteEngine"]


class Engine(Protocol):
    """A kind of database: opens its connections and says who may write now."""

    dialect: str

    def connect(self, *, readonly: bool) -> Connection: ...
    def begin_write(self, connection: Connection, *, patience: float, durable: bool = True) -> None:
        """Begin the one transaction that may write; `StoreBusy` when another process has it for so many seconds.

        Where it is not `durable`, its commit need not wait for the disk: a power cut may take it back, whole, and never
        something older than it.
        """
        ...

    def end_write(self) -> None:
        """Let others write; nothing happens when nobody was kept from it."""
        ...

    def announce(self, connection: Connection) -> None:
        """Inside a transaction that others wait for: wake them when it commits, where the database can do that."""
        ...

    def announced(self) -> None:
        """A transaction that others wait for was committed: wake them, where the database does not do that."""
        ...

    def listen(self) -> Ear | None:
        """Begin to hear what other processes announce; None where that cannot be done."""
        ...

    def backup(self, connection: Connection, label: str) -> str:
        """Copy what is committed, while `connection` is inside a write transaction; where the copy is."""
        ...

    def close(self) -> None: ...


class SqliteEngine:
    """SQLite in a folder: `mainspring.db`, its write-ahead log, `write.lock`, `wake/` and `backups/`."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        from mainspring.store.sqlite import WriteLock

        self._folder = folder
        self._lock = WriteLock(folder / "write.lock")
        self._pipes = Pipes(folder / "wake")

    @property
    def path(self) -> Path:
        """The database file."""
        return self._folder / "mainspring.db"

    def connect(self, *, readonly: bool) -> Connection:
        from mainspring.store.sqlite import SqliteConnection

        return SqliteConnection(self.path, readonly=readonly)

    def begin_write(self, connection: Connection, *, patience: float, durable: bool = True) -> None:
        self._lock.acquire(timeout=patience)
        connection.wait_for_disk(durable)
        connection.begin(write=True)

    def end_write(self) -> None:
        self._lock.release()

    def announce(self, connection: Connection) -> None:
        pass  # a pipe cannot wait for the commit

    def announced(self) -> None:
        self._pipes.call()

    def listen(self) -> Ear | None:
        return self._pipes.listen()

    def backup(self, connection: Connection, label: str) -> str:
        from mainspring.store.sqlite import SqliteConnection

        del (
            connection
        )  # the writer is inside a transaction; what is committed is copied through a connection of its own
        target = self._folder / "backups" / f"{label}.db"
        source = SqliteConnection(self.path, readonly=True)
        try:
            source.backup_to(target)
        finally:
            source.close()
        return str(target)

    def close(self) -> None:
        self._lock.close()
