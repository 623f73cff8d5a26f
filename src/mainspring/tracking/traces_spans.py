"""Spans of traces, as they come: one by one or many at once, a child before its parent, the root last or never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.store.transaction import Transaction
from mainspring.tracking.traces import TRACES, TraceRow, set_trace_values

__all__ = ["TraceSpan", "put_spans", "spans_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (1 << 63) - 1
"""Nanoseconds: in the year 2262, and the greatest number that a database holds."""
_ID = 250
_IN = 400


class TraceSpan(msgspec.Struct, frozen=True):
    """A step of what a request went through."""

    trace_id: str
    id: str
    name: str
    started_at: int
    """Nanoseconds since 1970 UTC."""
    finished_at: int = 0
    """Nanoseconds since 1970 UTC; 0 while it goes on."""
    parent_id: str = ""
    """Empty for the root, whose end is the end of the trace."""
    state: Literal["ok", "error", "unspecified"] = "unspecified"
    request: str = ""
    """Of a root: the beginning of what was asked."""
    response: str = ""
    """Of a root: the beginning of what was answered."""
    tags: dict[str, str] = {}
    """That it gives the trace."""
    metadata: dict[str, str] = {}
    """That it gives the trace."""
    body: dict[str, Any] = {}
    """All of it, as its protocol has it: JSON types."""


def put_spans(
    tx: Transaction, experiment_id: int, spans: Sequence[TraceSpan], *, tags: Mapping[str, str], run_id: str
) -> list[str]:
    """Keep spans with their traces, which begin with their first span; a span that is there is replaced.

    Returns:
        The ids of the traces.
    """
    traces: dict[str, list[TraceSpan]] = {}
    for span in spans:
        _check(span)
        traces.setdefault(span.trace_id, []).append(span)
    for trace_id, group in traces.items():
        held = tx.fetch_one(TRACES, "WHERE id = ?", (trace_id,))
        if held is not None and held.workspace != tx.workspace:
            raise NotFound(f"there is no trace {trace_id!r}")
        if held is None or held.state == "in_progress":  # what a client said of the whole trace is not changed
            tx.execute("DELETE FROM trace WHERE id = ?", (trace_id,))
            tx.insert(TRACES, _told(held, trace_id, tx.workspace, experiment_id, group))
        root = next((span for span in group if not span.parent_id), None)
        set_trace_values(tx, trace_id, "tag", {**(root.tags if root else {}), **tags})
        metadata = {key: value for span in group for key, value in span.metadata.items()}
        set_trace_values(tx, trace_id, "metadata", metadata | ({"mlflow.sourceRun": run_id} if run_id else {}))
    tx.many(
        "INSERT INTO trace_span (trace_id, span_id, started_at, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (trace_id, span_id) DO UPDATE SET started_at = excluded.started_at, body = excluded.body",
        [(span.trace_id, span.id, span.started_at, msgspec.json.encode(span.body).decode()) for span in spans],
    )
    return list(traces)


def spans_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The spans of traces of this workspace by the traces' ids, in the order in which they began."""
    found: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(trace_ids), _IN):
        batch = trace_ids[start : start + _IN]
        rows = tx.rows(
            "SELECT s.trace_id, s.body FROM trace_span s JOIN trace t ON t.id = s.trace_id"  # noqa: S608 -- marks only
            f" WHERE t.workspace = ? AND s.trace_id IN ({', '.join('?' * len(batch))})"
            " ORDER BY s.trace_id, s.started_at, s.span_id",
            [tx.workspace, *batch],
        )
        for trace_id, body in rows:
            found.setdefault(trace_id, []).append(msgspec.json.decode(body))
    return found


def _told(
    held: TraceRow | None, trace_id: str, workspace: str, experiment_id: int, spans: Sequence[TraceSpan]
) -> TraceRow:
    """What spans tell of their trace: it ends with its root."""
    root = next((span for span in spans if not span.parent_id and span.finished_at), None)
    started = _moment(min(span.started_at for span in spans))
    if held is not None:
        started, experiment_id = min(started, held.started_at), held.experiment_id
    duration = None
    if root is not None:
        last = _moment(max(span.finished_at for span in spans))
        duration = max(0, (last - started) // timedelta(milliseconds=1))
    return TraceRow(
        trace_id,
        workspace,
        experiment_id,
        held.client_request_id if held else "",
        "in_progress" if root is None else "error" if root.state == "error" else "ok",
        started,
        duration,
        root.request if root else "",
        root.response if root else "",
    )


def _check(span: TraceSpan) -> None:
    for what, name in (("trace", span.trace_id), ("span", span.id)):
        if not name or len(name) > _ID or not name.isprintable() or "/" in name:
            raise InvalidInput(f"{name!r:.80} is not the id of a {what}")
    if not (0 <= span.started_at <= _LATEST and 0 <= span.finished_at <= _LATEST):
        raise InvalidInput(f"the span {span.id} begins or ends at no time", hint="nanoseconds since 1970")


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
