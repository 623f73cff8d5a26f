"""The operations on runs: beginning, writing into, ending, deleting, and reading histories."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, TooLarge
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.lineage import graph
from mainspring.lineage.types import File, Run
from mainspring.store.service import RoomService
from mainspring.tracking.apply import apply_batch
from mainspring.tracking.chunks import encode_points
from mainspring.tracking.experiments import check_experiment_name
from mainspring.tracking.forks import inherit_metrics
from mainspring.tracking.frames import decode_records
from mainspring.tracking.histories import points_of, series_of
from mainspring.tracking.loading import load_run
from mainspring.tracking.runs import active_run, begin_run, end_run, find_run
from mainspring.tracking.types import (
    Acknowledged,
    ColumnsRecord,
    FileRecord,
    PointsRecord,
    RunStart,
    Series,
    SourceRecord,
    TrackedRun,
)

__all__ = ["RunOperations"]

_BODY = 64 << 20


class RunOperations(RoomService):
    """Runs: begun, written, ended, read."""

    @operation(permission="tracking:write", writes=True)
    def start(self, run: RunStart) -> Run:
        """Begin a run whose id the client made; beginning it again is fine."""
        check_name(run.run_id, what="id of a run")
        check_name(run.kind, what="kind")
        check_experiment_name(run.experiment)
        with self.store.read() as tx:
            if tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (run.run_id,)):
                return graph.get_run(tx, run.run_id)
        with self.store.write() as tx:
            known = tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (run.run_id,))
            begun = begin_run(tx, run)
            if run.forked_from and not known:
                inherit_metrics(tx, find_run(tx, run.run_id), find_run(tx, run.forked_from))
            return begun

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def append(self, run_id: str, *, writer: str, sequence: int, body: Upload) -> Acknowledged:
        """Apply a batch of records that a writer numbered from `sequence` on; sent twice, it counts once.

        Args:
            run_id: The run.
            writer: Who wrote them: one spool of one process. Empty for records that nobody numbered.
            sequence: The number of the first record.
            body: Records as they lie in the spool; see `frames`.
        """
        records = decode_records(_limited(body))
        patches = {}
        for place, record in enumerate(records):
            if isinstance(record, FileRecord) and (record.digest or record.beside):
                if record.beside or self.store.blobs.missing([record.digest]):
                    raise NotFound(f"the bytes of {record.path!r} are not in the store", hint="send them before")
                patches[place] = File(record.path, record.size, record.digest)
            elif isinstance(record, FileRecord) or (isinstance(record, SourceRecord) and record.content):
                name = record.path if isinstance(record, FileRecord) else record.script or "changes.patch"
                patches[place] = File(name, len(record.content), self.store.blobs.put(record.content))
        only_points = all(isinstance(each, PointsRecord | ColumnsRecord) for each in records)
        with self.store.bookkeeping() if only_points else self.store.write() as tx:
            applied = apply_batch(tx, run_id, writer=writer, sequence=sequence, records=records, patches=patches)
        return Acknowledged(applied)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def beat(self, run_id: str) -> None:
        """Say that a run is alive; one that was taken for dead lives again."""
        with self.store.bookkeeping() as tx:
            row = find_run(tx, run_id)
            if row.status == "crashed":
                graph.reopen_run(tx, row.run_id)
                tx.execute(
                    "UPDATE tracked_run SET status = 'running', finished_at = NULL, updated_at = ? WHERE number = ?",
                    (tx.now_micros, row.number),
                )
            graph.touch_run(tx, row.run_id)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def mark_crashed(self, run_id: str) -> Run:
        """Say that the process of a run is gone; nothing happens when the run has ended."""
        with self.store.write() as tx:
            row = find_run(tx, run_id)
            return end_run(tx, row, "crashed") if row.status == "running" else graph.get_run(tx, row.run_id)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def change_run(
        self,
        run_id: str,
        *,
        title: str | None = None,
        status: Literal["", "running", "finished", "failed", "cancelled"] = "",
        finished_at: datetime | None = None,
    ) -> TrackedRun:
        """Rename a run, or say how it stands: ended, or going on again."""
        with self.store.write() as tx:
            row = active_run(tx, run_id)
            if title is not None:
                tx.execute(
                    "UPDATE tracked_run SET title = ?, updated_at = ? WHERE number = ?",
                    (title, tx.now_micros, row.number),
                )
                tx.note(f"run/{row.run_id}", title=title)
            if status == "running" and row.status != "running":
                graph.reopen_run(tx, row.run_id)
                tx.execute(
                    "UPDATE tracked_run SET status = 'running', finished_at = NULL, updated_at = ? WHERE number = ?",
                    (tx.now_micros, row.number),
                )
            elif status and status != "running":
                if row.status not in ("running", status):
                    graph.reopen_run(tx, row.run_id)
                end_run(tx, row, status, finished_at=finished_at)
            elif finished_at is not None:
                raise InvalidInput("an end has a status", hint="change_run(id, status='finished', finished_at=...)")
            return load_run(tx, row.run_id)

    @operation(permission="tracking:write", writes=True)
    def delete_runs(self, run_ids: list[str]) -> int:
        """Delete runs; how many were not deleted before. `restore_runs` brings them back."""
        return self._set_deleted(run_ids, deleted=True)

    @operation(permission="tracking:write", writes=True)
    def restore_runs(self, run_ids: list[str]) -> int:
        """Bring deleted runs back; how many. Their experiment must be there."""
        return self._set_deleted(run_ids, deleted=False)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def use(self, run_id: str, *, ref: str, role: str = "") -> None:
        """Record that a run used an artifact."""
        with self.store.write() as tx:
            row = active_run(tx, run_id)
            graph.use(tx, row.run_id, graph.resolve(tx, ref).id, role=role)
            tx.note(f"run/{row.run_id}", used=ref, role=role)

    @operation(permission="tracking:read")
    def get(self, run_id: str) -> TrackedRun:
        """A run with its parameters, tags and latest metrics."""
        with self.store.read() as tx:
            return load_run(tx, run_id)

    @operation(permission="tracking:read")
    def series(
        self,
        run_ids: list[str],
        *,
        keys: list[str],
        buckets: int = 500,
        x: str = "step",
        method: Literal["minmax", "lttb"] = "minmax",
        since: str = "",
        columns: list[str] | None = None,
        digits: int = 0,
    ) -> list[Series]:
        """The histories of metrics in several runs, each in at most `buckets` stretches that lose no spike.

        A run that has not got a metric is left out of the answer for it.

        Args:
            run_ids: The runs.
            keys: The metrics.
            buckets: From 1 to 100,000.
            x: What the stretches are of: `step`, `time`, or the name of another metric.
            method: `minmax` gives the least and greatest of each stretch; `lttb` its most telling point.
            since: Cursors of an earlier answer, joined with spaces: of those series only what came after it, and
                nothing of those that have not grown.
            columns: Which of `steps`, `at`, `counts`, `minimum`, `maximum`, `mean`, `last` and `x`; all when left out.
            digits: How many significant digits of each value, up to 17; all of them when 0.
        """
        if not 1 <= buckets <= 100_000:
            raise InvalidInput(f"buckets = {buckets} is not from 1 to 100,000")
        with self.store.read() as tx:
            return series_of(
                tx,
                run_ids,
                keys,
                buckets=buckets,
                x=x,
                method=method,
                since=since,
                columns=columns or (),
                digits=digits,
            )

    @operation(permission="tracking:read")
    def points(self, run_id: str, *, key: str) -> Download:
        """The whole history of a metric, exact: one chunk as `chunks` describes it."""
        with self.store.read() as tx:
            return iter([encode_points(points_of(tx, find_run(tx, run_id), key))])

    def _set_deleted(self, run_ids: list[str], *, deleted: bool) -> int:
        changed = 0
        with self.store.write() as tx:
            for run_id in run_ids:
                row = find_run(tx, run_id)
                if (row.deleted_at is not None) == deleted:
                    continue
                status = tx.value("SELECT status FROM experiment WHERE id = ?", (row.experiment_id,))
                if not deleted and status == "deleted":
                    raise Conflict("the experiment of the run is deleted", hint="mainspring experiment restore")
                moment = tx.now_micros if deleted else None
                tx.execute(
                    "UPDATE tracked_run SET deleted_at = ?, updated_at = ? WHERE number = ?",
                    (moment, tx.now_micros, row.number),
                )
                tx.note(f"run/{row.run_id}", deleted=deleted)
                changed += 1
        return changed


def _limited(body: Upload) -> bytes:
    pieces, size = [], 0
    for piece in body:
        size += len(piece)
        if size > _BODY:
            raise TooLarge(f"a batch of records may have {_BODY} bytes")
        pieces.append(bytes(piece))
    return b"".join(pieces)
