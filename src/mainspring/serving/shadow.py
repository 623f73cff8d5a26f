"""Work for a shadow: done after the answer, in the order of arrival, never in the way of answering.

Bounded, and the newest is dropped first: a shadow that cannot keep up sees fewer requests, and says how many.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

__all__ = ["ShadowQueue"]

_LOG = logging.getLogger("mainspring.serving")


class ShadowQueue:
    """A bounded queue and the one thread that works it off; thread-safe."""

    def __init__(self, *, limit: int) -> None:
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(limit)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.dropped = 0
        """Requests that the shadow did not see because the queue was full."""

    def put(self, work: Callable[[], None]) -> bool:
        """Take work; returns False, and counts, when there is too much already."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="serving-shadow", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def drain(self) -> None:
        """Wait until everything that was put is done."""
        self._queue.join()

    def close(self) -> None:
        """Finish what is queued and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001 -- logged; a background thread must not die of one failure
                _LOG.exception("a shadow failed")
            finally:
                self._queue.task_done()
        self._queue.task_done()
