"""A map: many calls of one step, spread over processes, recorded in batches as they come in."""

from __future__ import annotations

import contextvars
import functools
import heapq
import itertools
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.kernel.clock import monotonic, now
from mainspring.pipelines.calls import Calls
from mainspring.pipelines.calls_awaited import run_awaited
from mainspring.pipelines.calls_identity import Call
from mainspring.pipelines.coroutines import gather_here
from mainspring.pipelines.options import is_tried_again
from mainspring.pipelines.tries import failed_try
from mainspring.pipelines.types import Attempt, StepRecord
from mainspring.store.queue import backoff

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Step
    from mainspring.pipelines.spreading import Spread

__all__ = ["run_map"]

_THREADS = 8
_AHEAD = 8
"""How many calls are under way for each process: enough that none waits for the next to be sent."""
_GATHER_SECONDS = 0.004
"""How long answers are gathered for one commit: less than a person or a disk notices, and many calls when they are
quick."""
_MOST_GATHERED = 512


def run_map(calls: Calls, step: Step[..., Any], spread: Spread, todo: list[Call]) -> dict[int, Any]:
    """Run the calls; their values by item. When some fail, the others are recorded and the first error is raised."""
    values: dict[int, Any] = {}
    fresh = todo
    if step.options.cache:
        fresh = []
        for call in todo:
            hit = calls.from_cache(call)
            if hit is None:
                fresh.append(call)
            else:
                values[call.item] = hit[0]
    if not fresh:
        return values
    if calls.outside.takes(step, spread=True) and not step.options.limits:
        return values | _Processes(calls, step, spread, fresh).run()
    if step.options.where == "inline":
        return values | {call.item: calls.run(step, call, spread=False) for call in fresh}
    if step.is_async and not calls.outside.takes(step, spread=True):
        found = gather_here([functools.partial(run_awaited, calls, call) for call in fresh])
        return values | {call.item: value for call, value in zip(fresh, found, strict=True)}
    return values | _in_threads(calls, step, fresh)


class _Processes:
    """The calls of a map on their way through the processes."""

    def __init__(self, calls: Calls, step: Step[..., Any], spread: Spread, todo: list[Call]) -> None:
        self._calls = calls
        self._step = step
        self._spread = spread
        self._todo: Iterator[Call] = iter(todo)
        self._shared = calls.outside.shared(spread)
        self._running: dict[Future[bytes], tuple[Call, datetime, int]] = {}
        self._again: list[tuple[float, int, Call, int]] = []  # a heap: when, a tie-breaker, what, which attempt
        self._order = itertools.count()
        self._errors: list[tuple[int, BaseException]] = []
        self.values: dict[int, Any] = {}

    def run(self) -> dict[int, Any]:
        engine = self._calls.outside.engine(self._step)
        width = engine.width * _AHEAD
        try:
            while self._send(width) or self._goes_on():
                self._receive(width)
        except BaseException:
            for future in self._running:
                engine.cancel(future)
            raise
        if self._errors:
            raise min(self._errors, key=lambda each: each[0])[1]
        return self.values

    def _send(self, width: int) -> bool:
        """Keep the processes busy; whether anything is under way or waits to be tried again."""
        while len(self._running) < width:
            if self._again and self._again[0][0] <= monotonic():
                _, _, call, attempt = heapq.heappop(self._again)
            elif self._errors or self._calls.paused or (found := next(self._todo, None)) is None:
                break  # after an error, and while it is paused, nothing new is begun
            else:
                call, attempt = found, 1
            started = now()
            self._calls.begun(call, started)
            context = self._calls.context(call, attempt)
            future = self._calls.outside.send(self._step, call, context, self._spread, self._shared)
            self._running[future] = (call, started, attempt)
        return bool(self._running or self._again)

    def _goes_on(self) -> bool:
        """Whether there is more to send: what a paused run holds back, once it is resumed."""
        if not self._calls.paused or self._errors or (more := next(self._todo, None)) is None:
            return False
        self._todo = itertools.chain([more], self._todo)
        self._calls.at_boundary()
        return True

    def _receive(self, width: int) -> None:
        """Record what has come in: at least one answer, and those that come within a moment of it."""
        pause = max(0.0, self._again[0][0] - monotonic()) if self._again else None
        if not self._running:
            wait([Future()], timeout=pause)
            return
        records: list[StepRecord] = []
        logs: dict[str, str] = {}
        attempts: list[Attempt] = []
        until = monotonic() + _GATHER_SECONDS
        done, _ = wait(self._running, timeout=pause, return_when=FIRST_COMPLETED)
        while done:
            for future in done:
                self._take(future, records, logs, attempts)
            if len(records) >= _MOST_GATHERED or monotonic() >= until or not self._send(width) or not self._running:
                break
            done, _ = wait(self._running, timeout=max(0.0, until - monotonic()), return_when=FIRST_COMPLETED)
        if records or attempts:
            self._calls.save(records, logs, attempts=attempts)

    def _take(
        self, future: Future[bytes], records: list[StepRecord], logs: dict[str, str], attempts: list[Attempt]
    ) -> None:
        call, started, attempt = self._running.pop(future)
        tried = self._calls.outside.received(call, future, started, attempt)
        options = self._step.options
        if tried.error is not None and is_tried_again(options, attempt, tried.error):
            self._calls.shown(call)
            attempts.append(failed_try(tried.record))
            due = monotonic() + backoff(attempt, base=options.delay)
            heapq.heappush(self._again, (due, next(self._order), call, attempt + 1))
            return
        tried = self._calls.or_fallback(self._step, call, tried)
        self._calls.over(call)
        records.append(tried.record)
        if tried.log:
            logs[call.id] = tried.log
        if tried.error is not None:
            self._errors.append((call.item, tried.error))
        else:
            value = tried.value or (self._calls.value_of(tried.record, self._step),)
            self.values[call.item] = value[0]


def _in_threads(calls: Calls, step: Step[..., Any], todo: list[Call]) -> dict[int, Any]:
    outside = calls.outside.takes(step, spread=True)
    with ThreadPoolExecutor(min(_THREADS, len(todo)), thread_name_prefix="mainspring-map") as pool:
        futures = {
            call.item: pool.submit(
                contextvars.copy_context().run, lambda each: calls.run(step, each, spread=outside), call
            )
            for call in todo
        }
        wait(futures.values())
    return {item: future.result() for item, future in futures.items()}
