"""Points of one metric as columns of bytes.

The first byte says the form. *Plain* (1): all steps, all times, all values; int64, int64, float64, little-endian.
*Packed* (2): the number of points, then three columns as `columns` writes them, which is a fifth of that. Few points
are kept plain, which is quicker to grow. In both forms NaN and infinities are kept as they are, and points in the order
in which they arrived.

A metric's history is a row of such chunks; reading a million points is a few hundred rows, where a row for each point
would be a million (54 times slower, measured).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable

import msgspec

from mainspring.kernel.errors import Damaged
from mainspring.tracking.columns import (
    Floats,
    Integers,
    decode_floats,
    decode_integers,
    encode_floats,
    encode_integers,
    little,
)

__all__ = ["CHUNK_POINTS", "Packed", "Points", "decode_points", "encode_points", "read_packed"]

CHUNK_POINTS = 4096
"""A full chunk."""

_PLAIN, _PACKED = 1, 2
_WIDTH = 24
_WORTH_PACKING = 256
_HEAD = struct.Struct("<BIII")


class Points:
    """Columns of points: `steps` and `times` (int64), `values` (float64)."""

    __slots__ = ("steps", "times", "values")

    def __init__(self, steps: Iterable[int] = (), times: Iterable[int] = (), values: Iterable[float] = ()) -> None:
        self.steps = array("q", steps)
        self.times = array("q", times)
        self.values = array("d", values)

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int, at: int, value: float) -> None:
        """Append one point."""
        self.steps.append(step)
        self.times.append(at)
        self.values.append(value)

    def extend(self, other: Points) -> None:
        """Append all points of `other`."""
        self.steps.extend(other.steps)
        self.times.extend(other.times)
        self.values.extend(other.values)

    def part(self, start: int, stop: int) -> Points:
        """The points from `start` to before `stop`."""
        return Points(self.steps[start:stop], self.times[start:stop], self.values[start:stop])

    def until(self, limit: int | None) -> Points:
        """The points whose step is not above `limit`; all of them when that is None."""
        if limit is None or not len(self) or max(self.steps) <= limit:
            return self
        kept = [place for place, step in enumerate(self.steps) if step <= limit]
        steps, times, values = self.steps, self.times, self.values
        return Points(
            [steps[place] for place in kept], [times[place] for place in kept], [values[place] for place in kept]
        )

    def in_order(self) -> Points:
        """The points by step, then time, then the order of arrival."""
        order = sorted(range(len(self)), key=lambda place: (self.steps[place], self.times[place]))
        steps, times, values = self.steps, self.times, self.values
        return Points(
            [steps[place] for place in order], [times[place] for place in order], [values[place] for place in order]
        )


class Packed(msgspec.Struct, frozen=True):
    """A packed chunk as it was read: each column is put together only when somebody asks for it."""

    data: bytes
    count: int
    times_at: int
    values_at: int

    def steps(self) -> Integers:
        """The steps."""
        return decode_integers(self.data, _HEAD.size, self.count)

    def times(self) -> Integers:
        """The moments, in microseconds since 1970 UTC."""
        return decode_integers(self.data, self.times_at, self.count)

    def values(self) -> Floats:
        """The values."""
        return decode_floats(self.data, self.values_at, self.count)


def encode_points(points: Points, *, memo: dict[bytes, bytes] | None = None) -> bytes:
    """The bytes of a chunk.

    Args:
        points: The points, in the order in which they arrived.
        memo: Columns that were written just now: metrics that are logged together share steps and times.

    Example:
        >>> points = Points([1], [0], [float("inf")])
        >>> decode_points(encode_points(points)).values
        array('d', [inf])
        >>> curve = Points(range(4096), range(0, 4096 * 20_000, 20_000), [1 / (step + 1) for step in range(4096)])
        >>> len(encode_points(curve)) < 4096 * 8
        True
    """
    if len(points) < _WORTH_PACKING:
        columns = little(points.steps).tobytes(), little(points.times).tobytes(), little(points.values).tobytes()
        return bytes([_PLAIN]) + b"".join(columns)
    steps, times = _integers(points.steps, memo), _integers(points.times, memo)
    times_at = _HEAD.size + len(steps)
    values_at = times_at + len(times)
    return b"".join((_HEAD.pack(_PACKED, len(points), times_at, values_at), steps, times, encode_floats(points.values)))


def decode_points(data: bytes) -> Points:
    """The points of a chunk; raises `Damaged` when these are not the bytes of one."""
    points = Points()
    packed = read_packed(data)
    if packed is not None:
        try:
            points.steps, points.times = packed.steps().whole(), packed.times().whole()
            points.values = packed.values().whole()
        except (struct.error, IndexError, OverflowError, ValueError) as error:
            raise Damaged(f"{len(data)} bytes are not a chunk of points: {error}") from error
        if not len(points.steps) == len(points.times) == len(points.values) == packed.count:
            raise Damaged(f"{len(data)} bytes are not a chunk of points")
        return points
    count, rest = divmod(len(data) - 1, _WIDTH)
    if rest or not data or data[0] != _PLAIN:
        raise Damaged(f"{len(data)} bytes are not a chunk of points")
    size = count * 8
    points.steps.frombytes(data[1 : 1 + size])
    points.times.frombytes(data[1 + size : 1 + 2 * size])
    points.values.frombytes(data[1 + 2 * size :])
    points.steps, points.times, points.values = little(points.steps), little(points.times), little(points.values)
    return points


def read_packed(data: bytes) -> Packed | None:
    """The chunk with its columns still packed; None when it is a plain one."""
    if len(data) < _HEAD.size or data[0] != _PACKED:
        return None
    _, count, times_at, values_at = _HEAD.unpack_from(data)
    return Packed(data, count, times_at, values_at)


def _integers(column: array[int], memo: dict[bytes, bytes] | None) -> bytes:
    if memo is None:
        return encode_integers(column)
    plain = column.tobytes()
    if plain not in memo:
        memo[plain] = encode_integers(column)
    return memo[plain]
