"""What a worker does with a queued flow: execute it in a fresh process, with code, folder and crashes of its own.

Its timers, and the call at its end, are tasks of the same kind, so that who can execute a flow can do all of it.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import msgspec

from mainspring.engines.tasks import ProcessDied
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import LostLease, MainspringError, NotFound, from_payload
from mainspring.pipelines.control import OVER
from mainspring.pipelines.deployments import location_of
from mainspring.pipelines.executing import Order, Outcome
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.working import Stopped, stopping
from mainspring.pipelines.zygotes import MOST_SECONDS, engine_kept, forge
from mainspring.store.queue_tables import Task

__all__ = ["engine_kept", "run_flow"]

_ASK_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 1.0


def run_flow(client: Any, task: Task) -> Any:
    """The handler of tasks of the kind `flow`.

    An error of the flow's own is recorded with the run and ends the task; only the loss of its process makes the queue
    try again.
    """
    with acting_as(Caller(principal=task.created_by, workspace=task.workspace, method="system")) as who:
        try:
            run: FlowRun = client.pipelines.get(task.payload["run_id"])
        except NotFound:
            return {"state": "gone"}
        if task.payload.get("wake"):
            return {"state": client.pipelines.wake(run.id).state}
        calls_back = bool(task.payload.get("callback"))
        if not calls_back and (run.state not in ("queued", "running") or run.task_id not in ("", task.id)):
            return {"state": run.state}  # a task that was given back after its process had left the run
        location = location_of(client, run)
        order = Order(client.address, run.id, location, who, task.attempt, last=task.attempt >= task.max_attempts)
        try:
            outcome = _carry_out(client, run, order, "call_back" if calls_back else "execute")
        except Stopped:
            raise LostLease(f"flow run {run.id} was given back by its worker") from None
        except ProcessDied as error:
            if not calls_back and client.pipelines.get(run.id).state not in ("queued", "running"):
                return {"state": "cancelled"}
            raise error from None
        if outcome.state == "again":
            raise from_payload(outcome.error or {})
    return {"state": outcome.state}


def _carry_out(client: Any, run: FlowRun, order: Order, what: str) -> Outcome:
    """Give an order to a process: one that has the flow's module, if there is one that is fit for it."""
    while True:
        with forge().place(order.location) as (engine, preloaded):
            asked = msgspec.structs.replace(order, imported=MOST_SECONDS if preloaded else 0.0)
            future = engine.submit(f"mainspring.pipelines.executing:{what}", msgspec.msgpack.encode(asked))
            outcome = msgspec.msgpack.decode(_answer(client, run, engine, future, what), type=Outcome)
        if outcome.state == "unfit":
            forge().refuse(order.location, outcome.reason)
            continue
        forge().keep(order.location)
        return outcome


def _answer(client: Any, run: FlowRun, engine: ProcessEngine, future: Future[bytes], what: str) -> bytes:
    """What the process answers. It is killed, with all it started, when the worker leaves or the run is ended."""
    commits = client.backend.store.database.commits
    seen, looked = commits.number, float("-inf")
    ended: float | None = None
    while True:
        try:
            return future.result(timeout=_ASK_SECONDS)
        except TimeoutError:
            if future.done():
                raise
        if stopping():
            engine.cancel(future)
            raise Stopped
        if what == "execute" and (commits.number != seen or monotonic() - looked > _LOOK_SECONDS):
            seen, looked = commits.number, monotonic()
            state = _state_of(client, run)
            if state in OVER:
                ended = looked if ended is None else ended
                # its own process may have recorded that it failed or finished, and be about to leave
                if state == "cancelled" or looked - ended > _LEAVE_SECONDS:
                    engine.cancel(future)


def _state_of(client: Any, run: FlowRun) -> str:
    try:
        return str(client.pipelines.get(run.id).state)
    except MainspringError:
        return ""  # the store is away: the process will notice by itself
