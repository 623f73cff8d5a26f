"""Tables that DuckDB scans: files larger than memory, its own relations, and queries of one's own over frames.

A relation stays on the connection that made it. Files get a connection of their own that can read those files
and nothing else, spills to disk, and keeps to a share of the memory.
"""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_sources import file_format
from mainspring.engines.tables_sql import Session, SqlScan
from mainspring.engines.tables_sql_dialects import Dialect, DuckDialect
from mainspring.engines.tables_types import ColumnKind, ColumnType
from mainspring.engines.tables_values import json_value
from mainspring.kernel.errors import InvalidInput, MainspringError, MissingDependency, UnsupportedFormat

if TYPE_CHECKING:
    import polars as pl

    from mainspring.engines.metrics import Query
    from mainspring.engines.tables import Table

__all__ = ["DuckTable", "query_frames"]

_READERS = {"parquet": "read_parquet", "csv": "read_csv", "tsv": "read_csv", "jsonl": "read_json"}
_VIEW = "mainspring_table"


class DuckTable(SqlScan):
    """A table of DuckDB: made by `of_files` or `of_relation`."""

    dialect: ClassVar[Dialect] = DuckDialect()

    def __init__(self, connection: Any, relation: Any, source: str, others: Mapping[str, Table]) -> None:
        self.connection = connection
        self.relation = relation
        self.source = source
        self.others = dict(others)
        self._schema: dict[str, ColumnType] | None = None

    @classmethod
    def of_files(
        cls, paths: Sequence[str | Path], others: Mapping[str, Table] | None = None, *, memory: float = 0.5
    ) -> DuckTable:
        """Files of one format, read with at most a share `memory` of the machine's."""
        names = [os.fspath(path) for path in paths]
        what = file_format(names)
        if what not in _READERS:
            raise UnsupportedFormat(f"DuckDB does not read {what} files")
        dialect = cls.dialect
        listed = ", ".join(dialect.string(name) for name in names)
        more = ", delim = '\\t'" if what == "tsv" else ""
        return cls(_connection(memory), None, f"{_READERS[what]}([{listed}]{more})", others or {})

    @classmethod
    def of_relation(cls, relation: Any, others: Mapping[str, Table] | None = None) -> DuckTable:
        """A relation, queried on its own connection."""
        if not callable(getattr(relation, "query", None)) or not hasattr(relation, "columns"):
            raise UnsupportedFormat(f"a {type(relation).__name__} of DuckDB is not a table", hint="pass a relation")
        return cls(None, relation, _VIEW, others or {})

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        if self._schema is None:
            relation = self.relation
            if relation is None:
                relation = self.connection.cursor().sql(f"SELECT * FROM {self.source} LIMIT 0")
            types = map(str, relation.types)
            self._schema = {name: _type_of(dtype) for name, dtype in zip(relation.columns, types, strict=True)}
        return self._schema

    def session(self) -> Session:
        """The relation's connection, or a cursor of the table's own."""
        return _DuckSession(self.connection.cursor() if self.connection is not None else None, self.relation)

    def shares_engine(self, other: Any) -> bool:
        """Whether the other table is files, which any connection of ours can read."""
        return isinstance(other, DuckTable) and other.relation is None and self.relation is None

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Two relations, evaluated when they are read."""
        session = self.session()
        clean, marked = self.split_queries(session, reasons)
        return session.relation(clean), session.relation(marked)  # type: ignore[attr-defined]  # it is ours


class _DuckSession(Session):
    def __init__(self, cursor: Any, table: Any) -> None:
        self.cursor = cursor
        self.table = table

    def relation(self, sql: str) -> Any:
        import duckdb

        try:
            return self.table.query(_VIEW, sql) if self.table is not None else self.cursor.sql(sql)
        except duckdb.Error as error:
            raise _refused(error) from None

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return self.relation(sql).fetchall()  # type: ignore[no-any-return]  # rows of a relation are typed loosely
        except duckdb.Error as error:
            raise _refused(error) from None

    def stream(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        for batch in self.relation(sql).to_arrow_reader(size):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def names(self, sql: str) -> list[str]:
        return list(self.relation(sql).columns)


def query_frames(query: Query, batch: pl.LazyFrame, others: Mapping[str, Table]) -> dict[str, Any]:
    """A query of one's own over frames, which Polars' SQL is too small for."""
    import duckdb

    from mainspring.engines.tables_conditions import BATCH, parse_query

    tree = parse_query(query.sql, others)
    connection = _connection(0.5)
    try:
        connection.register(BATCH, batch)
        for name, other in others.items():
            frame = getattr(other, "frame", None)
            if frame is not None:
                connection.register(name, frame)
            elif name in query.sql:
                raise InvalidInput(f"a query over a frame cannot read {name!r}, which another engine holds")
        connection.execute("SET enable_external_access = false")
        said = f"FROM ({tree.sql(dialect='duckdb')}) AS q"
        ((count,),) = connection.execute(f"SELECT count(*) {said}").fetchall()
        found = connection.sql(f"SELECT * {said} LIMIT {int(query.limit)}")
        # By way of Arrow: the rows of DuckDB itself need another package for moments of a zone.
        plain = found.pl().iter_rows(named=True)
        rows = [{name: json_value(value) for name, value in row.items()} for row in plain]
    except duckdb.Error as error:
        raise _refused(error) from None
    finally:
        connection.close()
    return {"count": count, "rows": rows}


def _connection(memory: float) -> Any:
    try:
        import duckdb
    except ImportError:
        raise MissingDependency("duckdb", extra="data") from None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4 << 30
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{int(total * memory) >> 20}MB'")
    folder = Path(tempfile.gettempdir()) / "mainspring-duckdb"
    connection.execute(f"SET temp_directory = '{str(folder).replace(chr(39), chr(39) * 2)}'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


def _refused(error: Exception) -> MainspringError:
    return InvalidInput(f"the table cannot answer this: {str(error).partition(chr(10))[0]}")


def _type_of(dtype: str) -> ColumnType:
    name = dtype.partition("(")[0]
    kinds: dict[str, ColumnKind] = {
        "BOOLEAN": "bool", "FLOAT": "float", "DOUBLE": "float", "DECIMAL": "decimal", "VARCHAR": "text",
        "ENUM": "text", "JSON": "text", "UUID": "text",
        "DATE": "date", "TIME": "time", "INTERVAL": "duration", "BLOB": "binary",
        "STRUCT": "struct",
    }  # fmt: skip
    if dtype.endswith("]"):
        return ColumnType("list", dtype)
    if name.removeprefix("U").removesuffix("INT") in {"TINY", "SMALL", "", "BIG", "HUGE"} or name in {
        "INTEGER",
        "UINTEGER",
    }:
        return ColumnType("integer", dtype)
    if name.startswith("TIMESTAMP"):
        return ColumnType("datetime", dtype)
    return ColumnType(kinds.get(name, "other"), dtype)
