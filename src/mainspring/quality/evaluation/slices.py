"""A metric on parts of the rows, the worst first, with what chance alone could do.

A slice is compared with all other rows, and the p-values of all slices are adjusted together: among fifty
slices of a fair model some look bad.
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
from mainspring.quality.evaluation.types import HIGHER_IS_BETTER, Estimate, Slice

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["slice_metrics", "sliced_columns"]

_MOST = 30  # values of a column that become slices of their own; the others together are one
_PARTS = 4  # a column of many numbers is divided at its quartiles
_LEAST = 30  # rows of a slice; fewer say nothing

Measure = Callable[["Floats", "Floats"], Estimate]


def slice_metrics(
    arrays: Mapping[str, Floats],
    slices: Sequence[str] | Mapping[str, Any] | None,
    frame: Any,
    *,
    metric: str,
    confidence: float,
    threshold: float = 0.5,
) -> tuple[Slice, ...]:
    """The metric on each slice, worst gap first; no slices when neither `slices` nor `frame` is given."""
    columns = sliced_columns(slices, frame, rows=arrays["labels"].size)
    if not columns:
        return ()
    measure = _measure(metric, confidence, threshold)
    labels, scores = arrays["labels"], arrays["scores"]
    better = 1.0 if HIGHER_IS_BETTER.get(metric, False) else -1.0
    binary = metric in {"auc", "log_loss", "brier", "accuracy"}
    found: list[Slice] = []
    for column, parts in columns.items():
        for value, mask in parts.items():
            if not _LEAST <= mask.sum() <= labels.size - 1:
                continue
            inside, outside = measure(labels[mask], scores[mask]), measure(labels[~mask], scores[~mask])
            gap, p_value = _gap(inside, outside, better)
            found.append(
                Slice(
                    column=column,
                    value=value,
                    count=int(mask.sum()),
                    positives=int(labels[mask].sum()) if binary else None,
                    estimate=inside,
                    rest=outside.value,
                    gap=gap,
                    p_value=p_value,
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
    elif frame is None:
        if slices:
            raise InvalidInput("slices by name need the rows", hint="pass frame= or arrays by name")
        return {}
    else:
        table = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        names = list(slices) if slices is not None else [name for name in table.columns if _divides(table[name])]
        unknown = [name for name in names if name not in table.columns]
        if unknown:
            raise NotFound(f"the frame has no column {unknown[0]!r}", known=nearest(unknown[0], table.columns))
        given = {name: table.get_column(name) for name in names}
    for name, column in given.items():
        if column.len() != rows:
            raise InvalidInput(f"column {name!r} has {column.len()} rows, the labels have {rows}")
    return {name: _parts(column) for name, column in given.items()}


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


def _measure(metric: str, confidence: float, threshold: float) -> Measure:
    if metric == "auc":
        return lambda labels, scores: ranking.auc_estimate(labels, scores, confidence)
    if metric == "accuracy":
        return lambda labels, scores: intervals.wilson_estimate(
            int(((scores >= threshold) == (labels == 1)).sum()), labels.size, confidence
        )
    if metric not in ROW_LOSSES:
        known = nearest(metric, ["auc", "accuracy", *ROW_LOSSES])
        raise InvalidInput(f"slices cannot be measured by {metric!r}", known=known)
    return lambda labels, scores: intervals.mean_estimate(row_loss(metric, labels, scores), confidence)


def _gap(inside: Estimate, outside: Estimate, better: float) -> tuple[float | None, float | None]:
    if inside.value is None or outside.value is None:
        return None, None
    gap = better * (outside.value - inside.value)
    errors = (inside.standard_error, outside.standard_error)
    if any(error is None or not math.isfinite(error) for error in errors):
        return gap, None
    error = math.hypot(*(each for each in errors if each is not None))
    return gap, intervals.tail(gap / error) if error else None
