"""Whether a number is what its own history would have: strategies, and a verdict in words.

The strategies are Deequ's (simple threshold, absolute and relative change, online and batch normal, Holt-Winters), and
a better default: the median and the median absolute deviation of the last values, which one bad day does not bend.

Source: Schelter et al., "Automating large-scale data quality verification" (PVLDB 11, 2018), section 3.4; Iglewicz and
Hoaglin, "How to detect and handle outliers" (1993) for the deviation from the median.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.anomalies_seasonal import fitted

__all__ = [
    "AnyStrategy",
    "BatchNormal",
    "Change",
    "HoltWinters",
    "Normality",
    "OnlineNormal",
    "RelativeChange",
    "Robust",
    "Strategy",
    "Threshold",
    "judge",
    "judge_each",
    "strategy_of",
]

_MAD = 1.4826  # of a normal distribution, times its median absolute deviation, is its standard deviation
_MEAN_AD = 1.2533  # the same for the mean absolute deviation, when more than half of the values are equal


class Normality(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one value."""

    normal: bool
    value: float
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    points: int = 0
    """Earlier values that it was judged by."""
    reason: str = ""


class _Bounds(msgspec.Struct, frozen=True):
    low: float | None
    high: float | None
    expected: float | None
    because: str


class Strategy(msgspec.Struct, frozen=True, kw_only=True, tag_field="strategy", forbid_unknown_fields=True):
    """How a range is found from earlier values. `needs` earlier values are the least that say anything."""

    @property
    def needs(self) -> int:
        """The least number of earlier values."""
        return 1

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """The range in which the next value is normal."""
        raise NotImplementedError


class Robust(Strategy, frozen=True, kw_only=True, tag="robust"):
    """Within `factor` deviations of the median of the last `window` values; the default.

    The deviation is the median absolute one. A change below the share `tolerance` of the median is normal in any case.
    With `order` 1 the changes from value to value are judged, for what grows steadily.
    """

    factor: float = 4.0
    window: int = 30
    tolerance: float = 0.01
    order: int = 0
    least: int = 5

    def __post_init__(self) -> None:
        if self.factor <= 0 or self.window < 3 or not self.tolerance >= 0 or self.order not in (0, 1) or self.least < 2:
            raise InvalidInput("robust: factor > 0, window >= 3, tolerance >= 0, order 0 or 1, least >= 2")

    @property
    def needs(self) -> int:
        """As `least` says, one more for changes."""
        return self.least + self.order

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """Median and deviation of the last values."""
        seen = [float(each) for each in history]
        moved = [after - before for before, after in itertools.pairwise(seen)] if self.order else seen
        recent = moved[-self.window :]
        middle = statistics.median(recent)
        spread = _MAD * statistics.median([abs(each - middle) for each in recent])
        if spread == 0.0:
            spread = _MEAN_AD * statistics.fmean([abs(each - middle) for each in recent])
        base = seen[-1] if self.order else 0.0
        room = max(self.factor * spread, self.tolerance * abs(base + middle))
        what = "change" if self.order else "value"
        words = f"the median {what} of the last {len(recent)} is {middle:.6g}, give or take {spread:.4g}"
        return _Bounds(base + middle - room, base + middle + room, base + middle, words)


class Threshold(Strategy, frozen=True, kw_only=True, tag="threshold"):
    """Between two fixed ends, either of which may be open."""

    low: float | None = None
    high: float | None = None

    @property
    def needs(self) -> int:
        """None: the ends are fixed."""
        return 0

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """The ends."""
        return _Bounds(self.low, self.high, None, "the ends are fixed")


class Change(Strategy, frozen=True, kw_only=True, tag="change"):
    """The difference of order `order` to the values before is not below `max_decrease`, nor above `max_increase`."""

    max_decrease: float | None = None
    max_increase: float | None = None
    order: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 10 or (self.max_decrease is None and self.max_increase is None):
            raise InvalidInput("change: give max_decrease, max_increase or both, and an order from 1 to 10")

    @property
    def needs(self) -> int:
        """As many as the order."""
        return self.order

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """What the value may be, so that its difference stays within."""
        before = [*history[-self.order :]]
        sign, rest = -1, 0.0  # the n-th difference is the value plus a sum over those before, with binomial weights
        for step in range(1, self.order + 1):
            rest += sign * math.comb(self.order, step) * before[-step]
            sign = -sign
        low = None if self.max_decrease is None else self.max_decrease - rest
        high = None if self.max_increase is None else self.max_increase - rest
        order = "" if self.order == 1 else f" of order {self.order}"
        return _Bounds(low, high, -rest, f"it changed by {value + rest:.6g}{order}, before it was {before[-1]:.6g}")


class RelativeChange(Strategy, frozen=True, kw_only=True, tag="relative-change"):
    """Divided by the value `order` steps before, it lies within the two rates; 1.1 is ten per cent more."""

    max_decrease: float | None = None
    max_increase: float | None = None
    order: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 1000 or (self.max_decrease is None and self.max_increase is None):
            raise InvalidInput("relative-change: give max_decrease, max_increase or both, and an order from 1")

    @property
    def needs(self) -> int:
        """As many as the order."""
        return self.order

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """What the value may be, so that its ratio stays within."""
        before = history[-self.order]
        ends = [None if rate is None else rate * before for rate in (self.max_decrease, self.max_increase)]
        if before < 0:
            ends.reverse()
        ratio = f"{value / before:.4g} times" if before else "not to be divided by"
        return _Bounds(ends[0], ends[1], float(before), f"it is {ratio} the {before:.6g} of {self.order} before")


class _Normal(Strategy, frozen=True, kw_only=True):
    lower: float | None = 3.0
    upper: float | None = 3.0

    def __post_init__(self) -> None:
        if (self.lower is None and self.upper is None) or min(self.lower or 0.0, self.upper or 0.0) < 0:
            raise InvalidInput("give lower, upper or both, as numbers of standard deviations")

    def _around(self, mean: float, std: float, words: str) -> _Bounds:
        low = None if self.lower is None else mean - self.lower * std
        high = None if self.upper is None else mean + self.upper * std
        return _Bounds(low, high, mean, f"{words} mean {mean:.6g}, standard deviation {std:.4g}")


class OnlineNormal(_Normal, frozen=True, kw_only=True, tag="online-normal"):
    """Within standard deviations of the running mean, the new value included; anomalies do not enter it.

    The first `ignore_start` of all values are taken as they are.
    """

    ignore_start: float = 0.1
    ignore_anomalies: bool = True

    @property
    def needs(self) -> int:
        """Two, so that there is a deviation."""
        return 2

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """Walk over the history as it came."""
        values = [*map(float, history), float(value)]
        skipped = len(values) * self.ignore_start
        mean = total = 0.0
        count = 0
        found = _Bounds(None, None, None, "")
        for place, each in enumerate(values):
            fresh = mean + (each - mean) / (count + 1)
            spread = total + (each - mean) * (each - fresh)
            found = self._around(fresh, math.sqrt(spread / (count + 1)), "running")
            if place >= skipped and self.ignore_anomalies and not _within(each, found):
                continue
            mean, total, count = fresh, spread, count + 1
        return found


class BatchNormal(_Normal, frozen=True, kw_only=True, tag="batch-normal"):
    """Within standard deviations of the mean of all earlier values."""

    @property
    def needs(self) -> int:
        """Two, so that there is a deviation."""
        return 2

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """Mean and deviation (dividing by n - 1)."""
        return self._around(statistics.fmean(history), statistics.stdev(history), f"over {len(history)} values the")


class HoltWinters(Strategy, frozen=True, kw_only=True, tag="holt-winters"):
    """Within `factor` deviations of what level, trend and season foretell, for series with a season of `period` values.

    Additive; the smoothing is fitted to the history. Deequ's daily series with a weekly season has `period=7`.
    """

    period: int = 7
    factor: float = 1.96

    def __post_init__(self) -> None:
        if not 2 <= self.period <= 1000 or self.factor <= 0:
            raise InvalidInput("holt-winters: a period from 2 to 1000 and a factor above 0")

    @property
    def needs(self) -> int:
        """Two seasons."""
        return 2 * self.period

    def bounds(self, history: Sequence[float], value: float) -> _Bounds:
        """The forecast and the spread of its errors so far."""
        forecast, spread = fitted([float(each) for each in history], self.period)
        room = self.factor * spread
        words = f"level, trend and a season of {self.period} foretell {forecast:.6g}, give or take {spread:.4g}"
        return _Bounds(forecast - room, forecast + room, forecast, words)


AnyStrategy = Robust | Threshold | Change | RelativeChange | OnlineNormal | BatchNormal | HoltWinters
"""Every strategy; as JSON an object with `strategy` and the parameters."""


def strategy_of(given: Any) -> AnyStrategy:
    """The strategy behind a name, an object of JSON types, or a strategy; nothing is the default.

    Example:
        >>> strategy_of({"strategy": "change", "max_increase": 10})
        Change(max_decrease=None, max_increase=10.0, order=1)
    """
    if given is None or given == "":
        return Robust()
    plain = {"strategy": given} if isinstance(given, str) else given
    try:
        found: AnyStrategy = msgspec.convert(
            msgspec.to_builtins(plain) if isinstance(plain, Strategy) else plain,
            AnyStrategy,
            strict=False,
        )
    except (msgspec.ValidationError, InvalidInput) as error:
        cause = error if isinstance(error, InvalidInput) else error.__cause__
        known = ["robust", "threshold", "change", "relative-change", "online-normal", "batch-normal", "holt-winters"]
        reason = cause.message if isinstance(cause, InvalidInput) else str(error)
        raise InvalidInput(f"this is not a strategy: {reason}", known=known) from None
    return found


def judge(value: float, history: Sequence[float], strategy: AnyStrategy | None = None) -> Normality:
    """Whether a value is normal after its history, oldest first; with too little history it is, and that is said.

    Example:
        >>> judge(250, [100, 104, 98, 101, 97, 103]).reason
        '250 is above 115.326: the median value of the last 6 is 100.5, give or take 3.706'
    """
    chosen = strategy or Robust()
    seen = [float(each) for each in history if math.isfinite(each)]
    if not math.isfinite(value):
        return Normality(normal=False, value=value, points=len(seen), reason=f"{value} is not a finite number")
    if len(seen) < chosen.needs:
        reason = f"{len(seen)} earlier values are too few to judge by: {chosen.needs} are needed"
        return Normality(normal=True, value=value, points=len(seen), reason=reason)
    found = chosen.bounds(seen, value)
    normal = _within(value, found)
    side = f"above {found.high:.6g}" if found.high is not None and value > found.high else f"below {found.low or 0:.6g}"
    place = "is as expected" if normal else f"is {side}"
    return Normality(
        normal=normal,
        value=value,
        low=found.low,
        high=found.high,
        expected=found.expected,
        points=len(seen),
        reason=f"{value:.6g} {place}: {found.because}",
    )


def judge_each(values: Sequence[float], strategy: AnyStrategy | None = None) -> list[Normality]:
    """Each value of a series after those before it."""
    return [judge(value, values[:place], strategy) for place, value in enumerate(values)]


def _within(value: float, bounds: _Bounds) -> bool:
    above = bounds.low is None or value >= bounds.low
    return above and (bounds.high is None or value <= bounds.high)
