"""Which model of the demand is best, in Mainspring."""

from __future__ import annotations

import math
from typing import NamedTuple

import mainspring as ms


class Fit(NamedTuple):
    """A window, and how far off it is."""

    window: int
    error: float


@ms.step
def read(days: int) -> list[int]:
    """The demand, with a weekly rhythm."""
    return [100 + 10 * (day % 7) + day for day in range(days)]


@ms.step(retries=2, delay=0, fallback=Fit(0, math.inf))
def fit(demand: list[int], window: int) -> Fit:
    """The error of saying: as it was so many days ago."""
    pairs = list(zip(demand[window:], demand, strict=False))
    return Fit(window, sum(abs(now - before) for now, before in pairs) / len(pairs))


@ms.step
def pick(fits: list[Fit]) -> Fit:
    """The window with the least error."""
    best = min(fits, key=lambda each: each.error)
    print(f"best is {best.window} days, off by {best.error:g}")
    return best


@ms.flow
def demand(days: int = 28) -> Fit:
    """Read, fit one model for each window, and pick the best."""
    rows = read(days)
    fits = fit.map(ms.whole(rows), window=[1, 7, 14])
    return pick(fits)
