"""Metrics of one select, as Polars expressions of one value each."""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

import polars as pl

from mainspring.engines import metrics as ir
from mainspring.engines.metrics import Metric
from mainspring.engines.tables_polars_rows import count_of
from mainspring.engines.tables_polars_values import Scope, nullable, number, text_of
from mainspring.engines.tables_texts import FORMS, PATTERNS
from mainspring.engines.tables_values import check_number, check_ordered, json_value, known
from mainspring.kernel.errors import InvalidInput

__all__ = ["answer_of", "metric_expression"]


def metric_expression(metric: Metric, scope: Scope) -> pl.Expr:
    """The expression that answers a metric, as `answer_of` reads it."""
    match metric:
        case ir.Count():
            return pl.len() if metric.predicate is None else count_of(metric.predicate, scope)
        case ir.Aggregate():
            return _aggregate(metric, scope)
        case ir.Moments():
            return _moments(number(metric.column, scope))
        case ir.Comoments():
            return _comoments(metric, scope)
        case ir.Distinct(columns=(column,)):
            value = nullable(column, scope)
            return value.n_unique() - value.has_nulls().cast(pl.UInt32)
        case ir.Histogram():
            value = number(metric.column, scope)
            return pl.concat_list([(value < edge).sum() for edge in metric.edges] + [value.count()])
        case ir.TextForms():
            return _forms(metric, scope)
    raise InvalidInput(f"{metric!r} is not a metric that a table can answer")


def answer_of(metric: Metric, value: Any) -> Any:
    """The answer as the language says it."""
    match metric:
        case ir.Moments() | ir.Comoments():
            return [int(value[0]), *value[1:]]
        case ir.Histogram():
            return [after - before for before, after in itertools.pairwise([0, *value])]
        case ir.TextForms():
            return value
    return value if isinstance(value, float) else json_value(value)


def _aggregate(metric: ir.Aggregate, scope: Scope) -> pl.Expr:
    column, kind = metric.column, scope[known(metric.column, scope)].kind
    match metric.function:
        case "nulls":
            return pl.col(column).null_count()
        case "nans":
            return pl.col(column).is_nan().sum() if kind == "float" else pl.lit(0)
        case "min" | "max":
            check_ordered(column, scope)
            value = nullable(column, scope)
            return value.min() if metric.function == "min" else value.max()
        case "min_length" | "max_length":
            size = text_of(column, scope).str.len_chars()
            return size.min() if metric.function == "min_length" else size.max()
        case "sum":
            check_number(column, scope)
            if kind in {"integer", "bool"}:
                return pl.col(column).cast(pl.Int128).sum()
            return pl.col(column).sum() if kind == "decimal" else number(column, scope).sum()
        case "mean":
            return number(column, scope).mean()
        case "std":
            return number(column, scope).std()
    raise InvalidInput(f"{metric.function!r} is not an aggregate")


def _moments(value: pl.Expr) -> pl.Expr:
    finite = value.filter(value.is_finite())
    mean = finite.mean()
    deviation = finite - mean
    squared = deviation * deviation
    powers = [squared.sum(), (squared * deviation).sum(), (squared * squared).sum()]
    return pl.concat_list([finite.len().cast(pl.Float64), mean.fill_null(0.0), *powers])


def _comoments(metric: ir.Comoments, scope: Scope) -> pl.Expr:
    for column in (metric.x, metric.y):
        check_number(column, scope)
    values = [nullable(column, scope).cast(pl.Float64) for column in (metric.x, metric.y)]
    finite = functools.reduce(operator.and_, (value.is_finite().fill_null(value=False) for value in values))
    x, y = (value.filter(finite) for value in values)
    dx, dy = x - x.mean(), y - y.mean()
    sums = [(dx * dx).sum(), (dy * dy).sum(), (dx * dy).sum()]
    return pl.concat_list([x.len().cast(pl.Float64), x.mean().fill_null(0.0), y.mean().fill_null(0.0), *sums])


def _forms(metric: ir.TextForms, scope: Scope) -> pl.Expr:
    text = text_of(metric.column, scope)
    left = text.is_not_null()
    counts = {"missing": text.null_count()}
    for form in FORMS[:-1]:
        holds = text.str.contains(PATTERNS[form]).fill_null(value=False)
        counts[form] = (left & holds).sum()
        left = left & ~holds
    counts["text"] = left.sum()
    return pl.struct(*(counts[form].alias(form) for form in (*FORMS, "missing")))
