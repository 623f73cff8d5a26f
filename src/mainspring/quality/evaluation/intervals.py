"""Intervals around metrics, each by the cheapest method that is right for it.

Means by the central limit theorem, proportions by Wilson, ratios of means by linearisation, AUC by DeLong,
what has no such form by a bootstrap that reweights instead of copying rows. scipy is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["around", "bootstrap", "critical", "mean_estimate", "ratio_estimate", "tail", "wilson", "wilson_estimate"]

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


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a proportion (1927): never outside 0..1, right even when nothing or everything succeeded.

    Example:
        >>> low, high = wilson(0, 100)
        >>> low == 0.0, round(high, 4)
        (True, 0.037)
    """
    if not trials:
        return 0.0, 1.0
    z = critical(confidence)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def wilson_estimate(successes: int, trials: int, confidence: float) -> Estimate:
    """A proportion; no value without trials."""
    if not trials:
        return Estimate(None)
    share = successes / trials
    return Estimate(share, *wilson(successes, trials, confidence), math.sqrt(share * (1 - share) / trials), "Wilson")


def mean_estimate(losses: Floats, confidence: float, *, least: float = -math.inf) -> Estimate:
    """The mean of one number per row."""
    error = float(losses.std(ddof=1)) / math.sqrt(losses.size) if losses.size > 1 else math.inf
    return around(float(losses.mean()), error, confidence, "normal", least=least)


def ratio_estimate(
    over: Floats, under: Floats, confidence: float, *, least: float = -math.inf, most: float = math.inf
) -> Estimate:
    """The ratio of two means over the same rows, by linearisation; no value when the lower mean is 0."""
    below = float(under.mean())
    if below == 0:
        return Estimate(None)
    ratio = float(over.mean()) / below
    spread = (over - ratio * under) / below
    error = float(spread.std(ddof=1)) / math.sqrt(over.size) if over.size > 1 else math.inf
    return around(ratio, error, confidence, "linearised", least=least, most=most)


def bootstrap(
    statistic: Callable[[Any], float],
    size: int,
    *,
    confidence: float,
    value: float,
    replicates: int = 200,
    seed: int = 0,
    least: float = -math.inf,
    most: float = math.inf,
) -> Estimate:
    """A normal interval with the bootstrap's standard error.

    `statistic` takes the weight of each row (how often it was drawn) and returns the metric. Two hundred
    replicates are enough for a standard error; a percentile interval would need thousands (Efron 1987).
    """
    np = numpy()
    random = np.random.default_rng(seed)
    drawn = [statistic(np.bincount(random.integers(0, size, size), minlength=size)) for _ in range(replicates)]
    known = np.asarray([each for each in drawn if math.isfinite(each)])
    error = float(known.std(ddof=1)) if known.size > 1 else math.inf
    return around(value, error, confidence, f"bootstrap, {replicates} replicates", least=least, most=most)
