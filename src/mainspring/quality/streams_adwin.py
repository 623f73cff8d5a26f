"""Adaptive windowing (Bifet and Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, 2007).

Written out because river's, which is compiled, cannot be saved and gone on with. The tests hold the two to the same
answers, value by value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Adwin"]


class Adwin:
    """A window over the latest values that is cut whenever two parts of it differ in their means.

    The window is a list of rows of buckets, `(total, variance)` each; a bucket of row `i` holds `2 ** i` values, and a
    row no more than `max_buckets` of them.

    Args:
        delta: The confidence of a cut.
        clock: After how many values a cut is looked for.
        max_buckets: Of each row.
        min_window_length: The least length of either part of a cut.
        grace_period: How many values come before the first look.
    """

    def __init__(
        self,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
    ) -> None:
        self.delta = delta
        self.clock = clock
        self.max_buckets = max_buckets
        self.min_window_length = min_window_length
        self.grace_period = grace_period
        self._start()

    def _start(self) -> None:
        self.rows: list[list[tuple[float, float]]] = [[]]
        self.width = 0
        self.total = 0.0
        self.variance = 0.0
        self.ticks = 0
        self.drift_detected = False

    def update(self, value: float) -> None:
        """See one value; after a drift the window begins anew, as river's does."""
        if self.drift_detected:
            self._start()
        self.rows[0].append((value, 0.0))
        self.width += 1
        if self.width > 1:
            before = self.width - 1
            self.variance += before * (value - self.total / before) ** 2 / self.width
        self.total += value
        self._compress()
        self.ticks += 1
        self.drift_detected = False
        if self.ticks % self.clock == 0 and self.width > self.grace_period:
            while self._cut():
                self.drift_detected = True

    def state(self) -> dict[str, Any]:
        """What it knows, as JSON types."""
        return {
            "rows": [[list(bucket) for bucket in row] for row in self.rows], "width": self.width, "total": self.total,
            "variance": self.variance, "ticks": self.ticks, "drift_detected": self.drift_detected,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.rows = [[(float(total), float(variance)) for total, variance in row] for row in state["rows"]]
        self.width, self.ticks = int(state["width"]), int(state["ticks"])
        self.total, self.variance = float(state["total"]), float(state["variance"])
        self.drift_detected = bool(state["drift_detected"])

    def _compress(self) -> None:
        """The two eldest buckets of a row that is too long become one of the next row."""
        for place, row in enumerate(self.rows):
            if len(row) <= self.max_buckets:
                return
            size = 2**place
            (total, variance), (other, beside) = row[:2]
            apart = (total / size - other / size) ** 2 * size / 2
            if place + 1 == len(self.rows):
                self.rows.append([])
            self.rows[place + 1].append((total + other, variance + beside + apart))
            del row[:2]

    def _cut(self) -> bool:
        """Whether some cut has means that differ; then the eldest bucket is dropped."""
        n0, n1, u0, u1 = 0.0, float(self.width), 0.0, self.total
        for place in range(len(self.rows) - 1, -1, -1):
            size = float(2**place)
            row = self.rows[place]
            for index, (total, _) in enumerate(row):
                n0, n1, u0, u1 = n0 + size, n1 - size, u0 + total, u1 - total
                if place == 0 and index == len(row) - 1:
                    return False
                if min(n0, n1) >= self.min_window_length and self._differ(n0, n1, u0 / n0 - u1 / n1):
                    self._drop()
                    return True
        return False

    def _differ(self, n0: float, n1: float, apart: float) -> bool:
        spread = math.log(2 * math.log(self.width) / self.delta)
        least = self.min_window_length - 1
        weight = 1 / (n0 - least) + 1 / (n1 - least)
        bound = math.sqrt(2 * weight * self.variance / self.width * spread) + 2 / 3 * spread * weight
        return abs(apart) > bound

    def _drop(self) -> None:
        row = self.rows[-1]
        size = 2 ** (len(self.rows) - 1)
        total, variance = row.pop(0)
        self.width -= size
        self.total -= total
        if self.width:
            apart = (total / size - self.total / self.width) ** 2
            self.variance -= variance + size * self.width * apart / (size + self.width)
        if not row and len(self.rows) > 1:
            self.rows.pop()
