"""Frames of Spark, classic or Connect: one aggregate for all metrics that can share a scan, groupings apart."""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_sql import Session, SqlScan
from mainspring.engines.tables_sql_dialects import Dialect, SparkDialect
from mainspring.engines.tables_sql_rows import ROW
from mainspring.engines.tables_types import ColumnKind, ColumnType
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.kernel.ids import new_id

if TYPE_CHECKING:
    from mainspring.engines.tables import Table

__all__ = ["SparkTable"]

_PARTITION = 33
"""`monotonically_increasing_id` has the partition above this bit and the row within it below."""
_WRITTEN_OUT = 1_000
_KINDS: Mapping[str, ColumnKind] = {
    "boolean": "bool", "tinyint": "integer", "smallint": "integer", "int": "integer", "bigint": "integer",
    "float": "float", "double": "float", "decimal": "decimal", "string": "text", "varchar": "text", "char": "text",
    "date": "date", "timestamp": "datetime", "timestamp_ntz": "datetime", "time": "time", "binary": "binary",
    "array": "list", "struct": "struct",
}  # fmt: skip


class SparkTable(SqlScan):
    """A Spark frame. It is a temporary view for as long as this object lives."""

    dialect: ClassVar[Dialect] = SparkDialect()

    def __init__(self, frame: Any, others: Mapping[str, Table] | None = None) -> None:
        if not hasattr(frame, "createOrReplaceTempView"):
            raise UnsupportedFormat(f"a {type(frame).__name__} of Spark is not a table", hint="pass a DataFrame")
        self.frame = frame
        self.spark = frame.sparkSession
        self.others = dict(others or {})
        self.source = f"mainspring_{new_id().replace('-', '')}"
        frame.createOrReplaceTempView(self.source)
        weakref.finalize(self, _drop, self.spark, self.source)

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        return {field.name: _type_of(field.dataType.simpleString()) for field in self.frame.schema.fields}

    def session(self) -> Session:
        """The session of the frame."""
        return _SparkSession(self.spark)

    def shares_engine(self, other: Any) -> bool:
        """Whether both are frames of one session."""
        return isinstance(other, SparkTable) and other.spark is self.spark

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first `limit` rows, numbered in the order of Spark's partitions."""
        found = super().rows(predicate, where=where, limit=limit, columns=columns)
        if any(row[ROW] >> _PARTITION for row in found):
            sql = f"SELECT spark_partition_id(), COUNT(*) FROM {self.source} GROUP BY 1 ORDER BY 1"
            before, offsets = 0, {}
            for partition, count in self.session().run(sql):
                offsets[partition] = before
                before += count
            for row in found:
                row[ROW] = offsets[row[ROW] >> _PARTITION] + row[ROW] % (1 << _PARTITION)
        return found

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Two Spark frames, evaluated when they are read."""
        clean, marked = self.split_queries(self.session(), reasons)
        return self.spark.sql(clean), self.spark.sql(marked)

    def one_of(self, text: str, values: Sequence[str]) -> str:
        """Whether a text is one of `values`; many go to the workers as a set, which need not know us for that."""
        if len(values) <= _WRITTEN_OUT:
            return super().one_of(text, values)
        from pyspark.sql.types import BooleanType

        known = frozenset(values)
        name = f"mainspring_{new_id().replace('-', '')}"
        self.spark.udf.register(name, lambda value: value in known, BooleanType())
        return f"{name}({text})"


class _SparkSession(Session):
    def __init__(self, spark: Any) -> None:
        self.spark = spark

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(map(_plain, row)) for row in self._frame(sql, lambda frame: frame.collect())]

    def stream(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        rows = self._frame(sql, lambda frame: frame.toLocalIterator())
        while batch := [tuple(row) for row in islice(rows, size)]:
            yield batch

    def names(self, sql: str) -> list[str]:
        return list(self._frame(sql, lambda frame: frame.columns))

    def _frame(self, sql: str, read: Callable[[Any], Any]) -> Any:
        from pyspark.errors import PySparkException

        try:
            return read(self.spark.sql(sql))
        except PySparkException as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
            raise InvalidInput(f"the table cannot answer this: {reason}") from None


def _plain(value: Any) -> Any:
    """A value of a row, with what Spark calls rows inside of it as mappings."""
    if hasattr(value, "asDict"):
        return {name: _plain(inner) for name, inner in value.asDict().items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _drop(spark: Any, view: str) -> None:
    try:
        spark.catalog.dropTempView(view)
    except Exception:  # noqa: BLE001 -- at the end of a process the session may be gone, and the view with it
        return


def _type_of(name: str) -> ColumnType:
    word = name.partition("(")[0].partition("<")[0]
    if word == "void":
        return ColumnType("other", name)
    if word.startswith(("interval day", "interval hour")):
        return ColumnType("duration", name)
    return ColumnType(_KINDS.get(word, "other"), "timestamp_ltz" if name == "timestamp" else name)
