"""What is done twice a second while steps run: sending what they print and show. One thread of a process for all."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from mainspring.kernel.errors import MainspringError

__all__ = ["TICK_SECONDS", "Ticking", "begin_ticking"]

TICK_SECONDS = 0.5


class Ticking:
    """Something that is done twice a second until `end`."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._context = contextvars.copy_context()
        self._running = threading.Lock()
        self._ended = False

    def end(self) -> None:
        """Do it no more; when this returns it is not under way either."""
        with self._running:
            self._ended = True
        with _changed:
            _all.pop(id(self), None)

    def run(self) -> None:
        """Do it once, unless it has ended. What the store refuses is passed over: the step learns it at its end."""
        with self._running:
            if not self._ended:
                with suppress(MainspringError):
                    self._context.copy().run(self._tick)


def begin_ticking(tick: Callable[[], None]) -> Ticking:
    """Have `tick` called twice a second, as the caller and in the workspace of whoever asks for it."""
    global _thread  # noqa: PLW0603 -- one thread of the process
    made = Ticking(tick)
    with _changed:
        _all[id(made)] = made
        if _thread is None:
            _thread = threading.Thread(target=_work, name="mainspring-ticking", daemon=True)
            _thread.start()
        elif len(_all) == 1:
            _changed.notify_all()
    return made


_changed = threading.Condition()
_all: dict[int, Ticking] = {}
_thread: threading.Thread | None = None
_pause = threading.Event()


def _work() -> None:
    while True:
        with _changed:
            while not _all:
                _changed.wait()
        _pause.wait(TICK_SECONDS)
        with _changed:
            now_there = list(_all.values())
        for each in now_there:
            each.run()


def _forked() -> None:
    """In a forked child: the thread is not here, and what it did is the parent's."""
    global _changed, _all, _thread, _pause
    _changed, _all, _thread, _pause = threading.Condition(), {}, None, threading.Event()


os.register_at_fork(after_in_child=_forked)
