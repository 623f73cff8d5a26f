"""What differs between two versions: their files, their columns, their rows."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.data.trees import Change
from mainspring.data.types import FilesDiff, RowsDiff, SchemaDiff
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.lineage.types import File

if TYPE_CHECKING:
    import polars as pl

__all__ = ["diff_files", "diff_rows", "diff_schema", "no_rows_differ", "without_common"]

_BEFORE, _AFTER = "__before", "__after"
"""Columns and suffixes of the comparison itself, of a form that no sensible table uses."""


def diff_files(changes: Iterable[Change], *, files: int) -> FilesDiff:
    """What differs between two trees, with renamed files told from added and removed ones; `files` are there before.

    Example:
        >>> a, b, c = (File("a", 1, "x"), File("a", 1, "z"), File("b", 1, "y"))
        >>> diff = diff_files([Change("a", a, b), Change("b", c, None), Change("c", None, File("c", 1, "y"))], files=2)
        >>> [each.path for each, _ in diff.modified], diff.renamed
        (['a'], [('b', 'c')])
    """
    removed: dict[str, File] = {}
    added: dict[str, File] = {}
    modified: list[tuple[File, File]] = []
    for change in changes:
        if change.before is not None and change.after is not None:
            modified.append((change.before, change.after))
        elif change.before is not None:
            removed[change.path] = change.before
        elif change.after is not None:
            added[change.path] = change.after
    touched = len(modified) + len(removed)
    renamed = _renames(removed, added)
    for gone, come in renamed:
        del removed[gone], added[come]
    return FilesDiff(
        added=list(added.values()),
        removed=list(removed.values()),
        modified=modified,
        renamed=renamed,
        unchanged=files - touched,
    )


def without_common(before: Sequence[File], after: Sequence[File]) -> tuple[list[File], list[File]]:
    """Each list without the files whose content is in the other too: their rows cannot differ and need not be read."""
    waiting = Counter(file.digest for file in after)
    common: Counter[str] = Counter()
    for file in before:
        if waiting[file.digest]:
            waiting[file.digest] -= 1
            common[file.digest] += 1
    return _take_out(before, common.copy()), _take_out(after, common.copy())


def _take_out(files: Sequence[File], common: Counter[str]) -> list[File]:
    kept = []
    for file in files:
        if common[file.digest]:
            common[file.digest] -= 1
        else:
            kept.append(file)
    return kept


def diff_schema(before: dict[str, str], after: dict[str, str]) -> SchemaDiff:
    """Compare names, types and order of columns."""
    common = [name for name in before if name in after]
    return SchemaDiff(
        added={name: after[name] for name in after if name not in before},
        removed={name: before[name] for name in before if name not in after},
        changed={name: (before[name], after[name]) for name in common if before[name] != after[name]},
        reordered=common != [name for name in after if name in before],
    )


def diff_rows(before: pl.LazyFrame, after: pl.LazyFrame, *, key: Sequence[str] = (), sample: int = 5) -> RowsDiff:
    """Compare rows over the columns that both tables have; see `RowsDiff`.

    NULL equals NULL and NaN equals NaN, in keys and in values. A column whose type changed is compared as numbers where
    both are numbers, and as text otherwise.

    Raises:
        InvalidInput: A key column is not in both tables, or the key is not unique in one of them.
    """
    import polars as pl

    columns = _aligned(before, after)
    unknown = [name for name in key if name not in columns]
    if unknown:
        raise InvalidInput(f"the key column {unknown[0]!r} is not in both versions", known=nearest(unknown[0], columns))
    if not columns:
        counts = [int(frame.select(pl.len()).collect().item()) for frame in (before, after)]
        return no_rows_differ(removed=counts[0], added=counts[1])
    old, new = before.select(*columns.values()), after.select(*columns.values())
    return _by_key(old, new, list(key), sample) if key else _as_multisets(old, new, list(columns), sample)


def _renames(removed: dict[str, File], added: dict[str, File]) -> list[tuple[str, str]]:
    """Pair what went with what came of the same content, each once."""
    waiting: dict[str, list[str]] = {}
    for path in sorted(removed, reverse=True):
        waiting.setdefault(removed[path].digest, []).append(path)
    return [(gone.pop(), path) for path in sorted(added) if (gone := waiting.get(added[path].digest))]


def _aligned(before: pl.LazyFrame, after: pl.LazyFrame) -> dict[str, pl.Expr]:
    """The columns that both have, each as an expression that has the same type in both."""
    import polars as pl

    old, new = before.collect_schema(), after.collect_schema()
    columns: dict[str, pl.Expr] = {}
    for name, dtype in old.items():
        if name not in new:
            continue
        other, column = new[name], pl.col(name)
        if dtype == other:
            columns[name] = column
        elif dtype.is_numeric() and other.is_numeric():
            columns[name] = column.cast(pl.Int64 if dtype.is_integer() and other.is_integer() else pl.Float64)
        else:
            columns[name] = column.cast(pl.String)
    return columns


def _by_key(before: pl.LazyFrame, after: pl.LazyFrame, key: list[str], sample: int) -> RowsDiff:
    import polars as pl

    old, new = before.collect(), after.collect()
    for frame, which in ((old, "in the version before"), (new, "in the version after")):
        _require_unique(frame, key, which)
    values = [name for name in old.columns if name not in key]
    added = new.join(old, on=key, how="anti", nulls_equal=True)
    removed = old.join(new, on=key, how="anti", nulls_equal=True)
    both = old.join(new, on=key, how="inner", nulls_equal=True, suffix=_AFTER)
    differs = {name: both[name].ne_missing(both[name + _AFTER]) for name in values}
    nothing = pl.repeat(value=False, n=both.height, eager=True)
    changed = both.filter(functools.reduce(operator.or_, differs.values(), nothing))
    return RowsDiff(
        key=key,
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        unchanged=both.height - changed.height,
        changed_columns={name: int(flags.sum()) for name, flags in differs.items() if flags.any()},
        added_sample=_json_rows(added.sort(key).head(sample)),
        removed_sample=_json_rows(removed.sort(key).head(sample)),
        changed_sample=[_change(row, key, values) for row in _json_rows(changed.sort(key).head(sample))],
    )


def _require_unique(frame: pl.DataFrame, key: list[str], which: str) -> None:
    doubled = frame.filter(frame.select(key).is_duplicated())
    if doubled.height:
        example = _json_rows(doubled.select(key).head(1))[0]
        raise InvalidInput(
            f"the key {', '.join(key)} is not unique {which}: {doubled.height} rows share one, as {example}",
            hint="name more key columns, or none to compare whole rows",
        )


def _change(row: dict[str, Any], key: list[str], values: list[str]) -> dict[str, Any]:
    differing = [name for name in values if row[name] != row[name + _AFTER]]
    return {
        "key": {name: row[name] for name in key},
        "before": {name: row[name] for name in differing},
        "after": {name: row[name + _AFTER] for name in differing},
    }


def _as_multisets(before: pl.LazyFrame, after: pl.LazyFrame, columns: list[str], sample: int) -> RowsDiff:
    import polars as pl

    count = pl.len().cast(pl.Int64)
    tagged = [
        frame.group_by(columns).agg(count.alias(here)).with_columns(pl.lit(0, dtype=pl.Int64).alias(there))
        for frame, here, there in ((before, _BEFORE, _AFTER), (after, _AFTER, _BEFORE))
    ]
    order = [*columns, _BEFORE, _AFTER]
    together = pl.concat([frame.select(order) for frame in tagged]).group_by(columns).agg(pl.col(_BEFORE, _AFTER).sum())
    come, gone = pl.col(_AFTER) - pl.col(_BEFORE), pl.col(_BEFORE) - pl.col(_AFTER)
    totals, added, removed = pl.collect_all(
        [
            together.select(
                come.clip(0).sum().alias("added"),
                gone.clip(0).sum().alias("removed"),
                pl.min_horizontal(_BEFORE, _AFTER).sum().alias("unchanged"),
            ),
            _first(together.filter(come > 0).select(columns), sample),
            _first(together.filter(gone > 0).select(columns), sample),
        ]
    )
    return RowsDiff(
        key=[],
        **{name: int(totals[name].item()) for name in totals.columns},
        changed=0,
        changed_columns={},
        added_sample=_json_rows(added),
        removed_sample=_json_rows(removed),
        changed_sample=[],
    )


def _first(frame: pl.LazyFrame, sample: int) -> pl.LazyFrame:
    """A few rows; which ones does not depend on the engine's order where the columns can be sorted."""
    sortable = [name for name, dtype in frame.collect_schema().items() if not dtype.is_nested()]
    return (frame.sort(sortable) if sortable else frame).head(sample)


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
