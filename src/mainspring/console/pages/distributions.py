"""Distributions of columns, ready to draw: from a profile's sketch, and from the cells of a drift comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts.scale import number_label

if TYPE_CHECKING:
    from mainspring.quality.drift.cells import Cell
    from mainspring.quality.drift.compare import ColumnDrift
    from mainspring.quality.profiles.types import ColumnProfile, Profile

__all__ = ["ColumnCard", "DriftRow", "column_cards", "drift_rows"]

_BINS = 24
_TOP = 8
_FAR = 4.0
"""A range this much wider than that of the middle 98 % is drawn without its ends, and says so."""


class ColumnCard(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a profile."""

    name: str
    type: str
    family: str
    count: int
    missing_share: float
    distinct: int
    exact: bool
    minimum: float | None
    median: float | None
    mean: float | None
    maximum: float | None
    edges: list[float] = []
    counts: list[float] = []
    trimmed: int = 0
    """Values outside of the drawn range."""
    top: list[tuple[str, int]] = []


class DriftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a comparison, with its two distributions."""

    column: ColumnDrift
    edges: list[float] = []
    """Edges of the numeric cells; empty where the column is drawn as categories."""
    reference: list[float] = []
    current: list[float] = []
    numeric: bool = False
    """Whether the categories are stretches of numbers and stand in their order."""
    labels: list[str] = []
    """Cells that are no interval: categories, missing, beyond the reference's range."""
    label_reference: list[float] = []
    label_current: list[float] = []


def column_cards(profile: Profile) -> list[ColumnCard]:
    """Every column of a profile, with at most 24 bins or the eight most frequent values."""
    return [_card(column) for column in profile.columns]


def _card(column: ColumnProfile) -> ColumnCard:
    numeric = column.family in ("number", "moment")
    edges, counts, trimmed = _binned(column) if numeric and not _few(column) else ([], [], 0)
    return ColumnCard(
        name=column.name,
        type=column.dtype,
        family=column.family,
        count=column.count,
        missing_share=column.missing_share,
        distinct=column.distinct,
        exact=column.distinct_is_exact,
        minimum=column.minimum,
        median=column.sketch.quantile(0.5) if numeric else None,
        mean=column.moments.mean if column.moments.n else None,
        maximum=column.maximum,
        edges=edges,
        counts=counts,
        trimmed=trimmed,
        top=_few(column) if numeric else list(column.frequent.values[:_TOP]),
    )


def _few(column: ColumnProfile) -> list[tuple[str, int]]:
    """The values of a column of numbers that has hardly any different ones, in their order."""
    if column.family != "number" or not column.sketch.is_exact or len(column.sketch.counts) > _TOP:
        return []
    return [(number_label(value), count) for value, count in column.sketch.points()]


def _labels(cells: Sequence[Cell]) -> list[str]:
    """Names of cells; a stretch that begins where the one before ended says so, and not with the next double."""
    names, before = [], math.nan
    for cell in cells:
        if cell.low is None or cell.high is None:
            names.append(cell.label)
        elif cell.low == cell.high:
            names.append(number_label(cell.high))
        elif math.nextafter(before, math.inf) == cell.low:
            names.append(f"over {number_label(before)} to {number_label(cell.high)}")
        else:
            names.append(f"{number_label(cell.low)} to {number_label(cell.high)}")
        before = math.nan if cell.high is None else cell.high
    return names


def _binned(column: ColumnProfile) -> tuple[list[float], list[float], int]:
    scale = 1e6 if column.family == "moment" else 1.0
    points = [(value / scale, count) for value, count in column.sketch.points()]
    if not points:
        return [], [], 0
    low, high = points[0][0], points[-1][0]
    near, far = ((column.sketch.quantile(q) or 0.0) / scale for q in (0.01, 0.99))
    if near < far and high - low > _FAR * (far - near):
        low, high = near, far
    if not low < high:
        return [low - 0.5, low + 0.5], [float(sum(count for _, count in points))], 0
    values = len({value for value, _ in points})
    bins = min(_BINS, values) if values <= _BINS else _BINS
    counts, trimmed = [0.0] * bins, 0
    for value, count in points:
        if low <= value <= high:
            counts[min(int((value - low) / (high - low) * bins), bins - 1)] += count
        else:
            trimmed += count
    return [low + (high - low) * index / bins for index in range(bins + 1)], counts, trimmed


def drift_rows(columns: list[ColumnDrift] | tuple[ColumnDrift, ...]) -> list[DriftRow]:
    """The columns of a comparison, in its order; cells that touch become bins, the others categories."""
    return [_drift_row(column) for column in columns]


def _drift_row(column: ColumnDrift) -> DriftRow:
    drawn = column.overlay
    if drawn is not None and len(drawn.edges) > 1:
        scale = 1e6 if drawn.is_moment else 1.0
        missing = [cell for cell in column.cells if cell.low is None and cell.label == "missing"]
        return DriftRow(
            column=column,
            edges=[edge / scale for edge in drawn.edges],
            reference=list(drawn.reference),
            current=list(drawn.current),
            numeric=True,
            labels=[cell.label for cell in missing],
            label_reference=[float(cell.reference) for cell in missing],
            label_current=[float(cell.current) for cell in missing],
        )
    return _cells_row(column)


def _cells_row(column: ColumnDrift) -> DriftRow:
    """Of a column whose values were not laid over one axis: its cells."""
    spans = [(cell.low, cell.high, cell) for cell in column.cells if cell.low is not None and cell.high is not None]
    solid = (
        len(spans) > 1 and all(low < high for low, high, _ in spans) and all(a[1] <= b[0] for a, b in pairwise(spans))
    )
    # Buckets end at the double before the next one begins: the next one's beginning is the edge of both.
    scale = 1e6 if column.family == "moment" else 1.0
    edges = [low / scale for low, _, _ in spans] + [spans[-1][1] / scale] if solid else []
    others = [cell for cell in column.cells if not solid or cell.low is None]
    return DriftRow(
        column=column,
        edges=edges,
        reference=[float(cell.reference) for _, _, cell in spans] if solid else [],
        current=[float(cell.current) for _, _, cell in spans] if solid else [],
        numeric=bool(spans),
        labels=_labels(others),
        label_reference=[float(cell.reference) for cell in others],
        label_current=[float(cell.current) for cell in others],
    )
