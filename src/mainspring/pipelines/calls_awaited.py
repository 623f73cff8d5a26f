"""Calls of steps that are coroutines, in flows that are: others go on while one waits or is recorded."""

from __future__ import annotations

import contextvars
import functools
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.kernel.clock import now
from mainspring.kernel.errors import DeadlineExceeded, LostLease
from mainspring.pipelines.calls_identity import Call, failed_call
from mainspring.pipelines.context import inside_step
from mainspring.pipelines.logs import caught
from mainspring.pipelines.tries import Tried

if TYPE_CHECKING:
    from mainspring.pipelines.calls import Calls

__all__ = ["run_awaited", "try_awaited"]


async def run_awaited(calls: Calls, call: Call) -> Any:
    """`Calls.run` for the body of a flow that is a coroutine."""
    import asyncio  # a flow that is none has no loop

    if calls.paused:
        await asyncio.to_thread(calls.at_boundary)
    step = call.step
    if calls.outside.takes(step, spread=False) or step.options.limits or step.options.cache:
        context = contextvars.copy_context()
        return await asyncio.to_thread(context.run, functools.partial(calls.run, step, call, spread=False))
    started = now()
    calls.begun(call, started)
    attempt = 1
    while True:
        tried = await try_awaited(calls, call, started, attempt)
        ended = await asyncio.to_thread(calls.ended, step, call, tried)
        if isinstance(ended, Tried):
            return calls.value_or_error(step, ended)
        await asyncio.sleep(ended)
        attempt += 1


async def try_awaited(calls: Calls, call: Call, started: datetime, attempt: int) -> Tried:
    """One try of a step that is a coroutine."""
    import asyncio

    step = call.step
    seconds = step.options.timeout or None
    show = functools.partial(calls.shown, call)
    here = inside_step(calls.context(call, attempt), on_look=show, service=lambda: calls.service)
    with caught(functools.partial(calls.print_live, call)) as tail, here:
        try:
            value = await asyncio.wait_for(step.function(*call.args, **call.kwargs), seconds)
            output = calls.encode(step, value)
        except LostLease:
            raise
        except TimeoutError as error:
            late = DeadlineExceeded(f"step {step.name} took longer than {seconds:g} s") if seconds else error
            return failed_call(call, started, attempt, late, tail.text())
        except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised is recorded
            return failed_call(call, started, attempt, error, tail.text())
    done = call.record("finished", started, attempt=attempt, finished_at=now(), output=output)
    return Tried(done, tail.text(), None, (value,))
