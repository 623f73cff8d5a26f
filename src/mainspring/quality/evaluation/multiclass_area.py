"""Areas under ROC curves of several classes, with intervals from the influence of each row.

An average of areas moves with a row by the average of what each area moves (DeLong's components), so its standard
error needs no replicates.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mainspring.quality.evaluation import intervals, ranking
from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.binary_measures import area, rows_of
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["area_estimates"]

_PAIRS = 400  # pairs of classes; more (over 20 classes) would take minutes


def area_estimates(
    codes: Any, table: Floats, weight: Floats | None, confidence: float
) -> tuple[dict[str, Estimate], list[Estimate]]:
    """Averages over classes (one against the rest) and over pairs (one against one), and the area of each class."""
    np = numpy()
    size, rows = table.shape[1], codes.size
    each = [_one_against(codes == at, table[:, at], weight) for at in range(size)]
    by_class = [_around(value, influence, confidence) for value, influence in each]
    mass = np.ones(rows) if weight is None else weight
    shares = np.bincount(codes, mass, size) / mass.sum()
    if any(value is None for value, _ in each):
        nothing = Estimate(None)
        return dict.fromkeys(
            ("auc_ovr_macro", "auc_ovr_weighted", "auc_ovo_macro", "auc_ovo_weighted"), nothing
        ), by_class
    found = {
        "auc_ovr_macro": _average(each, np.full(size, 1 / size), confidence),
        "auc_ovr_weighted": _average(each, shares, confidence, moving=np.eye(size)[codes] - shares),
    }
    if weight is None and size * (size - 1) / 2 <= _PAIRS:
        pairs = [(a, b) for a in range(size) for b in range(a + 1, size)]
        both = [_pair(codes, table, a, b) for a, b in pairs]
        even = np.full(len(pairs), 1 / len(pairs))
        heavy = np.array([shares[a] + shares[b] for a, b in pairs])
        found["auc_ovo_macro"] = _average(both, even, confidence)
        found["auc_ovo_weighted"] = _average(both, heavy / heavy.sum(), confidence)
    return found, by_class


def _one_against(positive: Any, scores: Floats, weight: Floats | None) -> tuple[float | None, Any]:
    """The area of a class, and how much each row moves it, times the number of rows."""
    np = numpy()
    if weight is not None:
        rows = rows_of(positive.astype(float), scores, weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(area(rows)(rows.units.weight))
        return (value if math.isfinite(value) else None), None
    parts = ranking.auc_components(positive.astype(float), scores)
    if parts is None:
        return None, None
    value, above, below = parts
    influence = np.empty(scores.size)
    influence[positive] = (above - value) * scores.size / above.size
    influence[~positive] = (below - value) * scores.size / below.size
    return value, influence


def _pair(codes: Any, table: Floats, first: int, second: int) -> tuple[float | None, Any]:
    np = numpy()
    kept = (codes == first) | (codes == second)
    influence = np.zeros(codes.size)
    values = []
    for at in (first, second):
        value, moves = _one_against(codes[kept] == at, table[kept, at], None)
        values.append(value or 0.0)
        influence[kept] += moves * codes.size / kept.sum() / 2
    return sum(values) / 2, influence


def _average(each: Any, shares: Floats, confidence: float, *, moving: Floats | None = None) -> Estimate:
    """The average by `shares`; `moving` is how much a row moves them."""
    np = numpy()
    values = np.array([value for value, _ in each])
    influence = None
    if all(moves is not None for _, moves in each):
        influence = sum(share * moves for share, (_, moves) in zip(shares, each, strict=True))
        if moving is not None:
            influence = influence + moving @ values
    return _around(float(values @ shares), influence, confidence)


def _around(value: float | None, influence: Any, confidence: float) -> Estimate:
    """On the logit scale, as a single area has it."""
    if value is None or influence is None:
        return Estimate(value)
    error = float(influence.std(ddof=1)) / math.sqrt(influence.size)
    if not 0 < value < 1 or not error:
        return Estimate(value, value, value, error, "DeLong")
    logit, spread = math.log(value / (1 - value)), error / (value * (1 - value))
    half = intervals.critical(confidence) * spread
    low, high = (1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))
    return Estimate(value, low, high, error, "DeLong")
