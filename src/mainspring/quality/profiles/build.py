"""Taking the profile of a table: one pass, a few columns at a time, a stretch of rows at a time when it is long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import polars as pl

from mainspring.engines.tables_polars_rows import column_types, to_lazy
from mainspring.kernel.errors import NotFound, UnsupportedFormat, nearest
from mainspring.quality.profiles.columns import number_column, text_column
from mainspring.quality.profiles.matrices import CORRELATED, pairs_of, vectors_of
from mainspring.quality.profiles.numbers import weighted_sketch
from mainspring.quality.profiles.types import ColumnProfile, Profile, merge
from mainspring.quality.profiles.vectors import Pair

__all__ = ["profile_files", "profile_frame"]

_BATCH = 16  # columns held in memory at a time when the source is not in memory already
_ROWS = 2_000_000  # rows held in memory at a time, likewise
_NUMBERS = {"bool", "integer", "float", "decimal", "duration", "time", "date", "datetime"}


def profile_frame(source: Any, *, columns: Sequence[str] | None = None, correlations: bool | None = None) -> Profile:
    """The profile of a table.

    A source that is not in memory is read in stretches of two million rows, sixteen columns at a time, whose profiles
    are merged; so a table may be larger than memory.

    Args:
        source: A polars DataFrame or LazyFrame, Parquet paths, an Arrow or pandas table.
        columns: Only these columns; all by default.
        correlations: Whether to take how the first 32 numeric columns go together; by default where numpy is installed,
            which it needs. Columns of embeddings need numpy, too.

    Example:
        >>> profile = profile_frame(pl.DataFrame({"x": [1.0, None, 3.0], "s": ["a", "b", "a"]}))
        >>> profile.rows, profile.column("x").nulls, profile.column("s").frequent.values
        (3, 1, (('a', 2), ('b', 1)))
    """
    lazy = to_lazy(source)
    if lazy is None:
        kind = type(source).__name__
        raise UnsupportedFormat(f"a {kind} is not a table", hint="pass a polars frame or Parquet paths")
    schema = lazy.collect_schema()
    names = list(schema) if columns is None else list(columns)
    for name in names:
        if name not in schema:
            raise NotFound(f"the table has no column {name!r}", known=nearest(name, schema))
    wanted = _has_numpy() if correlations is None else correlations
    if isinstance(source, pl.DataFrame):
        return _profile(source.select(names), source.height, correlations=wanted)
    rows = lazy.select(pl.len()).collect(engine="streaming").item()
    found: list[ColumnProfile] = []
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        found += _stretches(lazy.select(part), rows).columns
    pairs: tuple[Pair, ...] = ()
    numeric = _correlated(found) if wanted else {}
    if len(numeric) > 1:
        parts = (each.collect(engine="streaming") for each in _slices(lazy.select(list(numeric)), rows))
        pairs = _merged(Profile(rows=part.height, columns=(), pairs=pairs_of(part, numeric)) for part in parts).pairs
    return Profile(rows=rows, columns=tuple(found), pairs=pairs)


def profile_files(files: Mapping[str, Any], *, known: Mapping[str, Profile] | None = None) -> dict[str, Profile]:
    """The profile of each file of a table by its digest; those that are known are not read.

    Args:
        files: What to read, by digest.
        known: Profiles of files, by digest.
    """
    given = known or {}
    return {digest: given[digest] if digest in given else profile_frame(source) for digest, source in files.items()}


def _has_numpy() -> bool:
    return find_spec("numpy") is not None


def _stretches(lazy: pl.LazyFrame, rows: int) -> Profile:
    parts = (each.collect(engine="streaming") for each in _slices(lazy, rows))
    return _merged(_profile(part, part.height, correlations=False) for part in parts)


def _slices(lazy: pl.LazyFrame, rows: int) -> Iterator[pl.LazyFrame]:
    if rows <= _ROWS * 2:
        yield lazy
        return
    for start in range(0, rows, _ROWS):
        yield lazy.slice(start, _ROWS)


def _merged(profiles: Iterable[Profile]) -> Profile:
    found: Profile | None = None
    for each in profiles:
        found = each if found is None else merge(found, each)
    return found or Profile()


def _profile(frame: pl.DataFrame, rows: int, *, correlations: bool) -> Profile:
    columns = tuple(_column(frame.get_column(name)) for name in frame.columns)
    pairs = pairs_of(frame, _correlated(columns)) if correlations and rows else ()
    return Profile(rows=rows, columns=columns, pairs=pairs)


def _correlated(columns: Iterable[ColumnProfile]) -> dict[str, float]:
    """The numeric columns to correlate, with their means; no moments, and nothing that nearly leaves the doubles."""
    found = {
        each.name: each.moments.mean
        for each in columns
        if each.family == "number" and each.moments.n and math.isfinite(each.moments.m2) and each.moments.m2 < 1e290
    }
    return dict(list(found.items())[:CORRELATED])


def _column(column: pl.Series) -> ColumnProfile:
    kind = column_types({column.name: column.dtype})[column.name].kind
    if kind in _NUMBERS:
        return number_column(column)
    if kind == "text":
        return text_column(column)
    if kind == "list":
        return _list_column(column)
    if kind == "struct":
        return _struct_column(column)
    return ColumnProfile(
        name=column.name, family="other", dtype=str(column.dtype), count=column.len(), nulls=column.null_count()
    )


def _list_column(column: pl.Series) -> ColumnProfile:
    """Lists of numbers of one length are vectors; of others the numbers of elements are known."""
    facts: dict[str, Any] = {"name": column.name, "dtype": str(column.dtype), "count": column.len()}
    facts["nulls"] = column.null_count()
    inner: Any = column.dtype.inner  # type: ignore[attr-defined]  # lists and arrays have one
    vectors = vectors_of(column) if inner.is_numeric() and _has_numpy() else None
    if vectors is not None:
        return ColumnProfile(family="vector", vectors=vectors, **facts)
    present = column.drop_nulls()
    if not isinstance(column.dtype, pl.List):
        present = present.arr.to_list()
    counted = present.list.len().alias("size").to_frame().group_by("size").len("n").sort("size")
    pairs = [(float(size), int(count)) for size, count in counted.iter_rows()]
    if pairs:
        facts |= {"minimum": pairs[0][0], "maximum": pairs[-1][0], "lengths": weighted_sketch(pairs)}
    return ColumnProfile(family="list", **facts)


def _struct_column(column: pl.Series) -> ColumnProfile:
    inside = column.struct.unnest() if column.dtype.fields else pl.DataFrame()  # type: ignore[attr-defined]
    fields = tuple(_column(inside.get_column(name).alias(f"{column.name}.{name}")) for name in inside.columns)
    return ColumnProfile(
        name=column.name,
        family="struct",
        dtype=str(column.dtype),
        count=column.len(),
        nulls=column.null_count(),
        fields=fields,
    )
