"""Scales: from data to pixels, with ticks that a person would have chosen. Linear, logarithmic and time."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

__all__ = ["Kind", "Scale", "finite", "number_label", "scale_for", "span_label", "time_label"]

Kind = Literal["linear", "log", "time"]
"""How an axis runs; `time` is in seconds since 1970, UTC."""

_MOST = sys.float_info.max
_DAY = 86400.0
_TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 900.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0),
    *(
        _DAY,
        2 * _DAY,
        7 * _DAY,
        14 * _DAY,
        30 * _DAY,
        61 * _DAY,
        91 * _DAY,
        182 * _DAY,
        365 * _DAY,
        730 * _DAY,
        3650 * _DAY,
    ),
)
_FIRST, _LAST = -6.2e10, 2.5e11
"""The seconds that `datetime` can show, years 5 to 9892."""


def finite(value: float | None, kind: Kind = "linear") -> float | None:
    """The value when it can be placed on such an axis, otherwise None."""
    if value is None or not math.isfinite(value):
        return None
    if (kind == "log" and value <= 0) or (kind == "time" and not _FIRST < value < _LAST):
        return None
    return float(value)


class Scale(msgspec.Struct, frozen=True):
    """One axis: the domain `low..high` in data units laid onto `start..stop` in pixels."""

    low: float
    high: float
    start: float
    stop: float
    kind: Kind = "linear"

    def __call__(self, value: float) -> float:
        """The pixel of a value; a value outside of the domain lands outside of the range."""
        low, high = self.low, self.high
        if self.kind == "log":
            value, low, high = math.log10(max(value, 5e-324)), math.log10(low), math.log10(high)
        # Halves, because high - low of two finite numbers may be infinite.
        share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return self.start + min(max(share, -10.0), 11.0) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """About `count` round values inside the domain, with their labels."""
        if self.kind == "time":
            return _time_ticks(self.low, self.high, count)
        if self.kind == "log":
            found = _log_ticks(self.low, self.high, count)
            if len(found) >= 2:
                return [(value, number_label(value)) for value in found]
        values = _linear_ticks(self.low, self.high, count)
        step = values[1] - values[0] if len(values) > 1 else 0.0
        return [(value, number_label(value, step)) for value in values]


def scale_for(
    values: Iterable[float | None],
    start: float,
    stop: float,
    *,
    kind: Kind = "linear",
    zero: bool = False,
    pad: float = 0.0,
) -> Scale | None:
    """The scale that shows all `values`; None when there is none to show. `zero` keeps 0 in view."""
    shown = [value for value in (finite(each, kind) for each in values) if value is not None]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    if zero and kind == "linear":
        low, high = min(low, 0.0), max(high, 0.0)
    if kind == "log":
        low, high = (low / 1.5, high * 1.5) if high <= low * (1 + 1e-12) else (low, high)
        return Scale(max(low, 5e-324), min(high, _MOST), start, stop, kind) if high > low else None
    if not high / 2 - low / 2 > abs(high / 2) * 1e-12 + abs(low / 2) * 1e-12:
        room = abs(low) * 0.05 or 0.5
        low, high = low - room, high + room
    elif pad:
        room = (high / 2 - low / 2) * 2 * pad
        low, high = (low if zero and low == 0 else low - room), (high if zero and high == 0 else high + room)
    low, high = max(low, -_MOST), min(high, _MOST)
    return Scale(low, high, start, stop, kind) if high / 2 > low / 2 else None


def number_label(value: float, step: float = 0.0) -> str:
    """A number as short as its axis allows.

    Example:
        >>> number_label(1500.0), number_label(0.25, 0.05), number_label(3e-7)
        ('1.5k', '0.25', '3e-7')
    """
    size = max(abs(value), abs(step))
    if value == 0 or size == 0:
        return "0"
    if size >= 1e15 or abs(value) < 1e-4:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit and (limit > 1e3 or abs(value) >= 1e4 or value % 100 == 0):
            digits = max(0, min(6, 1 - math.floor(math.log10(step / limit)))) if step else 2
            return _trimmed(value / limit, digits) + unit
    if step:
        return _trimmed(value, max(0, min(8, -math.floor(math.log10(step) + 1e-9) + 1)))
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _trimmed(value: float, digits: int) -> str:
    shown = f"{value:.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def span_label(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> [span_label(each) for each in (0.0042, 3.3, 75, 7260, 90000)]
        ['4.2 ms', '3.3 s', '1 min 15 s', '2 h 1 min', '1 d 1 h']
    """
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for limit, big, small, unit, rest in (
        (3600, 60, 1, "min", "s"),
        (86400, 3600, 60, "h", "min"),
        (math.inf, 86400, 3600, "d", "h"),
    ):
        if seconds < limit:
            whole, left = int(seconds // big), int(seconds % big // small)
            return f"{whole} {unit} {left} {rest}" if left else f"{whole} {unit}"
    return "\u221e"


def time_label(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment, given in seconds since 1970, as UTC text."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime(form)


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    raw = (high / count - low / count) or 5e-324
    power = 10.0 ** math.floor(math.log10(raw))
    if power == 0:
        return [low, high]
    step = next((power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999), power * 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if not 0 <= last - first <= 4 * count:
        return [low, high]
    ticks = [index * step for index in range(first, last + 1)]
    return [tick for tick in ticks if math.isfinite(tick)] or [low, high]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    jump = max(1, math.ceil((last - first + 1) / max(count, 1)))
    decades = [10.0**power for power in range(first, last + 1, jump) if -308 <= power <= 308]
    if len(decades) > 2 or jump > 1:
        return decades
    return [
        value
        for power in range(first - 1, last + 2)
        if -307 <= power <= 307
        for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    ]


def _time_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    if high - low < count:
        return [
            (value, number_label(value - low, (high - low) / count) + " s") for value in _linear_ticks(low, high, count)
        ][:count]
    step = next((each for each in _TIME_STEPS if each * count >= high - low), _TIME_STEPS[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < _DAY else "%d %b" if step < 300 * _DAY else "%Y"
    first = math.ceil(low / step)
    values: Sequence[float] = [index * step for index in range(first, math.floor(high / step) + 1)][: 3 * count]
    shown = []
    for value in values:
        label = time_label(value, form)
        shown.append((value, time_label(value, "%d %b") if form == "%H:%M" and label == "00:00" else label))
    return shown
