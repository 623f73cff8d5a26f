"""The database: consistent reads, and serial writes that are durable in groups.

Writes are serial: a transaction sees everything that was acknowledged before it began, and no two interleave, on
SQLite and PostgreSQL alike. They are made fast by *group commit*: callers run their statements one after another inside
one physical transaction, each in a savepoint of its own; the last of those that wait commits for all, with one fsync,
and only then do their calls return. A caller that fails rolls back its own savepoint and nobody else's.

Written by hand because no library offers it; the idea is from DeWitt et al., "Implementation Techniques for Main Memory
Database Systems", SIGMOD 1984.
"""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import InternalError, MainspringError, StorageError, StoreBusy
from mainspring.store.commits import Commits
from mainspring.store.engine import Engine
from mainspring.store.submissions import Submissions
from mainspring.store.transaction import Connection, Seal, Transaction

if TYPE_CHECKING:
    import asyncio

__all__ = ["Database"]

R = TypeVar("R")
Chain = Callable[[Transaction, list[Any]], None]

_GROUP_MEMBERS = 512
_GROUP_SECONDS = 0.005
_RESCUE_SECONDS = 0.1
_BUSY_SECONDS = 60.0
_IDLE_READERS = 8


class _Group:
    """Callers that share one physical transaction."""

    def __init__(self, *, durable: bool = True) -> None:
        self.born = monotonic()
        self.durable = durable
        self.members = 0
        self.whole = True
        """False while a member is between its statements: what is there then must not be committed."""
        self.announced = False
        self.events: list[Any] = []
        self.done = threading.Event()
        self.error: MainspringError | None = None


class Database:
    """One database, shared by the threads of this process and by other processes.

    Args:
        chain: Appends to the ledger what the seals of a group's members returned, once, before the group commits.
        busy_seconds: How long a caller waits for the right to write before `StoreBusy`.
    """

    def __init__(self, engine: Engine, *, chain: Chain | None = None, busy_seconds: float = _BUSY_SECONDS) -> None:
        self._engine = engine
        self._chain = chain
        self._busy_seconds = busy_seconds
        self._process = os.getpid()
        self._closed = False
        self._turn = threading.Lock()
        self._waiting: set[object] = set()
        self._group: _Group | None = None
        self._writer: Connection | None = None
        self._readers: list[Connection] = []
        self._mine = threading.local()
        self._submissions = Submissions(self.write)
        self.commits = Commits(engine.listen)
        """Wakes who waits for a commit; a hint, never the truth."""
        _databases.add(self)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgres`."""
        return self._engine.dialect

    @property
    def closed(self) -> bool:
        """Whether `close` was called, or it belongs to the process that this one was forked from."""
        return self._closed or os.getpid() != self._process

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot of what is committed."""
        self._check_usable()
        connection = self._begin_read()
        transaction = Transaction(connection, writes=False)
        try:
            yield transaction
        finally:
            transaction.end()
            self._end_read(connection)

    @contextmanager
    def write(self, seal: Seal | None = None, *, durable: bool = True) -> Iterator[Transaction]:
        """A serial transaction: durable when the block has ended, gone when it raises.

        Args:
            seal: Says what the ledger will say of the change; asked last, and only when something changed.
            durable: Whether it is on the disk when the block has ended. Otherwise every process sees it by then and a
                power cut, not the end of a process, may take it back, together with nothing that was durable.

        Raises:
            StoreBusy: Another process held the right to write too long.
            StorageFull, ReadOnlyStore, Damaged, StorageError: Nothing of this block was kept.
        """
        self._check_usable()
        if getattr(self._mine, "writing", False):
            raise InternalError("a write transaction was begun inside another one of the same thread")
        ticket, arrived = object(), monotonic()
        self._waiting.add(ticket)
        try:
            with self._turn:
                self._waiting.discard(ticket)
                self._mine.writing = True
                try:
                    group = self._join_group(self._busy_seconds - (monotonic() - arrived), durable=durable)
                    yield from self._as_member(group, seal)
                finally:
                    self._mine.writing = False
                    self._end_turn()
        finally:
            self._waiting.discard(ticket)
        self._await_durable(group)

    def submit(self, change: Callable[[Transaction], R], seal: Seal | None = None) -> asyncio.Future[R]:
        """`write` for callers on an event loop: runs `change(tx)` in a group with the others that wait, off the loop.

        The change runs in the context (the caller, the operation) of whoever submitted it. A caller that is cancelled
        before its change began takes it back; after that, what it changed stands.
        """
        self._check_usable()
        return self._submissions.submit(change, seal)

    def backup(self, label: str) -> str:
        """Copy the whole database, consistently; where the copy is."""
        with self.write() as tx:
            return self.backup_inside(tx, label)

    def backup_inside(self, tx: Transaction, label: str) -> str:
        """`backup` for who is inside a write transaction and has changed nothing yet."""
        return self._engine.backup(tx._connection, label)  # noqa: SLF001 -- a backup is of the connection itself

    def close(self) -> None:
        """Finish what was submitted and close every connection; other threads get a `StorageError` from then on."""
        if self.closed:
            return
        if getattr(self._mine, "writing", False):
            raise InternalError("a store was closed inside one of its own transactions")
        self._submissions.close()
        self._closed = True
        self.commits.close()
        with self._turn:
            if self._group is not None:
                self._commit(self._group)
            self._drop_writer()
            while self._readers:
                self._readers.pop().close()
        self._engine.close()

    def _begin_read(self) -> Connection:
        while True:
            try:
                connection = self._readers.pop()
            except IndexError:
                break
            try:
                connection.begin(write=False)
            except MainspringError:
                connection.close()  # it died while it was idle; nothing was asked of it yet
            else:
                return connection
        connection = self._engine.connect(readonly=True)
        try:
            connection.begin(write=False)
        except BaseException:
            connection.close()
            raise
        return connection

    def _end_read(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except MainspringError:
            connection.close()  # what was read is right; the next reader gets another
            return
        if self._closed or len(self._readers) >= _IDLE_READERS:
            connection.close()
        else:
            self._readers.append(connection)

    def _join_group(self, patience: float, *, durable: bool) -> _Group:
        if self._group is not None and durable and not self._group.durable:
            self._commit(self._group)  # its last member was interrupted before it did
        if self._group is None:
            if self._closed:
                raise _closed()
            self._begin_group(max(0.0, patience), durable=durable)
            self._group = _Group(durable=durable)
        return self._group

    def _begin_group(self, patience: float, *, durable: bool) -> None:
        was_idle = self._writer is not None
        try:
            if self._writer is None:
                self._writer = self._engine.connect(readonly=False)
            self._engine.begin_write(self._writer, patience=patience, durable=durable)
        except BaseException as error:
            self._drop_writer()
            self._engine.end_write()
            if not was_idle or isinstance(error, StoreBusy) or not isinstance(error, MainspringError):
                raise
            # It may have died while it was idle; nothing was asked of it yet.
            self._begin_group(patience, durable=durable)

    def _as_member(self, group: _Group, seal: Seal | None) -> Iterator[Transaction]:
        """Run one caller's statements. The first of a group needs no savepoint: when it fails, nothing else is lost."""
        writer, alone = self._writer, group.members == 0
        if writer is None:
            raise InternalError("the writer vanished inside a transaction")
        group.members += 1
        group.whole = False
        if not alone:
            writer.execute("SAVEPOINT member")
        transaction = Transaction(writer, writes=True)
        try:
            yield transaction
            transaction.finish(seal)
            if not alone:
                writer.execute("RELEASE member")
        except BaseException as error:
            transaction.end()
            self._undo_member(writer, group, error, alone=alone)
            raise
        group.events += transaction.events
        group.announced |= transaction.announced
        group.whole = True

    def _undo_member(self, writer: Connection, group: _Group, error: BaseException, *, alone: bool) -> None:
        """Undo one member. When the failure took the whole transaction with it, the group shares the error."""
        if not writer.in_transaction():
            lost = StorageError(f"the transaction was lost: {error}")
            group.error = error if isinstance(error, MainspringError) else lost
            return
        try:
            if alone:
                writer.rollback()
                self._dismiss(group)
            else:
                writer.execute("ROLLBACK TO member")
                writer.execute("RELEASE member")
                group.whole = True
        except MainspringError as second:
            group.error = second

    def _end_turn(self) -> None:
        """Hand the open transaction to the next that waits, or commit for everybody in it."""
        group = self._group
        if group is None:
            return
        young = monotonic() - group.born < _GROUP_SECONDS and group.members < _GROUP_MEMBERS
        # A group that does not wait for the disk costs little, and who joined it might want to be on the disk.
        if not (self._waiting and young and group.whole and group.durable and group.error is None):
            self._commit(group)

    def _commit(self, group: _Group) -> None:
        writer, kept = self._writer, False
        try:
            if writer is not None and group.whole and group.error is None:
                if group.events and self._chain is not None:
                    self._chain(Transaction(writer, writes=True), group.events)
                if group.announced:
                    self._engine.announce(writer)
                writer.commit()
                kept = True
        except MainspringError as error:
            group.error = error
        finally:
            try:
                if not kept:
                    group.error = group.error or StorageError(
                        "a change was interrupted and not kept", hint="repeat the call"
                    )
                    self._drop_writer()  # after a failed sync nothing may be retried on the same handle
            finally:
                self._dismiss(group)
        if kept:
            self.commits.tell()
            if group.announced:
                self._engine.announced()

    def _dismiss(self, group: _Group) -> None:
        self._group = None
        self._engine.end_write()
        group.done.set()

    def _await_durable(self, group: _Group) -> None:
        while not group.done.wait(_RESCUE_SECONDS):
            # Whoever should have committed was interrupted (Ctrl-C between two lines), or is busy. Find out which.
            with self._turn:
                if self._group is group:
                    self._commit(group)
        if group.error is not None:
            raise copy.copy(group.error) from group.error  # every thread raises one of its own

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.rollback()
            except MainspringError:
                pass  # it is being thrown away because it failed
            finally:
                writer.close()

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise InternalError(
                "a store was used after a fork; open it in the new process", hint="Store.open(...) in the child"
            )
        if self._closed:
            raise _closed()


def _closed() -> StorageError:
    return StorageError("this store was closed", hint="open it again: Store.open(...)")


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[Database] = []
# A child must not close what it inherited: SQLite would tidy up files under its parent. Holding it for ever is the way.
os.register_at_fork(after_in_child=lambda: _inherited.extend(_databases))
