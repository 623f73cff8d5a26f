"""Finding runs: filters, order, and whole pages in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.lineage.tables import RUNS
from mainspring.lineage.types import Run
from mainspring.store.transaction import Transaction
from mainspring.tracking.params import decode_param
from mainspring.tracking.tables import DETAILS, METRICS, DetailRow
from mainspring.tracking.types import Metric, TrackedRun

__all__ = ["find_runs", "load_runs"]

_PARAMS = "SELECT run_id, key, value FROM run_param WHERE run_id {} ORDER BY key"
_TAGS = "SELECT run_id, key, value FROM run_tag WHERE run_id {} ORDER BY key"
_IN = 500
_PAGE = 1000


def find_runs(
    tx: Transaction, *, experiment: str, status: str, tags: Mapping[str, str], order_by: str, limit: int, before: str
) -> list[TrackedRun]:
    """A page of runs; see `Tracking.runs` for the meaning of the filters."""
    clauses, params = ["d.workspace = ?"], [caller().workspace]
    for column, value in (("d.experiment", experiment), ("r.status", status)):
        if value:
            clauses.append(f"{column} = ?")
            params.append(value)
    for key, value in tags.items():
        clauses.append("EXISTS (SELECT 1 FROM run_tag t WHERE t.run_id = d.run_id AND t.key = ? AND t.value = ?)")
        params += [key, value]
    if before:
        clauses.append("d.run_id < ?")
        params.append(before)
    joined, order, order_params = _order(order_by)
    rows = tx.rows(
        f"SELECT d.run_id FROM tracked_run d JOIN run r ON r.id = d.run_id {joined}"  # noqa: S608 -- built from constants
        f" WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT ?",
        [*order_params, *params, max(1, min(limit, _PAGE))],
    )
    return load_runs(tx, [run_id for (run_id,) in rows])


def load_runs(tx: Transaction, ids: Sequence[str]) -> list[TrackedRun]:
    """The runs with these ids, in this order; raises `NotFound` naming the first that is not a tracked run."""
    runs: dict[str, Run] = {}
    details: dict[str, DetailRow] = {}
    params: dict[str, dict[str, Any]] = {each: {} for each in ids}
    tags: dict[str, dict[str, str]] = {each: {} for each in ids}
    metrics: dict[str, dict[str, Metric]] = {each: {} for each in ids}
    for start in range(0, len(ids), _IN):
        batch = [*ids[start : start + _IN]]
        among = f"IN ({', '.join('?' * len(batch))})"
        details |= {
            each.run_id: each
            for each in tx.fetch(DETAILS, f"WHERE run_id {among} AND workspace = ?", [*batch, caller().workspace])
        }
        runs |= {each.id: each for each in tx.fetch(RUNS, f"WHERE id {among}", batch)}
        for run_id, key, text in tx.rows(_PARAMS.format(among), batch):
            params[run_id][key] = decode_param(text)
        for run_id, key, value in tx.rows(_TAGS.format(among), batch):
            tags[run_id][key] = value
        for metric in tx.fetch(METRICS, f"WHERE run_id {among} ORDER BY key", batch):
            metrics[metric.run_id][metric.key] = metric
    for run_id in ids:
        if run_id not in details:
            raise NotFound(f"there is no tracked run {run_id!r}", hint="mainspring run list")
    return [
        TrackedRun(
            run=runs[each],
            experiment=details[each].experiment,
            title=details[each].title,
            note=details[each].note,
            source=details[each].source,
            params=params[each],
            tags=tags[each],
            metrics=metrics[each],
        )
        for each in ids
    ]


def _order(order_by: str) -> tuple[str, str, list[str]]:
    """A join, an ORDER BY and the parameters of the join."""
    if not order_by:
        return "", "d.run_id DESC", []
    direction = "DESC" if order_by.startswith("-") else "ASC"
    kind, _, key = order_by.removeprefix("-").partition(".")
    tables = {"metrics": ("metric", "last"), "params": ("run_param", "number")}
    if kind == "started_at" and not key:
        return "", f"d.run_id {direction}", []
    if kind not in tables or not key:
        known = ("started_at", "-started_at", "metrics.<name>", "-metrics.<name>", "params.<name>")
        raise InvalidInput(f"runs cannot be ordered by {order_by!r}", known=known)
    table, column = tables[kind]
    joined = f"LEFT JOIN {table} o ON o.run_id = d.run_id AND o.key = ?"
    return joined, f"o.{column} IS NULL, o.{column} {direction}, d.run_id DESC", [key]
