"""What has to be looked at now and then: schedules whose moment has come, and runs whose process is no more."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.ids import new_id
from mainspring.pipelines.records import end_flow
from mainspring.pipelines.schedules import advance, due
from mainspring.pipelines.starting import TASK_KIND, queue_flow
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["TASK_KIND", "look", "queue_flow", "tick"]


def tick(store: Store) -> int:
    """Take tasks of lost workers back, end runs that nobody will finish, start what is due; how much was done."""
    done = len(store.queue.reap())
    with store.read() as tx:
        orphans, moments = _orphans(tx), due(tx)
    if orphans:
        with store.write("pipelines.tick") as tx:
            done += sum(_end_orphan(tx, run) for run in _orphans(tx))
    for schedule in moments:
        done += _fire(store, schedule.id)
    return done


def _orphans(tx: Transaction) -> list[FlowRun]:
    """Open runs that nothing will finish: their worker is gone, or their task is dead or cancelled."""
    return tx.fetch(
        FLOW_RUNS,
        "LEFT JOIN queue_tasks ON queue_tasks.id = flow_run.task_id"
        " LEFT JOIN queue_workers ON queue_workers.id = flow_run.worker"
        " WHERE flow_run.state IN ('queued', 'running') AND ("
        "   (flow_run.task_id = '' AND flow_run.worker <> '' AND queue_workers.id IS NULL)"
        "   OR queue_tasks.state IN ('dead', 'cancelled'))",
    )


def _end_orphan(tx: Transaction, run: FlowRun) -> int:
    task = tx.row("SELECT state, error FROM queue_tasks WHERE id = ?", (run.task_id,))
    error = {
        "code": "MS-6003",
        "message": "the process that executed the flow was lost, and there are no attempts left",
        "hint": f"mainspring flow retry {run.id}",
        "known": [],
        "details": {"last": msgspec.json.decode(task[1]) if task and task[1] else None},
    }
    with acting_as(Caller(principal=run.created_by, workspace=run.workspace, method="system")):
        if task and task[0] == "cancelled":
            end_flow(tx, run, "cancelled")
        else:
            end_flow(tx, run, "crashed", error=error)
    return 1


def _fire(store: Store, schedule_id: str) -> int:
    with store.write("pipelines.tick") as tx:
        found = next((each for each in due(tx, limit=10_000) if each.id == schedule_id), None)
        if found is None:
            return 0  # another scheduler was quicker
        with acting_as(Caller(principal=found.created_by, workspace=found.workspace, method="system")):
            worth_it = advance(tx, found)
            key = f"schedule:{found.name}:{found.next_at:%Y-%m-%dT%H:%M:%SZ}"
            known = tx.row(
                "SELECT 1 FROM flow_run WHERE workspace = ? AND flow = ? AND key = ?",
                (found.workspace, found.flow, key),
            )
            if not worth_it or known:
                return 0
            queue_flow(store.queue, tx, _run_of(tx, found, key))
    return 1


def _run_of(tx: Transaction, schedule: Schedule, key: str) -> FlowRun:
    return FlowRun(
        id=new_id(),
        workspace=schedule.workspace,
        flow=schedule.flow,
        key=key,
        state="queued",
        attempt=0,
        params=schedule.params,
        code="",
        location=schedule.location,
        task_id="",
        worker="",
        created_at=tx.now,
        created_by=schedule.created_by,
    )


def look(client: Any) -> None:
    """What the scheduler calls again and again."""
    client.pipelines.tick()
