"""How a handler of queued tasks learns that it should stop: its worker is leaving, its task was cancelled or lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar

from mainspring.engines.tasks import TaskEngine

__all__ = ["Stopped", "stopping", "wait_for", "working"]

_ASK_SECONDS = 0.1

_event: ContextVar[threading.Event | None] = ContextVar("mainspring.pipelines.working", default=None)


class Stopped(Exception):
    """The handler was told to stop."""


@contextmanager
def working(event: threading.Event) -> Iterator[None]:
    """Let the handler that runs inside the block be stopped by setting `event`."""
    token = _event.set(event)
    try:
        yield
    finally:
        _event.reset(token)


def stopping() -> bool:
    """Whether the handler that runs here should stop. Long handlers ask now and then."""
    event = _event.get()
    return event is not None and event.is_set()


def wait_for(engine: TaskEngine, future: Future[bytes]) -> bytes:
    """The result of work in a process, which is killed when the handler should stop; then `Stopped` is raised."""
    while True:
        try:
            return future.result(timeout=_ASK_SECONDS)
        except TimeoutError:
            if future.done():
                raise
            if stopping():
                engine.cancel(future)
                raise Stopped from None
