"""Tables and queries of PostgreSQL: the server aggregates, and nothing is pulled but answers.

Each question runs in one read-only transaction that sees one snapshot, whatever others write meanwhile.
"""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_conditions import check_select
from mainspring.engines.tables_sources import SqlTable
from mainspring.engines.tables_sql import Session, SqlScan
from mainspring.engines.tables_sql_dialects import Dialect, PostgresDialect
from mainspring.engines.tables_types import ColumnKind, ColumnType
from mainspring.kernel.errors import InvalidInput, MissingDependency, Unavailable

if TYPE_CHECKING:
    from mainspring.engines.tables import Table

__all__ = ["PostgresTable"]

_KINDS: Mapping[str, ColumnKind] = {
    "bool": "bool", "int2": "integer", "int4": "integer", "int8": "integer", "float4": "float", "float8": "float",
    "numeric": "decimal", "text": "text", "varchar": "text", "bpchar": "text", "name": "text", "json": "text",
    "jsonb": "text", "uuid": "text", "date": "date", "timestamp": "datetime", "timestamptz": "datetime",
    "time": "time", "interval": "duration", "bytea": "binary",
}  # fmt: skip
_NAMES = {"timestamptz": "timestamp with time zone"}


class PostgresTable(SqlScan):
    """A table or query behind a `SqlTable` of `postgresql://`."""

    dialect: ClassVar[Dialect] = PostgresDialect()

    def __init__(self, told: SqlTable, others: Mapping[str, Table] | None = None) -> None:
        self.url = told.url
        self.others = dict(others or {})
        if told.query:
            self.source = f"({check_select(told.query, 'postgres')})"
        else:
            self.source = ".".join(self.dialect.quote(part) for part in told.table.split("."))
        self._schema: dict[str, ColumnType] | None = None

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        if self._schema is None:
            session = _PostgresSession(self.url)
            try:
                self._schema = session.describe(f"SELECT * FROM {self.source} AS s LIMIT 0")
            finally:
                session.close()
        return self._schema

    def session(self) -> Session:
        """A connection with a read-only transaction."""
        return _PostgresSession(self.url)

    def shares_engine(self, other: Any) -> bool:
        """Whether both are of one database."""
        return isinstance(other, PostgresTable) and other.url == self.url

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Two Polars frames, read in batches: rows that leave the database leave it once."""
        import polars as pl

        session = _PostgresSession(self.url)
        try:
            frames = []
            for sql in self.split_queries(session, reasons):
                names = session.names(sql)
                parts = [pl.DataFrame(batch, schema=names, orient="row") for batch in session.stream(sql, 50_000)]
                empty = pl.DataFrame(schema=dict.fromkeys(names, pl.Null))
                frames.append(pl.concat(parts, how="vertical_relaxed") if parts else empty)
        finally:
            session.close()
        return frames[0], frames[1]


class _PostgresSession(Session):
    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingDependency("psycopg", extra="postgres") from None
        try:
            self.connection = psycopg.connect(url, options="-c timezone=UTC")
        except psycopg.OperationalError as error:
            raise Unavailable(f"PostgreSQL cannot be reached: {_first_line(error)}") from None
        self.connection.read_only = True
        self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        return self._execute(sql).fetchall()  # type: ignore[no-any-return]  # rows of a cursor are typed loosely

    def names(self, sql: str) -> list[str]:
        return [column.name for column in self._execute(f"SELECT * FROM ({sql}) AS n LIMIT 0").description]

    def stream(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        import psycopg

        try:
            with self.connection.cursor(name="mainspring") as cursor:
                cursor.execute(sql)
                while batch := cursor.fetchmany(size):
                    yield batch
        except psycopg.Error as error:
            raise InvalidInput(f"the table cannot answer this: {_first_line(error)}") from None

    def describe(self, sql: str) -> dict[str, ColumnType]:
        """The columns of a query, by what the server says of their types."""
        columns = self._execute(sql).description
        oids = ", ".join(str(int(column.type_code)) for column in columns) or "0"
        found = self.run(f"SELECT oid::bigint, typname, typtype, typcategory FROM pg_type WHERE oid IN ({oids})")
        types = {oid: _type_of(name, kind, category) for oid, name, kind, category in found}
        return {column.name: types[column.type_code] for column in columns}

    def close(self) -> None:
        self.connection.rollback()
        self.connection.close()

    def _execute(self, sql: str) -> Any:
        import psycopg

        try:
            # Prepared, so that the server takes one statement and no more.
            return self.connection.execute(sql, prepare=True)
        except psycopg.Error as error:
            self.connection.rollback()
            raise InvalidInput(f"the table cannot answer this: {_first_line(error)}") from None


def _type_of(name: str, kind: str, category: str) -> ColumnType:
    if kind == "e":
        return ColumnType("text", name)
    if category == "A":
        return ColumnType("list", f"{name.removeprefix('_')}[]")
    if kind == "c":
        return ColumnType("struct", name)
    return ColumnType(_KINDS.get(name, "other"), _NAMES.get(name, name))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
