"""Traces: what one request went through, with its tags, its spans as files, and what people and judges said of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.store.records import Table
from mainspring.store.transaction import Transaction

__all__ = [
    "ASSESSMENTS",
    "TRACES",
    "TRACE_FILES",
    "TRACE_MIGRATION",
    "Assessment",
    "Trace",
    "TraceCondition",
    "TraceFile",
    "TracePage",
    "TraceRow",
    "TraceState",
    "describe_traces",
    "find_trace",
    "search_traces",
    "set_trace_values",
]

TraceState = Literal["ok", "error", "in_progress", "unspecified"]


class TraceRow(msgspec.Struct, frozen=True):
    """What is kept of a trace."""

    id: str
    workspace: str
    experiment_id: int
    client_request_id: str
    state: TraceState
    started_at: datetime
    duration: int | None
    """Milliseconds; None while it goes on."""
    request: str
    """The beginning of what was asked."""
    response: str
    """The beginning of what was answered."""


class Assessment(msgspec.Struct, frozen=True):
    """What somebody said of a trace."""

    id: str
    trace_id: str
    name: str
    body: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class TraceFile(msgspec.Struct, frozen=True):
    """A file of a trace: its spans, attachments."""

    trace_id: str
    path: str
    size: int
    digest: str


class Trace(msgspec.Struct, frozen=True):
    """A trace with what was said of it."""

    trace: TraceRow
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: list[Assessment] = []

    @property
    def id(self) -> str:
        """Its id, made by the client."""
        return self.trace.id


class TraceCondition(msgspec.Struct, frozen=True):
    """One comparison of a search; all must hold."""

    field: str
    """`id`, `state`, `started_at`, `duration`, `request`, `response`, `tag`, `metadata`, `assessment`."""
    op: str
    """`=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE`, `ILIKE`, `IN`, `NOT IN`, `IS NULL`, `IS NOT NULL`."""
    values: list[str | int | float] = []
    key: str = ""
    """Of a tag, of metadata, or the name of an assessment."""


class TracePage(msgspec.Struct, frozen=True):
    """Some of the traces that a search found."""

    traces: list[Trace]
    next_page: str


TRACES = Table("trace", TraceRow)
ASSESSMENTS = Table("trace_assessment", Assessment)
TRACE_FILES = Table("trace_file", TraceFile)

TRACE_MIGRATION = """
CREATE TABLE trace (
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  client_request_id TEXT NOT NULL,
  state TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  duration BIGINT,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX trace_by_experiment ON trace (experiment_id, started_at, id);
CREATE TABLE trace_value (
  trace_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (trace_id, space, key)
);
CREATE INDEX trace_value_by_key ON trace_value (space, key, trace_id);
CREATE TABLE trace_assessment (
  id TEXT PRIMARY KEY,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX trace_assessment_by_trace ON trace_assessment (trace_id, id);
CREATE TABLE trace_file (
  trace_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (trace_id, path)
);
CREATE INDEX trace_file_by_digest ON trace_file (digest);
CREATE TABLE trace_span (
  trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (trace_id, span_id)
);
"""

_COLUMNS = {
    "id": "id",
    "state": "state",
    "started_at": "started_at",
    "duration": "duration",
    "client_request_id": "client_request_id",
    "request": "request",
    "response": "response",
}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_IN = 400


def find_trace(tx: Transaction, trace_id: str) -> TraceRow:
    """The trace with this id."""
    found = tx.fetch_one(TRACES, "WHERE id = ? AND workspace = ?", (trace_id, tx.workspace))
    if found is None:
        raise NotFound(f"there is no trace {trace_id!r}")
    return found


def set_trace_values(tx: Transaction, trace_id: str, space: str, values: dict[str, str]) -> None:
    """Set tags or metadata of a trace."""
    if values:
        tx.many(
            "INSERT INTO trace_value (trace_id, space, key, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (trace_id, space, key) DO UPDATE SET value = excluded.value",
            [(trace_id, space, key, value) for key, value in values.items()],
        )


def describe_traces(tx: Transaction, rows: Sequence[TraceRow]) -> list[Trace]:
    """Traces with what was said of them, in the order given."""
    tags: dict[str, dict[str, str]] = {}
    metadata: dict[str, dict[str, str]] = {}
    said: dict[str, list[Assessment]] = {}
    for start in range(0, len(rows), _IN):
        batch = [row.id for row in rows[start : start + _IN]]
        marks = ", ".join("?" * len(batch))
        values = tx.rows(
            f"SELECT trace_id, space, key, value FROM trace_value WHERE trace_id IN ({marks}) ORDER BY key",  # noqa: S608 -- marks only
            batch,
        )
        for trace_id, space, key, value in values:
            (tags if space == "tag" else metadata).setdefault(trace_id, {})[key] = value
        for each in tx.fetch(ASSESSMENTS, f"WHERE trace_id IN ({marks}) ORDER BY id", batch):
            said.setdefault(each.trace_id, []).append(each)
    return [Trace(row, tags.get(row.id, {}), metadata.get(row.id, {}), said.get(row.id, [])) for row in rows]


def search_traces(
    tx: Transaction,
    conditions: Sequence[TraceCondition],
    *,
    experiments: Sequence[int],
    order_by: Sequence[tuple[str, bool]],
    limit: int,
    offset: int,
) -> list[TraceRow]:
    """The traces for which all conditions hold; the newest first where no order is given."""
    clauses = ["trace.workspace = ?"]
    params: list[Any] = [tx.workspace]
    clauses.append(f"trace.experiment_id IN ({', '.join('?' * len(experiments))})")
    params += [*experiments]
    for each in conditions:
        sql, more = _compare(tx, each)
        clauses.append(sql)
        params += more
    order = []
    for field, ascending in order_by:
        if field not in _COLUMNS:
            raise InvalidInput(f"traces cannot be ordered by {field!r}", known=nearest(field, _COLUMNS))
        order.append(f"trace.{_COLUMNS[field]}{'' if ascending else ' DESC'}")
    order += ["trace.started_at DESC", "trace.id"]
    where = f"WHERE {' AND '.join(clauses)} ORDER BY {', '.join(order)} LIMIT ? OFFSET ?"
    return tx.fetch(TRACES, where, [*params, limit, offset])


def _compare(tx: Transaction, each: TraceCondition) -> tuple[str, list[Any]]:
    if each.field in _COLUMNS:
        return _test(tx, f"trace.{_COLUMNS[each.field]}", each)
    if each.field == "assessment":
        inner = "SELECT 1 FROM trace_assessment v WHERE v.trace_id = trace.id AND v.name = ?"
        if each.op in ("IS NULL", "IS NOT NULL"):
            return f"{'NOT ' if each.op == 'IS NULL' else ''}EXISTS ({inner})", [each.key]
        raise InvalidInput("assessments of traces are found by IS NULL and IS NOT NULL")
    if each.field not in ("tag", "metadata"):
        raise InvalidInput(f"{each.field!r} is not a field of traces", known=[*_COLUMNS, "tag", "metadata"])
    inner = "SELECT 1 FROM trace_value v WHERE v.trace_id = trace.id AND v.space = ? AND v.key = ?"
    if each.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if each.op == 'IS NULL' else ''}EXISTS ({inner})", [each.field, each.key]
    sql, params = _test(tx, "v.value", msgspec.structs.replace(each, values=[str(value) for value in each.values]))
    return f"EXISTS ({inner} AND {sql})", [each.field, each.key, *params]


def _test(tx: Transaction, column: str, each: TraceCondition) -> tuple[str, list[Any]]:
    if each.op in ("IN", "NOT IN") and each.values:
        return f"{column} {each.op} ({', '.join('?' * len(each.values))})", [*each.values]
    if each.op == "ILIKE" and each.values:
        return f"lower({column}) LIKE lower(?)", [each.values[0]]
    if each.op == "LIKE" and each.values:
        if tx.dialect != "sqlite":
            return f"{column} LIKE ?", [each.values[0]]
        signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
        return f"{column} GLOB ?", ["".join(signs.get(char, char) for char in str(each.values[0]))]
    if each.op in _COMPARE and each.values:
        return f"{column} {each.op} ?", [each.values[0]]
    raise InvalidInput(f"{each.op!r} does not compare {each.field!r}")
