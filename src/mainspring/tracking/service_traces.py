"""The operations on traces and on what is said of them."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.store.service import RoomService
from mainspring.tracking.experiments import find_experiment
from mainspring.tracking.traces import (
    ASSESSMENTS,
    TRACE_FILES,
    TRACES,
    Assessment,
    Trace,
    TraceCondition,
    TraceFile,
    TracePage,
    TraceRow,
    TraceState,
    describe_traces,
    find_trace,
    search_traces,
    set_trace_values,
)
from mainspring.tracking.traces_spans import TraceSpan, put_spans, spans_of

__all__ = ["TraceOperations"]

_ID = 250


class TraceOperations(RoomService):
    """Traces of requests."""

    @operation(permission="tracking:write", writes=True)
    def put_trace(
        self,
        trace_id: str,
        *,
        experiment_id: int,
        started_at: datetime,
        duration: int | None = None,
        state: TraceState = "ok",
        client_request_id: str = "",
        request: str = "",
        response: str = "",
        tags: dict[str, str] = {},  # noqa: B006 -- copied by the operation's request type
        metadata: dict[str, str] = {},  # noqa: B006
    ) -> Trace:
        """Record a trace; the same id again brings it up to date.

        Args:
            trace_id: Made by the client.
            experiment_id: Where it belongs.
            started_at: When the request came.
            duration: Milliseconds; None while it goes on.
            state: How it went.
            client_request_id: What the caller called the request.
            request: The beginning of what was asked.
            response: The beginning of what was answered.
            tags: Free labels, which may change.
            metadata: What the client knew of it.
        """
        if not trace_id or len(trace_id) > _ID or not trace_id.isprintable() or "/" in trace_id:
            raise InvalidInput(f"{trace_id!r:.80} is not the id of a trace")
        with self.store.write() as tx:
            experiment = find_experiment(tx, number=experiment_id)
            held = tx.fetch_one(TRACES, "WHERE id = ?", (trace_id,))
            if held is not None and held.workspace != tx.workspace:
                raise NotFound(f"there is no trace {trace_id!r}")
            row = TraceRow(
                trace_id,
                tx.workspace,
                experiment.id,
                client_request_id,
                state,
                started_at,
                duration,
                request,
                response,
            )
            tx.execute("DELETE FROM trace WHERE id = ?", (trace_id,))
            tx.insert(TRACES, row)
            set_trace_values(tx, trace_id, "tag", tags)
            set_trace_values(tx, trace_id, "metadata", metadata)
            tx.note(f"trace/{trace_id}", state=state)
            return describe_traces(tx, [row])[0]

    @operation(permission="tracking:write", writes=True)
    def put_spans(
        self,
        *,
        experiment_id: int,
        spans: list[TraceSpan],
        tags: dict[str, str] = {},  # noqa: B006
        run_id: str = "",
    ) -> list[str]:
        """Keep spans with their traces, in any order and more than once; a trace is there with its first span.

        Args:
            experiment_id: Where traces belong that are new.
            spans: Spans, of one trace or of many.
            tags: Set on each of the traces.
            run_id: The run that the traces belong to.
        """
        with self.store.write() as tx:
            experiment = find_experiment(tx, number=experiment_id)
            found = put_spans(tx, experiment.id, spans, tags=tags, run_id=run_id)
            tx.note(f"experiment/{experiment.id}", spans=len(spans), traces=found[:50])
            return found

    @operation(permission="tracking:read")
    def spans(self, trace_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The spans of traces by the traces' ids, in the order in which they began; only those kept by `put_spans`."""
        with self.store.read() as tx:
            return spans_of(tx, trace_ids)

    @operation(permission="tracking:read")
    def traces(self, trace_ids: list[str]) -> list[Trace]:
        """These traces, those that there are, in the order given."""
        with self.store.read() as tx:
            found = [tx.fetch_one(TRACES, "WHERE id = ? AND workspace = ?", (each, tx.workspace)) for each in trace_ids]
            return describe_traces(tx, [each for each in found if each is not None])

    @operation(permission="tracking:read")
    def search_traces(
        self,
        conditions: list[TraceCondition] = [],  # noqa: B006
        *,
        experiment_ids: list[int],
        order_by: list[tuple[str, bool]] = [],  # noqa: B006
        limit: int = 100,
        page: str = "",
    ) -> TracePage:
        """The traces of experiments for which all conditions hold.

        Args:
            conditions: Comparisons.
            experiment_ids: Where to look.
            order_by: Fields, and whether the least comes first; the newest first where nothing is said.
            limit: At most 1000.
            page: `next_page` of the page before.
        """
        limit, offset = max(1, min(limit, 1000)), _offset(page)
        if not experiment_ids:
            return TracePage([], "")
        with self.store.read() as tx:
            rows = search_traces(
                tx, conditions, experiments=experiment_ids, order_by=order_by, limit=limit + 1, offset=offset
            )
            following = base64.urlsafe_b64encode(str(offset + limit).encode()).decode() if len(rows) > limit else ""
            return TracePage(describe_traces(tx, rows[:limit]), following)

    @operation(permission="tracking:write", writes=True)
    def delete_traces(
        self,
        *,
        experiment_id: int,
        trace_ids: list[str] = [],  # noqa: B006
        before: datetime | None = None,
        limit: int = 0,
    ) -> int:
        """Delete traces for good, those named or the oldest until a moment; how many."""
        with self.store.write() as tx:
            where, params = "workspace = ? AND experiment_id = ?", [tx.workspace, experiment_id]
            if trace_ids:
                where += f" AND id IN ({', '.join('?' * len(trace_ids))})"
                params += [*trace_ids]
            if before is not None:
                where += " AND started_at <= ?"
                params.append(to_micros(before))
            if not trace_ids and before is None:
                return 0
            chosen = f"SELECT id FROM trace WHERE {where} ORDER BY started_at, id"  # noqa: S608 -- ours
            ids = [str(row[0]) for row in tx.rows(chosen + (f" LIMIT {int(limit)}" if limit else ""), params)]
            for table in ("trace_value", "trace_assessment", "trace_file", "trace_span"):
                tx.many(f"DELETE FROM {table} WHERE trace_id = ?", [(each,) for each in ids])  # noqa: S608 -- ours
            tx.many("DELETE FROM trace WHERE id = ?", [(each,) for each in ids])
            tx.note(f"experiment/{experiment_id}", deleted_traces=len(ids))
            return len(ids)

    @operation(permission="tracking:write", writes=True)
    def tag_trace(self, trace_id: str, key: str, value: str | None) -> None:
        """Set a tag of a trace; null takes it away, and it must be there then."""
        with self.store.write() as tx:
            row = find_trace(tx, trace_id)
            if value is not None:
                set_trace_values(tx, row.id, "tag", {key: value})
            elif not tx.execute(
                "DELETE FROM trace_value WHERE trace_id = ? AND space = 'tag' AND key = ?", (row.id, key)
            ):
                raise NotFound(f"the trace {row.id} has no tag {key!r}")
            tx.note(f"trace/{row.id}", tag=key, value=value)

    @operation(permission="tracking:write", writes=True)
    def link_traces(self, run_id: str, trace_ids: list[str]) -> None:
        """Say that traces belong to a run."""
        with self.store.write() as tx:
            for each in trace_ids:
                set_trace_values(tx, find_trace(tx, each).id, "metadata", {"mlflow.sourceRun": run_id})
            tx.note(f"run/{run_id}", traces=len(trace_ids))

    @operation(permission="tracking:write", writes=True)
    def assess(self, trace_id: str, name: str, body: dict[str, Any], *, assessment_id: str = "") -> Assessment:
        """Say something of a trace; with the id of what was said before, that is replaced."""
        with self.store.write() as tx:
            row = find_trace(tx, trace_id)
            created = tx.now
            if assessment_id:
                held = _assessment(tx.fetch(ASSESSMENTS, "WHERE trace_id = ?", (row.id,)), assessment_id)
                created = held.created_at
                tx.execute("DELETE FROM trace_assessment WHERE id = ?", (held.id,))
            made = Assessment(
                assessment_id or f"a-{new_id().replace('-', '')}", row.id, name, body, created, tx.now
            )
            tx.insert(ASSESSMENTS, made)
            tx.note(f"trace/{row.id}", assessment=made.id, name=name)
            return made

    @operation(permission="tracking:write", writes=True)
    def unsay(self, trace_id: str, assessment_id: str) -> None:
        """Take back what was said of a trace."""
        with self.store.write() as tx:
            row = find_trace(tx, trace_id)
            _assessment(tx.fetch(ASSESSMENTS, "WHERE trace_id = ?", (row.id,)), assessment_id)
            tx.execute("DELETE FROM trace_assessment WHERE id = ?", (assessment_id,))
            tx.note(f"trace/{row.id}", assessment=assessment_id, deleted=True)

    @operation(permission="tracking:read")
    def trace_files(self, trace_id: str) -> list[TraceFile]:
        """The files of a trace: its spans, attachments."""
        with self.store.read() as tx:
            return tx.fetch(TRACE_FILES, "WHERE trace_id = ? ORDER BY path", (find_trace(tx, trace_id).id,))

    @operation(permission="tracking:write", writes=True)
    def put_trace_file(self, trace_id: str, *, path: str, body: Upload) -> TraceFile:
        """Keep a file with a trace; one that was kept under the path before is replaced."""
        if not path or len(path) > _ID or any(each in ("", ".", "..") for each in path.split("/")):
            raise InvalidInput(f"{path!r:.80} is not the path of a file of a trace")
        with self.store.read() as tx:
            find_trace(tx, trace_id)
        digest, size = self.store.blobs.put_stream(body)
        with self.store.write() as tx:
            file = TraceFile(find_trace(tx, trace_id).id, path, size, digest)
            tx.execute("DELETE FROM trace_file WHERE trace_id = ? AND path = ?", (trace_id, path))
            tx.insert(TRACE_FILES, file)
            tx.note(f"trace/{trace_id}", file=path, digest=digest)
            return file

    @operation(permission="tracking:read")
    def read_trace_file(self, trace_id: str, *, path: str) -> Download:
        """The bytes of a file of a trace."""
        held = {each.path: each for each in self.trace_files(trace_id)}
        if path not in held:
            raise NotFound(f"the trace {trace_id} has no file {path!r}", known=nearest(path, held))
        return self.store.blobs.open(held[path].digest)


def _assessment(held: list[Assessment], assessment_id: str) -> Assessment:
    found = next((each for each in held if each.id == assessment_id), None)
    if found is None:
        raise NotFound(f"there is no assessment {assessment_id!r}")
    return found


def _offset(page: str) -> int:
    if not page:
        return 0
    try:
        return msgspec.convert(int(base64.urlsafe_b64decode(page)), int)
    except (binascii.Error, ValueError):
        raise InvalidInput("this is not a page token of traces") from None
