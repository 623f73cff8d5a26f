"""Tests of drift from two profiles: the field's statistics, from counts over the buckets that both sketches share.

Where a column has few distinct values these are the very numbers that the data would give. Otherwise values within a
bucket (a relative width of about a thousandth) count as equal, so a statistic is as far off as that rounding makes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.cells import Common, common_of
from mainspring.quality.drift.methods_categories import category_score, divergence
from mainspring.quality.drift.methods_numbers import number_score
from mainspring.quality.profiles.numbers import Moments, leaf_edges

if TYPE_CHECKING:
    import polars as pl

    from mainspring.quality.drift.methods import Kind
    from mainspring.quality.profiles.types import ColumnProfile

__all__ = ["profile_score"]

_UNROLLED = 100_000  # values in all, up to which sketches that hold every value are unrolled to them


def profile_score(name: str, reference: ColumnProfile, current: ColumnProfile, *, kind: Kind) -> float:
    """The score of a method, from two profiles of a column."""
    if kind == "cat" or name in {"z", "chisquare", "g_test", "fisher_exact"}:
        return category_score(name, _counts(reference), _counts(current))
    common = common_of(reference.sketch, current.sketch)
    if not all(common.totals):
        raise InvalidInput(f"column {reference.name!r} has no numbers in one of the profiles")
    if reference.sketch.is_exact and current.sketch.is_exact and sum(common.totals) <= _UNROLLED:
        return number_score(name, *(_values(each) for each in (reference, current)))
    if name == "t_test":
        return _t_test(reference.moments, current.moments)
    if name in {"psi", "kl_div", "jensenshannon", "hellinger"}:
        return _binned(name, common)
    if name == "ks":
        return _ks(common)
    if name in {"wasserstein", "ed"}:
        return _distance(name, common, reference.moments)
    return _ranks(name, common)


def _counts(column: ColumnProfile) -> dict[Any, int]:
    if column.family == "text" and column.frequent.is_exact:
        return dict(column.frequent.values)
    if column.sketch.is_exact and column.sketch.counts:
        return dict(column.sketch.points())
    raise InvalidInput(f"the profile of column {column.name!r} does not hold the counts of all its values")


def _values(column: ColumnProfile) -> pl.Series:
    import numpy as np
    import polars as pl

    points = column.sketch.points()
    return pl.Series(column.name, np.repeat([value for value, _ in points], [count for _, count in points]))


def _points(common: Common) -> Any:
    import numpy as np

    edges = np.array([leaf_edges(level, key) for level, key in common.buckets])
    return edges[:, 0] / 2 + edges[:, 1] / 2


def _t_test(reference: Moments, current: Moments) -> float:
    from scipy import stats

    if reference.std is None or current.std is None:
        return 1.0
    found = stats.ttest_ind_from_stats(reference.mean, reference.std, reference.n, current.mean, current.std, current.n)
    return float(found.pvalue)


def _ks(common: Common) -> float:
    """By the exact law up to ten thousand values and the asymptotic one beyond, as scipy chooses."""
    from scipy import stats

    n, m = common.totals
    return float(stats.kstwo.sf(common.distance, round(n * m / (n + m))))


def _distance(name: str, common: Common, reference: Moments) -> float:
    from scipy import stats

    points = _points(common)
    if name == "ed":
        return float(stats.energy_distance(points, points, common.reference, common.current))
    spread = math.sqrt(reference.m2 / reference.n)
    return float(stats.wasserstein_distance(points, points, common.reference, common.current)) / max(spread, 0.001)


def _binned(name: str, common: Common) -> float:
    import numpy as np

    points = _points(common)
    one, two = (np.array(each, dtype=float) for each in (common.reference, common.current))
    low, high = points[0], points[-1]
    size = len(points) if name == "hellinger" else sum(common.totals)
    edges = (
        np.linspace(low, high, math.ceil(math.log2(size) + 1) + 1) if low < high else np.array([low - 0.5, low + 0.5])
    )
    shares = [np.histogram(points, edges, weights=each / each.sum())[0] for each in (one, two)]
    if name == "hellinger":
        return math.sqrt(1 - min(float(np.sqrt(shares[0] * shares[1]).sum()), 1.0))
    return divergence(name, *shares)


def _ranks(name: str, common: Common) -> float:
    """Mann and Whitney's or Cramér and von Mises' test, values of a bucket sharing the middle of their ranks."""
    import numpy as np
    from scipy import stats

    one, two = (np.array(each, dtype=float) for each in (common.reference, common.current))
    n, m = one.sum(), two.sum()
    ties = one + two
    ranks = np.cumsum(ties) - ties + (ties + 1) / 2
    if name == "mannw":
        greater = n * m - ((ranks * one).sum() - n * (n + 1) / 2)
        total = n + m
        spread = math.sqrt(n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1))))
        return float(stats.norm.sf((greater - n * m / 2 - 0.5) / spread)) if spread > 0 else 1.0

    def away(counts: Any) -> float:
        """The sum over a sample of the squared distances of its ranks from its places."""
        middle = np.cumsum(counts) - counts + (counts + 1) / 2
        return float((counts * (ranks - middle) ** 2 + counts * (counts**2 - 1) / 12).sum())

    product, total = n * m, n + m
    statistic = (n * away(one) + m * away(two)) / (product * total) - (4 * product - 1) / (6 * total)
    mean = (1 + 1 / total) / 6
    variance = (total + 1) * (4 * product * total - 3 * (n**2 + m**2) - 2 * product) / (45 * total**2 * 4 * product)
    return _cramer_von_mises_tail(1 / 6 + (statistic - mean) / math.sqrt(45 * variance))


def _cramer_von_mises_tail(value: float) -> float:
    """The limiting law of the statistic (Csörgő and Faraway 1996, equation 1.3)."""
    from scipy import special

    if value < 0.003:
        return 1.0
    total, k = 0.0, 0
    while True:
        y = 4 * k + 1
        q = y * y / (16 * value)
        weight = math.exp(special.gammaln(k + 0.5) - special.gammaln(k + 1)) / (math.pi**1.5 * math.sqrt(value))
        term = weight * math.sqrt(y) * math.exp(-q) * float(special.kv(0.25, q))
        total += term
        if abs(term) < 1e-7:
            return max(0.0, 1.0 - float(total))
        k += 1
