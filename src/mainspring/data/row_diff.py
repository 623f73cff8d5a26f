"""What differs between the rows of two tables, in memory that does not grow with them.

Each side is scanned once into two numbers a row, a hash of its key and one of its values; those are matched in
partitions, and only the rows that turn out to differ are read again. Rows that are called unchanged agree in 64 bits
of both hashes, so a change goes unseen once in 10^19 changed rows. Everything that is called added, removed or changed
was compared by value.

By hand, because a join of the tables themselves needs both of them in memory.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.data.types import RowsDiff
from mainspring.kernel.errors import InvalidInput, nearest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["diff_rows", "no_rows_differ"]

_KEY, _VALUE, _BEFORE, _AFTER = "__key", "__value", "__before", "__after"
"""Columns and suffixes of the comparison itself, of a form that no sensible table uses."""
_BATCH = 1 << 18
_MATCHED_AT_ONCE = 6_000_000
_HELD = 40_000_000  # rows of both sides whose hashes are held in memory: 16 bytes each
_CELLS_AT_ONCE = 20_000_000  # cells of differing rows that are held in memory
_FACTOR = 0x9E3779B97F4A7C15


class _Found(msgspec.Struct):
    """Hashes of the keys of the rows that differ."""

    added: Any
    removed: Any
    changed: Any
    unchanged: int


def diff_rows(
    before: pl.LazyFrame, after: pl.LazyFrame, *, key: Sequence[str] = (), sample: int = 5, scratch: Path | None = None
) -> RowsDiff:
    """Compare rows over the columns that both tables have; see `RowsDiff`.

    NULL equals NULL and NaN equals NaN, in keys and in values. A column whose type changed is compared as numbers where
    both are numbers, and as text otherwise.

    Args:
        before: The one table.
        after: The other.
        key: Columns that tell rows apart; without them rows are compared as multisets.
        sample: How many rows to show of each kind of difference.
        scratch: A folder for temporary files, written when both have more than 40 million rows together.

    Raises:
        InvalidInput: A key column is not in both tables, or the key is not unique in one of them.

    Example:
        >>> import polars as pl
        >>> old, new = pl.LazyFrame({"id": [1, 2], "x": [1.0, 2.0]}), pl.LazyFrame({"id": [2, 3], "x": [2.5, 3.0]})
        >>> diff = diff_rows(old, new, key=["id"])
        >>> diff.added, diff.removed, diff.changed, diff.changed_columns
        (1, 1, 1, {'x': 1})
    """
    columns = _aligned(before, after)
    unknown = [name for name in key if name not in columns]
    if unknown:
        raise InvalidInput(f"the key column {unknown[0]!r} is not in both versions", known=nearest(unknown[0], columns))
    if not columns:
        return no_rows_differ(removed=_height(before), added=_height(after))
    old, new = before.select(*columns.values()), after.select(*columns.values())
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="diff-", dir=scratch) as folder:
        sides = _Sides(old, new, list(key), Path(folder))
        return _by_key(sides, sample) if key else _as_multisets(sides, sample)


def no_rows_differ(*, key: Sequence[str] = (), unchanged: int = 0, added: int = 0, removed: int = 0) -> RowsDiff:
    """A difference of nothing, or of all rows on both sides."""
    return RowsDiff(
        key=list(key),
        added=added,
        removed=removed,
        changed=0,
        unchanged=unchanged,
        changed_columns={},
        added_sample=[],
        removed_sample=[],
        changed_sample=[],
    )


class _Sides:
    """Two tables of the same columns, and the hashes of their rows."""

    def __init__(self, old: pl.LazyFrame, new: pl.LazyFrame, key: list[str], folder: Path) -> None:
        self.key = key
        schema = old.collect_schema()
        self.columns = schema.names()
        self.values = [name for name in self.columns if name not in key]
        named = key or self.columns
        hashes = [_hash(named, schema).alias(_KEY)]
        if key:
            hashes.append(_hash(self.values, schema).alias(_VALUE))
        self._tables = (old, new)
        self._key = hashes[0]
        height = _height(old) + _height(new)
        self._parts = max(1, -(-height // _MATCHED_AT_ONCE))
        held = height <= _HELD
        self._hashes = [
            _numbers(each, hashes, None if held else folder / str(number)) for number, each in enumerate(self._tables)
        ]

    def partitions(self) -> Iterator[list[pl.DataFrame]]:
        """The hashes of both sides, a part of the keys at a time."""
        import polars as pl

        for part in range(self._parts):
            chosen = pl.col(_KEY) % self._parts == part
            yield pl.collect_all([each.filter(chosen) for each in self._hashes])

    def rows(self, side: int, keys: pl.Series) -> Iterator[pl.DataFrame]:
        """The rows of one side (0 or 1) with these hashes, in pieces."""
        wanted = keys.to_frame(_KEY)
        for batch in _batches(self._tables[side]):
            yield batch.with_columns(self._key).join(wanted, on=_KEY, how="semi").drop(_KEY)


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """A table in pieces. What is done with them is done outside of the query: inside, Polars reads far ahead of it."""
    return iter(frame.collect_batches(chunk_size=_BATCH, maintain_order=False, engine="streaming"))


def _numbers(frame: pl.LazyFrame, hashes: list[pl.Expr], folder: Path | None) -> pl.LazyFrame:
    """The hashes of the rows, in memory or as files in a folder."""
    import polars as pl

    pieces: list[pl.LazyFrame] = []
    for number, batch in enumerate(_batches(frame)):
        piece = batch.select(hashes)
        if folder is None:
            pieces.append(piece.lazy())
        else:
            folder.mkdir(exist_ok=True)
            piece.write_ipc(folder / f"{number}.arrow")
            pieces.append(pl.scan_ipc(folder / f"{number}.arrow"))
    return pl.concat(pieces) if pieces else frame.limit(0).select(hashes)


def _hash(names: Sequence[str], schema: pl.Schema) -> pl.Expr:
    import polars as pl

    mixed = pl.repeat(0, pl.len(), dtype=pl.UInt64)
    for seed, name in enumerate(names):
        each = pl.col(name).hash(seed)
        if schema[name].is_nested():  # a NULL and a structure of NULLs hash alike
            each ^= pl.col(name).is_null().cast(pl.UInt64)
        mixed = (mixed * pl.lit(_FACTOR, pl.UInt64)) ^ each
    return mixed


def _by_key(sides: _Sides, sample: int) -> RowsDiff:
    import polars as pl

    none = pl.Series(dtype=pl.UInt64)
    found = _Found(none.clone(), none.clone(), none.clone(), unchanged=0)
    for old, new in sides.partitions():
        for side, hashes in enumerate((old, new)):
            doubled = hashes.filter(pl.col(_KEY).is_duplicated())
            if doubled.height:
                _refuse_doubled(sides, side, doubled[_KEY].unique())
        both = old.join(new, on=_KEY, how="full", coalesce=True, suffix=_AFTER)
        here, there = both[_VALUE], both[_VALUE + _AFTER]
        found.added.append(both.filter(here.is_null())[_KEY])
        found.removed.append(both.filter(there.is_null())[_KEY])
        found.changed.append(both.filter(here != there)[_KEY])
        found.unchanged += int((here == there).sum() or 0)
    changed, by_column, changed_sample = _changes(sides, found.changed, sample)
    unmatched = len(found.changed) - changed  # two keys of one hash, one on each side: they are no change
    return RowsDiff(
        key=sides.key,
        added=len(found.added) + unmatched,
        removed=len(found.removed) + unmatched,
        changed=changed,
        unchanged=found.unchanged,
        changed_columns=by_column,
        added_sample=_sample(sides, 1, found.added, sample),
        removed_sample=_sample(sides, 0, found.removed, sample),
        changed_sample=changed_sample,
    )


def _changes(sides: _Sides, keys: pl.Series, sample: int) -> tuple[int, dict[str, int], list[dict[str, Any]]]:
    """How many rows changed, in which columns, and the first of them: as many at a time as memory should hold."""
    import polars as pl

    parts = max(1, -(-len(keys) * 2 * len(sides.columns) // _CELLS_AT_ONCE)) if len(keys) else 0
    count, by_column, first = 0, dict.fromkeys(sides.values, 0), []
    for part in range(parts):
        chosen = keys.filter(keys % parts == part)
        old, new = (pl.concat(sides.rows(side, chosen)) for side in (0, 1))
        both = old.join(new, on=sides.key, how="inner", nulls_equal=True, suffix=_AFTER)
        differs = {name: both[name].ne_missing(both[name + _AFTER]) for name in sides.values}
        for name, flags in differs.items():
            by_column[name] += int(flags.sum())
        changed = both.filter(functools.reduce(operator.or_, differs.values()))
        count += changed.height
        first.append(changed.sort(sides.key).head(sample))
    listed = _json_rows(pl.concat(first).sort(sides.key).head(sample)) if first else []
    shown = [_change(row, sides) for row in listed]
    return count, {name: number for name, number in by_column.items() if number}, shown


def _change(row: dict[str, Any], sides: _Sides) -> dict[str, Any]:
    differing = [name for name in sides.values if row[name] != row[name + _AFTER]]
    return {
        "key": {name: row[name] for name in sides.key},
        "before": {name: row[name] for name in differing},
        "after": {name: row[name + _AFTER] for name in differing},
    }


def _refuse_doubled(sides: _Sides, side: int, keys: pl.Series) -> None:
    import polars as pl

    doubled = pl.concat(part.select(sides.key) for part in sides.rows(side, keys))
    doubled = doubled.filter(doubled.is_duplicated())
    if doubled.height:
        which = ("in the version before", "in the version after")[side]
        example = _json_rows(doubled.head(1))[0]
        raise InvalidInput(
            f"the key {', '.join(sides.key)} is not unique {which}: {doubled.height} rows share one, as {example}",
            hint="name more key columns, or none to compare whole rows",
        )
    raise InvalidInput("two keys have one hash, so rows cannot be told apart by it", hint="add a key column")


def _as_multisets(sides: _Sides, sample: int) -> RowsDiff:
    import polars as pl

    added = removed = unchanged = 0
    more: dict[str, list[pl.Series]] = {"added": [], "removed": []}
    for old, new in sides.partitions():
        tagged = [
            hashes.with_columns(pl.lit(old_one, pl.Int64).alias(_BEFORE), pl.lit(1 - old_one, pl.Int64).alias(_AFTER))
            for hashes, old_one in ((old, 1), (new, 0))
        ]
        counted = pl.concat(tagged).group_by(_KEY).agg(pl.col(_BEFORE, _AFTER).sum())
        gain = counted[_AFTER] - counted[_BEFORE]
        added += int(gain.clip(lower_bound=0).sum())
        removed -= int(gain.clip(upper_bound=0).sum())
        unchanged += int(counted.select(pl.min_horizontal(_BEFORE, _AFTER).sum()).item() or 0)
        more["added"].append(counted.filter(gain > 0)[_KEY])
        more["removed"].append(counted.filter(gain < 0)[_KEY])
    return msgspec.structs.replace(
        no_rows_differ(added=added, removed=removed, unchanged=unchanged),
        added_sample=_sample(sides, 1, pl.concat(more["added"]), sample),
        removed_sample=_sample(sides, 0, pl.concat(more["removed"]), sample),
    )


def _sample(sides: _Sides, side: int, keys: pl.Series, sample: int) -> list[dict[str, Any]]:
    """A few of the rows; which ones does not depend on the engine's order where the columns can be sorted."""
    if not len(keys) or sample < 1:
        return []
    import polars as pl

    first: pl.DataFrame | None = None
    for part in sides.rows(side, keys):
        rows = part if first is None else pl.concat([first, part])
        if not sides.key:
            rows = rows.unique()
        order = sides.key or [name for name, dtype in rows.schema.items() if not dtype.is_nested()]
        first = (rows.sort(order) if order else rows).head(sample)
    return _json_rows(first) if first is not None else []


def _aligned(before: pl.LazyFrame, after: pl.LazyFrame) -> dict[str, pl.Expr]:
    """The columns that both have, each as an expression that has the same type in both."""
    import polars as pl

    old, new = before.collect_schema(), after.collect_schema()
    columns: dict[str, pl.Expr] = {}
    for name, dtype in old.items():
        if name not in new:
            continue
        other, column = new[name], pl.col(name)
        if isinstance(dtype, pl.Categorical | pl.Enum):  # whose numbers differ from table to table
            columns[name] = column.cast(pl.String)
        elif dtype == other:
            columns[name] = column
        elif dtype.is_numeric() and other.is_numeric():
            columns[name] = column.cast(pl.Int64 if dtype.is_integer() and other.is_integer() else pl.Float64)
        else:
            columns[name] = column.cast(pl.String)
    return columns


def _height(frame: pl.LazyFrame) -> int:
    import polars as pl

    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _json_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON types: what JSON lacks (times, decimals, NaN) becomes text."""
    return [{name: _plain(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 -- NaN
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return value.hex() if isinstance(value, bytes) else str(value)
