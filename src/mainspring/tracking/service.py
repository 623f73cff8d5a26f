"""The operations of tracking, and the run that a script holds."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, TooLarge, Unavailable, nearest
from mainspring.kernel.hashing import digest_tree, digest_value
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.lineage import graph
from mainspring.lineage.types import File, Run
from mainspring.store.service import RoomService
from mainspring.tracking.apply import apply_batch
from mainspring.tracking.chunks import Points, decode_points, encode_points
from mainspring.tracking.frames import decode_records
from mainspring.tracking.history import bucketed, points_frame
from mainspring.tracking.params import encode_params
from mainspring.tracking.run import ActiveRun
from mainspring.tracking.search import find_runs, load_runs
from mainspring.tracking.shipper import ship_rest
from mainspring.tracking.spool import abandoned
from mainspring.tracking.tables import DETAILS, DetailRow
from mainspring.tracking.types import (
    Acknowledged,
    Experiment,
    PointsRecord,
    RunFile,
    RunStart,
    Series,
    SourceRecord,
    TrackedRun,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Tracking"]

_log = logging.getLogger("mainspring.tracking")

_BODY = 64 << 20
_FILE = "file"


class Tracking(RoomService, room="tracking"):
    """Experiment runs: parameters, metrics, files, and what they were run from."""

    @operation(permission="tracking:write", writes=True)
    def start(self, run: RunStart) -> Run:
        """Begin a run whose id the client made; beginning it again is fine."""
        check_name(run.run_id, what="id of a run")
        check_name(run.experiment, what="experiment")
        with self.store.read() as tx:
            if tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (run.run_id,)):
                return graph.get_run(tx, run.run_id)
        with self.store.write() as tx:
            if tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (run.run_id,)):
                return graph.get_run(tx, run.run_id)
            about = {"title": run.title} if run.title else {}
            parent = graph.get_run(tx, run.parent_id).id if run.parent_id else ""
            begun = graph.start_run(tx, run.kind, run.experiment, parent_id=parent, run_id=run.run_id, metadata=about)
            tx.insert(DETAILS, DetailRow(run.run_id, tx.workspace, run.experiment, run.title, "", {}))
            return begun

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def append(self, run_id: str, *, writer: str, sequence: int, body: Upload) -> Acknowledged:
        """Apply a batch of records that a writer numbered from `sequence` on; sent twice, it counts once.

        Args:
            run_id: The run.
            writer: Who wrote them: one spool of one process.
            sequence: The number of the first record.
            body: Records as they lie in the spool; see `frames`.
        """
        records = decode_records(_limited(body))
        patches = {
            place: File(record.script or "changes.patch", len(record.content), self.store.blobs.put(record.content))
            for place, record in enumerate(records)
            if isinstance(record, SourceRecord) and record.content
        }
        only_points = all(isinstance(each, PointsRecord) for each in records)
        with self.store.bookkeeping() if only_points else self.store.write() as tx:
            applied = apply_batch(tx, run_id, writer=writer, sequence=sequence, records=records, patches=patches)
        return Acknowledged(applied)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def beat(self, run_id: str) -> None:
        """Say that a run is alive; one that was taken for dead lives again."""
        with self.store.bookkeeping() as tx:
            run = graph.get_run(tx, run_id)
            if run.status == "crashed":
                tx.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE id = ?", (run.id,))
            graph.touch_run(tx, run.id)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def mark_crashed(self, run_id: str) -> Run:
        """Say that the process of a run is gone; nothing happens when the run has ended."""
        with self.store.write() as tx:
            run = graph.get_run(tx, run_id)
            return graph.finish_run(tx, run.id, status="crashed") if run.status == "running" else run

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def put_file(self, run_id: str, *, path: str, body: Upload) -> RunFile:
        """Keep a file with a run: an artifact of the kind `file` named `experiment/path`."""
        check_name(path, what="path")
        with self.store.read() as tx:
            run = graph.get_run(tx, run_id)
        name = check_name(f"{run.name}/{path}", what="experiment with path")
        digest, size = self.store.blobs.put_stream(body)
        file = File(path, size, digest)
        root = digest_tree([(path, size, digest)])
        with self.store.write() as tx:
            made = graph.add_artifact(
                tx, _FILE, name, digest=root, size=size, files=[file], metadata={"path": path}, run_id=run.id
            )
        return RunFile(made.id, path, file)

    @operation(permission="tracking:read")
    def files(self, run_id: str) -> list[RunFile]:
        """The files of a run, by path; of one that was logged again, the newest."""
        with self.store.read() as tx:
            run = graph.get_run(tx, run_id)
            rows = tx.rows(
                "SELECT artifact.id, f.path, f.size, f.digest FROM edge JOIN artifact ON artifact.id = edge.target"
                " JOIN artifact_file f ON f.artifact_id = artifact.id WHERE edge.source = ? AND artifact.kind = ?"
                " ORDER BY artifact.id",
                (run.id, _FILE),
            )
        found = {path: RunFile(artifact_id, path, File(path, size, digest)) for artifact_id, path, size, digest in rows}
        return [found[path] for path in sorted(found)]

    @operation(permission="tracking:read")
    def read_file(self, run_id: str, *, path: str) -> Download:
        """The bytes of a file of a run."""
        held = {each.path: each for each in self.files(run_id)}
        if path not in held:
            raise NotFound(f"run {run_id} has no file {path!r}", known=nearest(path, held))
        return self.store.blobs.open(held[path].file.digest)

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def use(self, run_id: str, *, ref: str, role: str = "") -> None:
        """Record that a run used an artifact."""
        with self.store.write() as tx:
            graph.use(tx, graph.get_run(tx, run_id).id, graph.resolve(tx, ref).id, role=role)
            tx.note(f"run/{run_id}", used=ref, role=role)

    @operation(permission="tracking:read")
    def get(self, run_id: str) -> TrackedRun:
        """A run with its parameters, tags and latest metrics."""
        with self.store.read() as tx:
            return load_runs(tx, [run_id.removeprefix("run/")])[0]

    @operation(permission="tracking:read")
    def runs(
        self,
        *,
        experiment: str = "",
        status: str = "",
        tags: dict[str, str] | None = None,
        order_by: str = "",
        limit: int = 100,
        before: str = "",
    ) -> list[TrackedRun]:
        """A page of runs, newest first unless ordered otherwise.

        Args:
            experiment: Only runs of this name.
            status: Only `running`, `finished`, `failed`, `cancelled` or `crashed` ones.
            tags: Only runs that have all these tags.
            order_by: `started_at`, `metrics.<name>` (the latest value) or `params.<name>`; a `-` before it turns the
                order round. Runs without the value come last.
            limit: At most 1000.
            before: Only runs that began before the run with this id: the last one of the page before.
        """
        with self.store.read() as tx:
            return find_runs(
                tx,
                experiment=experiment,
                status=status,
                tags=tags or {},
                order_by=order_by,
                limit=limit,
                before=before,
            )

    @operation(permission="tracking:read")
    def experiments(self) -> list[Experiment]:
        """The names under which there are runs, the latest first."""
        with self.store.read() as tx:
            rows = tx.rows(
                "SELECT d.experiment, count(*), sum(CASE WHEN r.status = 'running' THEN 1 ELSE 0 END),"
                " max(r.started_at) FROM tracked_run d JOIN run r ON r.id = d.run_id WHERE d.workspace = ?"
                " GROUP BY d.experiment ORDER BY max(r.started_at) DESC",
                (caller().workspace,),
            )
        return [Experiment(name, runs, int(running), from_micros(last)) for name, runs, running, last in rows]

    @operation(permission="tracking:read")
    def series(self, run_ids: list[str], *, key: str, buckets: int = 500) -> list[Series]:
        """The history of a metric in several runs, each in at most `buckets` stretches that lose no spike."""
        if not 1 <= buckets <= 100_000:
            raise InvalidInput(f"buckets = {buckets} is not from 1 to 100,000")
        found = []
        for run_id in run_ids:
            points = self._points(run_id, key)
            found.append(Series(run_id, key, len(points), bucketed(points, buckets)))
        return found

    @operation(permission="tracking:read")
    def points(self, run_id: str, *, key: str) -> Download:
        """The whole history of a metric, exact: one chunk as `chunks` describes it."""
        return iter([encode_points(self._points(run_id, key))])

    # Below: what runs where the caller is, on both backends, composed of operations.

    def history(self, run_id: str, key: str) -> pl.DataFrame:
        """The whole history of a metric: `step`, `at` and `value`, by step; NaN and infinities as they were logged."""
        return points_frame(decode_points(b"".join(self.points(run_id, key=key))))

    def metrics(self, run_id: str) -> dict[str, float]:
        """The latest value of every metric of a run."""
        return {key: metric.value for key, metric in self.get(run_id).metrics.items()}

    def params(self, run_id: str) -> dict[str, Any]:
        """The parameters of a run, flat."""
        return self.get(run_id).params

    def run(
        self,
        experiment: str,
        *,
        params: Any = None,
        tags: Mapping[str, str] | None = None,
        title: str = "",
        kind: str = "training",
        parent: str = "",
        source: bool = True,
    ) -> ActiveRun:
        """Begin a run to log into: `with client.tracking.run("flight-delay", params={"depth": 6}) as run: ...`.

        It begins even when the server is away. What runs left behind that were killed here is sent now, too.

        Args:
            experiment: The name that groups runs.
            params: A mapping, a dataclass or a struct, nested as you like.
            tags: Texts to find it by.
            title: A name for this one run.
            kind: The kind of run in the lineage.
            parent: The id of the run that this one is a part of.
            source: Whether to record the code's version, the machine and the packages.
        """
        check_name(experiment, what="experiment")
        check_name(kind, what="kind")
        texts = encode_params(params) if params is not None else {}
        self.recover()
        start = RunStart(new_id(), experiment, kind, title, parent.removeprefix("run/"))
        try:
            self.start(start)
        except Unavailable as error:
            _log.warning("run %s begins without the store and is sent later: %s", start.run_id, error)
        active = ActiveRun(self, start, self._spools(), source=source)
        if texts:
            active.params(params)
        if tags:
            active.tags(tags)
        return active

    def recover(self, *, run_id: str = "") -> int:
        """Send what dead processes of this machine left in their spools (of one run, when named); how many records.

        What cannot be sent now stays for the next time.
        """
        count = 0
        for spool in abandoned(self._spools(), run_id=run_id, workspace=caller().workspace):
            try:
                count += ship_rest(self, spool)
            except Unavailable:
                break
            except MainspringError as error:
                _log.warning("the records in %s are refused and stay there: %s", spool.path, error)
        return count

    def _spools(self) -> Path:
        """The folder of spools of this machine for this store or server."""
        store = getattr(self._backend, "store", None)
        if named := os.environ.get("MAINSPRING_SPOOL"):
            folder = Path(named)
        elif store is not None:
            return Path(store.path("spool"))
        else:
            state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
            folder = Path(state) / "mainspring" / "spool"
        address = [
            getattr(self._backend, "url", str(getattr(store, "folder", ""))),
            getattr(self._backend, "workspace", ""),
        ]
        folder = folder.expanduser() / digest_value("spool", address)[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _points(self, run_id: str, key: str) -> Points:
        with self.store.read() as tx:
            run = graph.get_run(tx, run_id)
            rows = tx.rows(
                "SELECT points FROM metric_chunk WHERE run_id = ? AND key = ? ORDER BY number", (run.id, key)
            )
            if not rows:
                known = tx.rows("SELECT key FROM metric WHERE run_id = ? ORDER BY key LIMIT 1000", (run.id,))
                raise NotFound(f"run {run.id} has no metric {key!r}", known=nearest(key, [each for (each,) in known]))
        whole = Points()
        for (data,) in rows:
            whole.extend(decode_points(bytes(data)))
        return whole


def _limited(body: Upload) -> bytes:
    pieces, size = [], 0
    for piece in body:
        size += len(piece)
        if size > _BODY:
            raise TooLarge(f"a batch of records may have {_BODY} bytes")
        pieces.append(bytes(piece))
    return b"".join(pieces)
