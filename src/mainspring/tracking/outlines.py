"""What a full chunk looks like: the least, greatest, mean and last value of every 128 points.

A plot of a long history reads outlines, a twentieth of the bytes and none of the decoding, and puts whole blocks into
its stretches: the least and greatest of a stretch are those of its points, so no spike is lost. Kept only where steps
are in order, since a block must be a stretch of the x axis.
"""

from __future__ import annotations

import math
from array import array

from mainspring.tracking.chunks import Points
from mainspring.tracking.columns import decode_floats, decode_integers, encode_floats, encode_integers

__all__ = ["BLOCK_POINTS", "Outline", "decode_outline", "encode_outline", "outline_of", "spread"]

BLOCK_POINTS = 128
"""Points of a block; the last one of an outline may have fewer."""


class Outline:
    """Columns of blocks; `minimum`, `maximum` and `mean` are of finite values, NaN where a block has none."""

    __slots__ = ("at", "counts", "finite", "last", "maximum", "mean", "minimum", "steps")

    def __init__(self) -> None:
        self.steps = array("q")
        """The first step of each block."""
        self.at = array("q")
        """When the last value of each block was logged."""
        self.counts = array("q")
        self.finite = array("q")
        """How many values of each block are finite."""
        self.minimum = array("d")
        self.maximum = array("d")
        self.mean = array("d")
        self.last = array("d")

    def __len__(self) -> int:
        return len(self.steps)


def outline_of(points: Points) -> Outline | None:
    """The outline of points; None when their steps are not in order."""
    steps = points.steps.tolist()
    if steps != sorted(steps):
        return None
    found = Outline()
    values = points.values.tolist()
    for start in range(0, len(values), BLOCK_POINTS):
        block = values[start : start + BLOCK_POINTS]
        minimum, maximum, mean, finite = spread(block)
        found.counts.append(len(block))
        found.finite.append(finite)
        found.minimum.append(math.nan if minimum is None else minimum)
        found.maximum.append(math.nan if maximum is None else maximum)
        found.mean.append(mean)
        found.last.append(block[-1])
    found.steps = points.steps[::BLOCK_POINTS]
    found.at = points.times[BLOCK_POINTS - 1 :: BLOCK_POINTS]
    if len(found.at) < len(found.steps):
        found.at.append(points.times[-1])
    return found


def spread(values: list[float]) -> tuple[float | None, float | None, float, int]:
    """Least, greatest and mean of the finite values (None, None and NaN without any), and how many they are."""
    total = sum(values)
    if not math.isfinite(total):  # something is not finite, or the sum is too great
        values = [each for each in values if math.isfinite(each)]
        if not values:
            return None, None, math.nan, 0
        total = sum(each / len(values) for each in values) * len(values)
        if not math.isfinite(total):
            return min(values), max(values), sum(each / len(values) for each in values), len(values)
    return min(values), max(values), total / len(values), len(values)


def encode_outline(outline: Outline) -> bytes:
    """The bytes of an outline."""
    integers = [encode_integers(each) for each in (outline.steps, outline.at, outline.counts, outline.finite)]
    floats = [encode_floats(each) for each in (outline.minimum, outline.maximum, outline.mean, outline.last)]
    sizes = array("H", [len(outline), *(len(each) for each in (*integers, *floats))])
    return b"".join((b"".join(size.to_bytes(2, "little") for size in sizes), *integers, *floats))


def decode_outline(data: bytes) -> Outline:
    """The outline of these bytes."""
    count, *sizes = (int.from_bytes(data[place : place + 2], "little") for place in range(0, 18, 2))
    found, place = Outline(), 18
    for name, size in zip(("steps", "at", "counts", "finite"), sizes, strict=False):
        setattr(found, name, decode_integers(data, place, count).whole())
        place += size
    for name, size in zip(("minimum", "maximum", "mean", "last"), sizes[4:], strict=True):
        setattr(found, name, decode_floats(data, place, count).whole())
        place += size
    return found
