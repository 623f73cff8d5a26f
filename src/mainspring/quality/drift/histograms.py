"""Two distributions over one axis, ready to draw: numbers only, for the console, for pages and for anybody's plots."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec

from mainspring.quality.profiles.numbers import Sketch
from mainspring.quality.profiles.types import ColumnProfile, Profile

__all__ = ["Overlay", "overlay", "overlay_columns"]

_FAR = 4.0  # a range so many times that of the middle 98 % is drawn without its ends


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of two samples in the same bins: between `edges` for numbers, of `labels` for categories.

    `outside` counts the values beyond the drawn range, (reference, current); they are in no bin.
    """

    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()
    outside: tuple[float, float] = (0.0, 0.0)
    is_moment: bool = False
    """Whether the edges are microseconds since 1970."""


def overlay(reference: Profile, current: Profile, column: str, *, bins: int = 40) -> Overlay:
    """The distributions of a column of two profiles over the same bins.

    Numbers of at most twelve distinct values get a bin for each. A bucket of a sketch may lie across an edge: its
    count is then divided by length, so counts need not be whole.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.profiles.build import profile_frame
        >>> one, two = (profile_frame(pl.DataFrame({"s": each})) for each in (["a", "b"], ["b", "b"]))
        >>> found = overlay(one, two, "s")
        >>> found.labels, found.reference, found.current
        (('b', 'a'), (1.0, 1.0), (2.0, 0.0))
    """
    return overlay_columns(reference.column(column), current.column(column), bins=bins)


def overlay_columns(reference: ColumnProfile, current: ColumnProfile, *, bins: int = 40) -> Overlay:
    """The distributions of two profiles of a column over the same bins."""
    if reference.family == "text" or current.family == "text":
        return _categories(reference, current, bins)
    one, two = (_sketch(each) for each in (reference, current))
    if not one.counts and not two.counts:
        return Overlay()
    few = _few(one, two, bins)
    if few is not None:
        return few
    edges = _edges(one, two, bins)
    counts = [_spread_over(each, edges) for each in (one, two)]
    return Overlay(
        edges=tuple(edges),
        reference=tuple(counts[0]),
        current=tuple(counts[1]),
        outside=(max(one.n - sum(counts[0]), 0.0), max(two.n - sum(counts[1]), 0.0)),
        is_moment=reference.family == "moment",
    )


def _sketch(column: ColumnProfile) -> Sketch:
    return {"vector": column.vectors.norms, "list": column.lengths}.get(column.family, column.sketch)


def _categories(reference: ColumnProfile, current: ColumnProfile, bins: int) -> Overlay:
    left, right = (dict(each.frequent.values) for each in (reference, current))
    n, m = max(reference.present, 1), max(current.present, 1)
    names = sorted({*left, *right}, key=lambda name: (-left.get(name, 0) / n - right.get(name, 0) / m, name))[:bins]
    counts = [[float(each.get(name, 0)) for name in names] for each in (left, right)]
    rest = (reference.present - sum(counts[0]), current.present - sum(counts[1]))
    return Overlay(labels=tuple(names), reference=tuple(counts[0]), current=tuple(counts[1]), outside=rest)


def _few(one: Sketch, two: Sketch, bins: int) -> Overlay | None:
    """A bin for each value, where there are few and all are known."""
    if not (one.is_exact and two.is_exact) or len({*one.keys, *two.keys}) > min(bins, 12):
        return None
    counts = [dict(each.points()) for each in (one, two)]
    values = sorted({*counts[0], *counts[1]})
    sides = (tuple(float(each.get(value, 0)) for value in values) for each in counts)
    reference, current = sides
    return Overlay(labels=tuple(f"{value:.6g}" for value in values), reference=reference, current=current)


def _edges(one: Sketch, two: Sketch, bins: int) -> list[float]:
    spans = []
    for each in (one, two):
        if each.counts:
            near, far = each.quantile(0.01) or 0.0, each.quantile(0.99) or 0.0
            spans.append((each.edges(each.keys[0])[0], near, far, each.edges(each.keys[-1])[1]))
    low, high = min(span[0] for span in spans), max(span[3] for span in spans)
    near, far = min(span[1] for span in spans), max(span[2] for span in spans)
    if near < far and high - low > _FAR * (far - near):
        low, high = near, far
    if not low < high or not math.isfinite(high - low):
        low, high = (low - 0.5, low + 0.5) if low == high else (max(low, -1e300), min(high, 1e300))
    return [low + (high - low) * step / bins for step in range(bins + 1)]


def _spread_over(sketch: Sketch, edges: Sequence[float]) -> list[float]:
    """Counts between the edges; the last bin holds its upper edge."""
    ranks = sketch.ranks([*edges[:-1], math.nextafter(edges[-1], math.inf)])
    return [high - low for low, high in itertools.pairwise(ranks)]
