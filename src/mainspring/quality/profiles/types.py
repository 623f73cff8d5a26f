"""The profile of a table: one record per column, small, of JSON types, and mergeable.

`merge(profile(a), profile(b))` is the profile of both tables together: counts, ranges, sketches and
registers exactly, moments up to rounding, frequent values within their stated error.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.profiles.numbers import Moments, Sketch, merge_moments, merge_sketches
from mainspring.quality.profiles.values import (
    Frequent,
    Registers,
    hash_number,
    hash_text,
    merge_frequent,
)
from mainspring.quality.profiles.vectors import Pair, Vectors, merge_pairs, merge_vectors

__all__ = ["FORM", "ColumnProfile", "Family", "Profile", "merge", "merge_all"]

Family = Literal["number", "moment", "text", "vector", "list", "struct", "other"]
"""How a column is summed up. Booleans and durations are numbers; moments are microseconds since 1970; vectors are
lists of numbers of one length."""

FORM = 2
"""The version of a profile's meaning. Form 1 (before buckets were divided) hashed text otherwise and is refused."""


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one column.

    `minimum`, `maximum`, `moments` and `sketch` speak of finite numbers; for text, `minimum`, `maximum`, `moments`
    and `lengths` speak of the number of characters, for lists of the number of elements. `shapes` are those of texts:
    `AB-1204` is `A-9`. `fields` are those of a struct, by their dotted names.
    """

    name: str
    family: Family
    dtype: str
    count: int = 0
    nulls: int = 0
    nans: int = 0
    infinities: int = 0
    zeros: int = 0
    minimum: float | None = None
    maximum: float | None = None
    moments: Moments = Moments()
    sketch: Sketch = Sketch()
    frequent: Frequent = Frequent()
    registers: Registers = Registers()
    lengths: Sketch = Sketch()
    shapes: Frequent = Frequent()
    vectors: Vectors = Vectors()
    fields: tuple[ColumnProfile, ...] = ()

    @property
    def missing(self) -> int:
        """Nulls and NaN."""
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        """Values that are there."""
        return self.count - self.missing

    @property
    def missing_share(self) -> float:
        """Of all rows; 0 without rows."""
        return self.missing / self.count if self.count else 0.0

    @property
    def distinct_is_exact(self) -> bool:
        """Whether `distinct` is a count and not an estimate."""
        return self.frequent.is_exact if self.family == "text" else self.sketch.is_exact

    @property
    def distinct(self) -> int:
        """The number of distinct values; beyond a few thousand an estimate within 1.6 % (one standard error)."""
        if not self.distinct_is_exact:
            return min(self.registers.estimate, self.present)
        return len(self.frequent.values) if self.family == "text" else len(self.sketch.counts)

    @property
    def rank_error(self) -> float:
        """The greatest error of a rank of the sketch, as a share of its values."""
        return self.sketch.rank_error

    def hashed(self) -> Registers:
        """The registers, worked out from the complete values while those are kept."""
        if not self.distinct_is_exact:
            return self.registers
        if self.family == "text":
            return Registers.of(hash_text(value) for value, _ in self.frequent.values)
        return Registers.of(map(hash_number, self.sketch.keys))


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a table. `form` is the version of this record's meaning."""

    rows: int = 0
    columns: tuple[ColumnProfile, ...] = ()
    form: int = FORM
    pairs: tuple[Pair, ...] = ()
    """How the numeric columns go together, two by two."""

    def __post_init__(self) -> None:
        if self.form != FORM:
            raise ValueError(f"it is a profile of form {self.form}, and this version reads form {FORM}; take it again")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnProfile:
        """One column; raises `NotFound` naming the nearest."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise NotFound(f"the profile has no column {name!r}", known=nearest(name, self.names))
        return found

    def correlation(self, a: str, b: str) -> float | None:
        """Pearson's correlation of two numeric columns; None where it is not known (only the first 32 are kept)."""
        return next((pair.correlation for pair in self.pairs if {pair.a, pair.b} == {a, b}), None)

    def to_bytes(self) -> bytes:
        """As JSON; equal profiles give equal bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Read what `to_bytes` wrote; raises `InvalidInput` for anything else."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"these bytes are not a profile: {error}") from None

    def summary(self) -> list[dict[str, Any]]:
        """One row of plain numbers per column, for a table on a page or a terminal."""
        return [
            {
                "column": each.name, "dtype": each.dtype, "count": each.count, "missing": each.missing,
                "distinct": each.distinct, "min": each.minimum, "max": each.maximum,
                "mean": each.moments.mean if each.moments.n else None, "std": each.moments.std,
                **{f"p{q}": each.sketch.quantile(q / 100) for q in (1, 25, 50, 75, 99)},
                "top": list(each.frequent.values[:5]),
            }
            for each in self.columns
        ]  # fmt: skip


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of both tables together.

    A column that only one of them has keeps its own count, which is then below `rows`.

    Raises:
        InvalidInput: A column has numbers in one and text in the other.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.profiles.build import profile_frame
        >>> parts = [pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [2, 3]})]
        >>> merge(*map(profile_frame, parts)) == profile_frame(pl.concat(parts))
        True
    """
    right = {column.name: column for column in b.columns}
    columns = [_merge_column(each, right.pop(each.name)) if each.name in right else each for each in a.columns]
    pairs = merge_pairs(a.pairs, b.pairs) if a.rows and b.rows else a.pairs or b.pairs
    return Profile(rows=a.rows + b.rows, columns=(*columns, *right.values()), pairs=pairs)


def merge_all(profiles: Iterable[Profile]) -> Profile:
    """The profile of all tables together; of none, an empty one."""
    return functools.reduce(merge, profiles, Profile())


def _merge_column(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    if a.family != b.family:
        if not a.present or not b.present:  # a column of nothing has any type
            kept, empty = (a, b) if a.present else (b, a)
            return msgspec.structs.replace(kept, count=a.count + b.count, nulls=kept.nulls + empty.missing)
        if {a.family, b.family} == {"vector", "list"}:  # some partition had lists of one length only, or of one number
            kept, left = (a, b) if a.family == "vector" else (b, a)
            vectors = msgspec.structs.replace(kept.vectors, other=kept.vectors.other + left.present)
            counts = {"count": a.count + b.count, "nulls": a.nulls + b.nulls}
            return msgspec.structs.replace(kept, vectors=vectors, **counts)
        raise InvalidInput(
            f"column {a.name!r} is {a.dtype} in one profile and {b.dtype} in the other; they do not merge",
            hint="cast the column to one type before profiling",
        )
    frequent, sketch = merge_frequent(a.frequent, b.frequent), merge_sketches(a.sketch, b.sketch)
    exact = frequent.is_exact if a.family == "text" else sketch.is_exact
    return ColumnProfile(
        name=a.name,
        family=a.family,
        dtype=a.dtype if a.dtype == b.dtype else _common(a.dtype, b.dtype),
        count=a.count + b.count,
        nulls=a.nulls + b.nulls,
        nans=a.nans + b.nans,
        infinities=a.infinities + b.infinities,
        zeros=a.zeros + b.zeros,
        minimum=_extreme(min, a.minimum, b.minimum),
        maximum=_extreme(max, a.maximum, b.maximum),
        moments=merge_moments(a.moments, b.moments),
        sketch=sketch,
        frequent=frequent,
        registers=Registers() if exact else a.hashed().merge(b.hashed()),
        lengths=merge_sketches(a.lengths, b.lengths),
        shapes=merge_frequent(a.shapes, b.shapes),
        vectors=merge_vectors(a.vectors, b.vectors),
        fields=_merge_fields(a.fields, b.fields),
    )


def _merge_fields(a: tuple[ColumnProfile, ...], b: tuple[ColumnProfile, ...]) -> tuple[ColumnProfile, ...]:
    right = {field.name: field for field in b}
    merged = [_merge_column(each, right.pop(each.name)) if each.name in right else each for each in a]
    return (*merged, *right.values())


def _common(a: str, b: str) -> str:
    return " | ".join(sorted({*a.split(" | "), *b.split(" | ")}))


def _extreme(choose: Any, a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    chosen: float = choose(a, b)
    return chosen
