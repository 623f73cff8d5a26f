"""Reading histories out of chunks: exact, or in stretches; a fork's begins with its parent's, by pointer.

However many runs and metrics are asked for, the chunks are found in one statement and read in few, and all series go
through one frame. Where stretches are wider than the blocks of outlines, only outlines are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points, decode_points
from mainspring.tracking.history import BlockRows, PointRows
from mainspring.tracking.keys import known_keys
from mainspring.tracking.outlines import BLOCK_POINTS
from mainspring.tracking.runs import find_run
from mainspring.tracking.tables import RUNS, RunRow
from mainspring.tracking.types import Series

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "points_of", "series_of"]

COLUMNS = ("steps", "at", "counts", "minimum", "maximum", "mean", "last", "x")
"""What a series may have; see `types.Series`."""

_IN = 500
_DIGITS = 17
_FLOATS = ("minimum", "maximum", "mean", "last", "x")
_FORKS = 1000


class Part(msgspec.Struct, frozen=True):
    """A stretch of a history that lies with one run: all of it, or what is not above the step of a fork."""

    run: int
    key: int
    limit: int | None


class Chunk(msgspec.Struct, frozen=True):
    """A chunk before it is read."""

    number: int
    count: int
    first_step: int
    last_step: int
    outlined: bool


class History(msgspec.Struct):
    """One metric of one run, and where its points are."""

    run_id: str
    key: str
    number: int
    parts: list[Part]
    own: Part | None
    inherited: int = 0
    skip: int = 0
    """Points of the run's own that were answered before."""


def points_of(tx: Transaction, row: RunRow, key: str) -> Points:
    """The whole history of a metric of a run; `NotFound` with the nearest names when there is none."""
    (history,) = _histories(tx, [row], [key])
    whole = Points()
    for part in history.parts:
        for (data,) in tx.rows(
            "SELECT points FROM metric_chunk WHERE run = ? AND key = ? AND first_step <= ? ORDER BY number",
            (part.run, part.key, (1 << 63) - 1 if part.limit is None else part.limit),
        ):
            whole.extend(decode_points(bytes(data)).until(part.limit))
    if not len(whole):
        rows = tx.rows(
            "SELECT k.name FROM metric m JOIN run_key k ON k.id = m.key WHERE m.run = ? ORDER BY k.name LIMIT 1000",
            (row.number,),
        )
        raise NotFound(f"run {row.run_id} has no metric {key!r}", known=nearest(key, [name for (name,) in rows]))
    return whole


def series_of(
    tx: Transaction,
    run_ids: Sequence[str],
    keys: Sequence[str],
    *,
    buckets: int,
    x: str = "step",
    method: Literal["minmax", "lttb"] = "minmax",
    since: str = "",
    columns: Sequence[str] = (),
    digits: int = 0,
) -> list[Series]:
    """The histories of metrics in runs, in stretches; a run without a metric is left out for it.

    Of `columns` only those are filled, all when there are none; `digits` shortens numbers, whole when 0.
    """
    if unknown := [each for each in columns if each not in COLUMNS]:
        raise InvalidInput(f"a series has no column {unknown[0]!r}", known=COLUMNS)
    if not 0 <= digits <= _DIGITS:
        raise InvalidInput(f"digits = {digits} is not from 0 to {_DIGITS}")
    rows = [find_run(tx, each) for each in dict.fromkeys(run_ids)]
    histories = _histories(tx, rows, list(dict.fromkeys(keys)))
    chunks = _chunks(tx, histories)
    seen = _read_cursors(since)
    wanted = []
    for history in histories:
        own = chunks.get((history.own.run, history.own.key), []) if history.own else []
        cursor = seen.get((history.number, history.own.key if history.own else 0))
        if cursor is not None:
            history.skip, history.inherited = cursor
            history.parts = [history.own] if history.own else []
        if any(chunks.get((part.run, part.key)) for part in history.parts) and sum(c.count for c in own) > (
            history.skip if cursor is not None else -1
        ):
            wanted.append(history)
    if not wanted:
        return []
    whole = x in ("step", "time") and method == "minmax" and not since
    blocks = {id(each) for each in wanted if whole and _worth_outlines(each, chunks, buckets)}
    answer: list[Series] = []
    for group, outlined in (
        ([each for each in wanted if id(each) in blocks], True),
        ([each for each in wanted if id(each) not in blocks], False),
    ):
        if group:
            frame, counts = (_block_frame if outlined else _point_frame)(tx, group, chunks)
            if outlined and x == "time" and not _rises(frame, "at"):
                frame, counts = _point_frame(tx, group, chunks)
            answer += _answer(tx, group, counts, frame, chunks, buckets=buckets, x=x, method=method)
    if columns or digits:
        answer = [_thinned(each, columns or COLUMNS, digits) for each in answer]
    order = {(each.run_id, each.key): place for place, each in enumerate(wanted)}
    return sorted(answer, key=lambda each: order[each.run_id, each.key])


def _thinned(series: Series, columns: Sequence[str], digits: int) -> Series:
    """Only these columns, with numbers of so many digits: what a chart needs is a part of what is known."""
    parts: dict[str, list[Any]] = {}
    for name in COLUMNS:
        values: list[Any] = getattr(series, name) if name in columns else []
        if digits and name in _FLOATS:
            values = [None if each is None else float(f"{each:.{digits}g}") for each in values]
        parts[name] = values
    return msgspec.structs.replace(series, **parts)


def _answer(
    tx: Transaction,
    group: list[History],
    counts: list[int],
    frame: pl.DataFrame,
    chunks: dict[tuple[int, int], list[Chunk]],
    *,
    buckets: int,
    x: str,
    method: str,
) -> list[Series]:
    from mainspring.tracking.buckets import stretches, telling_points

    axis = {"step": "step", "time": "at"}.get(x, "x")
    if axis == "x":
        frame = _with_x(tx, group, frame, x)
    frame = _in_order(frame, axis)
    found = (telling_points if method == "lttb" else stretches)(frame, axis, buckets)
    lengths = dict(found["series"].rle().struct.unnest().select("value", "len").iter_rows())
    names = ["step", "at", "counts", "minimum", "maximum", "mean", "last", *(["x"] if axis == "x" else [])]
    columns = {"steps" if name == "step" else name: found[name].to_list() for name in names}
    answer, start = [], 0
    for number, history in enumerate(group):
        stop = start + lengths.get(number, 0)
        own = sum(each.count for each in chunks.get((history.own.run, history.own.key), ())) if history.own else 0
        inherited = history.inherited if history.skip else max(0, counts[number] - own)
        key = history.own.key if history.own else 0
        parts = {name: column[start:stop] for name, column in columns.items()}
        cursor = f"{history.number}.{key}.{own}.{inherited}"
        answer.append(Series(history.run_id, history.key, own + inherited, **parts, cursor=cursor))
        start = stop
    return answer


def _histories(tx: Transaction, rows: Sequence[RunRow], keys: Sequence[str]) -> list[History]:
    """What is asked for, run by run and key by key, with the parts that forks have from others."""
    ids: dict[int, dict[str, int]] = {}
    found = []
    for row in rows:
        line = _line(tx, row)
        for each, _ in line:
            if each.experiment_id not in ids:
                ids[each.experiment_id] = known_keys(tx, each.experiment_id, "metric", keys)
        for key in keys:
            parts = [
                Part(each.number, ids[each.experiment_id][key], limit)
                for each, limit in line
                if key in ids[each.experiment_id]
            ]
            own = parts[-1] if parts and parts[-1].run == row.number else None
            found.append(History(row.run_id, key, row.number, parts, own))
    return found


def _line(tx: Transaction, row: RunRow) -> list[tuple[RunRow, int | None]]:
    """A run after those that it was forked from, the oldest first, each with the last step that counts."""
    line: list[tuple[RunRow, int | None]] = [(row, None)]
    limit = row.fork_step
    while row.forked_from is not None and limit is not None and len(line) < _FORKS:
        parent = tx.fetch_one(RUNS, "WHERE number = ?", (row.forked_from,))
        if parent is None:
            break
        line.append((parent, limit))
        row = parent
        limit = min(limit, parent.fork_step) if parent.fork_step is not None else None
    return line[::-1]


def _chunks(tx: Transaction, histories: Iterable[History]) -> dict[tuple[int, int], list[Chunk]]:
    """The chunks of all parts, without their bytes."""
    parts = [part for history in histories for part in history.parts]
    found: dict[tuple[int, int], list[Chunk]] = {}
    for runs, keys in _squares(parts):
        for run, key, number, count, first, last, outlined in tx.rows(
            "SELECT run, key, number, count, first_step, last_step, outline IS NOT NULL FROM metric_chunk"  # noqa: S608 -- integers
            f" WHERE run IN ({runs}) AND key IN ({keys}) ORDER BY run, key, number"
        ):
            found.setdefault((run, key), []).append(Chunk(number, count, first, last, bool(outlined)))
    return found


def _worth_outlines(history: History, chunks: dict[tuple[int, int], list[Chunk]], buckets: int) -> bool:
    """Whether blocks are narrow beside stretches, and lie one after the other."""
    mine = [(part, each) for part in history.parts for each in chunks.get((part.run, part.key), ())]
    blocks = sum(each.count // BLOCK_POINTS for _, each in mine if each.outlined)
    if blocks < 2 * buckets:
        return False
    inside = [each for part, each in mine if part.limit is None or each.first_step <= part.limit]
    return all(one.last_step <= two.first_step for one, two in pairwise(inside) if two.outlined)


def _point_frame(
    tx: Transaction, group: list[History], chunks: dict[tuple[int, int], list[Chunk]]
) -> tuple[pl.DataFrame, list[int]]:
    """The points of each history, and how many they are."""
    data: dict[tuple[int, int, int], bytes] = {}
    whole = [part for history in group if not history.skip for part in history.parts]
    for runs, keys in _squares(whole):
        for run, key, number, points in tx.rows(
            f"SELECT run, key, number, points FROM metric_chunk WHERE run IN ({runs}) AND key IN ({keys})"  # noqa: S608 -- integers
        ):
            data[run, key, number] = points
    rows, counts = PointRows(), []
    for history in group:
        count = 0
        for part in history.parts:
            skip = history.skip
            for chunk in chunks.get((part.run, part.key), ()):
                if skip >= chunk.count or (part.limit is not None and chunk.first_step > part.limit):
                    skip = max(0, skip - chunk.count)
                    continue
                limit = part.limit if part.limit is not None and chunk.last_step > part.limit else None
                count += rows.add_chunk(_bytes(tx, data, part, chunk), skip=skip, limit=limit)
                skip = 0
        counts.append(count)
    return rows.frame(counts), counts


def _block_frame(
    tx: Transaction, group: list[History], chunks: dict[tuple[int, int], list[Chunk]]
) -> tuple[pl.DataFrame, list[int]]:
    """The blocks of each history, and how many points they hold; points where there are no outlines."""
    rows, heights, counts = BlockRows(), [], []
    for history in group:
        height = count = 0
        for part in history.parts:
            outlines = dict(
                tx.rows(
                    "SELECT number, outline FROM metric_chunk WHERE run = ? AND key = ? AND outline IS NOT NULL",
                    (part.run, part.key),
                )
            )
            for chunk in chunks.get((part.run, part.key), ()):
                if part.limit is not None and chunk.first_step > part.limit:
                    continue
                if chunk.number in outlines and (part.limit is None or chunk.last_step <= part.limit):
                    blocks, held = rows.add_outline(bytes(outlines[chunk.number]))
                    height, count = height + blocks, count + held
                    continue
                points = decode_points(_bytes(tx, {}, part, chunk)).until(part.limit).in_order()
                held = rows.add_points(points)
                height, count = height + held, count + held
        heights.append(height)
        counts.append(count)
    return rows.frame(heights), counts


def _with_x(tx: Transaction, group: list[History], frame: pl.DataFrame, x: str) -> pl.DataFrame:
    """The points beside the last value of another metric at their step; those that have none are left out."""
    import polars as pl

    rows = [find_run(tx, each) for each in dict.fromkeys(history.run_id for history in group)]
    others = _histories(tx, rows, [x])
    beside, _ = _point_frame(tx, others, _chunks(tx, others))
    numbers = {row.run_id: number for number, row in enumerate(rows)}
    runs = pl.Series([numbers[history.run_id] for history in group], dtype=pl.Int64)
    beside = _in_order(beside, "step").unique(["series", "step"], keep="last", maintain_order=True)
    beside = beside.select(pl.col("series").alias("run"), "step", pl.col("value").alias("x"))
    joined = frame.with_columns(runs.gather(frame["series"]).alias("run")).join(beside, on=["run", "step"])
    return joined.filter(pl.col("x").is_finite()).drop("run")


def _in_order(frame: pl.DataFrame, axis: str) -> pl.DataFrame:
    """By series and axis; where that is the same by step, then time, then the order of arrival."""
    order = list(dict.fromkeys(["series", axis, "step", "at"]))
    if "value" not in frame.columns:  # blocks are in order, or they are not asked for
        return frame
    same = frame["series"].diff().eq(0)
    falls = frame[axis].diff() < 0
    level = frame[axis].diff() == 0
    for name in order[2:]:
        falls = falls | (level & (frame[name].diff() < 0))
        level = level & (frame[name].diff() == 0)
    return frame.sort(order, maintain_order=True) if (falls & same).any() else frame


def _rises(frame: pl.DataFrame, axis: str) -> bool:
    return not ((frame[axis].diff() < 0) & frame["series"].diff().eq(0)).any()


def _bytes(tx: Transaction, data: dict[tuple[int, int, int], bytes], part: Part, chunk: Chunk) -> bytes:
    where = (part.run, part.key, chunk.number)
    if where not in data:
        data[where] = tx.value("SELECT points FROM metric_chunk WHERE run = ? AND key = ? AND number = ?", where)
    return bytes(data[where])


def _squares(parts: Sequence[Part]) -> Iterable[tuple[str, str]]:
    """Runs and keys that together cover the parts, as texts of a statement."""
    runs, keys = sorted({part.run for part in parts}), sorted({part.key for part in parts})
    for start in range(0, len(runs), _IN):
        for first in range(0, len(keys), _IN):
            yield ", ".join(map(str, runs[start : start + _IN])), ", ".join(map(str, keys[first : first + _IN]))


def _read_cursors(since: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Cursors of earlier answers, with spaces between: by run and key, how much was answered."""
    found = {}
    for each in since.split():
        numbers = each.split(".")
        if len(numbers) != 4 or not all(number.isdecimal() and len(number) < 20 for number in numbers):
            raise InvalidInput(f"{each[:40]!r} is not a cursor", hint="join the cursors of earlier series with spaces")
        run, key, own, inherited = map(int, numbers)
        found[run, key] = own, inherited
    return found
