"""PostgreSQL, for a store that many machines share. Needs the extra `postgres` (psycopg 3).

Writers take one advisory lock for the length of their transaction, so that writes are serial as they are on SQLite and
a service is written once; group commit makes up for it. `?` marks become `%s`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from mainspring.kernel.errors import (
    AlreadyExists,
    Conflict,
    InternalError,
    InvalidInput,
    MainspringError,
    MissingDependency,
    ReadOnlyStore,
    StorageError,
    StorageFull,
    StoreBusy,
    Unavailable,
)
from mainspring.store.transaction import Connection
from mainspring.store.wakeups import Ear

try:
    import psycopg
    from psycopg.pq import TransactionStatus
except ImportError as missing:  # pragma: no cover -- shown by an environment without the extra
    raise MissingDependency("psycopg", extra="postgres") from missing

__all__ = ["PostgresConnection", "PostgresEngine", "to_postgres"]

_WRITE_LOCK = 0x6D61696E  # "main": the advisory lock that makes writers serial
_CHANNEL = "mainspring"
_NO_WAIT = "SET LOCAL synchronous_commit = off; "
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_DEFAULTS: dict[str, Any] = {
    "application_name": "mainspring",
    "connect_timeout": 10,
    "keepalives_idle": 30,  # a server that vanished is noticed in a minute and not in two hours
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_WRITER_IDLE = "5min"
_STRING_OR_MARK = re.compile(r"'(?:[^']|'')*'|\?|%|\bBLOB\b")


@functools.lru_cache(maxsize=4096)
def to_postgres(sql: str) -> str:
    """A portable statement in PostgreSQL's words.

    Example:
        >>> to_postgres("SELECT '?' FROM a WHERE b = ? AND c LIKE 'x%'")
        "SELECT '?' FROM a WHERE b = %s AND c LIKE 'x%%'"
    """

    def swap(found: re.Match[str]) -> str:
        text = found.group()
        return {"?": "%s", "%": "%%", "BLOB": "BYTEA"}.get(text) or text.replace("%", "%%")

    return _STRING_OR_MARK.sub(swap, sql)


class PostgresEngine:
    """A PostgreSQL database by its URL."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self, *, readonly: bool) -> PostgresConnection:
        return PostgresConnection(self._url, readonly=readonly)

    def begin_write(self, connection: Connection, *, patience: float, durable: bool = True) -> None:
        """Begin, and take the advisory lock, in one round trip."""
        wait = max(1, int(patience * 1000))  # 0 would mean for ever
        connection.script(
            f"{_BEGIN_WRITE}; {'' if durable else _NO_WAIT}SET LOCAL lock_timeout = {wait};"
            f" SELECT pg_advisory_xact_lock({_WRITE_LOCK})"
        )

    def end_write(self) -> None:
        """Nothing: the lock ends with the transaction."""

    def announce(self, connection: Connection) -> None:
        """PostgreSQL tells the listeners when the transaction is committed."""
        connection.script(f"NOTIFY {_CHANNEL}")

    def announced(self) -> None:
        """Nothing: they were told."""

    def listen(self) -> Ear:
        """A connection of its own that is told of announcements."""
        return _Listener(self._url)

    def backup(self, connection: Connection, label: str) -> str:
        """Copy every table into the schema `backup_<label>`, inside the caller's transaction."""
        schema = "backup_" + re.sub(r"\W", "_", label).lower()
        tables = [
            name
            for (name,) in connection.rows(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
            )
        ]
        connection.script(
            f'CREATE SCHEMA "{schema}";'
            + "".join(f'CREATE TABLE "{schema}"."{each}" AS TABLE "{each}";' for each in tables)
        )
        return f"schema {schema}"

    def close(self) -> None:
        """Nothing is kept open."""


class _Listener:
    """A connection that only listens."""

    def __init__(self, url: str) -> None:
        self._connection = PostgresConnection(url, readonly=True)
        try:
            self._connection.script(f"LISTEN {_CHANNEL}")
        except MainspringError:
            self._connection.close()
            raise

    def hear(self, timeout: float) -> bool:
        try:
            return any(True for _ in self._connection._db.notifies(timeout=timeout, stop_after=1))  # noqa: SLF001 -- of this file
        except _FAILURES as error:
            raise _translate(error) from error

    def close(self) -> None:
        self._connection.close()


class PostgresConnection:
    """One PostgreSQL connection in the manner of `transaction.Connection`."""

    dialect = "postgres"

    def __init__(self, url: str, *, readonly: bool) -> None:
        try:
            options = {**_DEFAULTS, **psycopg.conninfo.conninfo_to_dict(url)}
            self._db = psycopg.connect(autocommit=True, **options)
        except psycopg.Error as error:
            raise Unavailable(
                f"PostgreSQL cannot be reached: {_first_line(error)}", hint="check the setting `database`"
            ) from error
        if not readonly:
            # A writer that was stopped in the middle keeps everybody waiting: the server ends its transaction.
            try:
                self._run(f"SET idle_in_transaction_session_timeout = '{_WRITER_IDLE}'")
            except MainspringError:
                self.close()
                raise

    def wait_for_disk(self, wanted: bool) -> None:  # noqa: FBT001 -- it is all that it says
        """Nothing: each transaction says so of itself."""

    def begin(self, *, write: bool) -> None:
        self._run(_BEGIN_WRITE if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        try:
            done = self._db.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if self._db.closed:
                raise Unavailable(
                    f"PostgreSQL went away during a commit, and whether it was kept is not known: {_first_line(error)}",
                    hint="look before you repeat the call",
                ) from error
            raise _translate(error) from error
        if done != "COMMIT":  # PostgreSQL answers the commit of a failed transaction with a quiet ROLLBACK
            raise StorageError("a statement of the transaction had failed; nothing of it was kept")

    def rollback(self) -> None:
        if self._db.info.transaction_status != TransactionStatus.IDLE:
            self._run("ROLLBACK")

    def in_transaction(self) -> bool:
        return self._db.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def intact(self) -> bool:
        return self._db.info.transaction_status == TransactionStatus.INTRANS

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        return max(self._run(to_postgres(sql), params).rowcount, 0)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            with self._db.cursor() as cursor:
                cursor.executemany(to_postgres(sql), rows)
        except _FAILURES as error:
            raise _translate(error) from error

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._run(to_postgres(sql), params)
        return cursor.fetchall() if cursor.description else []

    def script(self, sql: str) -> None:
        self._run(to_postgres(sql).replace("%%", "%"), None)

    def close(self) -> None:
        self._db.close()

    def _run(self, sql: str, params: Sequence[Any] | None = ()) -> psycopg.Cursor[Any]:
        try:
            return self._db.execute(sql, params if params is None else tuple(params))
        except _FAILURES as error:
            raise _translate(error) from error


_FAILURES = (psycopg.Error, UnicodeEncodeError)


def _translate(error: Exception) -> MainspringError:
    text = _first_line(error)
    if isinstance(error, psycopg.errors.UniqueViolation):
        return AlreadyExists(f"already there: {text}")
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(f"the change contradicts the store: {text}")
    # A plain ProgrammingError is psycopg's own, of a value that it cannot pass on; the server's have their own classes.
    if isinstance(error, psycopg.DataError | UnicodeEncodeError) or type(error) is psycopg.ProgrammingError:
        return InvalidInput(f"a value cannot be stored: {text}")
    if isinstance(error, psycopg.errors.DiskFull):
        return StorageFull(
            "no space left for the database; the change was not kept", hint="free space and repeat the call"
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.InsufficientPrivilege):
        return ReadOnlyStore(f"the database cannot be written: {text}")
    if isinstance(
        error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure
    ):
        return StoreBusy(f"another transaction was in the way: {text}", hint="repeat the call")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Unavailable(f"PostgreSQL cannot be reached: {text}", hint="repeat the call when it is back")
    return InternalError(f"PostgreSQL refused a statement: {text}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
