"""Applying what a run wrote: records become parameters, tags, chunks of points and lineage, exactly once.

Each writer numbers its records from 0. A batch says with which number it begins; how many are applied is
kept beside the data and moves in the same transaction. So a batch may be sent again after any failure, and
what it holds counts once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.graph import add_artifact, get_run, touch_run, use
from mainspring.lineage.types import File
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import CHUNK_POINTS, Points, decode_points, encode_points
from mainspring.tracking.keys import intern
from mainspring.tracking.params import check_key, stored_param
from mainspring.tracking.runs import active_run, end_run, put_values, set_tags
from mainspring.tracking.tables import CHUNKS, METRICS, ChunkRow, MetricRow, RunRow
from mainspring.tracking.types import (
    FinishRecord,
    NoteRecord,
    ParamsRecord,
    PointsRecord,
    Record,
    SourceRecord,
    Special,
    TagsRecord,
)

__all__ = ["apply_batch", "compact"]

_SMALL = 256
_IN = 500


def apply_batch(
    tx: Transaction, run_id: str, *, writer: str, sequence: int, records: Sequence[Record], patches: Mapping[int, File]
) -> int:
    """Apply the records that are not applied yet; how many of this writer now are.

    Args:
        tx: Where everything happens together.
        run_id: The run.
        writer: Who wrote the records: one spool of one process. Without one they are not counted, and all applied.
        sequence: The number of the first record of the batch.
        records: The batch.
        patches: The stored changes to the code, by position in the batch.

    Raises:
        Conflict: records before the batch are missing; `details["applied"]` says from where to send.
    """
    row = active_run(tx, run_id)
    where = (row.run_id, writer)
    applied = 0
    if writer:
        applied = tx.value("SELECT applied FROM run_writer WHERE run_id = ? AND writer = ?", where) or 0
        if sequence > applied:
            message = f"writer {writer} of run {run_id} sent record {sequence}, but {applied} are here"
            raise Conflict(message, details={"applied": applied})
        if sequence + len(records) <= applied:
            return applied
    else:
        sequence = 0
    points: dict[str, Points] = {}
    for number in range(applied - sequence, len(records)):
        record = records[number]
        if isinstance(record, PointsRecord):
            for key, value in record.values.items():
                if key not in points:
                    points[check_key(key)] = Points()
                points[key].add(record.step, record.at, value)
        else:
            _apply(tx, row, record, patches.get(number))
    if points:
        _append_points(tx, row, points)
    if writer:
        tx.execute(
            "INSERT INTO run_writer (run_id, writer, applied) VALUES (?, ?, ?)"
            " ON CONFLICT (run_id, writer) DO UPDATE SET applied = excluded.applied",
            (*where, sequence + len(records)),
        )
    tx.execute("UPDATE tracked_run SET updated_at = ? WHERE number = ?", (tx.now_micros, row.number))
    touch_run(tx, row.run_id)
    if any(isinstance(each, FinishRecord) for each in records):
        compact(tx, row.number)
    return sequence + len(records)


def compact(tx: Transaction, run: int) -> None:
    """Join the small chunks of a run that has ended into full ones."""
    fragmented = tx.rows(
        "SELECT key FROM metric WHERE run = ? AND chunks > 1 AND chunks > (count + ?) / ?",
        (run, CHUNK_POINTS - 1, CHUNK_POINTS),
    )
    for (key,) in fragmented:
        whole = Points()
        for chunk in tx.fetch(CHUNKS, "WHERE run = ? AND key = ? ORDER BY number", (run, key)):
            whole.extend(decode_points(chunk.points))
        tx.execute("DELETE FROM metric_chunk WHERE run = ? AND key = ?", (run, key))
        parts = [whole.part(start, start + CHUNK_POINTS) for start in range(0, len(whole), CHUNK_POINTS)]
        tx.insert_many(CHUNKS, [_chunk(run, key, number, part) for number, part in enumerate(parts)])
        tx.execute("UPDATE metric SET chunks = ? WHERE run = ? AND key = ?", (len(parts), run, key))


def _apply(tx: Transaction, row: RunRow, record: Record, patch: File | None) -> None:
    if isinstance(record, ParamsRecord):
        ids = intern(tx, row.experiment_id, "param", [check_key(key) for key in record.params])
        put_values(tx, row, [(ids[key], *stored_param(text)) for key, text in record.params.items()])
        tx.note(f"run/{row.run_id}", params=dict(list(record.params.items())[:50]))
    elif isinstance(record, TagsRecord):
        set_tags(tx, row, record.tags)
    elif isinstance(record, NoteRecord):
        tx.execute("UPDATE tracked_run SET note = ? WHERE number = ?", (record.text, row.number))
        tx.note(f"run/{row.run_id}", note=len(record.text))
    elif isinstance(record, SourceRecord):
        _set_source(tx, row.run_id, record, patch)
    elif isinstance(record, FinishRecord) and get_run(tx, row.run_id).status in ("running", "crashed", record.status):
        ended = from_micros(record.finished_at) if record.finished_at is not None else None
        about = {"error": record.error} if record.error else {}
        end_run(tx, row, record.status, finished_at=ended, metadata=about)


def _set_source(tx: Transaction, run_id: str, source: SourceRecord, patch: File | None) -> None:
    """Keep where the run ran; its code and its environment are artifacts that it used."""
    machine = {
        **source.machine,
        "commit": source.commit,
        "repository": source.repository,
        "changed": bool(source.commit and source.content),
    }
    tx.execute("UPDATE tracked_run SET source = ? WHERE run_id = ?", (msgspec.json.encode(machine).decode(), run_id))
    packages = {"python": str(source.machine.get("python", "")), "packages": source.packages}
    environment = add_artifact(
        tx, "environment", "python", digest=digest_value("environment", packages), metadata=packages, reuse=True
    )
    use(tx, run_id, environment.id, role="environment")
    if source.commit or (source.script and patch):
        about = {"commit": source.commit, "repository": source.repository, "content": patch.digest if patch else ""}
        name = source.repository.rstrip("/").rpartition("/")[2].removesuffix(".git") if source.commit else source.script
        name = re.sub(r"[^\w\-]+", "-", name.removesuffix(".py")).strip("-") or "code"
        files = [patch] if patch else []
        code = add_artifact(
            tx, "code", name, digest=digest_value("code", about), metadata=about, files=files, reuse=True
        )
        use(tx, run_id, code.id, role="code")


def _append_points(tx: Transaction, row: RunRow, points: Mapping[str, Points]) -> None:
    ids = intern(tx, row.experiment_id, "metric", points)
    known: dict[int, MetricRow] = {}
    keys = list(ids.values())
    for start in range(0, len(keys), _IN):
        batch = keys[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        known |= {
            each.key: each for each in tx.fetch(METRICS, f"WHERE run = ? AND key IN ({marks})", (row.number, *batch))
        }
    changed, chunks = [], []
    for name, new in points.items():
        key = ids[name]
        before = known.get(key)
        number = before.chunks if before else 0
        if before is not None and (tail := _tail(tx, before, len(new))) is not None:
            number, whole = number - 1, tail
            whole.extend(new)
        else:
            whole = new
        parts = [whole.part(start, start + CHUNK_POINTS) for start in range(0, len(whole), CHUNK_POINTS)]
        chunks += [_chunk(row.number, key, number + offset, part) for offset, part in enumerate(parts)]
        changed.append(_merged(row.number, key, before, new, number + len(parts)))
    tx.many(_upsert(CHUNKS.insert_sql, CHUNKS.columns, ("run", "key", "number")), map(CHUNKS.to_row, chunks))
    tx.many(_upsert(METRICS.insert_sql, METRICS.columns, ("run", "key")), map(METRICS.to_row, changed))


def _tail(tx: Transaction, metric: MetricRow, arriving: int) -> Points | None:
    """The last chunk, when it is worth growing: it is small, or small beside what arrives.

    So every point is rewritten a bounded number of times, and few chunks stay small.
    """
    where = (metric.run, metric.key, metric.chunks - 1)
    count = tx.value("SELECT count FROM metric_chunk WHERE run = ? AND key = ? AND number = ?", where)
    if count is None or count >= CHUNK_POINTS or count > max(_SMALL, 8 * arriving):
        return None
    found = tx.value("SELECT points FROM metric_chunk WHERE run = ? AND key = ? AND number = ?", where)
    return decode_points(bytes(found))


def _chunk(run: int, key: int, number: int, points: Points) -> ChunkRow:
    finite = [each for each in points.values if math.isfinite(each)]
    return ChunkRow(
        run=run,
        key=key,
        number=number,
        count=len(points),
        first_step=min(points.steps),
        last_step=max(points.steps),
        minimum=min(finite, default=None),
        maximum=max(finite, default=None),
        points=encode_points(points),
    )


def _merged(run: int, key: int, before: MetricRow | None, new: Points, chunks: int) -> MetricRow:
    """The summary of a metric after `new` points."""
    finite = [each for each in new.values if math.isfinite(each)]
    latest = max(range(len(new)), key=lambda place: (new.steps[place], new.times[place], place))
    step, at, value = new.steps[latest], new.times[latest], new.values[latest]
    last: float | None = value if math.isfinite(value) else None
    special: str = _special(value)
    if before is not None and (before.step, before.at) > (step, at):
        step, at, last, special = before.step, before.at, before.last, before.special
    lows = [*finite, *([before.minimum] if before and before.minimum is not None else [])]
    highs = [*finite, *([before.maximum] if before and before.maximum is not None else [])]
    return MetricRow(
        run=run,
        key=key,
        last=last,
        special=special,
        step=step,
        at=at,
        count=len(new) + (before.count if before else 0),
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        first_step=min([*new.steps, *([before.first_step] if before else [])]),
        chunks=chunks,
    )


def _special(value: float) -> Special:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return ""


def _upsert(insert: str, columns: Sequence[str], key: Sequence[str]) -> str:
    rest = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"{insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {rest}"
