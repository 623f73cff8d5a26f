"""The comparison of one column of two profiles: its effect, its p-value, and the cells that show it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mainspring.quality.drift import statistics
from mainspring.quality.drift.cells import Cell, Common, cells_of, cells_to_test, common_of, rare_categories
from mainspring.quality.drift.histograms import overlay_columns
from mainspring.quality.drift.types import ColumnDrift, DriftLimits, DriftVerdict
from mainspring.quality.profiles.types import ColumnProfile
from mainspring.quality.profiles.vectors import Vectors

__all__ = ["changed", "compare_column", "reason_of"]

_LEAST = 6.5  # expected rows of a cell of numbers in the test; cells can be chosen so
_LEAST_CATEGORY = 2.0  # of a category, below which the law of the test does not hold
_DRAWN = 30  # bins of the histograms in a report
_SECOND = 0.05  # the share of the level that the second test of a column takes
_NUMBERS = {"number", "moment"}


def changed(name: str, reason: str, importance: float | None, *, verdict: DriftVerdict = "drift") -> ColumnDrift:
    """A column that cannot be compared, because it came, went or changed its type."""
    return ColumnDrift(
        column=name, verdict=verdict, p_value=0.0, q_value=0.0, effect=1.0, interval=(1.0, 1.0), js=1.0,
        reason=reason, importance=importance,
    )  # fmt: skip


def compare_column(
    reference: ColumnProfile, current: ColumnProfile, limits: DriftLimits, importance: float | None
) -> ColumnDrift:
    """How a column moved, before p-values are adjusted: its verdict is `ok` or `insufficient data`."""
    n, m = reference.count, current.count
    if n and m and reference.present and current.present and reference.family != current.family:
        return changed(reference.name, f"the type was {reference.dtype} and is {current.dtype}", importance)
    common = _common(reference, current)
    cells = cells_of(reference, current, common, bins=limits.bins)
    before, after = [cell.reference for cell in cells], [cell.current for cell in cells]
    index = statistics.psi(before, after) if cells else 0.0
    effect = index - statistics.psi_bias(len(cells), n, m)
    spread = 1.96 * statistics.psi_standard_error(before, after) if cells else 0.0
    p_value = _p_value(reference, current, common, limits.bins)
    if reference.family == "vector":
        effect, p_value = _vectors(reference.vectors, current.vectors, effect, p_value)
    is_number = reference.family in _NUMBERS
    distance = common.distance if common is not None and is_number else None
    few = min(n, m) < limits.rows
    return ColumnDrift(
        column=reference.name,
        verdict="insufficient data" if few else "ok",
        effect=effect,
        interval=(max(effect - spread, 0.0), max(effect + spread, 0.0)) if n and m else (0.0, 0.0),
        p_value=p_value,
        psi=index,
        js=statistics.jensen_shannon(before, after),
        ks=distance,
        ks_p_value=None if distance is None or common is None else statistics.kolmogorov_tail(distance, *common.totals),
        reference_rows=n,
        current_rows=m,
        missing=(reference.missing_share, current.missing_share),
        means=(reference.moments.mean, current.moments.mean) if is_number else None,
        importance=importance,
        reason=f"fewer than {limits.rows} rows" if few else "",
        cells=tuple(cells),
        family=reference.family,
        overlay=overlay_columns(reference, current, bins=_DRAWN),
    )


def _common(reference: ColumnProfile, current: ColumnProfile) -> Common | None:
    if reference.family in _NUMBERS:
        return common_of(reference.sketch, current.sketch)
    if reference.family == "list":
        return common_of(reference.lengths, current.lengths)
    if reference.family == "vector":
        return common_of(reference.vectors.norms, current.vectors.norms)
    return None


def _p_value(reference: ColumnProfile, current: ColumnProfile, common: Common | None, bins: int) -> float:
    """Of the cells, and of what they do not see: values out of range, and categories too rare for a cell each.

    A twentieth of the level goes to the second test and the rest to the first, so together they keep it (Bonferroni);
    where there is nothing for the second to see, which both samples together tell, the first has all of it.
    """
    least = _LEAST if common is not None else _LEAST_CATEGORY
    tested = cells_to_test(reference, current, common, bins=bins, least=least)
    p_value = statistics.homogeneity([a for a, _ in tested], [b for _, b in tested], least=least)[2]
    n, m = reference.count, current.count
    if reference.family == "text":
        rare = rare_categories(reference, current, least=least)
        if len(rare) < statistics.TURNOVER_LEAST:
            return p_value
        other = statistics.turnover(rare, n, m)
    elif common is None or not all(common.totals):
        return p_value
    elif min(common.ends) >= least * (n + m) / min(n, m):
        return p_value  # the least and the greatest value have cells of their own
    else:
        other = 2 * min(statistics.beyond(count, *common.totals) for count in common.out_of_range)
    return min(1.0, p_value / (1 - _SECOND), other / _SECOND)


def _vectors(reference: Vectors, current: Vectors, effect: float, p_value: float) -> tuple[float, float]:
    """Of embeddings, the centroids speak beside the norms, each for half of the level.

    The p-value is of the component that moved most, against as many components as there are (Bonferroni); the effect
    is the root mean square of the components' shifts in standard deviations.
    """
    if reference.dimension != current.dimension or min(reference.n, current.n) < 2:
        return (1.0, 0.0) if reference.n and current.n else (effect, p_value)
    shifts, farthest = 0.0, 0.0
    spreads = zip(reference.variances, current.variances, strict=True)
    for a, b, (v, w) in zip(reference.centroid, current.centroid, spreads, strict=True):
        error = v / reference.n + w / current.n
        if error > 0:
            farthest = max(farthest, abs(b - a) / math.sqrt(error))
            shifts += (b - a) ** 2 * 2 / (v + w)
        elif a != b:
            return 1.0, 0.0
    centroid = math.erfc(farthest / math.sqrt(2)) * reference.dimension
    return max(effect, math.sqrt(shifts / reference.dimension)), min(1.0, 2 * p_value, 2 * centroid)


def reason_of(cells: Sequence[Cell]) -> str:
    """The cell that moved most, in words."""
    before, after = ([getattr(cell, side) for cell in cells] for side in ("reference", "current"))
    p, q = statistics.smoothed(before), statistics.smoothed(after)
    place = max(range(len(p)), key=lambda i: abs(p[i] - q[i]))
    shares = before[place] / max(sum(before), 1), after[place] / max(sum(after), 1)
    return f"{cells[place].label}: {shares[0]:.1%} to {shares[1]:.1%}"
