"""A metric on parts of the rows, the worst first, with what chance alone could do.

A slice is compared with all other rows, and the p-values of all slices are adjusted together: among fifty
slices of a fair model some look bad. Slices that nobody thought of are found by `slice_search`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.drift.statistics import adjusted
from mainspring.quality.evaluation import intervals, ranking
from mainspring.quality.evaluation.losses import ROW_LOSSES, row_loss
from mainspring.quality.evaluation.types import Estimate, Slice, better_end

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["CONDITION", "RowsMeasure", "measures_of", "row_measures", "slice_metrics", "sliced_columns"]

CONDITION = "condition"
"""The column of a slice that was given as a condition in SQL."""

_MOST = 30  # values of a column that become slices of their own; the others together are one
_PARTS = 4  # a column of many numbers is divided at its quartiles
_LEAST = 30  # rows of a slice; fewer say nothing

RowsMeasure = Callable[[Any], Estimate]
"""A metric of some of the rows, given as a boolean array."""

_SHARES = ("accuracy", "precision", "recall", "specificity", "selection_rate", "prevalence")


def slice_metrics(
    measures: Mapping[str, RowsMeasure],
    slices: Sequence[str] | Mapping[str, Any] | None,
    frame: Any,
    *,
    rows: int,
    positives: Any = None,
) -> tuple[Slice, ...]:
    """The metrics on each slice, worst gap of the first metric first; none when neither `slices` nor `frame` is given.

    `positives` are the rows of the positive class, to be counted, where there is one.
    """
    columns = sliced_columns(slices, frame, rows=rows)
    if not columns:
        return ()
    main, *others = measures
    better = 1.0 if better_end(main) else -1.0
    found: list[Slice] = []
    for column, parts in columns.items():
        for value, mask in parts.items():
            if not _LEAST <= mask.sum() <= rows - 1:
                continue
            inside, outside = measures[main](mask), measures[main](~mask)
            gap, p_value = _gap(inside, outside, better)
            found.append(
                Slice(
                    column=column,
                    value=value,
                    count=int(mask.sum()),
                    positives=None if positives is None else int((positives & mask).sum()),
                    estimate=inside,
                    rest=outside.value,
                    gap=gap,
                    p_value=p_value,
                    metrics={name: measures[name](mask) for name in others},
                )
            )
    tested = [index for index, each in enumerate(found) if each.p_value is not None]
    q_values = adjusted([found[index].p_value or 0.0 for index in tested])
    for index, q_value in zip(tested, q_values, strict=True):
        found[index] = msgspec.structs.replace(found[index], q_value=q_value)
    return tuple(sorted(found, key=lambda each: -math.inf if each.gap is None else each.gap, reverse=True))


def sliced_columns(
    slices: Sequence[str] | Mapping[str, Any] | None, frame: Any, *, rows: int
) -> dict[str, dict[str, Any]]:
    """For each column the rows of each of its slices, as boolean arrays."""
    import polars as pl

    if isinstance(slices, Mapping):
        given = {name: pl.Series(name, values) for name, values in slices.items()}
        conditions: dict[str, Any] = {}
    elif frame is None:
        if slices:
            raise InvalidInput("slices by name need the rows", hint="pass frame= or arrays by name")
        return {}
    else:
        table = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        names = list(slices) if slices is not None else [name for name in table.columns if _divides(table[name])]
        given = {name: table.get_column(name) for name in names if name in table.columns}
        conditions = {name: _condition(table, name) for name in names if name not in table.columns}
    for name, column in (given | conditions).items():
        if column.len() != rows:
            raise InvalidInput(f"column {name!r} has {column.len()} rows, the labels have {rows}")
    parts = {name: _parts(column) for name, column in given.items()}
    if conditions:
        parts[CONDITION] = {name: column.fill_null(value=False).to_numpy() for name, column in conditions.items()}
    return parts


def _condition(table: Any, text: str) -> Any:
    """The rows of a slice that is given in SQL."""
    import polars as pl

    if text.isidentifier():
        raise NotFound(f"the frame has no column {text!r}", known=nearest(text, table.columns))
    try:
        column = table.select(pl.sql_expr(text).alias("held")).get_column("held")
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise InvalidInput(f"{text!r} is no condition on these rows: {error}") from None
    if column.dtype != pl.Boolean:
        raise InvalidInput(f"{text!r} is not a condition: its values are {column.dtype}")
    return column


def _divides(column: Any) -> bool:
    """Whether a column divides the rows sensibly: not constant, and not a name for each row."""
    if column.dtype.is_nested() or column.dtype.is_temporal():
        return False
    distinct = column.n_unique()
    return bool(distinct > 1 and (column.dtype.is_numeric() or distinct <= max(_MOST, column.len() // 100)))


def _parts(column: Any) -> dict[str, Any]:
    import polars as pl

    if column.dtype.is_numeric() and column.n_unique() > _MOST:
        cast = column.cast(pl.Float64).fill_nan(None)
        edges = sorted({cast.quantile(part / _PARTS, "nearest") for part in range(_PARTS + 1)} - {None})
        parts: dict[str, Any] = {}
        for place, (low, high) in enumerate(itertools.pairwise(edges)):
            lower = cast >= low if place == 0 else cast > low
            parts[f"{low:.6g} to {high:.6g}"] = (lower & (cast <= high)).fill_null(value=False).to_numpy()
        if cast.null_count():
            parts["missing"] = cast.is_null().to_numpy()
        return parts
    text = column.cast(pl.String, strict=False).fill_null("missing")
    counted = text.value_counts(sort=True).get_column(text.name).to_list()
    parts = {str(value): (text == value).to_numpy() for value in counted[:_MOST]}
    if len(counted) > _MOST:
        parts["others"] = (~text.is_in(counted[:_MOST])).to_numpy()
    return parts


def measures_of(metric: str | Sequence[str], make: Callable[[str], RowsMeasure]) -> dict[str, RowsMeasure]:
    """The measures of one metric or several."""
    names = [metric] if isinstance(metric, str) else list(metric)
    if not names:
        raise InvalidInput("slices need a metric", hint="slice_metric='log_loss'")
    return {name: make(name) for name in names}


def row_measures(
    labels: Floats, scores: Floats, weights: Floats | None, *, confidence: float, threshold: float = 0.5
) -> Callable[[str], RowsMeasure]:
    """Metrics of binary and regression tasks by name, each a function of the rows it is to be taken on."""
    called, positive = scores >= threshold, labels == 1
    hits: dict[str, tuple[Any, Any]] = {
        "accuracy": (called == positive, called | True),
        "precision": (positive, called),
        "recall": (called, positive),
        "specificity": (~called, ~positive),
        "selection_rate": (called, called | True),
        "prevalence": (positive, called | True),
    }

    def heavy(rows: Any) -> Floats | None:
        return None if weights is None else weights[rows]

    def make(metric: str) -> RowsMeasure:
        if metric == "auc":
            if weights is not None:
                raise InvalidInput("slices of weighted rows cannot be measured by auc", hint="slice_metric='log_loss'")
            return lambda rows: ranking.auc_estimate(labels[rows], scores[rows], confidence)
        if metric in hits:
            hit, among = hits[metric]
            return lambda rows: intervals.share_estimate(hit[rows], among[rows], heavy(rows), confidence)
        if metric == "bias":
            gaps = scores - labels
            return lambda rows: intervals.mean_estimate(gaps[rows], confidence, weights=heavy(rows))
        if metric not in ROW_LOSSES:
            known = nearest(metric, ["auc", "bias", *_SHARES, *ROW_LOSSES])
            raise InvalidInput(f"slices cannot be measured by {metric!r}", known=known)
        losses = row_loss(metric, labels, scores)
        return lambda rows: intervals.mean_estimate(losses[rows], confidence, weights=heavy(rows))

    return make


def _gap(inside: Estimate, outside: Estimate, better: float) -> tuple[float | None, float | None]:
    if inside.value is None or outside.value is None:
        return None, None
    gap = better * (outside.value - inside.value)
    errors = (inside.standard_error, outside.standard_error)
    if any(error is None or not math.isfinite(error) for error in errors):
        return gap, None
    error = math.hypot(*(each for each in errors if each is not None))
    return gap, intervals.tail(gap / error) if error else None
