"""One parameter or value as an axis: numbers on a linear or logarithmic scale, or a few names side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from mainspring.console.charts.scale import Scale, finite, number_label
from mainspring.console.charts.svg import shorten

__all__ = ["Dimension"]

_MOST_NAMES = 24


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """An axis from 0 to 1. With `names`, a value is a place among them; otherwise a number from `low` to `high`."""

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    names: list[str] = []

    @classmethod
    def of(cls, name: str, values: Sequence[Any], *, log: bool = False) -> Self:
        """The axis that shows all values: of names where one of them is no number.

        Example:
            >>> Dimension.of("kind", ["b", "a", "b"]).names, Dimension.of("x", [1, 3]).high
            (['a', 'b'], 3.0)
        """
        numbers = [found for each in values if (found := _finite(each)) is not None]
        if len(numbers) < len(values) and any(_finite(each) is None and not isinstance(each, float) for each in values):
            return cls(name=name, names=sorted({str(each) for each in values})[:_MOST_NAMES])
        if not numbers:
            return cls(name=name)
        low, high = min(numbers), max(numbers)
        log = log and low > 0
        if not high > low:
            room = abs(low) * 0.05 or 0.5
            low, high = (low / 1.1, high * 1.1) if log else (low - room, high + room)
        return cls(name=name, low=low, high=high, log=log)

    def share(self, value: Any) -> float | None:
        """Where a value stands, 0 to 1; None where it stands nowhere.

        Example:
            >>> Dimension(name="rate", low=1.0, high=100.0, log=True).share(10)
            0.5
        """
        if self.names:
            known = str(value)
            return (self.names.index(known) + 0.5) / len(self.names) if known in self.names else None
        number = _finite(value)
        if number is None or (self.log and number <= 0):
            return None
        low, high = self.low, self.high
        if self.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return min(max((number / 2 - low / 2) / (high / 2 - low / 2), 0.0), 1.0)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """About so many places with their labels."""
        if self.names:
            every = max(1, -(-len(self.names) // max(count, 1)))
            return [
                ((place + 0.5) / len(self.names), shorten(name, 90))
                for place, name in enumerate(self.names)
                if place % every == 0
            ]
        scale = Scale(self.low, self.high, 0.0, 1.0, "log" if self.log else "linear")
        return [(scale(value), label) for value, label in scale.ticks(count)]

    def label(self, value: Any) -> str:
        """A value as it is shown."""
        number = None if self.names else _finite(value)
        return str(value) if number is None else number_label(number)


def _finite(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else finite(float(value))
