"""Runs under a person's hand, inside the caller's transaction: leaving, cancelling, pausing, forgetting, marking.

A run is *live* when a process executes it: its task is claimed, or the process that started it says that it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.pipelines.records import end_flow
from mainspring.pipelines.tables_runs import FLOW_RUNS, STEPS
from mainspring.pipelines.tables_waits import WAITS
from mainspring.pipelines.types import FlowRun, FlowState, StepRecord
from mainspring.pipelines.waits_records import forget_wait, requeue

if TYPE_CHECKING:
    from mainspring.store.queue import Queue
    from mainspring.store.transaction import Transaction

__all__ = [
    "OPEN",
    "OVER",
    "cancel_run",
    "find_step",
    "follow_changes",
    "forget_steps",
    "go_on",
    "is_live",
    "is_of_backfill",
    "leave_run",
    "must_be_importable",
    "pause",
    "places_from",
    "places_in",
    "runs_that",
    "take_up",
    "told",
    "unpause",
]

OVER: frozenset[FlowState] = frozenset({"finished", "failed", "cancelled", "crashed"})
"""The states that are ends."""
_NOBODY = "-"
"""The worker of a run that its process has left, while that process's task may not have ended yet."""
OPEN: frozenset[FlowState] = frozenset({"queued", "running", "waiting", "paused"})


def leave_run(tx: Transaction, queue: Queue, run: FlowRun, wait_id: str = "") -> FlowRun:
    """Let go of a run that this process executed: it waits, is paused, or goes on at once when that is over."""
    if run.state == "paused":
        return _become(tx, run, "paused")
    still = tx.value("SELECT state FROM flow_wait WHERE id = ?", (wait_id,))
    waiting = _become(tx, run, "waiting")
    if still == "open":
        emit(tx, "flow.run.waiting", subject=f"flow/{run.flow}", data=told(run) | {"wait": wait_id})
        return waiting
    return go_on(tx, queue, waiting)


def go_on(tx: Transaction, queue: Queue, run: FlowRun) -> FlowRun:
    """Have a worker go on with a run that no process holds."""
    return requeue(tx, run, queue)


def cancel_run(tx: Transaction, queue: Queue, run: FlowRun) -> FlowRun:
    """End a run that is not over; what executes it is killed, or learns it from what it records next."""
    if run.state in OVER:
        return run
    if run.task_id:
        queue.cancel(tx, run.task_id)
    tx.announce()
    return end_flow(tx, run, "cancelled")


def pause(tx: Transaction, queue: Queue, run: FlowRun) -> FlowRun:
    """Let a run stop at its next step; one that no process executes begins no more."""
    if run.state == "paused":
        return run
    if run.state in OVER:
        raise Conflict(f"flow run {run.id} is {run.state}")
    if run.state == "queued" and run.task_id:
        queue.cancel(tx, run.task_id)
    tx.execute("UPDATE flow_run SET state = 'paused' WHERE id = ?", (run.id,))
    tx.announce()
    tx.note(f"run/{run.id}", flow=run.flow, state="paused")
    return msgspec.structs.replace(run, state="paused")


def unpause(tx: Transaction, queue: Queue, run: FlowRun) -> FlowRun:
    """Let a paused run go on: in the process that still executes its last step, or else in a worker."""
    if run.state != "paused":
        raise Conflict(f"flow run {run.id} is {run.state}, not paused")
    tx.note(f"run/{run.id}", flow=run.flow, state="resumed")
    tx.announce()
    if is_live(tx, run):
        tx.execute("UPDATE flow_run SET state = 'running' WHERE id = ?", (run.id,))
        return msgspec.structs.replace(run, state="running")
    must_be_importable(run)
    return go_on(tx, queue, run)


def is_live(tx: Transaction, run: FlowRun) -> bool:
    """Whether a process executes it, as far as is known."""
    if run.worker:
        return tx.row("SELECT 1 FROM queue_workers WHERE id = ?", (run.worker,)) is not None
    return bool(tx.value("SELECT state FROM queue_tasks WHERE id = ?", (run.task_id,)) == "running")


def take_up(tx: Transaction, queue: Queue, run: FlowRun) -> FlowRun:
    """Have a worker execute a run that is over, or was paused; what was expected of its end is expected anew."""
    must_be_importable(run)
    _ask_anew(tx, run)
    tx.execute("DELETE FROM flow_ending WHERE run_id = ?", (run.id,))
    return go_on(tx, queue, run)


def must_be_importable(run: FlowRun) -> None:
    """Refuse what needs a worker, for a flow that no worker can import."""
    if not run.location.address and not run.deployment:
        raise Conflict(
            f"no worker can import the flow {run.flow}", hint=f"my_flow.resume(client, {run.id!r}) goes on here"
        )


def find_step(tx: Transaction, step_id: str) -> StepRecord:
    """The step with this id, of a run of the caller's workspace."""
    found = tx.fetch_one(
        STEPS,
        "JOIN flow_run ON flow_run.id = flow_step.run_id WHERE flow_step.id = ? AND flow_run.workspace = ?",
        (step_id.removeprefix("run/"), caller().workspace),
    )
    if found is None:
        raise NotFound(f"there is no step {step_id!r}", hint="mainspring flow show RUN")
    return found


def places_from(tx: Transaction, run: FlowRun, place: str) -> list[str]:
    """The recorded places of a run from one on, that one included; `place` is a path or the id of a step."""
    known = _places(tx, run)
    first = _path_of(tx, run, place, known)
    return [path for path in known if _order(path) >= _order(first) or path.startswith(f"{first}.")]


def places_in(tx: Transaction, run: FlowRun, places: Iterable[str]) -> list[str]:
    """The recorded places that are named, and those inside of them, where these are flows."""
    known = _places(tx, run)
    wanted = [_path_of(tx, run, place, known) for place in places]
    return [path for path in known if any(path == each or path.startswith(f"{each}.") for each in wanted)]


def forget_steps(tx: Transaction, run: FlowRun, paths: list[str]) -> int:
    """Forget what is recorded at these places, also as something that others may reuse; how many steps."""
    count = 0
    for path in paths:
        steps = [step_id for (step_id,) in tx.rows(
            "DELETE FROM flow_step WHERE run_id = ? AND path = ? RETURNING id", (run.id, path)
        )]  # fmt: skip
        count += len(steps)
        for table, column in (("flow_cache", "step_id"), ("flow_attempt", "step_id"), ("flow_log", "id")):
            tx.many(f"DELETE FROM {table} WHERE {column} = ?", [(step_id,) for step_id in steps])  # noqa: S608 -- our own names
        for wait in tx.fetch(WAITS, "WHERE run_id = ? AND path = ?", (run.id, path)):
            forget_wait(tx, run, wait)
    follow_changes(tx, run)
    tx.note(f"run/{run.id}", flow=run.flow, cleared=paths[:100])
    return count


def follow_changes(tx: Transaction, run: FlowRun) -> None:
    """Let later calls be done anew when their inputs are not what they were, instead of refusing them as diverged."""
    tx.execute("UPDATE flow_run SET code = '' WHERE id = ?", (run.id,))


def told(run: FlowRun) -> dict[str, Any]:
    """What events say of a run."""
    return {"run": run.id, "cause": msgspec.to_builtins(run.cause)}


def _become(tx: Transaction, run: FlowRun, state: FlowState) -> FlowRun:
    tx.execute("UPDATE flow_run SET state = ?, worker = ? WHERE id = ?", (state, _NOBODY, run.id))
    tx.announce()
    tx.note(f"run/{run.id}", flow=run.flow, state=state)
    return msgspec.structs.replace(run, state=state, worker=_NOBODY)


def _ask_anew(tx: Transaction, run: FlowRun) -> None:
    """Forget a wait that expired and was the last that the run did: who tries again waits again."""
    last = _places(tx, run)[-1:]
    wait = tx.fetch_one(WAITS, "WHERE run_id = ? AND path = ? AND state = 'expired'", (run.id, *last)) if last else None
    if wait is not None:
        forget_wait(tx, run, wait)


def _places(tx: Transaction, run: FlowRun) -> list[str]:
    """The recorded places, in the order of the body."""
    found = tx.rows("SELECT DISTINCT path FROM flow_step WHERE run_id = ?", (run.id,))
    return sorted((str(path) for (path,) in found), key=_order)


def _path_of(tx: Transaction, run: FlowRun, place: str, known: list[str]) -> str:
    if place in known or any(path.startswith(f"{place}.") for path in known if place):
        return place
    found = tx.value("SELECT path FROM flow_step WHERE run_id = ? AND id = ?", (run.id, place.removeprefix("run/")))
    if found is None:
        raise NotFound(f"flow run {run.id} has nothing recorded at {place!r}", known=known[:8])
    return str(found)


def _order(path: str) -> tuple[int, ...]:
    return tuple(int(part) for part in path.split(".") if part.isdecimal())


def runs_that(
    tx: Transaction, *, flow: str, states: Iterable[str], after: str = "", limit: int = 1000
) -> list[FlowRun]:
    """Runs in these states, of a flow where it is named, oldest first; `after` is an id, for the next page."""
    wanted = sorted(states)
    return tx.fetch(
        FLOW_RUNS,
        f"WHERE workspace = ? AND state IN ({', '.join('?' * len(wanted))}) AND (? = '' OR flow = ?) AND id > ?"
        " ORDER BY id LIMIT ?",
        (caller().workspace, *wanted, flow, flow, after, limit),
    )


def is_of_backfill(run: FlowRun, name: str) -> bool:
    """Whether a backfill started it."""
    return (run.cause.kind, run.cause.name) == ("backfill", name)
