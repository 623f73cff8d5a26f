"""Tests of drift between two columns of categories: all from the counts of their values, so profiles give them too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

__all__ = ["category_score", "counts_of", "divergence"]

_PERMUTATIONS = 1000
_LEAST = 1e-4  # the share given to a bin that one of the samples has not


def counts_of(column: pl.Series) -> dict[Any, int]:
    """How often each value occurs."""
    counted = column.alias("value").to_frame().group_by("value").len("n")
    return dict(zip(counted["value"].to_list(), counted["n"].to_list(), strict=True))


def category_score(name: str, reference: Mapping[Any, int], current: Mapping[Any, int]) -> float:
    """The score of a method for counted values."""
    import numpy as np

    keys = sorted({*reference, *current}, key=lambda key: (str(type(key)), key))
    one, two = (np.array([float(each.get(key, 0)) for key in keys]) for each in (reference, current))
    if name in {"psi", "kl_div", "jensenshannon"}:
        return divergence(name, one / one.sum(), two / two.sum())
    if name == "hellinger":
        overlap = float(np.sqrt((one / one.sum()) * (two / two.sum())).sum())
        return math.sqrt(1 - min(max(overlap, 0.0), 1.0))
    if name == "TVD":
        return _total_variation(one, two)
    if name == "z":
        return _proportions(one, two)
    if name == "fisher_exact":
        return _fisher(one, two)
    return _goodness(name, one, two)


def divergence(name: str, reference: Any, current: Any) -> float:
    """Population stability index, Kullback-Leibler divergence or Jensen-Shannon distance of two rows of shares.

    Shares of nothing are lifted for the first two as Evidently lifts them: to 0.0001, or to a millionth of the least
    share where that is no greater than 0.0001. The distance is of natural logarithms.
    """
    import numpy as np
    from scipy import stats
    from scipy.spatial import distance

    if name == "jensenshannon":
        return float(distance.jensenshannon(reference, current))
    p, q = (_lifted(np.asarray(each, dtype=float)) for each in (reference, current))
    if name == "kl_div":
        return float(stats.entropy(p, q))
    return float(((p - q) * np.log(p / q)).sum())


def _lifted(shares: Any) -> Any:
    import numpy as np

    least = float(shares[shares > 0].min())
    return np.where(shares == 0, least / 1e6 if least <= _LEAST else _LEAST, shares)


def _goodness(name: str, reference: Any, current: Any) -> float:
    """Of the current counts, were the shares of the reference the truth (which they are not, they are a sample)."""
    import numpy as np
    from scipy import stats

    expected = reference * (current.sum() / reference.sum())
    if (expected == 0).any():
        return 0.0  # what the reference never had was seen
    statistic = {"chisquare": "pearson", "g_test": "log-likelihood"}[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(stats.power_divergence(current, expected, lambda_=statistic).pvalue)


def _proportions(reference: Any, current: Any) -> float:
    """Two-sided, of the share of everything but the first value."""
    from scipy import stats

    if len(reference) == 1:
        return 1.0
    n, m = reference.sum(), current.sum()
    p, q = 1 - reference[0] / n, 1 - current[0] / m
    both = (p * n + q * m) / (n + m)
    spread = math.sqrt(both * (1 - both) * (1 / n + 1 / m))
    return float(2 * stats.norm.sf(abs(p - q) / spread)) if spread > 0 else 1.0


def _fisher(reference: Any, current: Any) -> float:
    import numpy as np
    from scipy import stats

    if len(reference) > 2:
        raise InvalidInput(f"Fisher's exact test compares two values, and there are {len(reference)}")
    if len(reference) == 1:
        return 1.0
    return float(stats.fisher_exact(np.array([current, reference]).astype(int)).pvalue)


def _total_variation(reference: Any, current: Any) -> float:
    """The p-value of the total variation distance: how many of a thousand ways to deal the rows again part more."""
    import numpy as np

    n, m = int(reference.sum()), int(current.sum())
    every = (reference + current).astype(np.int64)
    observed = 0.5 * np.abs(reference / n - current / m).sum()
    draw = np.random.default_rng(0)
    dealt = draw.multivariate_hypergeometric(every, n, size=_PERMUTATIONS)
    distances = 0.5 * np.abs(dealt / n - (every - dealt) / m).sum(axis=1)
    # Equal distances count as more; rounding must not decide it.
    return float((observed <= distances + 1e-12).mean())
