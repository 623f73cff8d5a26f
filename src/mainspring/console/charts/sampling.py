"""Fewer points than pixels: buckets with their mean, minimum and maximum, and exponential smoothing.

Nothing is hidden by thinning: the band of a bucket spans every value that fell into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from mainspring.console.charts.scale import Kind, finite

__all__ = ["Sampled", "sample", "smooth"]


class Sampled(msgspec.Struct, frozen=True):
    """Points after thinning; `low` and `high` are the extremes behind each."""

    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def sample(
    x: Sequence[float | None],
    y: Sequence[float | None],
    *,
    low: Sequence[float | None] = (),
    high: Sequence[float | None] = (),
    limit: int = 240,
    x_kind: Kind = "linear",
    y_kind: Kind = "linear",
) -> Sampled:
    """At most `limit` points in order of x; points that cannot be shown on such axes are left out.

    Example:
        >>> sample([1, 2, 3, 4], [5.0, 7.0, float("nan"), 1.0], limit=2)
        Sampled(x=[1.0, 3.0], y=[5.0, 4.0], low=[5.0, 1.0], high=[5.0, 7.0])
    """
    rows = []
    for index, (here, value) in enumerate(zip(x, y, strict=False)):
        at, shown = finite(here, x_kind), finite(value, y_kind)
        if at is None or shown is None:
            continue
        below = finite(low[index], y_kind) if index < len(low) else None
        above = finite(high[index], y_kind) if index < len(high) else None
        rows.append(
            (at, shown, min(shown, shown if below is None else below), max(shown, shown if above is None else above))
        )
    rows.sort(key=lambda row: row[0])
    if len(rows) > limit:
        edges = [len(rows) * index // limit for index in range(limit + 1)]
        rows = [_merge(rows[start:stop]) for start, stop in pairwise(edges)]
    return Sampled(x=[r[0] for r in rows], y=[r[1] for r in rows], low=[r[2] for r in rows], high=[r[3] for r in rows])


def _merge(rows: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    # Dividing before adding keeps the mean of huge values finite.
    count = len(rows)
    return (
        sum(row[0] / count for row in rows),
        sum(row[1] / count for row in rows),
        min(row[2] for row in rows),
        max(row[3] for row in rows),
    )


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average with the bias of its start removed, as Adam does (Kingma and Ba, 2015, section 3).

    Args:
        values: Finite numbers.
        weight: 0 (the values themselves) to below 1; the share of the past in each step.

    Example:
        >>> smooth([2.0, 2.0, 2.0], 0.9)
        [2.0, 2.0, 2.0]
    """
    weight = min(max(weight, 0.0), 0.999)
    if weight == 0:
        return list(values)
    past, debias, smoothed = 0.0, 0.0, []
    for value in values:
        past = weight * past + (1 - weight) * value
        debias = weight * debias + (1 - weight)
        smoothed.append(round(past / debias, 12) if abs(value) < 1e3 else past / debias)
    return smoothed
