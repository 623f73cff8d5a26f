"""The database: consistent reads, and serial writes that are durable in groups.

Writes are serial: a transaction sees everything that was acknowledged before it began, and no two interleave, on
SQLite and PostgreSQL alike. They are made fast by *group commit*: callers run their statements one after another inside
one physical transaction, each in a savepoint of its own; the last of those that wait commits for all, with one fsync, and
only then do their calls return. A caller that fails rolls back its own savepoint and nobody else's.

Written by hand because no library offers it; the idea is from DeWitt et al., "Implementation Techniques for Main Memory
Database Systems", SIGMOD 1984.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import InternalError, MainspringError, StorageError
from mainspring.store.transaction import Connection, Transaction

__all__ = ["Database", "Engine", "SqliteEngine"]

R = TypeVar("R")
Seal = Callable[[Transaction], None]

_GROUP_MEMBERS = 512
_GROUP_SECONDS = 0.005
_IDLE_READERS = 8


class Engine(Protocol):
    """A kind of database: opens its connections and says who may write now."""

    dialect: str

    def connect(self, *, readonly: bool) -> Connection: ...
    def acquire_write(self) -> None: ...
    def release_write(self) -> None: ...
    def backup(self, connection: Connection, label: str) -> str: ...
    def close(self) -> None: ...


class _Group:
    """Callers that share one physical transaction."""

    def __init__(self) -> None:
        self.born = monotonic()
        self.members = 0
        self.done = threading.Event()
        self.error: MainspringError | None = None


class Database:
    """One database, shared by the threads of this process and by other processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        self._writer: Connection | None = None
        self._readers: list[Connection] = []
        self._mine = threading.local()
        self._submitted: list[tuple[Callable[[Transaction], Any], asyncio.Future[Any], Seal | None]] = []
        self._pumping = False
        self._pump: ThreadPoolExecutor | None = None
        self.committed = threading.Condition()
        """Notified after every commit of this process; waiters use it as a hint, never as the truth."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgres`."""
        return self._engine.dialect

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot of what is committed."""
        self._check_process()
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._engine.connect(readonly=True)
        try:
            connection.begin(write=False)
            yield Transaction(connection, writes=False)
            connection.rollback()
        except BaseException:
            connection.close()  # its state is unknown; the next reader opens a fresh one
            raise
        if len(self._readers) < _IDLE_READERS:
            self._readers.append(connection)
        else:
            connection.close()

    @contextmanager
    def write(self, seal: Seal | None = None) -> Iterator[Transaction]:
        """A serial transaction: durable when the block has ended, gone when it raises.

        Args:
            seal: Runs last inside the transaction, for what must commit with it (the audit event).

        Raises:
            StoreBusy: Another process held the right to write too long.
            StorageFull, ReadOnlyStore, Damaged, StorageError: Nothing of this block was kept.
        """
        self._check_process()
        if getattr(self._mine, "writing", False):
            raise InternalError("a write transaction was begun inside another one of the same thread")
        with self._count:
            self._waiting += 1
        self._turn.acquire()
        with self._count:
            self._waiting -= 1
        self._mine.writing = True
        try:
            group = self._join_group()
            yield from self._as_member(group, seal)
        finally:
            self._mine.writing = False
            self._finish_turn()
        self._await_durable(group)

    async def submit(self, change: Callable[[Transaction], R], seal: Seal | None = None) -> R:
        """`write` for callers on an event loop: runs `change(tx)` in a group with the others that wait, off the loop.

        What the callers of one loop submit while a commit is under way becomes the next commit.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._submitted.append((change, future, seal))
        if not self._pumping:
            self._pumping = True
            self._pump = self._pump or ThreadPoolExecutor(1, thread_name_prefix="mainspring-commit")
            task = loop.create_task(self._pump_submitted(loop))
            task.add_done_callback(lambda done: done.exception())
        return await future

    def backup(self, label: str) -> str:
        """Copy the whole database, consistently; where the copy is."""
        with self.write() as tx:
            return self._engine.backup(tx._connection, label)  # noqa: SLF001 -- a backup is of the connection itself

    def close(self) -> None:
        """Close every connection; transactions under way in other threads must have ended."""
        if self._pump is not None:
            self._pump.shutdown()
        with self._turn:
            for connection in [*self._readers, *([self._writer] if self._writer else [])]:
                connection.close()
            self._readers.clear()
            self._writer = None
        self._engine.close()

    def _join_group(self) -> _Group:
        if self._group is None:
            self._engine.acquire_write()
            try:
                self._writer = self._writer or self._engine.connect(readonly=False)
                self._writer.begin(write=True)
            except BaseException:
                self._drop_writer()
                self._engine.release_write()
                raise
            self._group = _Group()
        self._group.members += 1
        return self._group

    def _as_member(self, group: _Group, seal: Seal | None) -> Iterator[Transaction]:
        writer = self._writer
        if writer is None:
            raise InternalError("the writer vanished inside a transaction")
        transaction = Transaction(writer, writes=True)
        writer.execute("SAVEPOINT member")
        try:
            yield transaction
            if seal is not None:
                seal(transaction)
            writer.execute("RELEASE member")
        except BaseException as error:
            self._leave_group(writer, group, error)
            raise

    def _leave_group(self, writer: Connection, group: _Group, error: BaseException) -> None:
        """Undo one member. When the failure took the whole transaction with it, the group shares the error."""
        if writer.in_transaction():
            try:
                writer.execute("ROLLBACK TO member")
                writer.execute("RELEASE member")
            except MainspringError as second:
                group.error = second
        else:
            group.error = error if isinstance(error, MainspringError) else StorageError(f"the transaction was lost: {error}")

    def _finish_turn(self) -> None:
        """Hand the open transaction to the next that waits, or commit for everybody in it."""
        group = self._group
        try:
            if group is None:
                return
            young = monotonic() - group.born < _GROUP_SECONDS and group.members < _GROUP_MEMBERS
            if self._waiting > 0 and young and group.error is None:
                return
            self._group = None
            self._commit(group)
        finally:
            self._turn.release()

    def _commit(self, group: _Group) -> None:
        writer = self._writer
        try:
            if group.error is None and writer is not None:
                writer.commit()
        except MainspringError as error:
            group.error = error
        finally:
            if group.error is not None:
                self._drop_writer()  # after a failed sync nothing may be retried on the same handle
            self._engine.release_write()
            group.done.set()
        if group.error is None:
            with self.committed:
                self.committed.notify_all()

    def _await_durable(self, group: _Group) -> None:
        group.done.wait()
        if group.error is not None:
            raise group.error

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.rollback()
            except MainspringError:
                pass  # it is being thrown away because it failed
            finally:
                writer.close()

    async def _pump_submitted(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._submitted:
                batch, self._submitted = self._submitted[:_GROUP_MEMBERS], self._submitted[_GROUP_MEMBERS:]
                outcomes = await loop.run_in_executor(self._pump, self._write_batch, batch)
                for (_, future, _), (result, error) in zip(batch, outcomes, strict=True):
                    if future.done():
                        continue  # its caller went away; what it changed stands
                    if error is None:
                        future.set_result(result)
                    else:
                        future.set_exception(error)
        finally:
            self._pumping = False

    def _write_batch(self, batch: list[Any]) -> list[tuple[Any, BaseException | None]]:
        """Run the batch inside one transaction, each in its savepoint; what each returned or raised."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        try:
            with self.write() as outer:
                connection = outer._connection  # noqa: SLF001 -- members of the batch get transactions of their own
                for change, _, seal in batch:
                    member = Transaction(connection, writes=True)
                    connection.execute("SAVEPOINT one")
                    try:
                        result = change(member)
                        if seal is not None:
                            seal(member)
                    except Exception as error:  # noqa: BLE001 -- it belongs to the caller that submitted it
                        if not connection.in_transaction():
                            raise
                        connection.execute("ROLLBACK TO one")
                        outcomes.append((None, error))
                    else:
                        outcomes.append((result, None))
                    connection.execute("RELEASE one")
        except Exception as error:  # noqa: BLE001 -- the commit failed for all of them
            return [(None, error)] * len(batch)
        return outcomes

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise InternalError("a store was used after a fork; open it in the new process", hint="Store.open(...) in the child")


class SqliteEngine:
    """SQLite in a folder: `mainspring.db`, its write-ahead log, `write.lock` and `backups/`."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        from mainspring.store.sqlite import WriteLock  # noqa: PLC0415 -- a store on PostgreSQL never loads SQLite

        self._folder = folder
        self._lock = WriteLock(folder / "write.lock")

    @property
    def path(self) -> Path:
        """The database file."""
        return self._folder / "mainspring.db"

    def connect(self, *, readonly: bool) -> Connection:
        from mainspring.store.sqlite import SqliteConnection  # noqa: PLC0415

        # A reader opens for writing too: a write-ahead log needs its index recovered by whoever comes first.
        del readonly
        return SqliteConnection(self.path)

    def acquire_write(self) -> None:
        self._lock.acquire()

    def release_write(self) -> None:
        self._lock.release()

    def backup(self, connection: Connection, label: str) -> str:
        from mainspring.store.sqlite import SqliteConnection  # noqa: PLC0415

        del connection  # the writer is inside a transaction; what is committed is copied through a connection of its own
        folder = self._folder / "backups"
        folder.mkdir(exist_ok=True)
        source = SqliteConnection(self.path)
        try:
            source.backup_to(folder / f"{label}.db")
        finally:
            source.close()
        return str(folder / f"{label}.db")

    def close(self) -> None:
        self._lock.close()
