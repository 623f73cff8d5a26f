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


class Starts:
    """The steps of one session that run in this process. Used by many threads.

    Args:
        announce: Records calls as running.
        catch_up: Called now and then, for what may follow a moment after a step was recorded.
    """

    def __init__(
        self, announce: Callable[[list[Call], datetime], None], catch_up: Callable[[], None] = lambda: None
    ) -> None:
        self._announce = announce
        self._catch_up = catch_up
        self._waiting: dict[str, tuple[Call, datetime, float]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def expect(self, call: Call, started: datetime) -> None:
        """A step has begun."""
        with self._lock:
            self._waiting[call.id] = (call, started, monotonic())
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="mainspring-starts", daemon=True)
                self._thread.start()

    def show(self, call: Call) -> None:
        """Record it as running now, unless that was done."""
        with (
            self._lock
        ):  # held while it is recorded, so that `forget` waits and the end is recorded after the beginning
            found = self._waiting.pop(call.id, None)
            if found is not None:
                self._announce([found[0]], found[1])

    def forget(self, call: Call) -> None:
        """It has ended, and its end is about to be recorded."""
        with self._lock:
            self._waiting.pop(call.id, None)

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(_PATIENCE):
            with self._lock:
                slow = [call for call, _, since in self._waiting.values() if monotonic() - since >= _PATIENCE]
            with suppress(MainspringError):  # who lost the run learns it from recording the end
                for call in slow:
                    self.show(call)
                self._catch_up()
