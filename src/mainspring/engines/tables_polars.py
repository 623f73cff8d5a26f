"""Tables scanned by Polars: frames in memory, lazy frames, Parquet files.

All metrics with the same `where` become one select over one lazy frame, and all those frames are
collected together, so that a suite of a hundred checks reads each needed column once.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mainspring.engines import tables as ir
from mainspring.engines.tables import ColumnType, Metric, Predicate
from mainspring.engines.tables_polars_rows import (
    column_types,
    expression,
    json_value,
    known,
    missing_values,
    present,
    text_of,
    within,
)
from mainspring.kernel.errors import InvalidInput, NotFound

__all__ = ["PolarsTable"]


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
            holds = within(predicate, where, schema)
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
        counted = frame.select(present(metric.column, schema).alias("value")).group_by("value").agg(n=pl.len())
        text = pl.col("value").cast(pl.String, strict=False)
        return counted.sort(by=[pl.col("n"), text], descending=[True, False]).head(metric.limit)


def _narrowed(frame: pl.LazyFrame, where: Predicate | None, schema: Mapping[str, ColumnType]) -> pl.LazyFrame:
    parts: tuple[Predicate, ...] = where.parts if isinstance(where, ir.All) else () if where is None else (where,)
    for part in parts:
        frame = frame.filter(expression(part, schema))
    return frame


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
                return present(metric.columns[0], schema).n_unique()
            complete = ~functools.reduce(operator.or_, (missing_values(name, schema) for name in metric.columns))
            return pl.struct(*metric.columns).filter(complete).n_unique()
        case ir.Histogram():
            value = _number(metric.column, schema)
            return pl.concat_list([(value < edge).sum() for edge in metric.edges] + [value.count()])
    raise InvalidInput(f"{metric!r} is not a metric that a table can answer")


def _number(column: str, schema: Mapping[str, ColumnType]) -> pl.Expr:
    kind = schema[known(column, schema)]
    if not kind.is_number and kind.kind != "bool" and kind.dtype != "Null":
        raise InvalidInput(f"column {column!r} is {kind.dtype}, not a number")
    return pl.col(column).cast(pl.Float64).fill_nan(None).drop_nulls()


def _aggregate(metric: ir.Aggregate, schema: Mapping[str, ColumnType]) -> pl.Expr:
    column, kind = metric.column, schema[known(metric.column, schema)].kind
    match metric.function:
        case "nulls":
            return pl.col(column).null_count()
        case "nans":
            return pl.col(column).is_nan().sum() if kind == "float" else pl.lit(0)
        case "min" | "max":
            value = present(column, schema)
            if not schema[column].is_ordered and schema[column].dtype != "Null":
                raise InvalidInput(f"column {column!r} is {schema[column].dtype}, whose values have no order")
            return value.min() if metric.function == "min" else value.max()
        case "min_length" | "max_length":
            size = text_of(column, schema).str.len_chars()
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
        return [after - before for before, after in itertools.pairwise(below)]
    return value if isinstance(value, float) else json_value(value)


def _collect(plans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    try:
        return pl.collect_all(plans, engine="streaming")
    except pl.exceptions.ColumnNotFoundError as error:
        raise NotFound(f"a column that was asked for is not in the table: {error}") from None
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"the table cannot answer this: {str(error).partition(chr(10))[0]}") from None
