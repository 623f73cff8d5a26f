"""Which metrics are about groups of equal values: the same on every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.engines import metrics as ir
from mainspring.engines import predicates as rows
from mainspring.engines.metrics import Metric
from mainspring.engines.predicates import Predicate

__all__ = ["COUNT", "Groups", "group_columns", "move_distinct", "plan", "predicates_of"]

COUNT = "__rows__"
"""The column of a grouped table that says how many rows are in the group."""

Groups = dict[tuple[Predicate | None, tuple[str, ...]], list[Metric]]


def group_columns(metric: Metric) -> tuple[str, ...] | None:
    """The columns by which the rows must be grouped to answer; None when it is not a question about groups."""
    match metric:
        case ir.Frequent():
            return (metric.column,)
        case ir.Distinct() | ir.Grouping() if metric.columns:
            return tuple(sorted(set(metric.columns)))
        case ir.MutualInformation():
            return tuple(sorted({metric.x, metric.y}))
        case ir.Count(predicate=predicate) if predicate is not None:
            return _duplicated_by(predicate)
    return None


def plan(metrics: Sequence[Metric]) -> tuple[dict[Predicate | None, list[Metric]], Groups, list[ir.Query]]:
    """Divide metrics: those of one aggregate for each `where`, those of one grouping each, and queries."""
    scalars: dict[Predicate | None, list[Metric]] = {}
    groups: Groups = {}
    queries: list[ir.Query] = []
    for metric in dict.fromkeys(metrics):
        if isinstance(metric, ir.Query):
            queries.append(metric)
        elif (columns := group_columns(metric)) is not None:
            groups.setdefault((metric.where, columns), []).append(metric)
        else:
            scalars.setdefault(metric.where, []).append(metric)
    return scalars, groups, queries


def move_distinct(
    scalars: dict[Predicate | None, list[Metric]],
    groups: Groups,
    fits: Callable[[ir.Distinct], bool] | None = None,
) -> None:
    """Where nothing else asks of a grouping, count its distinct values beside the other aggregates, in their scan."""
    for key, members in list(groups.items()):
        if all(isinstance(metric, ir.Distinct) and (fits is None or fits(metric)) for metric in members):
            scalars.setdefault(key[0], []).extend(groups.pop(key))


def predicates_of(metric: Metric) -> tuple[Predicate | None, ...]:
    """What the metric asks of rows."""
    return (metric.where, metric.predicate) if isinstance(metric, ir.Count) else (metric.where,)


def _duplicated_by(predicate: Predicate) -> tuple[str, ...] | None:
    """The columns of the one `Duplicated` of a predicate that otherwise looks at these columns alone."""
    leaves = _leaves(predicate)
    by = {tuple(sorted(set(leaf.columns))) for leaf in leaves if isinstance(leaf, rows.Duplicated)}
    if len(by) != 1 or not all(by):
        return None
    (columns,) = by
    simple = (rows.Duplicated, rows.Missing, rows.Between, rows.In, rows.Matches, rows.Length, rows.Like)
    for leaf in leaves:
        named = leaf.columns if isinstance(leaf, rows.Duplicated) else (getattr(leaf, "column", None),)
        if not isinstance(leaf, simple) or not set(named) <= set(columns):
            return None
    return columns


def _leaves(predicate: Predicate) -> list[Predicate]:
    match predicate:
        case rows.Not(inner):
            return _leaves(inner)
        case rows.All(parts) | rows.AnyOf(parts) if parts:
            return [leaf for part in parts for leaf in _leaves(part)]
    return [predicate]
