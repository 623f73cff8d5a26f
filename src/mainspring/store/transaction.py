"""A transaction: what service code writes SQL against, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn, Protocol, TypeVar, cast

import msgspec

from mainspring.kernel.clock import from_micros, now_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InternalError, StorageError
from mainspring.store.records import Table

__all__ = ["Change", "Connection", "Seal", "Transaction"]

T = TypeVar("T", bound=msgspec.Struct)


class Connection(Protocol):
    """One connection of a database. Not used by two threads at the same time.

    Every method raises a `StorageError`, `Conflict` or `InternalError`, never the driver's own.
    """

    dialect: str

    def wait_for_disk(self, wanted: bool) -> None:  # noqa: FBT001 -- it is all that it says
        """Whether commits of the next transactions are on the disk when they return."""
        ...

    def begin(self, *, write: bool) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def in_transaction(self) -> bool:
        """Whether a transaction is open, if only to be rolled back."""
        ...

    def intact(self) -> bool:
        """Whether a transaction is open that could be committed."""
        ...

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int: ...
    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...
    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...
    def script(self, sql: str) -> None: ...
    def close(self) -> None: ...


class Change(msgspec.Struct, frozen=True):
    """One thing that a transaction touched, for the audit event."""

    resource: str
    detail: dict[str, Any]


class _Ended:
    """What a transaction holds in place of its connection once its block has ended."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # whoever inspects a module asks for such names, and nothing of a database
        raise InternalError("a transaction was used after its block had ended")


_ENDED = cast("Connection", _Ended())


class Transaction:
    """Statements that take effect together, seen at one moment.

    `?` marks a parameter on both databases. Obtained from `Store.read`, `Store.write` or
    `Store.bookkeeping`; it must not leave the block.
    """

    __slots__ = ("_connection", "_writes", "announced", "changed", "changes", "events", "now_micros")

    def __init__(self, connection: Connection, *, writes: bool) -> None:
        self._connection = connection
        self._writes = writes
        self.changes: list[Change] = []
        self.events: list[Any] = []
        """What the ledger will say of it."""
        self.changed = False
        self.announced = False
        self.now_micros = now_micros()

    @property
    def now(self) -> datetime:
        """One moment for the whole transaction, UTC."""
        return from_micros(self.now_micros)

    @property
    def workspace(self) -> str:
        """The workspace of the caller: the tenant key of every top-level row."""
        return caller().workspace

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgres`; for the few statements that must differ."""
        return self._connection.dialect

    def announce(self) -> None:
        """Wake the waiters of other processes when this is committed: there is a task or an event for them."""
        self.announced = True

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it changed."""
        self._must_write()
        count = self._connection.execute(sql, params)
        self.changed = self.changed or count != 0
        return count

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for every row of parameters."""
        self._must_write()
        self._connection.many(sql, rows)
        self.changed = True

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, or of a statement with RETURNING."""
        found = self._connection.rows(sql, params)
        if found and not self.changed and "RETURNING" in sql:
            self._must_write()
            self.changed = True
        return found

    def row(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row of a query, or None."""
        found = self.rows(sql, params)
        return found[0][0] if found else None

    def insert(self, table: Table[T], record: T) -> None:
        """Add a record as a row; `AlreadyExists` when its key is taken."""
        self.execute(table.insert_sql, table.to_row(record))

    def insert_many(self, table: Table[T], records: Iterable[T]) -> None:
        """Add many records as rows."""
        self.many(table.insert_sql, [table.to_row(record) for record in records])

    def fetch(self, table: Table[T], where: str = "", params: Sequence[Any] = ()) -> list[T]:
        """The records of the rows that `where` selects: `"WHERE kind = ? ORDER BY id LIMIT 10"`."""
        return [table.from_row(row) for row in self._connection.rows(f"{table.select_sql} {where}", params)]

    def fetch_one(self, table: Table[T], where: str, params: Sequence[Any] = ()) -> T | None:
        """The first record that `where` selects, or None."""
        found = self.fetch(table, where, params)
        return found[0] if found else None

    def note(self, resource: str, **detail: Any) -> None:
        """Say what this change touched, `kind/name@version` or `kind/id`; it goes into the audit event."""
        self.changes.append(Change(resource=resource, detail=detail))

    def finish(self, seal: Seal | None) -> None:
        """End a change: refuse one whose failure was passed over, and ask for its audit event."""
        if not self._connection.intact():
            raise StorageError(
                "a statement of this change failed and took the transaction with it; nothing of it was kept"
            )
        if seal is not None and (self.changed or self.changes):
            self.events.append(seal(self))
        self.end()

    def end(self) -> None:
        """Part from the connection, which others use from now on."""
        self._connection = _ENDED

    def _must_write(self) -> None:
        if not self._writes:
            raise InternalError("a statement that writes was run in a read transaction")


Seal = Callable[[Transaction], Any]
"""Says last what the ledger will say of a transaction that changed something."""
