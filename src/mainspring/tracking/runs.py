"""The rows of tracked runs: beginning them, finding them, changing what is said about them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mainspring.events.outbox import emit
from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.lineage import graph
from mainspring.lineage.types import Run, RunStatus
from mainspring.store.transaction import Transaction
from mainspring.tracking.experiments import add_experiment, check_experiment_name, find_experiment
from mainspring.tracking.keys import intern, known_keys
from mainspring.tracking.params import check_key, number_of_text
from mainspring.tracking.tables import RUNS, RunRow
from mainspring.tracking.types import RunStart

__all__ = ["active_run", "bare_id", "begin_run", "end_run", "find_run", "put_values", "set_tags"]

_TOLD_METRICS = 200


def bare_id(run_id: str) -> str:
    """A run's id as it stands in the tables: without `run/`, with dashes.

    Example:
        >>> bare_id("019b770868007000800000000000002a")
        '019b7708-6800-7000-8000-00000000002a'
    """
    text = run_id.removeprefix("run/")
    if len(text) == 32:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            return text
    return text


def find_run(tx: Transaction, run_id: str) -> RunRow:
    """The tracked run with this id; `NotFound` otherwise."""
    row = tx.fetch_one(RUNS, "WHERE run_id = ? AND workspace = ?", (bare_id(run_id), caller().workspace))
    if row is None:
        raise NotFound(f"there is no tracked run {run_id.removeprefix('run/')!r}", hint="mainspring run list")
    return row


def active_run(tx: Transaction, run_id: str) -> RunRow:
    """The tracked run with this id, which must not be deleted."""
    row = find_run(tx, run_id)
    if row.deleted_at is not None:
        raise Conflict(f"run {row.run_id} is deleted", hint="mainspring run restore")
    return row


def begin_run(tx: Transaction, start: RunStart) -> Run:
    """Begin a run, in an experiment that is made when there is none; beginning it again is fine."""
    if tx.value("SELECT 1 FROM tracked_run WHERE run_id = ?", (start.run_id,)):
        return graph.get_run(tx, start.run_id)
    check_experiment_name(start.experiment)
    try:
        experiment = find_experiment(tx, start.experiment, counted=False)
    except NotFound:
        experiment = add_experiment(tx, start.experiment, tags={})
    if experiment.status == "deleted":
        raise Conflict(f"experiment {experiment.name!r} is deleted", hint="mainspring experiment restore")
    fork = find_run(tx, start.forked_from) if start.forked_from else None
    if (fork is None) != (start.fork_step is None):
        raise InvalidInput("a fork has a run and a step: forked_from and fork_step")
    began = start.started_at or tx.now
    parent = graph.get_run(tx, bare_id(start.parent_id)).id if start.parent_id else ""
    run = _begun_elsewhere(tx, start) or graph.start_run(
        tx,
        start.kind,
        start.experiment,
        parent_id=parent,
        run_id=start.run_id,
        metadata={"title": start.title} if start.title else {},
        started_at=began,
    )
    number = (tx.value("SELECT max(number) FROM tracked_run") or 0) + 1
    row = RunRow(
        number=number,
        run_id=run.id,
        workspace=tx.workspace,
        experiment_id=experiment.id,
        title=start.title,
        user_name=start.user or caller().principal,
        status="running",
        started_at=to_micros(began),
        finished_at=None,
        deleted_at=None,
        parent_id=parent,
        group_name=start.group,
        note="",
        source={},
        forked_from=fork.number if fork else None,
        fork_step=start.fork_step,
        updated_at=tx.now_micros,
    )
    tx.insert(RUNS, row)
    if start.tags:
        set_tags(tx, row, start.tags)
    return run


def _begun_elsewhere(tx: Transaction, start: RunStart) -> Run | None:
    """A trial that logs into itself: its run is in the lineage already."""
    if start.kind != "trial":
        return None
    try:
        run = graph.get_run(tx, start.run_id)
    except NotFound:
        return None
    return run if run.kind == start.kind else None


def end_run(
    tx: Transaction,
    row: RunRow,
    status: RunStatus,
    *,
    finished_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Run:
    """Record how a run ended, here and in the lineage."""
    run = graph.finish_run(tx, row.run_id, status=status, metadata=metadata, finished_at=finished_at)
    ended = to_micros(finished_at) if finished_at else tx.now_micros
    tx.execute(
        "UPDATE tracked_run SET status = ?, finished_at = ?, updated_at = ? WHERE number = ?",
        (status, ended, tx.now_micros, row.number),
    )
    _tell_end(tx, row, status)
    return run


def _tell_end(tx: Transaction, row: RunRow, status: RunStatus) -> None:
    """Say that a run ended, with the last value of its metrics: what triggers compare."""
    metrics = tx.rows(
        "SELECT run_key.name, metric.last FROM metric JOIN run_key ON run_key.id = metric.key"
        " WHERE metric.run = ? AND metric.last IS NOT NULL ORDER BY run_key.name LIMIT ?",
        (row.number, _TOLD_METRICS),
    )
    experiment = tx.value("SELECT name FROM experiment WHERE id = ?", (row.experiment_id,))
    data = {"run": row.run_id, "experiment": experiment, "title": row.title, "metrics": dict(metrics)}
    emit(tx, f"run.{status}", subject=f"run/{row.run_id}", data=data)


def set_tags(tx: Transaction, row: RunRow, tags: Mapping[str, str]) -> None:
    """Set tags; an empty text takes one away."""
    kept = {check_key(key): value for key, value in tags.items() if value}
    gone = known_keys(tx, row.experiment_id, "tag", [check_key(key) for key, value in tags.items() if not value])
    for key in gone.values():
        tx.execute("DELETE FROM run_value WHERE run = ? AND key = ?", (row.number, key))
    ids = intern(tx, row.experiment_id, "tag", kept)
    put_values(tx, row, [(ids[key], number_of_text(value), value, "s") for key, value in kept.items()])
    tx.note(f"run/{row.run_id}", tags=dict(tags))


def put_values(tx: Transaction, row: RunRow, values: Sequence[tuple[int, float | None, str, str]]) -> None:
    """Write the latest values of parameters and tags: key, number, text, type."""
    tx.many(
        "INSERT INTO run_value (run, key, number, text, type) VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, key)"
        " DO UPDATE SET number = excluded.number, text = excluded.text, type = excluded.type",
        [(row.number, *each) for each in values],
    )
