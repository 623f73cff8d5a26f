"""Tests of a difference between two models on the same rows, and corrections when many are made.

Each p-value is two-sided. scipy computes the laws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.statistics import adjusted
from mainspring.quality.evaluation.arrays import numpy

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["Correction", "corrected", "diebold_mariano", "long_run_variance", "mcnemar", "mean_error", "wilcoxon"]

Correction = Literal["none", "holm", "benjamini-hochberg"]


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact test (1947): rows that only the one model got right against those that only the other did.

    Example:
        >>> round(mcnemar(3, 9), 4)
        0.146
    """
    from scipy.special import bdtr

    total = gained + lost
    return min(1.0, 2 * float(bdtr(min(gained, lost), total, 0.5))) if total else 1.0


def wilcoxon(gaps: Floats) -> float:
    """Wilcoxon's signed-rank test (1945) of differences of losses; rows without a difference are left out.

    It asks whether the one model is better on most rows, not by the mean; outliers do not sway it.
    """
    from scipy.stats import wilcoxon as signed_rank

    known = gaps[gaps != 0]
    return float(signed_rank(known).pvalue) if known.size else 1.0


def long_run_variance(gaps: Floats, horizon: int) -> float:
    """The variance of a mean of errors of forecasts `horizon` steps ahead, which overlap for `horizon` - 1 steps.

    The sum of the autocovariances; by Bartlett's weights when that is not positive.
    """
    size = gaps.size
    centred = gaps - gaps.mean()
    lags = [float(centred[lag:] @ centred[: size - lag]) / size for lag in range(min(horizon, size))]
    whole = lags[0] + 2 * sum(lags[1:])
    if whole <= 0:
        whole = lags[0] + 2 * sum(lag * (1 - at / horizon) for at, lag in enumerate(lags[1:], 1))
    return whole / size


def diebold_mariano(champion: Any, candidate: Any, *, horizon: int = 1) -> tuple[float, float]:
    """Diebold and Mariano's test (1995) that two forecasts lose the same, with the small-sample correction of 1997.

    Args:
        champion: The loss of each moment, in the order of time.
        candidate: The same of the other forecast.
        horizon: How many steps ahead was forecast.

    Returns:
        The statistic, negative when the candidate loses less, and its p-value by Student's t.

    Example:
        >>> statistic, p_value = diebold_mariano([1.0, 2.0, 1.5, 2.5] * 10, [0.5, 1.0, 1.2, 2.0] * 10)
        >>> statistic < 0, p_value < 0.001
        (True, True)
    """
    from scipy.special import stdtr

    np = numpy()
    gaps = np.asarray(candidate, dtype=float) - np.asarray(champion, dtype=float)
    size = gaps.size
    if not 1 <= horizon < max(size, 2):
        raise InvalidInput(f"a horizon of {horizon} needs more than {size} moments")
    variance = long_run_variance(gaps, horizon)
    mean = float(gaps.mean())
    if variance <= 0:
        return 0.0, 1.0 if mean == 0 else 0.0
    shrink = math.sqrt((size + 1 - 2 * horizon + horizon * (horizon - 1) / size) / size)
    statistic = mean / math.sqrt(variance) * shrink
    return statistic, 2 * float(stdtr(size - 1, -abs(statistic)))


def mean_error(gaps: Floats, weights: Floats | None, clusters: Any) -> tuple[float, float]:
    """A (weighted) mean and its standard error; rows of one cluster count as one observation."""
    np = numpy()
    if weights is None and clusters is None:
        return float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(gaps.size) if gaps.size > 1 else math.inf
    mass = np.ones(gaps.size) if weights is None else weights
    mean = float(mass @ gaps / mass.sum())
    pull = mass * (gaps - mean)
    if clusters is not None:
        pull = np.bincount(clusters, pull)
    size = int((mass > 0).sum()) if clusters is None else pull.size
    if size < 2:
        return mean, math.inf
    return mean, math.sqrt(float(pull @ pull) * size / (size - 1)) / float(mass.sum())


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """P-values that can be compared with the level although there are many.

    `holm` keeps the chance of one false alarm below the level; `benjamini-hochberg` keeps the share of false alarms
    among the alarms below it.

    Example:
        >>> corrected([0.01, 0.04, 0.03], "holm")
        [0.03, 0.06, 0.06]
    """
    if correction == "none":
        return list(p_values)
    if correction == "benjamini-hochberg":
        return adjusted(p_values)
    if correction != "holm":
        raise InvalidInput(f"{correction!r} is not a correction", known=["none", "holm", "benjamini-hochberg"])
    found, least = [1.0] * len(p_values), 0.0
    for place, at in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        least = max(least, min(1.0, p_values[at] * (len(p_values) - place)))
        found[at] = least
    return found
