"""What is to happen at the end of a flow run, and when that end comes by itself.

`@flow(timeout=...)` ends a run as failed, wherever it is then: in a worker, waiting, queued. `on_success` and
`on_failure` are called once, by a task that is put into the queue in the transaction in which the run ends; so they
follow a run whose process was killed as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import DeadlineExceeded
from mainspring.pipelines.starting import task_kind
from mainspring.pipelines.tables_waits import ENDINGS
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.types_waits import Ending
from mainspring.store.queue_entry import enqueue, find_task
from mainspring.store.queue_tables import Task

if TYPE_CHECKING:
    from mainspring.store.transaction import Transaction

__all__ = ["URGENT", "announce_end", "callback_of", "claim_callback", "expect_end", "overdue"]

URGENT = 1_000_000
"""The priority of timers: what is due goes before what is queued."""


def expect_end(tx: Transaction, run: FlowRun, *, timeout: float, on_success: bool, on_failure: bool) -> Ending:
    """Note what is to happen at the end of a run; what was noted before stays."""
    known = tx.fetch_one(ENDINGS, "WHERE run_id = ?", (run.id,))
    if known is not None:
        return known
    due = tx.now + timedelta(seconds=timeout) if timeout else None
    made = Ending(run_id=run.id, due_at=due, on_success=on_success, on_failure=on_failure)
    tx.insert(ENDINGS, made)
    if due is not None:
        enqueue(
            tx,
            task_kind(run.pool),
            {"run_id": run.id, "wake": True},
            key=_timer_key(made),
            priority=URGENT,
            not_before=due,
            max_attempts=100,
        )
    return made


def overdue(tx: Transaction, run: FlowRun) -> DeadlineExceeded | None:
    """Why a run that is not over has to end now, if it has to."""
    ending = tx.fetch_one(ENDINGS, "WHERE run_id = ?", (run.id,))
    if ending is None or ending.due_at is None or ending.due_at > tx.now:
        return None
    return DeadlineExceeded(
        f"flow run {run.id} was not over at {ending.due_at:%Y-%m-%d %H:%M:%S}Z, and was ended",
        hint="@flow(timeout=...) counts from its first beginning, waits included",
    )


def announce_end(tx: Transaction, run: FlowRun) -> None:
    """Queue the call of what the flow wants done at its end; called in the transaction in which a run ends."""
    ending = tx.fetch_one(ENDINGS, "WHERE run_id = ?", (run.id,))
    if ending is None:
        return
    if ending.due_at is not None and (timer := find_task(tx, task_kind(run.pool), _timer_key(ending))) is not None:
        tx.execute("DELETE FROM queue_tasks WHERE id = ? AND state IN ('waiting', 'ready')", (timer.id,))
    wanted = ending.on_success if run.state == "finished" else ending.on_failure and run.state in ("failed", "crashed")
    if wanted:
        enqueue(
            tx,
            task_kind(run.pool),
            {"run_id": run.id, "callback": True},
            key=_key(run),
            priority=URGENT,
            max_attempts=3,
        )


def callback_of(tx: Transaction, run: FlowRun) -> Task | None:
    """The queued call at the end of a run."""
    return find_task(tx, task_kind(run.pool), _key(run))


def claim_callback(tx: Transaction, run: FlowRun, worker: str) -> bool:
    """Let the process that executed a run make the call itself; False when a worker has it, or there is none."""
    task = callback_of(tx, run)
    if task is None:
        return False
    known = bool(worker) and tx.row("SELECT 1 FROM queue_workers WHERE id = ?", (worker,)) is not None
    claimed = tx.execute(
        "UPDATE queue_tasks SET state = ?, attempt = attempt + 1, worker = ?, changed_at = ?"
        " WHERE id = ? AND state = 'ready'",
        ("running" if known else "done", worker if known else "", tx.now_micros, task.id),
    )
    return bool(claimed)


def _timer_key(ending: Ending) -> str:
    return f"deadline:{ending.run_id}:{to_micros(ending.due_at) if ending.due_at else 0}"


def _key(run: FlowRun) -> str:
    return f"callback:{run.id}:{run.attempt}"
