"""What a process does that was made to execute one flow run, or what the flow wants done at its end."""

from __future__ import annotations

import functools
import os
import runpy
import sys
from typing import Any

import msgspec

from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import LostLease, NotFound
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Flow
from mainspring.pipelines.finishing import call_at_end, is_given_back
from mainspring.pipelines.logs import caught_descriptors
from mainspring.pipelines.remote import failure_of, resolve_step
from mainspring.pipelines.runtime import begin, execute_flow
from mainspring.pipelines.types import Location
from mainspring.pipelines.waits import Suspended
from mainspring.trust.redaction import redacted

__all__ = ["Order", "Outcome", "call_back", "execute", "import_flow"]


class Order(msgspec.Struct, frozen=True):
    """What the process needs to execute a flow run."""

    store: str
    run_id: str
    location: Location
    caller: Caller
    attempt: int
    """How often its task was claimed."""
    last: bool
    """Whether an error ends the run; otherwise it is tried again."""
    imported: float = 0.0
    """When the process was forked from one that has imported the flow: how many seconds ago that may be."""


class Outcome(msgspec.Struct, frozen=True):
    """How it went: `finished`, `failed`, `again`, `suspended`, `lost`; or `unfit`, and nothing was done."""

    state: str
    error: dict[str, Any] | None = None
    reason: str = ""


def execute(payload: bytes) -> bytes:
    """Execute an `Order` in this process, which is then thrown away; the bytes of an `Outcome`."""
    order = msgspec.msgpack.decode(payload, type=Order)
    if refusal := _refusal(order):
        return msgspec.msgpack.encode(Outcome("unfit", reason=refusal))
    client = load("mainspring.client.client:connect")(order.store)
    live = functools.partial(_print_live, client, order)
    with acting_as(order.caller), caught_descriptors(live) as tail:
        outcome = _execute(client, order)
    if text := redacted(tail.unsent()):
        client.pipelines.append_log(order.run_id, text=text)
    client.close()
    return msgspec.msgpack.encode(outcome)


def call_back(payload: bytes) -> bytes:
    """Make the call at the end of a run; the bytes of an `Outcome`."""
    order = msgspec.msgpack.decode(payload, type=Order)
    if refusal := _refusal(order):
        return msgspec.msgpack.encode(Outcome("unfit", reason=refusal))
    outcome = Outcome("finished")
    with caught_descriptors() as tail, acting_as(order.caller):
        client = load("mainspring.client.client:connect")(order.store)
        try:
            call_at_end(import_flow(order.location), client.pipelines.get(order.run_id))
        except Exception as error:  # noqa: BLE001 -- the user's function may raise anything
            outcome = Outcome("again", failure_of(error).payload)
    if text := tail.text():
        client.pipelines.append_log(order.run_id, text=text)
    client.close()
    return msgspec.msgpack.encode(outcome)


def import_flow(location: Location) -> Flow[..., Any]:
    """The flow, imported from where its run finds it."""
    sys.path[:0] = [path for path in location.sys_path if path not in sys.path]
    if location.cwd and os.path.isdir(location.cwd):  # noqa: PTH112 -- a text came, a text goes
        os.chdir(location.cwd)
    if location.main and getattr(sys.modules["__main__"], "__file__", "") != location.main:
        scope = runpy.run_path(location.main, run_name="__mainspring_main__")
        sys.modules["__main__"].__dict__.update(scope)
        sys.modules["__main__"].__file__ = location.main
    found = resolve_step(location.address)
    if not isinstance(found, Flow):
        raise NotFound(f"{location.address} is not a flow", hint="decorate it with @flow")
    return found


def _print_live(client: Any, order: Order, text: str) -> None:
    """Keep what the body prints while it runs."""
    client.pipelines.append_log(order.run_id, text=redacted(text))


def _execute(client: Any, order: Order) -> Outcome:
    try:
        flow = import_flow(order.location)
    except Exception as error:  # noqa: BLE001 -- the user's module may raise anything as it is imported
        failure = failure_of(error).payload
        opened = client.pipelines.begin(client.pipelines.get(order.run_id).flow, run_id=order.run_id)
        client.pipelines.finish(order.run_id, attempt=opened.run.attempt, state="failed", error=failure)
        return Outcome("failed", failure)
    tries_left = order.attempt <= flow.retries and not order.last
    try:
        opened = begin(client.pipelines, flow, run_id=order.run_id)
        execute_flow(client.pipelines, flow, opened, quiet=True, leaves=True, tries_left=tries_left)
    except Suspended:
        return Outcome("suspended")
    except LostLease as error:
        return Outcome("lost", error.payload())
    except Exception as error:  # noqa: BLE001 -- the flow's own error is recorded with the run already
        again = is_given_back(error, tries_left=tries_left)
        return Outcome("again" if again else "failed", failure_of(error).payload)
    return Outcome("finished")


def _refusal(order: Order) -> str:
    """Why nothing may be executed here; what the process inherited is made as good as fresh otherwise."""
    from mainspring.pipelines.warming import still_true

    still_true()
    if not order.imported:
        return ""
    from mainspring.pipelines.preloading import begin_anew, unfit  # to import it is to note what is opened

    refusal = unfit(order.imported)
    if not refusal:
        begin_anew()
    return refusal
