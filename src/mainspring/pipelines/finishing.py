"""How an attempt at a flow run ends: what is recorded, and what the flow wants done then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mainspring.kernel.clock import now
from mainspring.kernel.errors import Conflict, LostLease, MainspringError, from_payload
from mainspring.pipelines.remote import failure_of

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow
    from mainspring.pipelines.outside import Outside
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.types import FlowRun, FlowState

__all__ = ["call_at_end", "ended_here", "expected", "heeding", "is_given_back", "record_failure", "why_lost"]

_HEED_SECONDS = 0.5
_JOIN_SECONDS = 2.0
_log = logging.getLogger(__name__)


@contextmanager
def expected(service: Pipelines, flow: Flow[..., Any], run: FlowRun) -> Iterator[None]:
    """Have the store know what is to happen at the end of a run, and end it in time, while the block lasts."""
    options = flow.options
    hooks = {"on_success": options.on_success is not None, "on_failure": options.on_failure is not None}
    if not options.timeout and not any(hooks.values()):
        yield
        return
    ending = service.expect_end(run.id, attempt=run.attempt, timeout=options.timeout, **hooks)
    if ending.due_at is None:
        yield
        return
    timer = threading.Timer(max(0.0, (ending.due_at - now()).total_seconds()), _wake, (service, run.id))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join(_JOIN_SECONDS)


@contextmanager
def heeding(service: Pipelines, run: FlowRun, outside: Outside) -> Iterator[None]:
    """While the block lasts, end the processes of a run's steps when somebody ends the run: of a run in this process.

    What runs in the process itself ends at what it records next.
    """
    over = threading.Event()

    def heed() -> None:
        while not over.wait(_HEED_SECONDS):
            if not outside.used:
                continue
            with suppress(MainspringError):  # a store that is away now
                found = service.get(run.id)
                if found.attempt != run.attempt or found.state in ("cancelled", "failed", "crashed", "finished"):
                    outside.close()
                    return

    thread = threading.Thread(target=heed, name="mainspring-heed", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_JOIN_SECONDS)  # so that nobody asks a client that is closed next


def is_given_back(error: BaseException, *, tries_left: bool) -> bool:
    """Whether an attempt that failed so is followed by another; one that diverged would diverge again."""
    return tries_left and isinstance(error, Exception) and not isinstance(error, Conflict)


def record_failure(
    service: Pipelines, run: FlowRun, error: BaseException, *, tries_left: bool, log: str
) -> FlowRun | None:
    """Record that an attempt failed; the run as it ended, or None when another attempt follows."""
    payload = failure_of(error).payload
    try:
        if is_given_back(error, tries_left=tries_left):
            service.give_back(run.id, attempt=run.attempt, error=payload, log=log)
            return None
        state: FlowState = "failed" if isinstance(error, Exception) else "cancelled"
        return service.finish(run.id, attempt=run.attempt, state=state, error=payload, log=log)
    except LostLease as lost:  # it was ended by somebody else, which may be why it failed
        raise why_lost(service, run, lost) from error


def why_lost(service: Pipelines, run: FlowRun, error: LostLease) -> MainspringError:
    """What whoever ran a flow here should see when the run was ended by somebody else: its deadline, if that was it."""
    with suppress(MainspringError):
        found = service.get(run.id)
        if found.state == "failed" and found.attempt == run.attempt and found.error:
            return from_payload(found.error)
    return error


def ended_here(service: Pipelines, flow: Flow[..., Any], run: FlowRun | None) -> None:
    """Make the call at the end of a run in the process that executed it, unless a worker is quicker."""
    if run is None or _hook(flow, run) is None or not service.take_callback(run.id, worker=_worker_of(service)):
        return
    try:
        call_at_end(flow, run)
    except Exception as error:  # noqa: BLE001 -- what the user wants done may raise anything; the run has ended
        _log.exception("what %s does when a run has %s raised an error", flow.name, run.state)
        service.end_callback(run.id, error=failure_of(error).payload)
    else:
        service.end_callback(run.id)


def call_at_end(flow: Flow[..., Any], run: FlowRun) -> None:
    """Call what the flow has for this end."""
    hook = _hook(flow, run)
    if hook is not None:
        hook(run)


def _hook(flow: Flow[..., Any], run: FlowRun) -> Any:
    options = flow.options
    return {"finished": options.on_success, "failed": options.on_failure, "crashed": options.on_failure}.get(run.state)


def _worker_of(service: Pipelines) -> str:
    from mainspring.pipelines.presence import present

    with present(service) as worker:
        return worker


def _wake(service: Pipelines, run_id: str) -> None:
    with suppress(MainspringError):  # a store that is away now: the timer in the queue does the same
        service.wake(run_id)
