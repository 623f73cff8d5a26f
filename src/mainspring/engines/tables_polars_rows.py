"""Predicates as Polars expressions, and the types and values of Polars in the words of the port.

Every expression is boolean, never null, and as long as the table.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.engines import tables as ir
from mainspring.engines.tables import ColumnKind, ColumnType, Predicate
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

__all__ = [
    "column_types",
    "expression",
    "json_value",
    "known",
    "missing_values",
    "nullable",
    "present",
    "text_of",
    "to_lazy",
    "within",
]

_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def to_lazy(source: Any) -> pl.LazyFrame | None:
    """A lazy frame over whatever holds a table: frames, Arrow, pandas, Parquet paths; None for anything else."""
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if isinstance(source, str | Path):
        return pl.scan_parquet(source)
    if isinstance(source, list | tuple) and source and all(isinstance(each, str | Path) for each in source):
        return pl.scan_parquet(list(source))
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source).lazy()
    if type(source).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(source).lazy()
    return None


def column_types(schema: Mapping[str, pl.DataType]) -> dict[str, ColumnType]:
    """The types of a Polars schema in the words of the port."""
    return {name: ColumnType(_kind(dtype), str(dtype)) for name, dtype in schema.items()}


def _kind(dtype: pl.DataType) -> ColumnKind:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    kinds: list[tuple[Any, ColumnKind]] = [
        (pl.Boolean, "bool"), (pl.Decimal, "decimal"), (pl.String, "text"), (pl.Categorical, "text"),
        (pl.Enum, "text"), (pl.Date, "date"), (pl.Datetime, "datetime"), (pl.Time, "time"),
        (pl.Duration, "duration"), (pl.Binary, "binary"), (pl.List, "list"), (pl.Array, "list"), (pl.Struct, "struct"),
    ]  # fmt: skip
    return next((kind for dtype_class, kind in kinds if dtype == dtype_class), "other")


def json_value(value: Any) -> Any:
    """A value of a row as JSON types: moments as ISO text, NaN and infinities as text, bytes by their size."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {str(name): json_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | pl.Series):
        return [json_value(inner) for inner in value]
    return value


def expression(  # noqa: C901, PLR0911 -- one case for each predicate of the closed set, each a line or three
    predicate: Predicate, schema: Mapping[str, ColumnType]
) -> pl.Expr:
    """The predicate as a boolean expression that is never null and as long as the table."""
    match predicate:
        case ir.Missing(column):
            return missing_values(column, schema)
        case ir.Between(column):
            return _between(predicate, column, schema)
        case ir.In(column, values):
            members = _members(column, values, schema)
            return _column(column, schema).is_in(pl.lit(members).implode()).fill_null(value=False)
        case ir.Matches(column, pattern):
            return text_of(column, schema).str.contains(pattern).fill_null(value=False)
        case ir.Length(column, low, high):
            size = text_of(column, schema).str.len_chars()
            return _range(size, low, high, strict_low=False, strict_high=False)
        case ir.Compare(left, relation, right):
            holds: pl.Expr = _RELATIONS[relation](nullable(left, schema), nullable(right, schema))
            return holds.fill_null(value=False)
        case ir.Duplicated(columns):
            names = [known(name, schema) for name in columns]
            return (pl.col(names[0]) if len(names) == 1 else pl.struct(*names)).is_duplicated()
        case ir.Ordered(column):
            return _ordered(predicate, column, schema)
        case ir.Sql(text):
            return _sql(text, schema)
        case ir.Not(inner):
            return ~expression(inner, schema)
        case ir.All(parts) if parts:
            return functools.reduce(operator.and_, (expression(part, schema) for part in parts))
        case ir.AnyOf(parts) if parts:
            return functools.reduce(operator.or_, (expression(part, schema) for part in parts))
    raise InvalidInput(f"{predicate!r} is not a predicate that a table can answer")


def within(predicate: Predicate, where: Predicate | None, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The predicate, true only within `where`, and seeing only rows within it."""
    holds = expression(predicate, schema)
    if where is None:
        return holds
    inside = expression(where, schema)
    if isinstance(predicate, ir.Duplicated | ir.Ordered) or _has_window(predicate):
        # A window looks at other rows, so it must see only those inside the condition.
        return (inside & holds.over(inside)).fill_null(value=False)
    return inside & holds


def _has_window(predicate: Predicate) -> bool:
    match predicate:
        case ir.Duplicated() | ir.Ordered():
            return True
        case ir.Not(inner):
            return _has_window(inner)
        case ir.All(parts) | ir.AnyOf(parts):
            return any(_has_window(part) for part in parts)
    return False


def known(column: str, schema: Mapping[str, ColumnType]) -> str:
    """The name of a column that is there; `NotFound` naming the nearest otherwise."""
    if column not in schema:
        raise NotFound(f"the table has no column {column!r}", known=nearest(column, schema))
    return column


def _column(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The column in the type in which its kind is compared: dictionary text as text, decimals as floats."""
    kind = schema[known(column, schema)].kind
    if kind == "text":
        return pl.col(column).cast(pl.String)
    return pl.col(column).cast(pl.Float64) if kind == "decimal" else pl.col(column)


def nullable(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The column with NaN as null, which is what missing means here."""
    value = _column(column, schema)
    return value.fill_nan(None) if schema[column].kind == "float" else value


def present(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The values that are not missing."""
    return nullable(column, schema).drop_nulls()


def missing_values(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """Whether each value is null or NaN."""
    null = pl.col(known(column, schema)).is_null()
    return null | pl.col(column).is_nan().fill_null(value=False) if schema[column].kind == "float" else null


def text_of(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """A column of text as text; `InvalidInput` for any other."""
    kind = schema[known(column, schema)]
    if kind.kind == "text":
        return pl.col(column).cast(pl.String)
    if kind.dtype == "Null":
        return pl.col(column).cast(pl.String)
    raise InvalidInput(f"column {column!r} is {kind.dtype}, and only text has characters")


def _between(predicate: ir.Between, column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    kind = schema[known(column, schema)]
    if not kind.is_ordered and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values have no order")
    ends = [None if end is None else _literal(end, column, kind) for end in (predicate.low, predicate.high)]
    value = nullable(column, schema)
    return _range(value, *ends, strict_low=predicate.strict_low, strict_high=predicate.strict_high)


def _range(value: pl.Expr, low: Any, high: Any, *, strict_low: bool, strict_high: bool) -> pl.Expr:
    holds = value.is_not_null()
    if low is not None:
        holds &= value > low if strict_low else value >= low
    if high is not None:
        holds &= value < high if strict_high else value <= high
    return holds.fill_null(value=False)


def _literal(value: ir.Scalar, column: str, kind: ColumnType) -> Any:
    """A JSON value in the type of the column it is compared with."""
    wrong = InvalidInput(f"{value!r} cannot be compared with column {column!r}, which is {kind.dtype}")
    if kind.dtype == "Null":
        return None
    if kind.is_number or kind.kind in {"bool", "duration"}:
        if isinstance(value, str):
            raise wrong
        return timedelta(seconds=value) if kind.kind == "duration" else value
    if not isinstance(value, str):
        raise wrong
    try:
        return _moment(value, kind)
    except ValueError:
        raise wrong from None


def _moment(value: str, kind: ColumnType) -> Any:
    if kind.kind == "date":
        return date.fromisoformat(value)
    if kind.kind == "time":
        return time.fromisoformat(value)
    if kind.kind == "datetime":
        moment = datetime.fromisoformat(value)
        aware = "time_zone='" in kind.dtype or 'time_zone="' in kind.dtype
        if aware:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value


def _members(column: str, values: Iterable[ir.Scalar], schema: Mapping[str, ColumnType]) -> pl.Series:
    kind = schema[known(column, schema)]
    if kind.kind in {"list", "struct", "binary", "other"} and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values cannot be members of a set")
    if kind.dtype == "Null":
        return pl.Series([], dtype=pl.Null)
    plain = [_literal(value, column, kind) for value in values]
    if kind.kind == "integer":
        # 1.5 is in no set of whole numbers; 1.0 is the number 1.
        unsigned = kind.dtype == "UInt64"
        least, most = (0, 2**64 - 1) if unsigned else (-(2**63), 2**63 - 1)
        whole = [int(value) for value in plain if isinstance(value, int) or value.is_integer()]
        inside = [value for value in whole if least <= value <= most]
        return pl.Series(inside, dtype=pl.UInt64 if unsigned else pl.Int64)
    if kind.kind in {"float", "decimal"}:
        return pl.Series([float(value) for value in plain], dtype=pl.Float64)
    types: dict[str, Any] = {"bool": pl.Boolean, "text": pl.String, "date": pl.Date, "time": pl.Time}
    return pl.Series(plain, dtype=types.get(kind.kind), strict=False)


def _ordered(predicate: ir.Ordered, column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    value = nullable(column, schema)
    before = value.forward_fill().shift(1)
    relation = {(False, False): ">=", (False, True): ">", (True, False): "<=", (True, True): "<"}
    holds: pl.Expr = _RELATIONS[relation[predicate.descending, predicate.strict]](value, before)
    return (holds.fill_null(value=True) & value.is_not_null()).fill_null(value=False)


def _sql(text: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    try:
        holds = pl.sql_expr(text)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InvalidInput(f"{text!r} is not a condition over columns: {error}") from None
    names = holds.meta.root_names()
    for name in names:
        known(name, schema)
    if not names:
        # A constant condition still says something about each row.
        holds = holds & (pl.first().is_null() | pl.lit(value=True))
    return holds.cast(pl.Boolean).fill_null(value=False)
