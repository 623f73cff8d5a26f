"""What three SQL engines spell differently; everything else the compiler says in the SQL that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from mainspring.engines.tables_regex import Engine, portable
from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import is_aware
from mainspring.kernel.errors import InvalidInput

__all__ = ["Dialect", "DuckDialect", "PostgresDialect", "SparkDialect"]


class Dialect:
    """SQL as DuckDB, PostgreSQL and Spark share it; subclasses say where one of them is apart."""

    name, sqlglot = "", ""
    regex: Engine = "re2"
    text, double, whole = "VARCHAR", "DOUBLE", "HUGEINT"
    naive_timestamp, aware_timestamp = "TIMESTAMP", "TIMESTAMPTZ"
    row_number = "ROW_NUMBER() OVER () - 1"
    bits = 64
    """How wide whole numbers are at most."""
    ordered = False
    """Whether rows have an order that a query can rely on."""
    distinct_inline = True
    """Whether counts of distinct values are cheap beside other aggregates."""
    keeps_values = False
    """Whether a quantile keeps all distinct values in memory, so that many are to be narrowed down to few before."""

    def quote(self, name: str) -> str:
        """An identifier."""
        return '"' + name.replace('"', '""') + '"'

    def string(self, text: str) -> str:
        """A text."""
        if "\0" in text:
            raise InvalidInput(f"{text!r} has a NUL character, which {self.name} has not")
        return "'" + text.replace("'", "''") + "'"

    def literal(self, value: Any, kind: ColumnType) -> str:  # noqa: PLR0911 -- one line for each type
        """A value, as `tables_values.literal` made it, in the type of its column."""
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if kind.kind == "float" and isinstance(value, int | float | Decimal):
            return self.real(value)
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return self.real(value)
        if isinstance(value, Decimal):
            return f"{value:f}"
        if isinstance(value, timedelta):
            return self.interval(value)
        if isinstance(value, datetime):
            name = self.aware_timestamp if is_aware(kind) else self.naive_timestamp
            return f"CAST({self.string(value.isoformat(' '))} AS {name})"
        if isinstance(value, date):
            return f"DATE {self.string(value.isoformat())}"
        if isinstance(value, time):
            return f"TIME {self.string(value.isoformat())}"
        raise InvalidInput(f"{value!r} cannot be said in SQL")

    def real(self, value: float | Decimal) -> str:
        """A number of 64 bits."""
        text = repr(float(value)) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
        return f"CAST('{text}' AS {self.double})"

    @property
    def nan(self) -> str:
        """What is not a number."""
        return f"CAST('NaN' AS {self.double})"

    def interval(self, value: timedelta) -> str:
        """A duration."""
        return f"to_microseconds({value // timedelta(microseconds=1)})"

    def number(self, sql: str) -> str:
        """As a number of 64 bits."""
        return f"CAST({sql} AS {self.double})"

    def value(self, raw: str, kind: ColumnType) -> str | None:
        """The column in the type in which its kind is compared, NaN as null; None when it is so already."""
        if kind.kind == "float":
            return f"NULLIF({self.number(raw)}, {self.nan})"
        return None

    def is_finite(self, value: str) -> str:
        """Whether a number that is not NaN is not infinite either."""
        return f"({value} > {self.real(-math.inf)} AND {value} < {self.real(math.inf)})"

    def output(self, sql: str, kind: ColumnType) -> str:
        """A value on its way out: instants as readings of UTC, to which the reader gives the zone back."""
        return f"({sql} AT TIME ZONE 'UTC')" if is_aware(kind) else sql

    def length(self, sql: str) -> str:
        """The number of characters."""
        return f"LENGTH({sql})"

    def least(self, sql: str, kind: ColumnType, function: str) -> str:
        """The least or greatest value."""
        return f"{function.upper()}({sql})"

    def matches(self, sql: str, pattern: str) -> str | None:
        """Whether a text contains a match; None when the engine cannot be asked without changing the pattern."""
        said = portable(pattern, self.regex)
        return None if said is None else f"regexp_matches({sql}, {self.string('(?-s)' + said)})"

    def like(self, sql: str, pattern: str, escape: str) -> str:
        """Whether a text matches a pattern of LIKE."""
        return f"{sql} LIKE {self.string(pattern)} ESCAPE {self.string(escape)}"

    def quantiles(self, value: str, shares: Sequence[float], *, exact: bool) -> str:
        """Quantiles of numbers: between values, or values themselves when `exact`."""
        function = "quantile_disc" if exact else "quantile_cont"
        return f"{function}({value}, [{', '.join(map(repr, shares))}])"

    def near(self, value: str, shares: Sequence[float]) -> str:
        """Values of which the places are off by at most a thousandth of all: asked where `keeps_values`."""
        raise NotImplementedError

    def upper(self, sql: str, function: str) -> str:
        """A text in upper or lower case."""
        return f"{function}({sql})"

    def rounded(self, sql: str, digits: int) -> str:
        """A number rounded, halves away from zero."""
        return f"ROUND({self.number(sql)}, {digits})"

    def lists(self, value: str, count: str, order: str) -> tuple[str, str]:
        """Two lists, of values and of how often each occurs, in the same order."""
        return f"array_agg({value} ORDER BY {order})", f"array_agg({count} ORDER BY {order})"

    def marks(self, flags: Sequence[tuple[str, str]]) -> str:
        """The list of the names (as SQL) of which the condition holds."""
        cases = ", ".join(f"CASE WHEN {holds} THEN {name} END" for holds, name in flags)
        return f"list_filter([{cases}], lambda x: x IS NOT NULL)" if flags else "CAST([] AS VARCHAR[])"


class DuckDialect(Dialect):
    """DuckDB: rows keep the order of their source."""

    name, sqlglot = "DuckDB", "duckdb"
    bits = 128
    ordered = True

    def value(self, raw: str, kind: ColumnType) -> str | None:
        if kind.dtype.startswith("ENUM") or kind.dtype in {"JSON", "UUID"}:
            return f"CAST({raw} AS VARCHAR)"
        if kind.kind == "float":
            # Not NULLIF: the least and greatest values that Parquet states leave NaN out, and DuckDB believes them.
            return f"CASE WHEN isnan({raw}) THEN NULL ELSE {self.number(raw)} END"
        return super().value(raw, kind)


class PostgresDialect(Dialect):
    """PostgreSQL: text compares by code point whatever the collation, and NaN exists among exact numbers."""

    name, sqlglot = "PostgreSQL", "postgres"
    regex: Engine = "postgres"
    text, double, whole = "TEXT", "DOUBLE PRECISION", "NUMERIC"

    def value(self, raw: str, kind: ColumnType) -> str | None:
        if kind.kind == "text":
            return f'(CAST({raw} AS TEXT) COLLATE "C")'
        if kind.kind == "decimal":
            return f"NULLIF({raw}, CAST('NaN' AS NUMERIC))"
        return super().value(raw, kind)

    def interval(self, value: timedelta) -> str:
        return f"make_interval(secs => {value.total_seconds()!r})"

    def length(self, sql: str) -> str:
        return f"CHAR_LENGTH({sql})"

    def least(self, sql: str, kind: ColumnType, function: str) -> str:
        if kind.kind == "bool":
            return f"BOOL_{'AND' if function == 'min' else 'OR'}({sql})"
        return super().least(sql, kind, function)

    def matches(self, sql: str, pattern: str) -> str | None:
        said = portable(pattern, self.regex)
        return None if said is None else f"({sql} ~ {self.string(said)})"

    def quantiles(self, value: str, shares: Sequence[float], *, exact: bool) -> str:
        function = "percentile_disc" if exact else "percentile_cont"
        array = f"CAST(ARRAY[{', '.join(map(repr, shares))}] AS DOUBLE PRECISION[])"
        return f"{function}({array}) WITHIN GROUP (ORDER BY {value})"

    def upper(self, sql: str, function: str) -> str:
        return f'({function}({sql} COLLATE "und-x-icu") COLLATE "C")'  # "C" knows the case of ASCII alone

    def rounded(self, sql: str, digits: int) -> str:
        return self.number(f"ROUND(CAST({sql} AS NUMERIC), {digits})")

    def marks(self, flags: Sequence[tuple[str, str]]) -> str:
        cases = ", ".join(f"CASE WHEN {holds} THEN {name} END" for holds, name in flags)
        return f"array_remove(ARRAY[{cases}], NULL)" if flags else "CAST(ARRAY[] AS TEXT[])"


class SparkDialect(Dialect):
    """Spark SQL in its ANSI mode: whole numbers that overflow are errors, and counts of distinct values cost rows."""

    name, sqlglot = "Spark", "spark"
    regex: Engine = "java"
    text, double, whole = "STRING", "DOUBLE", "DECIMAL(38, 0)"
    naive_timestamp, aware_timestamp = "TIMESTAMP_NTZ", "TIMESTAMP_LTZ"
    distinct_inline = False
    keeps_values = True
    row_number = "monotonically_increasing_id()"

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def string(self, text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def interval(self, value: timedelta) -> str:
        return f"make_dt_interval(0, 0, 0, {value.total_seconds():.6f})"

    def output(self, sql: str, kind: ColumnType) -> str:
        return f"convert_timezone('UTC', CAST({sql} AS TIMESTAMP_NTZ))" if is_aware(kind) else sql

    def length(self, sql: str) -> str:
        return f"CHAR_LENGTH({sql})"

    def matches(self, sql: str, pattern: str) -> str | None:
        said = portable(pattern, self.regex)
        return None if said is None else f"({sql} RLIKE {self.string(said)})"

    def like(self, sql: str, pattern: str, escape: str) -> str:
        # Without a character of the user's own, one that the pattern has not makes nothing plain.
        unused = escape or next(mark for mark in "\\!#$&@~^|`" if mark not in pattern)
        return f"{sql} LIKE {self.string(pattern)} ESCAPE {self.string(unused)}"

    def quantiles(self, value: str, shares: Sequence[float], *, exact: bool) -> str:
        if not exact:
            return f"percentile({value}, array({', '.join(f'{share!r}D' for share in shares)}))"
        parts = (f"percentile_disc({share!r}D) WITHIN GROUP (ORDER BY {value})" for share in shares)
        return f"array({', '.join(parts)})"

    def near(self, value: str, shares: Sequence[float]) -> str:
        return f"percentile_approx({value}, array({', '.join(f'{share!r}D' for share in shares)}), 1000)"

    def lists(self, value: str, count: str, order: str) -> tuple[str, str]:
        return f"collect_list({value})", f"collect_list({count})"

    def marks(self, flags: Sequence[tuple[str, str]]) -> str:
        cases = ", ".join(f"CASE WHEN {holds} THEN {name} END" for holds, name in flags)
        return f"array_compact(array({cases}))" if flags else "CAST(array() AS ARRAY<STRING>)"
