"""Additive Holt-Winters smoothing: a series with level, trend and season, fitted by least squares.

By hand: it is thirty lines, and the library that has it (statsmodels) brings pandas, scipy and patsy to a check that
is to run beside every commit. The three weights are found on a grid that closes in, so the fit is the same anywhere.

Source: Winters, "Forecasting sales by exponentially weighted moving averages", Management Science 6 (1960).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

__all__ = ["fitted", "smoothed"]

_ROUNDS = 5
_STEPS = 5


def fitted(values: Sequence[float], period: int) -> tuple[float, float]:
    """The forecast of the next value, and the standard deviation of the one-step errors after the first season.

    Example:
        >>> forecast, spread = fitted([1.0, 5.0, 9.0] * 4, 3)
        >>> round(forecast, 9), round(spread, 9)
        (1.0, 0.0)
    """
    centre, width = [0.5, 0.5, 0.5], 0.5
    best: tuple[float, tuple[float, ...]] = (math.inf, tuple(centre))
    for _ in range(_ROUNDS):
        ticks = [
            sorted({min(1.0, max(0.0, middle + width * (2 * step / (_STEPS - 1) - 1))) for step in range(_STEPS)})
            for middle in centre
        ]
        for weights in itertools.product(*ticks):
            errors, _ = smoothed(values, period, weights)
            loss = math.fsum(error * error for error in errors)
            if loss < best[0]:
                best = (loss, weights)
        centre, width = list(best[1]), width / 2
    errors, forecast = smoothed(values, period, best[1])
    spread = math.sqrt(math.fsum(error * error for error in errors) / max(1, len(errors) - 1))
    return forecast, spread


def smoothed(values: Sequence[float], period: int, weights: Sequence[float]) -> tuple[list[float], float]:
    """The one-step errors after the first season, and the forecast of the next value.

    Args:
        values: Two seasons at least.
        period: Values in a season.
        weights: Of the newest value in the level, in the trend, and in the season; each from 0 to 1.
    """
    alpha, beta, gamma = weights
    level = statistics.fmean(values[:period])
    trend = (statistics.fmean(values[period : 2 * period]) - level) / period
    season = [value - level for value in values[:period]]
    errors = []
    for place in range(period, len(values)):
        value, old = values[place], season[place % period]
        errors.append(value - (level + trend + old))
        before = level
        level = alpha * (value - old) + (1 - alpha) * (level + trend)
        trend = beta * (level - before) + (1 - beta) * trend
        season[place % period] = gamma * (value - level) + (1 - gamma) * old
    return errors, level + trend + season[len(values) % period]
