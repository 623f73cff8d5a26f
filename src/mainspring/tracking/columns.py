"""Columns of numbers as few bytes, exact to the last bit: differences of integers, and bytes of equal weight together.

What an ordinary curve is made of decides the forms. Steps go up evenly: three numbers say them all. Moments go up
almost evenly: their differences, less the least of them, need a byte or two. Values mostly come out of 32-bit
arithmetic, so that half of a double is zeros. What is left lies by *planes* (all first bytes, all second bytes, ...):
those that vary little are deflated, those that are noise are left alone, which is smaller and far quicker than
deflating everything.

Written by hand over `array`, `struct` and `zlib` (which are C): the formats that do this are Parquet and its kin, whose
heads are longer than a chunk of ours, and whose libraries an idle server would have to hold in memory.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from itertools import accumulate, repeat
from operator import add, sub
from typing import TypeVar

import msgspec

from mainspring.kernel.errors import Damaged

__all__ = ["Floats", "Integers", "decode_floats", "decode_integers", "encode_floats", "encode_integers", "little"]

_EVEN, _DIFFERENCES, _PLAIN = 0, 1, 2
_SAME, _SINGLE, _DOUBLE, _WHOLE = 0, 1, 2, 3

_EVEN_HEAD = struct.Struct("<qq")
_HEAD = struct.Struct("<qqB")
_SIZE = struct.Struct("<I")
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1
_SAMPLE = 512
_FEW = 64
"""So few bytes are not worth deflating."""
_NOISE = 180
"""So many different bytes in a sample of 512 mean that deflating would gain nothing; pure noise has 222."""

N = TypeVar("N", int, float)


class Integers(msgspec.Struct, frozen=True):
    """A column of int64 as it was read, not yet put together: evenly spaced, or by differences, or plain."""

    count: int
    kind: int
    first: int = 0
    low: int = 0
    """The difference of evenly spaced numbers, or what was taken off all differences."""
    width: int = 8
    """Bytes of each number in `body`."""
    body: bytes | bytearray = b""
    stop: int = 0
    """Where in the data the next column begins."""

    @property
    def even(self) -> bool:
        """Whether the numbers are `first`, `first + low`, `first + 2 * low` and so on."""
        return self.kind == _EVEN

    @property
    def plain(self) -> bool:
        """Whether `body` holds the numbers themselves; otherwise it holds differences less `low`."""
        return self.kind == _PLAIN

    def whole(self) -> array[int]:
        """The numbers."""
        if self.even:
            return array("q", range(self.first, self.first + self.low * self.count, self.low)) if self.low else (
                array("q", [self.first]) * self.count
            )  # fmt: skip
        body = array("q" if self.plain else _CODES[self.width])
        body.frombytes(self.body)
        body = little(body)
        if self.plain:
            return body
        differences = map(add, body, repeat(self.low)) if self.low else body
        return array("q", accumulate(differences, initial=self.first))


class Floats(msgspec.Struct, frozen=True):
    """A column of float64 as it was read: as one value, as 32-bit or 64-bit numbers, or as integers."""

    count: int
    single: bool = False
    """Whether `body` holds 32-bit numbers rather than 64-bit ones."""
    body: bytes | bytearray = b""
    integers: Integers | None = None

    def whole(self) -> array[float]:
        """The numbers."""
        if self.integers is not None:
            return array("d", self.integers.whole())
        body = array("f" if self.single else "d")
        body.frombytes(self.body)
        return array("d", little(body)) if self.single else little(body)


def encode_integers(values: array[int]) -> bytes:
    """The bytes of a column of int64.

    Example:
        >>> len(encode_integers(array("q", range(5, 50_000, 5))))
        17
    """
    count = len(values)
    if count < 2:
        return bytes([_EVEN]) + _EVEN_HEAD.pack(values[0] if count else 0, 0)
    plain = values.tolist()
    differences = list(map(sub, plain[1:], plain))
    low, high = min(differences), max(differences)
    if low < _LEAST or high > _GREATEST:
        return bytes([_PLAIN]) + _planes(little(values).tobytes(), 8)
    if low == high:
        return bytes([_EVEN]) + _EVEN_HEAD.pack(plain[0], low)
    width = _width(high - low)
    if low > 0 and _width(high) == width:
        low = 0
    if low:
        differences = list(map(sub, differences, repeat(low)))
    body = little(array(_CODES[width], differences)).tobytes()
    return bytes([_DIFFERENCES]) + _HEAD.pack(plain[0], low, width) + _planes(body, width)


def decode_integers(data: bytes, place: int, count: int) -> Integers:
    """The column of `count` integers that begins at `place`; `Damaged` when there is none."""
    kind = data[place]
    if kind == _EVEN:
        first, low = _EVEN_HEAD.unpack_from(data, place + 1)
        return Integers(count, kind, first, low, stop=place + 1 + _EVEN_HEAD.size)
    if kind == _DIFFERENCES:
        first, low, width = _HEAD.unpack_from(data, place + 1)
        if width not in _CODES or not count:
            raise Damaged("a column of numbers is damaged")
        body, stop = _read_planes(data, place + 1 + _HEAD.size, count - 1, width)
        return Integers(count, kind, first, low, width, body, stop)
    if kind == _PLAIN:
        body, stop = _read_planes(data, place + 1, count, 8)
        return Integers(count, kind, body=body, stop=stop)
    raise Damaged(f"a column of the kind {kind} is none of ours")


def encode_floats(values: array[float]) -> bytes:
    """The bytes of a column of float64; every bit comes back, NaNs and negative zeros too."""
    data = little(values).tobytes()
    count = len(values)
    if data == data[:8] * count:
        return bytes([_SAME]) + (data[:8] or bytes(8))
    if values[0].is_integer() and values[-1].is_integer() and (whole := _as_integers(values, data)) is not None:
        return bytes([_WHOLE]) + whole
    single = array("f", values)
    if array("d", single).tobytes() == values.tobytes():
        return bytes([_SINGLE]) + _planes(little(single).tobytes(), 4)
    return bytes([_DOUBLE]) + _planes(data, 8)


def decode_floats(data: bytes, place: int, count: int) -> Floats:
    """The column of `count` floats that begins at `place`; `Damaged` when there is none."""
    kind = data[place]
    if kind == _SAME:
        return Floats(count, body=data[place + 1 : place + 9] * count)
    if kind == _WHOLE:
        return Floats(count, integers=decode_integers(data, place + 1, count))
    if kind in (_SINGLE, _DOUBLE):
        body, _ = _read_planes(data, place + 1, count, 4 if kind == _SINGLE else 8)
        return Floats(count, single=kind == _SINGLE, body=body)
    raise Damaged(f"a column of the kind {kind} is none of ours")


def little(column: array[N]) -> array[N]:
    """The column in little-endian order, whatever the machine's is; turning it twice is turning it back."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column


def _as_integers(values: array[float], data: bytes) -> bytes | None:
    """The column as one of integers, when that keeps every bit and gains something."""
    try:
        whole = array("q", map(int, values))
    except (ValueError, OverflowError):
        return None
    if little(array("d", whole)).tobytes() != data:  # a fraction, or a negative zero
        return None
    encoded = encode_integers(whole)
    return encoded if len(encoded) < 4 * len(values) else None


def _width(span: int) -> int:
    return next(width for width in _CODES if span < 1 << (8 * width))


def _planes(data: bytes, width: int) -> bytes:
    """The bytes of numbers by weight: each plane with the size of its deflated form, or 0 where it stands as it is."""
    parts = []
    for offset in range(width):
        plane = data[offset::width]
        packed = b""
        if len(plane) > _FEW and len(set(plane[:_SAMPLE])) < _NOISE:
            packing = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY)
            packed = packing.compress(plane) + packing.flush()
        smaller = 0 < len(packed) < len(plane)
        parts += [_SIZE.pack(len(packed) if smaller else 0), packed if smaller else plane]
    return b"".join(parts)


def _read_planes(data: bytes, place: int, count: int, width: int) -> tuple[bytearray, int]:
    """The bytes of `count` numbers in their order, and where the planes end."""
    found = bytearray(count * width)
    for offset in range(width):
        (size,) = _SIZE.unpack_from(data, place)
        place += _SIZE.size
        plane = data[place : place + (size or count)]
        place += size or count
        if size:
            unpacking = zlib.decompressobj(-15)
            try:
                plane = unpacking.decompress(plane, count + 1)
            except zlib.error as error:
                raise Damaged(f"a column of numbers is damaged: {error}") from error
            if not unpacking.eof:
                plane = b""
        if len(plane) != count:
            raise Damaged("a column of numbers is shorter than it says")
        found[offset::width] = plane
    return found, place
