"""The state of one column, worked out with Polars and without a loop over rows.

The states are those of `numbers.py` and `values.py`; the tests hold the two ways of making them together.
"""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from mainspring.engines.tables import ColumnType
from mainspring.engines.tables_polars_rows import column_types
from mainspring.quality.profiles.numbers import (
    CAPACITY,
    DIVISIONS,
    HEAVY,
    Sketch,
    bounded_moments,
    from_pairs,
)
from mainspring.quality.profiles.types import ColumnProfile
from mainspring.quality.profiles.values import COMPLETE, Frequent, Registers, frequent_of, hash_text, shape_of

__all__ = ["counted_numbers", "number_column", "sketch_of_runs", "text_column"]

_LONGEST = 200  # characters of a value that is listed; a longer one is listed by its beginning and its hash
_SHAPED = 64  # characters of a value whose shape is taken
_PLAIN = ("float", "integer", "decimal", "bool")


def number_column(column: pl.Series) -> ColumnProfile:
    """The profile of numbers, booleans, durations, times and moments."""
    kind = column_types({column.name: column.dtype})[column.name]
    numbers = column.drop_nulls().to_frame().select(_as_float(pl.col(column.name), kind)).to_series()
    nans = infinities = 0
    if kind.kind == "float":
        nans, infinities = int(numbers.is_nan().sum()), int(numbers.is_infinite().sum())
        if nans or infinities:
            numbers = numbers.filter(numbers.is_finite())
    sketch, registers = counted_numbers(numbers)
    profile = ColumnProfile(
        name=column.name,
        family="moment" if kind.is_moment else "number",
        dtype=str(column.dtype),
        count=column.len(),
        nulls=column.null_count(),
        nans=nans,
        infinities=infinities,
        sketch=sketch,
        registers=registers,
    )
    return msgspec.structs.replace(profile, **_spread(numbers))


def _as_float(column: pl.Expr, kind: ColumnType) -> pl.Expr:
    if kind.is_moment:
        return column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64)
    if kind.kind == "duration":
        return column.cast(pl.Duration("us")).cast(pl.Int64).cast(pl.Float64)
    if kind.kind not in _PLAIN:
        return column.cast(pl.Int64).cast(pl.Float64)
    return column.cast(pl.Float64)


def _spread(values: pl.Series) -> dict[str, Any]:
    """Range, zeros and moments of finite numbers: a pass for the mean, a pass for the deviations from it."""
    if not values.len():
        return {}
    lowest, highest = float(values.min()), float(values.max())  # type: ignore[arg-type]  # numbers, and some
    mean = float(values.mean())  # type: ignore[arg-type]
    if abs(mean) == float("inf"):  # the sum left the range of a double; the mean did not
        mean = float((values / values.len()).sum())
    away = values - mean
    squares = away * away
    powers = (squares.sum(), (squares * away).sum(), (squares * squares).sum())
    return {
        "minimum": lowest,
        "maximum": highest,
        "zeros": int((values == 0).sum()),
        "moments": bounded_moments(values.len(), mean, *(float(power) for power in powers)),
    }


def counted_numbers(values: pl.Series) -> tuple[Sketch, Registers]:
    """The sketch and the registers of finite doubles."""
    name = values.name
    plain = pl.col(name)
    value = pl.when(plain == 0).then(0.0).otherwise(plain)  # -0.0 becomes 0.0; adding zero is optimised away
    bits = value.reinterpret(dtype=pl.Int64)
    key = pl.when(bits >= 0).then(bits).otherwise(bits ^ pl.lit(0x7FFF_FFFF_FFFF_FFFF, pl.Int64))
    runs = values.to_frame().select(key.sort().rle().alias("run")).unnest("run")
    sketch = sketch_of_runs(runs.select("value", pl.col("len").cast(pl.Int64)), values.len())
    return sketch, Registers() if sketch.is_exact else _registers(runs.get_column("value"))


def sketch_of_runs(runs: pl.DataFrame, n: int, capacity: int = CAPACITY) -> Sketch:
    """The sketch of sorted keys (`value`, as of `key_of`) that occur so often (`len`); `n` values in all."""
    if runs.height <= capacity:
        return from_pairs(0, runs.get_column("value").to_list(), runs.get_column("len").to_list())
    apart = (pl.col("value") ^ pl.col("value").shift(1)).drop_nulls().reinterpret(dtype=pl.UInt64)
    zeros = runs.select(apart.bitwise_leading_zeros()).to_series()
    level = 64 - max(zeros.bottom_k(capacity).to_list())
    wide = pl.col("value") // (1 << level) if level < 63 else pl.col("value").sign().clip(-1, 0)
    runs = runs.with_columns(key=wide)
    counted = runs.group_by("key", maintain_order=True).agg(pl.col("len").sum())
    heavy = counted.filter(pl.col("len") > HEAVY * n).get_column("key").to_list()
    inner = [(key, sketch_of_runs(runs.filter(pl.col("key") == key), n, DIVISIONS)) for key in heavy]
    return from_pairs(level, counted.get_column("key").to_list(), counted.get_column("len").to_list(), inner)


def text_column(column: pl.Series) -> ColumnProfile:
    """The profile of text: every fact comes from the distinct values with their counts."""
    text = column.cast(pl.String).drop_nulls().alias("value")
    counted = text.to_frame().lazy().group_by("value").len("n").collect(engine="streaming")
    counted = counted.select("value", pl.col("n").cast(pl.Int64), chars=pl.col("value").str.len_chars())
    frequent, registers = _values(counted)
    lengths = counted.group_by("chars").agg(pl.col("n").sum()).sort("chars")
    profile = ColumnProfile(
        name=column.name,
        family="text",
        dtype=str(column.dtype),
        count=column.len(),
        nulls=column.null_count(),
        frequent=frequent,
        registers=registers,
        shapes=_shapes(counted),
    )
    return msgspec.structs.replace(profile, **_lengths(lengths))


def _lengths(counted: pl.DataFrame) -> dict[str, Any]:
    """Range, moments and sketch of counted lengths."""
    if not counted.height:
        return {}
    from mainspring.quality.profiles.numbers import weighted_sketch

    pairs = [(float(length), count) for length, count in counted.iter_rows()]
    n = sum(count for _, count in pairs)
    mean = sum(length * count for length, count in pairs) / n
    powers = (sum((length - mean) ** k * count for length, count in pairs) for k in (2, 3, 4))
    return {
        "minimum": pairs[0][0],
        "maximum": pairs[-1][0],
        "moments": bounded_moments(n, mean, *powers),
        "lengths": weighted_sketch(pairs),
    }


def _values(counted: pl.DataFrame) -> tuple[Frequent, Registers]:
    if counted.height <= COMPLETE:
        return frequent_of({_shown(value): count for value, count, _ in counted.iter_rows()}), Registers()
    # Only the values near the cut are needed in order; one more than is kept tells the error.
    least = counted.get_column("n").top_k(COMPLETE + 1).min()
    top = counted.filter(pl.col("n") > least)
    ties = counted.filter(pl.col("n") == least).bottom_k(COMPLETE + 1 - top.height, by="value")
    frequent = frequent_of({_shown(value): count for value, count, _ in pl.concat([top, ties]).iter_rows()})
    long = counted.filter(pl.col("chars") > _LONGEST).get_column("value").to_list()
    short = counted.get_column("value") if not long else counted.filter(pl.col("chars") <= _LONGEST)["value"]
    values = pl.concat([short, pl.Series("value", [_shown(value) for value in long], dtype=pl.String)])
    return frequent, _pack(_hash_texts(values))


def _shown(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…#{hash_text(value):016x}"


def _shapes(counted: pl.DataFrame) -> Frequent:
    """How often each shape occurs: `AB-1204` is `A-9`."""
    shape = shape_of(pl.col("value").str.head(_SHAPED))
    shapes = counted.select(shape.alias("shape"), "n").group_by("shape").agg(pl.col("n").sum())
    return frequent_of(dict(shapes.iter_rows()))


def _hash_texts(values: pl.Series) -> pl.Series:
    """`hash_text` of every value, eight bytes at a time over all values that are long enough."""
    whole = pl.concat_str([pl.col("value"), pl.lit("\0" * 7)]).cast(pl.Binary)
    frame = values.alias("value").to_frame().select(b=whole, n=pl.col("value").str.len_bytes().cast(pl.UInt64))
    frame = frame.with_columns(h=pl.col("n"))
    done, offset = [], 0
    while frame.height:
        left = frame.get_column("n") > offset
        if not left.all():
            done.append(frame.filter(~left).get_column("h"))
            frame = frame.filter(left)
        word = pl.col("b").bin.slice(offset, 8).bin.reinterpret(dtype=pl.UInt64, endianness="little")
        frame = frame.with_columns(h=pl.col("h") ^ word)
        frame = frame.with_columns(h=_mixed(pl.col("h")))
        offset += 8
    return pl.concat(done) if done else pl.Series("h", [], dtype=pl.UInt64)


def _mixed(value: pl.Expr) -> pl.Expr:
    """The finaliser of splitmix64; polars wraps around as the formula wants."""
    value = value + pl.lit(0x9E37_79B9_7F4A_7C15, pl.UInt64)
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        value = (value ^ (value // (1 << shift))) * pl.lit(factor, pl.UInt64)
    return value ^ (value // (1 << 31))


def _registers(keys: pl.Series) -> Registers:
    """`hash_number` of every key, and the registers of the hashes."""
    mixed = keys.alias("k").to_frame().select(pl.col("k").reinterpret(dtype=pl.UInt64) + _GOLDEN)
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        folded = pl.col("k") ^ (pl.col("k") // (1 << shift))
        mixed = mixed.select((folded * pl.lit(factor, pl.UInt64)).alias("k"))
    return _pack(mixed.select(pl.col("k") ^ (pl.col("k") // (1 << 31))).get_column("k"))


_GOLDEN = pl.lit(0x9E37_79B9_7F4A_7C15, pl.UInt64)


def _pack(hashes: pl.Series) -> Registers:
    value = pl.col("h")
    rest = value % (1 << 52)
    frame = (
        hashes.alias("h")
        .to_frame()
        .select(place=value // (1 << 52), rank=rest.bitwise_leading_zeros().cast(pl.Int64) - 12 + 1)
    )
    registers = bytearray(4096)
    for place, rank in frame.group_by("place").agg(pl.col("rank").max()).iter_rows():
        registers[place] = rank
    return Registers.pack(registers)
