"""Mergeable states of a column of values that are only equal or not: frequent values, and how many distinct.

`Frequent` is exact while a column has no more than `COMPLETE` distinct values; beyond that it keeps the
`KEPT` most frequent ones and one number that bounds every error (Agarwal et al., Mergeable Summaries, 2013).
How many distinct values there are is then estimated with HyperLogLog (Flajolet et al. 2007): 4,096 registers,
a standard error of 1.6 %. The hash is written down here, because the hashes of engines change between their
versions and a state must merge with one of last year.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "COMPLETE",
    "KEPT",
    "Frequent",
    "Registers",
    "frequent_of",
    "hash_number",
    "hash_text",
    "merge_frequent",
    "shape_of",
]

COMPLETE = 1000
KEPT = 256
_BITS = 12
_SIZE = 1 << _BITS
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Frequent(msgspec.Struct, frozen=True):
    """Values with their counts, most frequent first.

    With `error` 0 every value is here and every count is exact. Otherwise a value that is not here occurs
    at most `error` times, and one that is here at most `error` times more than stated, never less.
    """

    values: tuple[tuple[str, int], ...] = ()
    error: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether it holds every value with its exact count."""
        return self.error == 0


def frequent_of(counts: Mapping[str, int], error: int = 0) -> Frequent:
    """The state of counted values, cut down when there are too many."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    if error == 0 and len(ordered) <= COMPLETE:
        return Frequent(tuple(ordered))
    dropped = ordered[KEPT][1] if len(ordered) > KEPT else 0
    return Frequent(tuple(ordered[:KEPT]), error + dropped)


def merge_frequent(a: Frequent, b: Frequent) -> Frequent:
    """The state of both samples together; errors add."""
    counts = dict(a.values)
    for value, count in b.values:
        counts[value] = counts.get(value, 0) + count
    return frequent_of(counts, a.error + b.error)


class Registers(msgspec.Struct, frozen=True):
    """HyperLogLog over hashes of 64 bits; merging takes the greater register, exactly as if seen together."""

    packed: str = ""
    """The registers, one byte each, in base64; empty when nothing was seen."""

    @classmethod
    def of(cls, hashes: Iterable[int]) -> Registers:
        """From hashes, in plain Python."""
        registers = bytearray(_SIZE)
        for value in hashes:
            place = value >> (64 - _BITS)
            rank = 64 - _BITS + 1 - (value & (_MASK >> _BITS)).bit_length()
            registers[place] = max(registers[place], rank)
        return cls.pack(registers)

    @classmethod
    def pack(cls, registers: bytes | bytearray) -> Registers:
        """From the registers themselves."""
        return cls(base64.b85encode(bytes(registers)).decode() if any(registers) else "")

    def unpack(self) -> bytes:
        """The registers themselves."""
        return base64.b85decode(self.packed) if self.packed else bytes(_SIZE)

    def merge(self, other: Registers) -> Registers:
        """What the union of both sets would have left."""
        return Registers.pack(bytes(map(max, self.unpack(), other.unpack())))

    @property
    def estimate(self) -> int:
        """How many distinct values, within 1.6 % in two cases out of three."""
        registers = self.unpack()
        raw = 0.7213 / (1 + 1.079 / _SIZE) * _SIZE * _SIZE / sum(2.0**-rank for rank in registers)
        zeros = registers.count(0)
        if raw <= 2.5 * _SIZE and zeros:
            return round(_SIZE * math.log(_SIZE / zeros))
        return round(raw)


def hash_text(value: str) -> int:
    """64 bits of a text: its UTF-8 in words of eight bytes, each mixed into the number of bytes by `hash_number`.

    For counting distinct values, not for security: it is simple enough to be written with the operations of a
    column engine, which makes counting an identifier column thirty times faster than a library's hash per row.
    """
    data = value.encode("utf-8", "surrogatepass")
    state = len(data)
    for offset in range(0, len(data), 8):
        word = int.from_bytes(data[offset : offset + 8], "little")
        state = _mix(state ^ word)
    return state


def shape_of(text: pl.Expr) -> pl.Expr:
    """The shape of texts: runs of digits as 9, of capitals as A, of other letters as a, the rest as it is."""
    for pattern, mark in ((r"\p{Nd}+", "9"), (r"[\p{Lu}\p{Lt}]+", "A"), (r"[\p{Ll}\p{Lm}\p{Lo}]+", "a")):
        text = text.str.replace_all(pattern, mark)
    return text


def hash_number(key: int) -> int:
    """64 bits of the order-preserving integer of a double: the finaliser of splitmix64 (Steele et al. 2014)."""
    return _mix(key & _MASK)


def _mix(value: int) -> int:
    value = (value + 0x9E37_79B9_7F4A_7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return value ^ (value >> 31)
