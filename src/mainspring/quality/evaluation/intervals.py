"""Intervals around metrics, each by the cheapest method that is right for it.

Means by the central limit theorem, proportions by Wilson, ratios of means by linearisation, AUC by DeLong (`ranking`),
what has no such form by the bootstrap (`bootstrap`). scipy is not needed here: monitoring asks for these.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = [
    "around",
    "critical",
    "mean_estimate",
    "ratio_estimate",
    "share_estimate",
    "tail",
    "wilson",
    "wilson_estimate",
]

_NORMAL = NormalDist()


def critical(confidence: float) -> float:
    """The half-width of a normal interval in standard errors: 1.96 at 0.95."""
    return _NORMAL.inv_cdf(0.5 + confidence / 2)


def tail(z: float) -> float:
    """The probability that a normal variable is further from 0 than `z`, both sides."""
    return math.erfc(abs(z) / math.sqrt(2))


def around(
    value: float,
    error: float,
    confidence: float,
    method: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Estimate:
    """A normal interval, kept within what the metric can be; no interval when the error is not known."""
    if not math.isfinite(error):
        return Estimate(value, method=method)
    half = critical(confidence) * error
    return Estimate(value, max(least, value - half), min(most, value + half), error, method)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a proportion (1927): never outside 0..1, right even when nothing or everything succeeded.

    Example:
        >>> low, high = wilson(0, 100)
        >>> low == 0.0, round(high, 4)
        (True, 0.037)
    """
    if trials <= 0:
        return 0.0, 1.0
    z = critical(confidence)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(max(share * (1 - share), 0.0) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if successes <= 0 else max(0.0, min(middle - half, share))
    high = 1.0 if successes >= trials else min(1.0, max(middle + half, share))
    return low, high


def wilson_estimate(successes: float, trials: float, confidence: float) -> Estimate:
    """A proportion; no value without trials."""
    if trials <= 0:
        return Estimate(None)
    share = successes / trials
    error = math.sqrt(max(share * (1 - share), 0.0) / trials)
    return Estimate(share, *wilson(successes, trials, confidence), error, "Wilson")


def share_estimate(hits: Any, among: Any, weights: Floats | None, confidence: float) -> Estimate:
    """The share of the rows `among` that are `hits`; with weights by Kish's effective number of rows (1965)."""
    if weights is None:
        return wilson_estimate(int((hits & among).sum()), int(among.sum()), confidence)
    total = float(weights[among].sum())
    if total <= 0:
        return Estimate(None)
    share = float(weights[hits & among].sum()) / total
    effective = total**2 / float((weights[among] ** 2).sum())
    found = wilson_estimate(share * effective, effective, confidence)
    return Estimate(share, found.low, found.high, found.standard_error, "Wilson, effective rows")


def mean_estimate(
    losses: Floats, confidence: float, *, least: float = -math.inf, weights: Floats | None = None
) -> Estimate:
    """The mean of one number per row."""
    if weights is not None:
        value = float(weights @ losses / weights.sum())
        return around(value, _spread(losses - value, weights), confidence, "normal", least=least)
    error = float(losses.std(ddof=1)) / math.sqrt(losses.size) if losses.size > 1 else math.inf
    return around(float(losses.mean()), error, confidence, "normal", least=least)


def ratio_estimate(
    over: Floats,
    under: Floats,
    confidence: float,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    weights: Floats | None = None,
) -> Estimate:
    """The ratio of two means over the same rows, by linearisation; no value when the lower mean is 0."""
    np = numpy()
    below = float(np.average(under, weights=weights))
    if below == 0:
        return Estimate(None)
    ratio = float(np.average(over, weights=weights)) / below
    spread = (over - ratio * under) / below
    if weights is not None:
        return around(ratio, _spread(spread, weights), confidence, "linearised", least=least, most=most)
    error = float(spread.std(ddof=1)) / math.sqrt(over.size) if over.size > 1 else math.inf
    return around(ratio, error, confidence, "linearised", least=least, most=most)


def _spread(gaps: Floats, weights: Floats) -> float:
    """The standard error of a weighted mean whose rows are `gaps` away from it."""
    rows = int((weights > 0).sum())
    if rows < 2:
        return math.inf
    return math.sqrt(float((weights**2) @ gaps**2) * rows / (rows - 1)) / float(weights.sum())
