"""Tables scanned by Polars: frames in memory, lazy frames, Parquet files.

All metrics with the same `where` become one select over one lazy frame, and all those frames are
collected together, so that a suite of a hundred checks reads each needed column once.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.engines import tables as ir
from mainspring.engines.tables import ColumnKind, ColumnType, Metric, Predicate
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

__all__ = ["PolarsTable", "column_types", "expression", "json_value", "to_lazy"]

_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class PolarsTable:
    """A table behind a lazy frame. Nothing is read until a metric or rows are asked for."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self.frame = frame
        self._schema: dict[str, ColumnType] | None = None

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        if self._schema is None:
            self._schema = column_types(self.frame.collect_schema())
        return self._schema

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics, each once, with one select for each distinct `where`."""
        wanted = list(dict.fromkeys(metrics))
        groups: dict[Predicate | None, list[Metric]] = {}
        grouped = [metric for metric in wanted if isinstance(metric, ir.Frequent)]
        for metric in wanted:
            if not isinstance(metric, ir.Frequent):
                groups.setdefault(metric.where, []).append(metric)
        plans = [self._select(where, members) for where, members in groups.items()]
        plans += [self._frequent(metric) for metric in grouped]
        collected = _collect(plans)
        answers: dict[Metric, Any] = {}
        for members, result in zip(groups.values(), collected, strict=False):
            for index, metric in enumerate(members):
                answers[metric] = _answer(metric, result.get_column(str(index)))
        for metric, result in zip(grouped, collected[len(groups) :], strict=True):
            answers[metric] = [[json_value(value), count] for value, count in result.iter_rows()]
        return {metric: answers[metric] for metric in wanted}

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first `limit` rows of which `predicate` holds, each with its number in the table."""
        schema = self.schema()
        numbered = self.frame.with_row_index("__row__")
        kept = _narrowed(numbered, where, schema).filter(expression(predicate, schema)).head(limit)
        if columns:
            kept = kept.select("__row__", *dict.fromkeys(columns))
        (found,) = _collect([kept])
        return [{name: json_value(value) for name, value in row.items()} for row in found.iter_rows(named=True)]

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows without a reason, and rows with the list of theirs in `__reasons__`, both in the table's order."""
        if not reasons:
            (whole,) = _collect([self.frame])
            return whole, whole.clear().with_columns(pl.lit(None, pl.List(pl.String)).alias("__reasons__"))
        schema = self.schema()
        flags = []
        for name, (predicate, where) in reasons.items():
            holds = _within(predicate, where, schema)
            flags.append(pl.when(holds).then(pl.lit(name)))
        marked = self.frame.with_columns(pl.concat_list(flags).list.drop_nulls().alias("__reasons__"))
        (found,) = _collect([marked])
        clean = found.get_column("__reasons__").list.len() == 0
        return found.filter(clean).drop("__reasons__"), found.filter(~clean)

    def _select(self, where: Predicate | None, metrics: Sequence[Metric]) -> pl.LazyFrame:
        schema = self.schema()
        frame = _narrowed(self.frame, where, schema)
        return frame.select([_metric(metric, schema).alias(str(index)) for index, metric in enumerate(metrics)])

    def _frequent(self, metric: ir.Frequent) -> pl.LazyFrame:
        schema = self.schema()
        frame = _narrowed(self.frame, metric.where, schema)
        counted = frame.select(_present(metric.column, schema).alias("value")).group_by("value").agg(n=pl.len())
        text = pl.col("value").cast(pl.String, strict=False)
        return counted.sort(by=[pl.col("n"), text], descending=[True, False]).head(metric.limit)


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


def expression(predicate: Predicate, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The predicate as a boolean expression that is never null and as long as the table."""
    match predicate:
        case ir.Missing(column):
            return _missing(column, schema)
        case ir.Between(column):
            return _between(predicate, column, schema)
        case ir.In(column, values):
            members = _members(column, values, schema)
            return _column(column, schema).is_in(pl.lit(members).implode()).fill_null(value=False)
        case ir.Matches(column, pattern):
            return _text(column, schema).str.contains(pattern).fill_null(value=False)
        case ir.Length(column, low, high):
            size = _text(column, schema).str.len_chars()
            return _range(size, low, high, strict_low=False, strict_high=False)
        case ir.Compare(left, relation, right):
            holds: pl.Expr = _RELATIONS[relation](_nullable(left, schema), _nullable(right, schema))
            return holds.fill_null(value=False)
        case ir.Duplicated(columns):
            names = [_known(name, schema) for name in columns]
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


def _narrowed(frame: pl.LazyFrame, where: Predicate | None, schema: Mapping[str, ColumnType]) -> pl.LazyFrame:
    parts: tuple[Predicate, ...] = where.parts if isinstance(where, ir.All) else () if where is None else (where,)
    for part in parts:
        frame = frame.filter(expression(part, schema))
    return frame


def _within(predicate: Predicate, where: Predicate | None, schema: Mapping[str, ColumnType]) -> pl.Expr:
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


def _known(column: str, schema: Mapping[str, ColumnType]) -> str:
    if column not in schema:
        raise NotFound(f"the table has no column {column!r}", known=nearest(column, schema))
    return column


def _column(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The column in the type in which its kind is compared: dictionary text as text, decimals as floats."""
    kind = schema[_known(column, schema)].kind
    if kind == "text":
        return pl.col(column).cast(pl.String)
    return pl.col(column).cast(pl.Float64) if kind == "decimal" else pl.col(column)


def _nullable(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    """The column with NaN as null, which is what missing means here."""
    value = _column(column, schema)
    return value.fill_nan(None) if schema[column].kind == "float" else value


def _present(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    return _nullable(column, schema).drop_nulls()


def _missing(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    null = pl.col(_known(column, schema)).is_null()
    return null | pl.col(column).is_nan().fill_null(value=False) if schema[column].kind == "float" else null


def _text(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    kind = schema[_known(column, schema)]
    if kind.kind == "text":
        return pl.col(column).cast(pl.String)
    if kind.dtype == "Null":
        return pl.col(column).cast(pl.String)
    raise InvalidInput(f"column {column!r} is {kind.dtype}, and only text has characters")


def _between(predicate: ir.Between, column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    kind = schema[_known(column, schema)]
    if not kind.is_ordered and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values have no order")
    ends = [None if end is None else _literal(end, column, kind) for end in (predicate.low, predicate.high)]
    value = _nullable(column, schema)
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
    kind = schema[_known(column, schema)]
    if kind.kind in {"list", "struct", "binary", "other"} and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values cannot be members of a set")
    if kind.dtype == "Null":
        return pl.Series([], dtype=pl.Null)
    plain = [_literal(value, column, kind) for value in values]
    if kind.kind == "integer":
        # 1.5 is in no set of whole numbers; 1.0 is the number 1.
        return pl.Series([int(value) for value in plain if value == int(value)], dtype=pl.Int64)
    if kind.kind in {"float", "decimal"}:
        return pl.Series([float(value) for value in plain], dtype=pl.Float64)
    types: dict[str, Any] = {"bool": pl.Boolean, "text": pl.String, "date": pl.Date, "time": pl.Time}
    return pl.Series(plain, dtype=types.get(kind.kind), strict=False)


def _ordered(predicate: ir.Ordered, column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    value = _nullable(column, schema)
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
        _known(name, schema)
    if not names:
        # A constant condition still says something about each row.
        holds = holds & (pl.first().is_null() | pl.lit(value=True))
    return holds.cast(pl.Boolean).fill_null(value=False)


def _metric(metric: Metric, schema: Mapping[str, ColumnType]) -> pl.Expr:
    match metric:
        case ir.Count():
            return pl.len() if metric.predicate is None else expression(metric.predicate, schema).sum()
        case ir.Aggregate():
            return _aggregate(metric, schema)
        case ir.Moments():
            return _moments(_number(metric.column, schema))
        case ir.Quantile():
            return _number(metric.column, schema).quantile(metric.q, "linear")
        case ir.Distinct():
            if len(metric.columns) == 1:
                return _present(metric.columns[0], schema).n_unique()
            complete = ~functools.reduce(operator.or_, (_missing(name, schema) for name in metric.columns))
            return pl.struct(*metric.columns).filter(complete).n_unique()
        case ir.Histogram():
            value = _number(metric.column, schema)
            return pl.concat_list([(value < edge).sum() for edge in metric.edges] + [value.count()])
    raise InvalidInput(f"{metric!r} is not a metric that a table can answer")


def _number(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    kind = schema[_known(column, schema)]
    if not kind.is_number and kind.kind != "bool" and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, not a number")
    return pl.col(column).cast(pl.Float64).fill_nan(None).drop_nulls()


def _aggregate(metric: ir.Aggregate, schema: Mapping[str, ColumnType]) -> pl.Expr:
    column, kind = metric.column, schema[_known(metric.column, schema)].kind
    match metric.function:
        case "nulls":
            return pl.col(column).null_count()
        case "nans":
            return pl.col(column).is_nan().sum() if kind == "float" else pl.lit(0)
        case "min" | "max":
            value = _present(column, schema)
            if not schema[column].is_ordered and schema[column].dtype != "Null":
                raise InvalidInput(f"column {column!r} is {schema[column].dtype}, whose values have no order")
            return value.min() if metric.function == "min" else value.max()
        case "min_length" | "max_length":
            size = _text(column, schema).str.len_chars()
            return size.min() if metric.function == "min_length" else size.max()
        case "sum":
            value = _number(column, schema)
            return (pl.col(column).cast(pl.Int128) if kind in {"integer", "bool"} else value).sum()
        case "mean":
            return _number(column, schema).mean()
        case "std":
            return _number(column, schema).std()
    raise InvalidInput(f"{metric.function!r} is not an aggregate")


def _moments(value: pl.Expr) -> pl.Expr:
    finite = value.filter(value.is_finite())
    mean = finite.mean()
    powers = [((finite - mean) ** power).sum() for power in (2, 3, 4)]
    return pl.concat_list([finite.len().cast(pl.Float64), mean.fill_null(0.0), *powers])


def _answer(metric: Metric, column: pl.Series) -> Any:
    value = column.to_list()[0]
    if isinstance(metric, ir.Moments):
        return [int(value[0]), *value[1:]]
    if isinstance(metric, ir.Histogram):
        below = [0, *value]
        return [after - before for before, after in zip(below, below[1:], strict=False)]
    return json_value(value)


def _collect(plans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    try:
        return pl.collect_all(plans, engine="streaming")
    except pl.exceptions.ColumnNotFoundError as error:
        raise NotFound(f"a column that was asked for is not in the table: {error}") from None
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"the table cannot answer this: {str(error).partition(chr(10))[0]}") from None
