"""A nightly training in five steps, as the guide to exporting flows shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

import mainspring as ms


@dataclass
class Fit:
    """A polynomial through the demand of a day, and how far off it is."""

    degree: int
    error: float


@ms.step(retries=3, delay=2)
def load(day: date, rows: int) -> pl.DataFrame:
    """The demand of a day: here a parabola with a ripple."""
    hours = [24 * row / rows for row in range(rows)]
    demand = [100 + day.day + 8 * hour - hour**2 / 3 + (row % 3) for row, hour in enumerate(hours)]
    return pl.DataFrame({"hour": hours, "demand": demand})


@ms.step(cpu=2, memory=2_000_000_000, timeout=600)
def fit(frame: pl.DataFrame, degree: int) -> Fit:
    """Least squares by the normal equations, solved by elimination."""
    hours, demand = frame["hour"].to_list(), frame["demand"].to_list()
    powers = [[sum(hour ** (i + j) for hour in hours) for j in range(degree + 1)] for i in range(degree + 1)]
    right = [sum(value * hour**i for hour, value in zip(hours, demand, strict=True)) for i in range(degree + 1)]
    for i in range(degree + 1):
        for j in range(i + 1, degree + 1):
            factor = powers[j][i] / powers[i][i]
            powers[j] = [below - factor * above for above, below in zip(powers[i], powers[j], strict=True)]
            right[j] -= factor * right[i]
    weights = [0.0] * (degree + 1)
    for i in reversed(range(degree + 1)):
        weights[i] = (right[i] - sum(powers[i][j] * weights[j] for j in range(i + 1, degree + 1))) / powers[i][i]
    squares = [
        (value - sum(weight * hour**i for i, weight in enumerate(weights))) ** 2
        for hour, value in zip(hours, demand, strict=True)
    ]
    return Fit(degree, round((sum(squares) / len(squares)) ** 0.5, 6))


@ms.step
def pick(fits: list[Fit], tolerance: float) -> Fit:
    """The simplest of those that are nearly as good as the best."""
    least = min(each.error for each in fits)
    return next(each for each in sorted(fits, key=lambda each: each.degree) if each.error <= least + tolerance)


@ms.step
def report(day: date, chosen: Fit) -> None:
    """Say what was chosen."""
    print(f"{day}: degree {chosen.degree}, off by {chosen.error:g}")


@ms.flow(schedule="15 2 * * *", tz="Europe/Paris")
def nightly(day: date = ms.fire_date(), rows: int = 96, tolerance: float = 0.5) -> Fit:
    """Fit the demand of a day."""
    frame = load(day, rows)
    fits = fit.map(frame, degree=[1, 2, 3])
    chosen = pick(fits, tolerance)
    report(day, chosen)
    return chosen


@ms.flow
def until_good(day: date = ms.fire_date(), rows: int = 96, goal: float = 1.0) -> Fit:
    """The same with a loop that no graph can show: a degree more until it is good."""
    frame = load(day, rows)
    degree = 0
    while (found := fit(frame, degree)).error > goal and degree < 9:
        degree += 1
    return found


if __name__ == "__main__":
    print(nightly(date(2026, 11, 20)))
