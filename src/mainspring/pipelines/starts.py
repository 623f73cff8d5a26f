"""Steps that have begun and not been recorded yet.

A quick step is recorded once, when it ends. One that takes longer, or that looks at itself, is recorded as running
first: so people see it, and what it makes can name it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.pipelines.calls_identity import Call

__all__ = ["Starts"]

_PATIENCE = 0.1
_QUIET = 1.0
"""Seconds after the last beginning of a step in which nothing has to be looked at any more."""


class Starts:
    """The steps of one session that run in this process. Used by many threads.

    Args:
        announce: Records calls as running.
        catch_up: Called now and then, for what may follow a moment after a step was recorded.
    """

    def __init__(
        self, announce: Callable[[list[tuple[Call, datetime]]], None], catch_up: Callable[[], None] = lambda: None
    ) -> None:
        self._announce = announce
        self._catch_up = catch_up
        self._waiting: dict[str, tuple[Call, datetime, float]] = {}
        self._lock = threading.Lock()
        self._last = 0.0
        self._idle = False
        self._stir = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def expect(self, call: Call, started: datetime) -> None:
        """A step has begun."""
        with self._lock:
            self._last = monotonic()
            self._waiting[call.id] = (call, started, self._last)
            if self._idle:
                self._idle = False
                self._stir.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="mainspring-starts", daemon=True)
                self._thread.start()

    def show(self, call: Call) -> None:
        """Record it as running now, unless that was done."""
        self._show([call])

    def _show(self, calls: list[Call]) -> None:
        with self._lock:  # held while they are recorded: `forget` waits, so that an end is recorded after its beginning
            found = [self._waiting.pop(call.id) for call in calls if call.id in self._waiting]
            if found:
                self._announce([(call, started) for call, started, _ in found])

    def forget(self, call: Call) -> None:
        """It has ended, and its end is about to be recorded."""
        with self._lock:
            self._waiting.pop(call.id, None)

    def close(self) -> None:
        """Watch no more."""
        with self._lock:
            self._closing.set()
            self._stir.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(_PATIENCE):
            with self._lock:
                slow = [call for call, _, since in self._waiting.values() if monotonic() - since >= _PATIENCE]
            with suppress(MainspringError):  # who lost the run learns it from recording the end
                self._show(slow)
                self._catch_up()
            with self._lock:
                self._idle = not self._waiting and monotonic() - self._last > _QUIET
                if self._idle and not self._closing.is_set():
                    self._stir.clear()
            if self._idle:
                self._stir.wait()
