"""Applying what a run wrote: records become parameters, tags, chunks of points and lineage, exactly once.

Each writer numbers its records from 0. A batch says with which number it begins; how many are applied is
kept beside the data and moves in the same transaction. So a batch may be sent again after any failure, and
what it holds counts once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.graph import add_artifact, get_run, touch_run, use
from mainspring.lineage.types import File
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points
from mainspring.tracking.ingest import append_points, compact
from mainspring.tracking.keys import intern
from mainspring.tracking.params import check_key, stored_param
from mainspring.tracking.paths import check_path
from mainspring.tracking.rows import columns_of
from mainspring.tracking.runs import active_run, end_run, put_values, set_tags
from mainspring.tracking.tables import FILES, FileRow, RunRow
from mainspring.tracking.types import (
    ColumnsRecord,
    FileRecord,
    FinishRecord,
    NoteRecord,
    ParamsRecord,
    PointsRecord,
    Record,
    SourceRecord,
    TagsRecord,
)

__all__ = ["apply_batch", "rows_in"]


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
        patches: What is stored of files and of changes to the code, by position in the batch.

    Raises:
        Conflict: records before the batch are missing; `details["applied"]` says from where to send.
    """
    row = active_run(tx, run_id)
    where = (row.run_id, writer)
    applied, total = 0, sum(map(rows_in, records))
    if writer:
        applied = tx.value("SELECT applied FROM run_writer WHERE run_id = ? AND writer = ?", where) or 0
        mixed = any(isinstance(each, ColumnsRecord) for each in records)  # their rows are in no order
        if sequence > applied or (sequence < applied < sequence + total and mixed):
            message = f"writer {writer} of run {run_id} sent record {sequence}, but {applied} are here"
            raise Conflict(message, details={"applied": applied})
        if sequence + total <= applied:
            return applied
    else:
        sequence = 0
    points: dict[str, Points] = {}
    ends: list[FinishRecord] = []  # after the points: whoever learns of the end finds the last values
    for number in range(applied - sequence, len(records)):
        record = records[number]
        if isinstance(record, PointsRecord | ColumnsRecord):
            _gather(points, record)
        elif isinstance(record, FinishRecord):
            ends.append(record)
        else:
            _apply(tx, row, record, patches.get(number))
    if points:
        append_points(tx, row, points)
    for end in ends:
        _apply(tx, row, end, None)
    if writer:
        tx.execute(
            "INSERT INTO run_writer (run_id, writer, applied) VALUES (?, ?, ?)"
            " ON CONFLICT (run_id, writer) DO UPDATE SET applied = excluded.applied",
            (*where, sequence + total),
        )
    tx.execute("UPDATE tracked_run SET updated_at = ? WHERE number = ?", (tx.now_micros, row.number))
    touch_run(tx, row.run_id)
    if any(isinstance(each, FinishRecord) for each in records):
        compact(tx, row.number)
    return sequence + total


def _gather(points: dict[str, Points], record: PointsRecord | ColumnsRecord) -> None:
    """Put what a record has at the end of the points of its names."""
    if isinstance(record, PointsRecord):
        for key, value in record.values.items():
            if key not in points:
                points[check_key(key)] = Points()
            points[key].add(record.step, record.at, value)
        return
    for key, columns in columns_of(record).items():
        if key not in points:
            points[check_key(key)] = Points()
        points[key].extend(columns)


def rows_in(record: Record) -> int:
    """How many records this one counts as."""
    return max(1, len(record.steps) // 8) if isinstance(record, ColumnsRecord) else 1


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
    elif isinstance(record, FileRecord):
        _keep_file(tx, row, record, patch)
    elif isinstance(record, FinishRecord) and get_run(tx, row.run_id).status in ("running", "crashed", record.status):
        ended = from_micros(record.finished_at) if record.finished_at is not None else None
        about = {"error": record.error} if record.error else {}
        end_run(tx, row, record.status, finished_at=ended, metadata=about)


def _keep_file(tx: Transaction, row: RunRow, record: FileRecord, file: File | None) -> None:
    if file is None:
        raise InvalidInput(f"the bytes of {record.path!r} were not stored")
    about = (record.media_type, record.key, record.step, record.at, record.about)
    tx.execute("DELETE FROM run_file WHERE run = ? AND path = ?", (row.number, record.path))
    tx.insert(FILES, FileRow(row.number, check_path(record.path), file.size, file.digest, *about))
    tx.note(f"run/{row.run_id}", file=record.path)


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
