"""The one way in which a flow run gets into the queue: of a person, a schedule, a trigger, a backfill, after a wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.context import caller
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.pipelines.types import Cause, FlowRun, Location
from mainspring.store.queue import Queue
from mainspring.store.transaction import Transaction

__all__ = ["TASK_KIND", "known_run", "new_run", "queue_flow", "task_kind"]

TASK_KIND = "flow"
"""The kind of the queued tasks that execute flows; of those of a pool `flow:` and its name."""


def task_kind(pool: str) -> str:
    """The kind of the tasks that only workers of this pool take; of those that any worker takes when it is empty."""
    return f"{TASK_KIND}:{pool}" if pool else TASK_KIND


def queue_flow(
    queue: Queue,
    tx: Transaction,
    run: FlowRun,
    *,
    priority: int | None = None,
    not_before: datetime | None = None,
    max_attempts: int = 5,
    fresh: bool = True,
    note: bool = True,
) -> FlowRun:
    """Enqueue the task that executes a flow run, and record it with the run, which is `fresh` when not stored yet.

    `priority` is that of the run where it is None. Who starts many at once says so once, and not for each: `note`.
    """
    urgency = run.priority if priority is None else priority
    task_id = queue.enqueue(
        tx,
        task_kind(run.pool),
        {"run_id": run.id},
        priority=urgency,
        not_before=not_before,
        max_attempts=max_attempts,
    )
    queued = msgspec.structs.replace(run, state="queued", task_id=task_id, priority=urgency)
    if fresh:
        tx.insert(FLOW_RUNS, queued)
    else:
        tx.execute(
            "UPDATE flow_run SET state = 'queued', task_id = ?, worker = '', error = NULL, finished_at = NULL"
            " WHERE id = ?",
            (task_id, run.id),
        )
    emit(
        tx, "flow.run.queued", subject=f"flow/{run.flow}", data={"run": run.id, "cause": msgspec.to_builtins(run.cause)}
    )
    if note:
        tx.note(f"run/{run.id}", flow=run.flow, key=run.key)
    return queued


def new_run(
    tx: Transaction,
    flow: str,
    *,
    location: Location,
    params: dict[str, Any],
    code: str = "",
    key: str = "",
    cause: Cause = Cause(),  # noqa: B008 -- frozen
    deployment: str = "",
    pool: str = "",
    priority: int = 0,
    labels: dict[str, str] | None = None,
) -> FlowRun:
    """A run that is not stored yet, of the caller."""
    if pool:
        check_name(pool, what="pool")
    return FlowRun(
        id=new_id(),
        workspace=caller().workspace,
        flow=flow,
        key=key,
        state="queued",
        attempt=0,
        params=params,
        code=code,
        location=location,
        task_id="",
        worker="",
        created_at=tx.now,
        created_by=caller().principal,
        cause=cause,
        deployment=deployment,
        pool=pool,
        priority=priority,
        labels=labels or {},
    )


def known_run(tx: Transaction, flow: str, key: str) -> FlowRun | None:
    """The run that this key started before; None when there is none, or no key."""
    if not key:
        return None
    return tx.fetch_one(FLOW_RUNS, "WHERE workspace = ? AND flow = ? AND key = ?", (caller().workspace, flow, key))
