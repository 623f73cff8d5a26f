"""A map: many calls of one step, spread over processes, recorded in batches as they come in."""

from __future__ import annotations

import contextvars
import heapq
import itertools
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.kernel.clock import monotonic, now
from mainspring.pipelines.calls import Call, Calls
from mainspring.pipelines.options import is_tried_again
from mainspring.pipelines.types import StepRecord
from mainspring.store.queue import backoff

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Step

__all__ = ["run_map"]

_THREADS = 8
_AHEAD = 4
"""How many calls are under way for each process: enough that none waits for the next to be sent."""


def run_map(calls: Calls, step: Step[..., Any], todo: list[Call]) -> dict[int, Any]:
    """Run the calls; their values by item. When some fail, the others are recorded and the first error is raised."""
    values: dict[int, Any] = {}
    fresh = []
    for call in todo:
        hit = calls.from_cache(call) if call.key else None
        if hit is None:
            fresh.append(call)
        else:
            values[call.item] = hit[0]
    if not fresh:
        return values
    if calls.goes_outside(step, spread=True):
        return values | _Spread(calls, step, fresh).run()
    if step.options.where == "inline":
        return values | {call.item: calls.run(step, call, spread=False) for call in fresh}
    return values | _in_threads(calls, step, fresh)


class _Spread:
    """The calls of a map on their way through the processes."""

    def __init__(self, calls: Calls, step: Step[..., Any], todo: list[Call]) -> None:
        self._calls = calls
        self._step = step
        self._todo = iter(todo)
        self._shared = {name: calls.encode_input(value) for name, value in todo[0].kwargs.items()}
        self._running: dict[Future[bytes], tuple[Call, datetime, int]] = {}
        self._again: list[tuple[float, int, Call, int]] = []  # a heap: when, a tie-breaker, what, which attempt
        self._order = itertools.count()
        self._errors: list[tuple[int, BaseException]] = []
        self.values: dict[int, Any] = {}

    def run(self) -> dict[int, Any]:
        width = self._calls.engine(self._step).width * _AHEAD
        try:
            while self._send(width):
                self._receive()
        except BaseException:
            for future in self._running:
                self._calls.engine(self._step).cancel(future)
            raise
        if self._errors:
            raise min(self._errors, key=lambda each: each[0])[1]
        return self.values

    def _send(self, width: int) -> bool:
        """Keep the processes busy; whether anything is under way or waits to be tried again."""
        chosen: list[tuple[Call, int]] = []
        while len(self._running) + len(chosen) < width:
            if self._again and self._again[0][0] <= monotonic():
                _, _, call, attempt = heapq.heappop(self._again)
            elif self._errors or (found := next(self._todo, None)) is None:
                break  # after an error nothing new is begun
            else:
                call, attempt = found, 1
            chosen.append((call, attempt))
        started = now()
        if fresh := [call for call, attempt in chosen if attempt == 1]:
            self._calls.announce(fresh, started)
        for call, attempt in chosen:
            future = self._calls.send(self._step, call, attempt, self._shared)
            self._running[future] = (call, started, attempt)
        return bool(self._running or self._again)

    def _receive(self) -> None:
        pause = max(0.0, self._again[0][0] - monotonic()) if self._again else None
        done, _ = wait(self._running, timeout=pause, return_when=FIRST_COMPLETED) if self._running else (set(), set())
        if not self._running and pause:
            wait([Future()], timeout=pause)
        records: list[StepRecord] = []
        logs: dict[str, str] = {}
        for future in done:
            call, started, attempt = self._running.pop(future)
            record, log, error = self._calls.received(self._step, call, future, started, attempt)
            options = self._step.options
            if error is not None and is_tried_again(options, attempt, error):
                due = monotonic() + backoff(attempt, base=options.delay)
                heapq.heappush(self._again, (due, next(self._order), call, attempt + 1))
                continue
            records.append(record)
            if log:
                logs[record.id] = log
            if error is None:
                self.values[call.item] = self._calls.value_of(record, self._step)
            else:
                self._errors.append((call.item, error))
        if records:
            self._calls.save(records, logs)


def _in_threads(calls: Calls, step: Step[..., Any], todo: list[Call]) -> dict[int, Any]:
    with ThreadPoolExecutor(min(_THREADS, len(todo)), thread_name_prefix="mainspring-map") as pool:
        futures = {
            call.item: pool.submit(
                contextvars.copy_context().run, lambda each: calls.run(step, each, spread=False), call
            )
            for call in todo
        }
        wait(futures.values())
    return {item: future.result() for item, future in futures.items()}
