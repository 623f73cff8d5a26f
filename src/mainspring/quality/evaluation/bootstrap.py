"""The bootstrap: how far metrics would move on other rows of the same kind.

Rows are not copied: a replicate is how often each *unit* was drawn, a unit being a row, or many rows of about the same
score and the same label, or a whole cluster of rows that belong together. So a thousand replicates of a million rows
are a matrix of a thousand by two thousand numbers, and every metric is computed on all of them at once.

The interval is Efron's BCa (1987, "Better Bootstrap Confidence Intervals"): percentiles moved for bias and skewness;
or the plain percentiles, when asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["Measure", "Method", "Resampling", "Units", "bca_ends", "bootstrap_all", "replicate_values"]

Measure = Callable[[Any], Any]
"""A metric of weights: an array `(..., units)` in, `(...)` out; NaN where the metric has no value."""

Method = Literal["bca", "percentile"]

_CELLS = 4_000_000  # numbers of a matrix at once, 32 MB
_LEFT_OUT = 1000  # evaluations of the jackknife; more would say the skewness no better
_FEW = 100  # replicates below which percentiles mean nothing, and only the standard error is used
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals are drawn: the same seed gives the same interval, on every machine."""

    confidence: float = 0.95
    replicates: int = 1000
    seed: int = 0
    method: Method = "bca"

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise InvalidInput(f"confidence is between 0 and 1, not {self.confidence}")
        if not 1 <= self.replicates <= 100_000:
            raise InvalidInput(f"replicates are between 1 and 100,000, not {self.replicates}")
        if self.method not in {"bca", "percentile"}:
            raise InvalidInput(f"{self.method!r} is not a bootstrap interval", known=["bca", "percentile"])


class Units:
    """What is drawn with replacement: units of `count` like rows each, or clusters of units.

    Args:
        weight: What all rows of each unit weigh together.
        count: How many rows each unit stands for; one by default.
        clusters: For each unit the number of its cluster, or a sparse matrix (clusters by units) of weights. Clusters
            are then drawn whole, as users, sessions or days must be when their rows are alike.
    """

    def __init__(self, weight: Floats, *, count: Floats | None = None, clusters: Any = None) -> None:
        np = numpy()
        self.weight = weight
        self.count = np.ones(weight.size) if count is None else count
        self.parts = None if clusters is None else _parts(clusters, weight)

    @property
    def drawn(self) -> int:
        """How many things a replicate draws."""
        return int(self.parts.shape[0]) if self.parts is not None else int(self.count.sum())

    def replicates(self, how: Resampling) -> Iterator[Floats]:
        """The weight of each unit in each replicate, some replicates at a time."""
        np = numpy()
        random = np.random.default_rng(how.seed)
        width = self.weight.size if self.parts is None else max(self.drawn, 2048)  # alike for two models of a pair
        step = max(1, _CELLS // max(width, 1))
        each = self.weight / np.maximum(self.count, 1)
        for start in range(0, how.replicates, step):
            number = min(step, how.replicates - start)
            if self.parts is not None:
                yield (self.parts.T @ _multiplicities(random, number, self.drawn).T).T
            elif self.drawn == self.weight.size:
                yield _multiplicities(random, number, self.drawn) * each
            else:
                yield random.poisson(self.count, (number, self.count.size)) * each

    def left_out(self) -> Iterator[tuple[Floats, Floats]]:
        """The weights with one row (or cluster, or block of them) left out, and how many rows each such case is."""
        np = numpy()
        if self.parts is None and self.drawn != self.weight.size:
            live = np.flatnonzero(self.count)
            for place in _chunks(live, self.weight.size):
                weights = np.repeat(self.weight[None, :], place.size, axis=0)
                weights[np.arange(place.size), place] -= self.weight[place] / self.count[place]
                yield weights, self.count[place]
            return
        blocks = np.arange(self.drawn) % min(self.drawn, _LEFT_OUT)
        whole = np.bincount(blocks)
        for place in _chunks(np.arange(whole.size), self.weight.size):
            kept = blocks[None, :] != place[:, None]
            weights = kept * self.weight if self.parts is None else (self.parts.T @ kept.T.astype(float)).T
            yield weights, np.ones(place.size)


def _parts(clusters: Any, weight: Floats) -> Any:
    np = numpy()
    if hasattr(clusters, "tocsr"):
        return clusters.tocsr()
    from scipy.sparse import csr_array

    codes = np.asarray(clusters)
    return csr_array((weight, (codes, np.arange(codes.size))), shape=(int(codes.max()) + 1, codes.size))


def _multiplicities(random: Any, number: int, size: int) -> Floats:
    """How often each of `size` things is drawn when `size` are drawn; a row for each replicate."""
    np = numpy()
    drawn = random.integers(0, size, (number, size))
    drawn += (np.arange(number) * size)[:, None]
    counted: Floats = np.bincount(drawn.ravel(), minlength=number * size).reshape(number, size).astype(float)
    return counted


def _chunks(places: Any, width: int) -> Iterator[Any]:
    step = max(1, _CELLS // max(width, 1))
    for start in range(0, places.size, step):
        yield places[start : start + step]


def replicate_values(measures: Mapping[str, Measure], units: Units, how: Resampling) -> dict[str, Floats]:
    """Every measure on every replicate; all of them on the same draws."""
    np = numpy()
    found: dict[str, list[Any]] = {name: [] for name in measures}
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in units.replicates(how):
            for name, measure in measures.items():
                found[name].append(np.atleast_1d(measure(weights)))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def bootstrap_all(
    measures: Mapping[str, Measure],
    units: Units,
    values: Mapping[str, float | None],
    how: Resampling,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Estimate]:
    """An interval for every measure from the same draws.

    `values` are the exact ones: where units stand for many rows, what the measure gives on the units differs a little,
    and the interval is moved by that difference. A value of None stays without an interval.
    """
    np = numpy()
    wanted = {name: measure for name, measure in measures.items() if values.get(name) is not None}
    drawn = replicate_values(wanted, units, how)
    exact = how.method == "bca" and how.replicates >= _FEW
    left = _jackknife(wanted, units) if exact and wanted else {}
    found = {name: Estimate(None) for name in measures}
    for name, measure in wanted.items():
        value = float(values[name] or 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            centre = float(measure(units.weight))
        ends = (limits or {}).get(name, (-math.inf, math.inf))
        found[name] = _estimate(value, centre, drawn[name], how, left=left.get(name), ends=ends)
    return found


def _jackknife(measures: Mapping[str, Measure], units: Units) -> dict[str, tuple[Floats, Floats]]:
    np = numpy()
    values: dict[str, list[Any]] = {name: [] for name in measures}
    times: list[Any] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights, count in units.left_out():
            times.append(count)
            for name, measure in measures.items():
                values[name].append(np.atleast_1d(measure(weights)))
    whole = np.concatenate(times)
    return {name: (np.concatenate(parts), whole) for name, parts in values.items()}


def _estimate(
    value: float,
    centre: float,
    drawn: Floats,
    how: Resampling,
    *,
    left: tuple[Floats, Floats] | None,
    ends: tuple[float, float],
) -> Estimate:
    np = numpy()
    known = drawn[np.isfinite(drawn)]
    if known.size < 2 or not math.isfinite(centre):
        return Estimate(value)
    error = float(known.std(ddof=1))
    if how.replicates < _FEW:
        half = _NORMAL.inv_cdf(0.5 + how.confidence / 2) * error
        low, high, name = value - half, value + half, "bootstrap"
    else:
        skew = None if left is None else _acceleration(*left)
        low, high = bca_ends(known, centre, how.confidence, acceleration=skew)
        low, high = low + value - centre, high + value - centre
        name = "BCa bootstrap" if skew is not None else "percentile bootstrap"
    low, high = max(ends[0], min(low, value)), min(ends[1], max(high, value))
    return Estimate(value, low, high, error, f"{name}, {how.replicates} replicates")


def _acceleration(values: Floats, times: Floats) -> float:
    """Efron's acceleration from leave-one-out values, each standing for `times` rows."""
    np = numpy()
    known = np.isfinite(values)
    values, times = values[known], times[known]
    if values.size < 3:
        return 0.0
    gaps = (times @ values) / times.sum() - values
    square = float(times @ gaps**2)
    return float(times @ gaps**3) / (6 * square**1.5) if square > 0 else 0.0


def bca_ends(
    drawn: Floats, value: float, confidence: float, *, acceleration: float | None = 0.0
) -> tuple[float, float]:
    """The ends of a BCa interval; those of a percentile interval when `acceleration` is None."""
    np = numpy()
    tails = (0.5 - confidence / 2, 0.5 + confidence / 2)
    if acceleration is not None:
        tolerance = 1e-12 * max(abs(value), 1.0)
        below = float((drawn < value - tolerance).mean() + 0.5 * (abs(drawn - value) <= tolerance).mean())
        if 0 < below < 1:
            bias = _NORMAL.inv_cdf(below)
            tails = tuple(_moved(tail, bias, acceleration) for tail in tails)  # type: ignore[assignment]  # two of two
    low, high = np.quantile(drawn, tails)
    return float(low), float(high)


def _moved(tail: float, bias: float, acceleration: float) -> float:
    z = bias + _NORMAL.inv_cdf(tail)
    below = 1 - acceleration * z
    return _NORMAL.cdf(bias + z / below) if below > 0 else (1.0 if z > 0 else 0.0)
