"""Taking the profile of a frame, column-wise with Polars.

The states are those of `numbers.py` and `values.py`; here they are worked out without a loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from mainspring.engines.tables import ColumnType
from mainspring.engines.tables_polars_rows import column_types, to_lazy
from mainspring.kernel.errors import UnsupportedFormat
from mainspring.quality.profiles.numbers import CAPACITY, Moments, Sketch, bounded_moments, from_pairs
from mainspring.quality.profiles.types import ColumnProfile, Family, Profile
from mainspring.quality.profiles.values import COMPLETE, Frequent, Registers, frequent_of, hash_text

__all__ = ["profile_frame"]

_BATCH = 16  # columns held in memory at a time when the source is not in memory already
_LONGEST = 200  # characters of a value that is listed; a longer one is listed by its beginning and its hash


def profile_frame(source: Any, *, columns: Sequence[str] | None = None) -> Profile:
    """The profile of a table.

    Args:
        source: A polars DataFrame or LazyFrame, Parquet paths, an Arrow or pandas table.
        columns: Only these columns; all by default.

    Example:
        >>> profile = profile_frame(pl.DataFrame({"x": [1.0, None, 3.0], "s": ["a", "b", "a"]}))
        >>> profile.rows, profile.column("x").nulls, profile.column("s").frequent.values
        (3, 1, (('a', 2), ('b', 1)))
    """
    lazy = to_lazy(source)
    if lazy is None:
        kind = type(source).__name__
        raise UnsupportedFormat(f"a {kind} is not a table", hint="pass a polars frame or Parquet paths")
    types = column_types(lazy.collect_schema())
    names = list(types) if columns is None else list(columns)
    if not names:
        return Profile(rows=lazy.select(pl.len()).collect().item())
    found: list[ColumnProfile] = []
    for batch in _batches(source, lazy, names):
        found += _profile_batch(batch, types)
    return Profile(rows=found[0].count, columns=tuple(found))


def _batches(source: Any, lazy: pl.LazyFrame, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    if isinstance(source, pl.DataFrame):
        yield source.select(names)
        return
    for start in range(0, len(names), _BATCH):
        yield lazy.select(names[start : start + _BATCH]).collect(engine="streaming")


def _profile_batch(frame: pl.DataFrame, types: dict[str, ColumnType]) -> list[ColumnProfile]:
    families = {name: _family(types[name]) for name in frame.columns}
    wanted = []
    for index, (name, family) in enumerate(families.items()):
        wanted += [each.alias(f"{index}.{label}") for label, each in _facts(name, family, types[name]).items()]
    row = frame.select(wanted).row(0, named=True)
    profiles = []
    for index, (name, family) in enumerate(families.items()):
        prefix = f"{index}."
        facts = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
        moments = Moments()
        if "m0" in facts:
            moments = bounded_moments(facts.pop("m0"), *(facts.pop(f"m{power}") or 0.0 for power in range(1, 5)))
        profile = ColumnProfile(
            name=name, family=family, dtype=types[name].dtype, count=frame.height, moments=moments, **facts
        )
        profiles.append(_with_sketches(profile, frame.get_column(name)))
    return profiles


def _family(kind: ColumnType) -> Family:
    if kind.is_number or kind.kind in {"bool", "duration", "time"}:
        return "number"
    if kind.is_moment:
        return "moment"
    return "text" if kind.kind == "text" else "other"


def _facts(name: str, family: Family, kind: ColumnType) -> dict[str, pl.Expr]:
    """The single numbers of a column, all in one select."""
    column = pl.col(name)
    facts = {"nulls": column.null_count()}
    if family == "other":
        return facts
    lengths = column.cast(pl.String).str.len_chars().cast(pl.Float64)
    number = lengths if family == "text" else _as_float(column, kind)
    finite = number.filter(number.is_finite())
    mean = finite.mean()
    facts |= {"minimum": finite.min(), "maximum": finite.max(), "m0": finite.len(), "m1": mean}
    facts |= {f"m{power}": ((finite - mean) ** power).sum() for power in (2, 3, 4)}
    if family != "text":
        facts["zeros"] = (number == 0).sum()
    if kind.kind == "float":
        facts |= {"nans": column.is_nan().sum(), "infinities": column.is_infinite().sum()}
    return facts


def _as_float(column: pl.Expr, kind: ColumnType) -> pl.Expr:
    if kind.is_moment:
        return column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64)
    if kind.kind == "duration":
        return column.cast(pl.Duration("us")).cast(pl.Int64).cast(pl.Float64)
    if kind.kind == "time":
        return column.cast(pl.Int64).cast(pl.Float64)
    return column.cast(pl.Float64)


def _with_sketches(profile: ColumnProfile, column: pl.Series) -> ColumnProfile:
    if profile.family == "other":
        return profile
    fields = {name: getattr(profile, name) for name in profile.__struct_fields__}
    if profile.family == "text":
        fields["frequent"], fields["registers"] = _texts(column)
    else:
        kind = column_types({column.name: column.dtype})[column.name]
        fields["sketch"], fields["registers"] = _numbers(column, kind)
    return ColumnProfile(**fields)


def _numbers(column: pl.Series, kind: ColumnType) -> tuple[Sketch, Registers]:
    plain = _as_float(pl.col(column.name), kind)
    value = pl.when(plain == 0).then(0.0).otherwise(plain)  # -0.0 becomes 0.0; adding zero is optimised away
    bits = value.filter(value.is_finite()).reinterpret(dtype=pl.Int64)
    key = pl.when(bits >= 0).then(bits).otherwise(bits ^ pl.lit(0x7FFF_FFFF_FFFF_FFFF, pl.Int64))
    runs = column.to_frame().select(key.sort().rle().alias("run")).unnest("run")
    if runs.height <= CAPACITY:
        return from_pairs(0, runs.get_column("value").to_list(), runs.get_column("len").to_list()), Registers()
    apart = (pl.col("value") ^ pl.col("value").shift(1)).drop_nulls().reinterpret(dtype=pl.UInt64)
    lengths = runs.select((64 - apart.bitwise_leading_zeros().cast(pl.Int64)).alias("bits")).get_column("bits")
    level = int(lengths.sort(descending=True)[CAPACITY - 1])
    wide = runs.select(pl.col("value") // (1 << level) if level < 63 else pl.col("value").sign().clip(-1, 0), "len")
    counted = wide.group_by("value", maintain_order=True).agg(pl.col("len").cast(pl.Int64).sum())
    sketch = from_pairs(level, counted.get_column("value").to_list(), counted.get_column("len").to_list())
    return sketch, _registers(runs.get_column("value"))


def _texts(column: pl.Series) -> tuple[Frequent, Registers]:
    text = column.cast(pl.String).drop_nulls()
    counted = text.alias("value").to_frame().lazy().group_by("value").len("n").collect(engine="streaming")
    if counted.height <= COMPLETE:
        return frequent_of({_shown(value): count for value, count in counted.iter_rows()}), Registers()
    # Only the values near the cut are needed in order; one more than is kept tells the error.
    top = counted.sort(by=["n", "value"], descending=[True, False]).head(COMPLETE + 1)
    frequent = frequent_of({_shown(value): count for value, count in top.iter_rows()})
    hashes = pl.Series("h", [hash_text(_shown(value)) for value in counted.get_column("value")], dtype=pl.UInt64)
    return frequent, _pack(hashes)


def _shown(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…#{hash_text(value):016x}"


def _registers(keys: pl.Series) -> Registers:
    """`hash_number` of every key, and the registers of the hashes."""
    value = pl.col("k").reinterpret(dtype=pl.UInt64)
    mixed = keys.alias("k").to_frame().select(_wrap_add(value, 0x9E37_79B9_7F4A_7C15).alias("k"))
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        folded = pl.col("k") ^ (pl.col("k") // (1 << shift))
        mixed = mixed.select((folded * pl.lit(factor, pl.UInt64)).alias("k"))
    return _pack(mixed.select(pl.col("k") ^ (pl.col("k") // (1 << 31))).get_column("k"))


def _wrap_add(value: pl.Expr, constant: int) -> pl.Expr:
    return value + pl.lit(constant, pl.UInt64)


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
