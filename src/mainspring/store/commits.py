"""Waiting for the next commit, of this process or of another, without asking again and again."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.store.wakeups import Ear

__all__ = ["Commits"]

_HEARING_SECONDS = 1.0
"""How long a waiter trusts to be called; a call may be lost, where a process died between its commit and the call."""
_DEAF_SECONDS = 0.04
_LOOK_SECONDS = 0.5


class Commits:
    """What of a database's commits its waiters are told.

    Each commit of this process wakes every waiter. Those of other processes do when they announced something: a task,
    an event. Where nobody can be heard, waiters look 25 times a second.

    Args:
        listen: Begins to listen to other processes; None where that cannot be done.
    """

    def __init__(self, listen: Callable[[], Ear | None]) -> None:
        self._listen = listen
        self._changed = threading.Condition()
        self._number = 0
        self._thread: threading.Thread | None = None
        self._hears = False
        self._closed = False

    @property
    def number(self) -> int:
        """Grows with every commit that is known of. To be read before looking for what is waited for."""
        return self._number

    def tell(self) -> None:
        """Something was committed."""
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Block until something was committed after `seen` was read, or it is time to look again, or `timeout` seconds.

        It may return early: whoever waits looks, and waits again.
        """
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._hear, name="mainspring-commits", daemon=True)
                self._thread.start()
            deadline = monotonic() + min(timeout, _HEARING_SECONDS if self._hears else _DEAF_SECONDS)
            while self._number == seen and not self._closed and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)

    def close(self) -> None:
        """Wake everybody for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _hear(self) -> None:
        while not self._closed:
            with suppress(MainspringError, OSError, ValueError):  # away or cut off: waiters look for themselves
                ear = self._listen()
                if ear is not None:
                    self._hear_with(ear)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _HEARING_SECONDS)

    def _hear_with(self, ear: Ear) -> None:
        self._hears = True
        try:
            self.tell()  # what was committed before it listened
            while not self._closed:
                if ear.hear(_LOOK_SECONDS):
                    self.tell()
        finally:
            self._hears = False
            ear.close()
