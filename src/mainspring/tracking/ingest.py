"""Points on their way into chunks: few statements for a batch, whatever its size, and little rewriting.

The full chunks of a metric come first; those after them are *open*, each smaller than the one before. What arrives is
joined with every open chunk that is small or no larger than it. So a point is written again at most twice the logarithm
of a chunk's size, one point at a time too, a history is never more than a handful of chunks longer than it must be, and
points stay in the order in which they arrived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import CHUNK_POINTS, Points, decode_points, encode_points
from mainspring.tracking.keys import intern
from mainspring.tracking.outlines import encode_outline, outline_of, spread
from mainspring.tracking.tables import CHUNKS, METRICS, ChunkRow, MetricRow, RunRow
from mainspring.tracking.types import Special

__all__ = ["append_points", "compact", "state_of"]

_SMALL = 256
_IN = 500
_GREATEST = 1.7e308
_OPEN = (
    f"SELECT c.key, c.number, c.count, CASE WHEN c.count < {_SMALL} THEN c.points END FROM metric m"  # noqa: S608 -- a number
    " JOIN metric_chunk c ON c.run = m.run AND c.key = m.key AND c.number >= m.sealed"
    " WHERE m.run = ? AND m.key IN ({}) ORDER BY c.key, c.number"
)
_READ = "SELECT points FROM metric_chunk WHERE run = ? AND key = ? AND number = ?"
_DELETE = "DELETE FROM metric_chunk WHERE run = ? AND key = ? AND number = ?"


def append_points(tx: Transaction, row: RunRow, points: Mapping[str, Points]) -> None:
    """Add points to the histories of a run, by the metrics' names; the names are checked before."""
    ids = intern(tx, row.experiment_id, "metric", points)
    known, open_chunks = _known(tx, row.number, list(ids.values()))
    memo: dict[bytes, bytes] = {}
    gone, chunks, changed = [], [], []
    for name, new in points.items():
        if not len(new):
            continue
        key = ids[name]
        before = known.get(key)
        number, whole = before.chunks if before else 0, new
        for place, count, data in reversed(open_chunks.get(key, ())):
            if count >= _SMALL and count > len(whole):
                break
            older = decode_points(bytes(data or tx.value(_READ, (row.number, key, place))))
            older.extend(whole)
            number, whole = place, older
        parts = _parts(row.number, key, number, whole, memo)
        total = number + len(parts)
        gone += [(row.number, key, each) for each in range(total, before.chunks if before else 0)]
        chunks += parts
        full = [each.number + 1 for each in parts if each.count == CHUNK_POINTS]
        sealed = max([before.sealed if before else 0, *full])
        changed.append(_merged(row.number, key, before, new, total, sealed))
    if gone:
        tx.many(_DELETE, gone)
    tx.many(_upsert(CHUNKS.insert_sql, CHUNKS.columns, ("run", "key", "number")), map(CHUNKS.to_row, chunks))
    tx.many(_upsert(METRICS.insert_sql, METRICS.columns, ("run", "key")), map(METRICS.to_row, changed))


def compact(tx: Transaction, run: int) -> None:
    """Join the open chunks of a run that has ended, so that all but the last of each metric are full."""
    fragmented = tx.rows("SELECT key, sealed, chunks FROM metric WHERE run = ? AND chunks > sealed + 1", (run,))
    for key, sealed, chunks in fragmented:
        whole = Points()
        for chunk in tx.fetch(CHUNKS, "WHERE run = ? AND key = ? AND number >= ? ORDER BY number", (run, key, sealed)):
            whole.extend(decode_points(chunk.points))
        tx.many(_DELETE, [(run, key, number) for number in range(sealed, chunks)])
        parts = _parts(run, key, sealed, whole, {})
        tx.insert_many(CHUNKS, parts)
        full = sealed + sum(part.count == CHUNK_POINTS for part in parts)
        tx.execute(
            "UPDATE metric SET chunks = ?, sealed = ? WHERE run = ? AND key = ?", (sealed + len(parts), full, run, key)
        )


def _known(
    tx: Transaction, run: int, keys: Sequence[int]
) -> tuple[dict[int, MetricRow], dict[int, list[tuple[int, int, bytes | None]]]]:
    """The state of each metric, and its open chunks: number, count, and the points of small ones."""
    known: dict[int, MetricRow] = {}
    found: dict[int, list[tuple[int, int, bytes | None]]] = {}
    for start in range(0, len(keys), _IN):
        batch = keys[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        metrics = tx.fetch(METRICS, f"WHERE run = ? AND key IN ({marks})", (run, *batch))
        known |= {each.key: each for each in metrics}
        if metrics:
            for key, number, count, data in tx.rows(_OPEN.format(marks), (run, *batch)):
                found.setdefault(key, []).append((number, count, data))
    return known, found


def _parts(run: int, key: int, number: int, points: Points, memo: dict[bytes, bytes]) -> list[ChunkRow]:
    """Points as chunks from `number` on: full ones, then the rest."""
    if len(points) <= CHUNK_POINTS:
        return [_chunk(run, key, number, points, memo)]
    starts = range(0, len(points), CHUNK_POINTS)
    return [
        _chunk(run, key, number + offset, points.part(start, start + CHUNK_POINTS), memo)
        for offset, start in enumerate(starts)
    ]


def _chunk(run: int, key: int, number: int, points: Points, memo: dict[bytes, bytes]) -> ChunkRow:
    outline = outline_of(points) if len(points) == CHUNK_POINTS else None
    minimum, maximum, _, _ = spread(points.values.tolist())
    return ChunkRow(
        run=run,
        key=key,
        number=number,
        count=len(points),
        first_step=min(points.steps),
        last_step=max(points.steps),
        minimum=minimum,
        maximum=maximum,
        outline=encode_outline(outline) if outline is not None else None,
        points=encode_points(points, memo=memo),
    )


def state_of(run: int, key: int, points: Points) -> MetricRow:
    """The state of a metric with these points, none of which are chunks of its own."""
    return _merged(run, key, None, points, 0, 0)


def _merged(run: int, key: int, before: MetricRow | None, new: Points, chunks: int, sealed: int) -> MetricRow:
    """The summary of a metric after `new` points."""
    minimum, maximum, mean, finite = spread(new.values.tolist())
    total = mean * finite if finite else 0.0
    latest = _latest(new)
    step, at, value = new.steps[latest], new.times[latest], new.values[latest]
    last: float | None = value if math.isfinite(value) else None
    special: str = _special(value)
    first_step, count = min(new.steps), len(new)
    if before is not None:
        if (before.step, before.at) > (step, at):
            step, at, last, special = before.step, before.at, before.last, before.special
        minimum = min((each for each in (minimum, before.minimum) if each is not None), default=None)
        maximum = max((each for each in (maximum, before.maximum) if each is not None), default=None)
        first_step, count = min(first_step, before.first_step), count + before.count
        total, finite = total + before.total, finite + before.finite
    total = max(-_GREATEST, min(_GREATEST, total))
    return MetricRow(
        run, key, last, special, step, at, count, minimum, maximum, first_step, chunks, sealed, total, finite
    )


def _latest(points: Points) -> int:
    """The place of the point with the greatest step, then time, then place."""
    top = max(points.steps)
    if points.steps[-1] == top and points.steps.count(top) == 1:
        return len(points) - 1
    places = (place for place, step in enumerate(points.steps) if step == top)
    return max(places, key=lambda place: (points.times[place], place))


def _special(value: float) -> Special:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return ""


def _upsert(insert: str, columns: Sequence[str], key: Sequence[str]) -> str:
    rest = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"{insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {rest}"
