"""What a full chunk looks like: the least, greatest, mean and last value of every 128 points.

A plot of a long history reads outlines, a twentieth of the bytes and none of the decoding, and puts whole blocks into
its stretches: the least and greatest of a stretch are those of its points, so no spike is lost. Kept only where steps
are in order, since a block must be a stretch of the x axis.
"""

from __future__ import annotations

import math
import struct
from array import array

from mainspring.tracking.chunks import Points
from mainspring.tracking.columns import little

__all__ = ["BLOCK_POINTS", "Outline", "decode_outline", "encode_outline", "outline_of", "spread"]

BLOCK_POINTS = 128
"""Points of a block; the last one of an outline may have fewer."""

_INTEGERS, _FLOATS = ("steps", "at", "counts", "finite"), ("minimum", "maximum", "mean", "last")
_COUNT, _EVEN = struct.Struct("<H"), struct.Struct("<qq")
_SIZES = {"q": 8, "d": 8, "f": 4}


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
    """The bytes of an outline: its columns one after the other, each led by the letter of its form.

    They are read by the hundred for one plot, so they are as quick to read as may be: evenly spaced integers by two
    numbers, floats that have one in 32 bits, all else as it is.
    """
    parts = [_COUNT.pack(len(outline))]
    for name in _INTEGERS:
        column = getattr(outline, name)
        step = column[1] - column[0] if len(column) > 1 else 0
        if column.tolist() == [column[0] + place * step for place in range(len(column))] and abs(step) < 1 << 62:
            parts.append(b"e" + _EVEN.pack(column[0], step))
        else:
            parts.append(b"q" + little(column).tobytes())
    for name in _FLOATS:
        column = getattr(outline, name)
        single = array("f", column)
        if array("d", single).tobytes() == column.tobytes():
            parts.append(b"f" + little(single).tobytes())
        else:
            parts.append(b"d" + little(column).tobytes())
    return b"".join(parts)


def decode_outline(data: bytes) -> Outline:
    """The outline of these bytes."""
    (count,) = _COUNT.unpack_from(data)
    found, place = Outline(), _COUNT.size
    for name in (*_INTEGERS, *_FLOATS):
        form = chr(data[place])
        size = _EVEN.size if form == "e" else count * _SIZES[form]
        body = data[place + 1 : place + 1 + size]
        place += 1 + size
        if form == "e":
            first, step = _EVEN.unpack(body)
            column = array("q", range(first, first + step * count, step)) if step else array("q", [first]) * count
        else:
            column = array(form)
            column.frombytes(body)
            column = little(column)
        setattr(found, name, array("d", column) if form == "f" else column)
    return found
