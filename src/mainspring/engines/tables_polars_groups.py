"""Questions about groups of equal values: one `group_by` for each set of columns, shared by all that ask of it.

How many rows have a double, how many distinct values there are, the most frequent of them, entropy: all
follow from how often each value occurs. A predicate that looks for duplicates, and otherwise only at the
columns by which it looks, is asked of groups as well, which spares a window over all rows.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import polars as pl

from mainspring.engines import metrics as ir
from mainspring.engines import predicates as rows
from mainspring.engines.metrics import Metric
from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_groups import COUNT
from mainspring.engines.tables_polars_rows import expression, narrowed
from mainspring.engines.tables_polars_values import Scope, nullable
from mainspring.engines.tables_values import json_value, known

__all__ = ["group_answer", "group_plan"]

_N = pl.col(COUNT)


def group_plan(
    frame: pl.LazyFrame, where: Predicate | None, columns: Sequence[str], metrics: Sequence[Metric], scope: Scope
) -> pl.LazyFrame:
    """One row with the answers of all metrics that ask of the groups of `columns`."""
    names = [known(name, scope) for name in columns]
    values = [nullable(name, scope).alias(name) for name in names]
    groups = narrowed(frame, where, scope).select(values).group_by(names).agg(pl.len().cast(pl.Int64).alias(COUNT))
    inner = Scope(groups.collect_schema())
    return groups.select(_asked(metric, inner).alias(str(place)) for place, metric in enumerate(metrics))


def _asked(metric: Metric, scope: Scope) -> pl.Expr:
    match metric:
        case ir.Count():
            return _N.filter(_of_group(metric.predicate, scope)).sum()
        case ir.Distinct():
            return _complete(metric.columns).sum()
        case ir.Frequent():
            return _frequent(metric, scope)
        case ir.Grouping():
            return _grouping(metric)
        case ir.MutualInformation():
            return _information(metric)
    raise TypeError(metric)


def _of_group(predicate: Predicate | None, scope: Scope) -> pl.Expr:
    match predicate:
        case rows.Duplicated():
            return _N > 1
        case rows.Not(inner):
            return ~_of_group(inner, scope)
        case rows.All(parts):
            return functools.reduce(operator.and_, (_of_group(part, scope) for part in parts))
        case rows.AnyOf(parts):
            return functools.reduce(operator.or_, (_of_group(part, scope) for part in parts))
        case None:
            return pl.lit(value=True)
    return expression(predicate, scope)


def _complete(columns: Sequence[str]) -> pl.Expr:
    return functools.reduce(operator.and_, (pl.col(name).is_not_null() for name in columns))


def _frequent(metric: ir.Frequent, scope: Scope) -> pl.Expr:
    value = pl.col(metric.column)
    there = pl.struct(value.alias("value"), _N.alias("n")).filter(value.is_not_null())
    count = _N.filter(value.is_not_null())
    if not scope[metric.column].is_ordered:
        return there.top_k_by(count, metric.limit).implode()
    by = [count, value.filter(value.is_not_null())]
    return there.top_k_by(by, metric.limit, reverse=[False, True]).implode()


def _grouping(metric: ir.Grouping) -> pl.Expr:
    some = functools.reduce(operator.or_, (pl.col(name).is_not_null() for name in metric.columns))
    counts = _N.filter(some)
    share = counts / counts.sum()
    entropy = -(share * share.log()).sum()
    return pl.struct(
        rows=counts.sum(), groups=counts.len(), singletons=(counts == 1).sum(), entropy=entropy.fill_null(0.0)
    )


def _information(metric: ir.MutualInformation) -> pl.Expr:
    both = pl.col(metric.x).is_not_null() & pl.col(metric.y).is_not_null()
    counts = pl.when(both).then(_N).otherwise(0)
    total, x, y = counts.sum(), counts.sum().over(metric.x), counts.sum().over(metric.y)
    part = counts / total * (counts * total / (x.cast(pl.Float64) * y)).log()
    return part.filter(counts > 0).sum()


def group_answer(metric: Metric, value: Any) -> Any:
    """The answer as the language says it."""
    match metric:
        case ir.Frequent():
            found = sorted(value, key=lambda each: (-each["n"], _order(each["value"])))
            return [[json_value(each["value"]), each["n"]] for each in found]
        case ir.Grouping():
            return {**value, "entropy": max(value["entropy"], 0.0)}
        case ir.MutualInformation():
            return max(value, 0.0) if math.isfinite(value) else 0.0
    return value


def _order(value: Any) -> Any:
    return value if not isinstance(value, list | dict) else str(value)
