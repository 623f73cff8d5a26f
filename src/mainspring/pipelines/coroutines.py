"""Steps and flows that are coroutines: run here, where an event loop runs already or none does."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["gather_here", "run_coroutine"]

T = TypeVar("T")

_ABREAST = 64
"""How many coroutines of a map are under way at the same time."""


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and give its result; in a thread of its own where an event loop runs (a notebook)."""
    import asyncio  # no flow that is no coroutine has a loop

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    context = contextvars.copy_context()
    answer: list[T] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(context.run(asyncio.run, coroutine))
        except BaseException as raised:  # noqa: BLE001 -- raised again where it was asked for
            error.append(raised)

    thread = threading.Thread(target=run, name="mainspring-loop")
    thread.start()
    thread.join()
    if error:
        raise error[0]
    return answer[0]


def gather_here(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]], abreast: int = _ABREAST) -> list[T]:
    """Run many coroutines, so many at the same time, and give their results in order; the first error is raised."""
    import asyncio

    async def gather() -> list[T]:
        gate = asyncio.Semaphore(abreast)

        async def one(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
            async with gate:
                return await call()

        return list(await asyncio.gather(*(one(call) for call in calls)))

    return run_coroutine(gather())
