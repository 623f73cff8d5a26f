"""Which metrics are about groups of equal values: the same on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mainspring.engines import metrics as ir
from mainspring.engines import predicates as rows
from mainspring.engines.metrics import Metric
from mainspring.engines.predicates import Predicate

__all__ = ["COUNT", "Groups", "group_columns", "move_distinct", "move_texts", "plan", "predicates_of"]

COUNT = "__rows__"
"""The column of a grouped table that says how many rows are in the group."""

_OF_VALUES = (rows.Missing, rows.Between, rows.In, rows.Matches, rows.Length, rows.Like)
_COSTLY = (rows.Matches, rows.Like, rows.Parses, rows.FitsJsonSchema)

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


def move_texts(
    scalars: dict[Predicate | None, list[Metric]], groups: Groups, repeated: Callable[[list[str]], Iterable[str]]
) -> None:
    """Where texts repeat, have what is asked of each text counted by groups: a pattern is matched once for each.

    `repeated` says of which columns that is so; it is told those of which something is asked that costs time.
    """
    counts = [(metric, column) for metric in scalars.get(None, ()) if (column := _of_text(metric)) is not None]
    costly = dict.fromkeys(column for metric, column in counts if _is_costly(metric))
    moved = set(repeated(list(costly))) if costly else set()
    for metric, column in counts:
        if column in moved:
            groups.setdefault((None, (column,)), []).append(metric)
            scalars[None].remove(metric)
    if not scalars.get(None, True):
        del scalars[None]


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
    for leaf in leaves:
        named = leaf.columns if isinstance(leaf, rows.Duplicated) else (getattr(leaf, "column", None),)
        if not isinstance(leaf, (rows.Duplicated, *_OF_VALUES)) or not set(named) <= set(columns):
            return None
    return columns


def _of_text(metric: Metric) -> str | None:
    """The one column at whose values, of the row alone, a count looks."""
    if not isinstance(metric, ir.Count) or metric.predicate is None:
        return None
    leaves = _leaves(metric.predicate)
    columns = {leaf.column if isinstance(leaf, (*_OF_VALUES, *_COSTLY)) else None for leaf in leaves}
    return columns.pop() if len(columns) == 1 else None


def _is_costly(metric: Metric) -> bool:
    predicate = metric.predicate if isinstance(metric, ir.Count) else None
    return predicate is not None and any(isinstance(leaf, _COSTLY) for leaf in _leaves(predicate))


def _leaves(predicate: Predicate) -> list[Predicate]:
    match predicate:
        case rows.Not(inner):
            return _leaves(inner)
        case rows.All(parts) | rows.AnyOf(parts) if parts:
            return [leaf for part in parts for leaf in _leaves(part)]
    return [predicate]
