"""What a worker does with a queued flow: execute it in a fresh process, with code, folder and crashes of its own."""

from __future__ import annotations

import os
import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from mainspring.engines.tasks import ProcessDied
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, LostLease, NotFound, from_payload
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Flow
from mainspring.pipelines.logs import caught_descriptors
from mainspring.pipelines.remote import failure_of, resolve_step
from mainspring.pipelines.runtime import begin, execute_flow
from mainspring.pipelines.types import Location
from mainspring.pipelines.working import Stopped, wait_for
from mainspring.store.queue_tables import Task

__all__ = ["Order", "Outcome", "engine_kept", "execute", "run_flow"]


class Order(msgspec.Struct, frozen=True):
    """What the process needs to execute a flow run."""

    store: str
    run_id: str
    location: Location
    caller: Caller
    last: bool
    """Whether an error ends the run; otherwise it is tried again."""


class Outcome(msgspec.Struct, frozen=True):
    """How it went."""

    state: str
    error: dict[str, Any] | None = None


def run_flow(client: Any, task: Task) -> Any:
    """The handler of tasks of the kind `flow`.

    An error of the flow's own is recorded with the run and ends the task; only the loss of its process makes the queue
    try again.
    """
    with acting_as(Caller(principal=task.created_by, workspace=task.workspace, method="system")) as who:
        try:
            run = client.pipelines.get(task.payload["run_id"])
        except NotFound:
            return {"state": "gone"}
        if run.state not in ("queued", "running"):
            return {"state": run.state}
        order = Order(client.address, run.id, run.location, who, task.attempt >= task.max_attempts)
        future = engine().submit("mainspring.pipelines.handler:execute", msgspec.msgpack.encode(order))
        try:
            outcome = msgspec.msgpack.decode(wait_for(engine(), future), type=Outcome)
        except Stopped:
            raise LostLease(f"flow run {run.id} was given back by its worker") from None
        except ProcessDied as error:
            if client.pipelines.get(run.id).state not in ("queued", "running"):
                return {"state": "cancelled"}
            raise error from None
        if outcome.state == "again":
            raise from_payload(outcome.error or {})
    return {"state": outcome.state}


def execute(payload: bytes) -> bytes:
    """Execute an `Order` in this process, which is then thrown away; the bytes of an `Outcome`."""
    order = msgspec.msgpack.decode(payload, type=Order)
    with caught_descriptors() as tail, acting_as(order.caller):
        client = load("mainspring.client.client:connect")(order.store)
        outcome = _execute(client, order)
    if text := tail.text():
        client.pipelines.append_log(order.run_id, text=text)
    client.close()
    return msgspec.msgpack.encode(outcome)


def _execute(client: Any, order: Order) -> Outcome:
    try:
        flow = _import(order.location)
    except Exception as error:  # noqa: BLE001 -- the user's module may raise anything as it is imported
        failure = failure_of(error).payload
        opened = client.pipelines.begin(client.pipelines.get(order.run_id).flow, run_id=order.run_id)
        client.pipelines.finish(order.run_id, attempt=opened.run.attempt, state="failed", error=failure)
        return Outcome("failed", failure)
    try:
        opened = begin(client.pipelines, flow, run_id=order.run_id)
        execute_flow(client.pipelines, flow, opened, quiet=True)
    except LostLease as error:
        return Outcome("lost", error.payload())
    except Exception as error:  # noqa: BLE001 -- the flow's own error is recorded with the run already
        failure = failure_of(error).payload
        if opened.run.attempt <= flow.retries and not order.last and not isinstance(error, Conflict):
            client.pipelines.reopen(order.run_id)
            return Outcome("again", failure)
        return Outcome("failed", failure)
    return Outcome("finished")


def _import(location: Location) -> Flow[..., Any]:
    sys.path[:0] = [path for path in location.sys_path if path not in sys.path]
    if location.cwd and os.path.isdir(location.cwd):  # noqa: PTH112 -- a text came, a text goes
        os.chdir(location.cwd)
    if location.main:
        scope = runpy.run_path(location.main, run_name="__mainspring_main__")
        sys.modules["__main__"].__dict__.update(scope)
        sys.modules["__main__"].__file__ = location.main
    found = resolve_step(location.address)
    if not isinstance(found, Flow):
        raise NotFound(f"{location.address} is not a flow", hint="decorate it with @flow")
    return found


_WIDTH = 64
_lock = threading.Lock()
_users = 0
_engine: ProcessEngine | None = None


def engine() -> ProcessEngine:
    """The processes of this worker: each executes one flow and ends."""
    global _engine  # noqa: PLW0603 -- one zygote for all handlers of a process
    with _lock:
        if _engine is None:
            preload = ["mainspring.pipelines.handler", "mainspring.client.client", "mainspring.store.local", "polars"]
            _engine = ProcessEngine(_WIDTH, recycle=1, preload=preload)
        return _engine


@contextmanager
def engine_kept() -> Iterator[None]:
    """Give the processes back when the last worker of this process has left the block."""
    global _engine, _users  # noqa: PLW0603
    with _lock:
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            last, _engine = (_engine, None) if _users == 0 else (None, _engine)
        if last is not None:
            last.close()
