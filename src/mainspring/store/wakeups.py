"""Telling the other processes of a store that there is something new for them, so that none has to ask again and again.

Who listens makes a named pipe in a folder of the store; who calls writes a byte into every pipe there. A pipe whose
process is gone has no reader, which the kernel says at once, and is removed. Nothing depends on a call being heard: it
is a hint, and listeners look for themselves now and then.
"""

from __future__ import annotations

import contextlib
import os
import select
import weakref
from errno import ENXIO
from pathlib import Path
from typing import Protocol

from mainspring.kernel.clock import now_micros
from mainspring.kernel.ids import new_id

__all__ = ["Ear", "PipeEar", "Pipes"]

_DRAIN_BYTES = 4096
_YOUNG_SECONDS = 60.0


class Ear(Protocol):
    """Something that hears calls."""

    def hear(self, timeout: float) -> bool:
        """Wait for a call, for so many seconds at most; whether there was one since the last time."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class Pipes:
    """The pipes of one store.

    Example:
        >>> import tempfile
        >>> pipes = Pipes(Path(tempfile.mkdtemp()))
        >>> ear = pipes.listen()
        >>> pipes.call(), ear.hear(1.0), ear.hear(0.0)
        (1, True, False)
        >>> ear.close()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def call(self) -> int:
        """Wake everybody who listens; how many there were."""
        heard = 0
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 -- ten times faster, on the way of every task and event
        except OSError:
            return 0
        for name in names:
            path = f"{self._folder}/{name}"
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno == ENXIO and not _is_young(path, name):  # its reader is gone
                    with contextlib.suppress(OSError):
                        os.unlink(path)  # noqa: PTH108 -- the path is a text already
                continue
            with contextlib.suppress(BlockingIOError, BrokenPipeError):  # full: it will wake anyway
                os.write(pipe, b"!")
                heard += 1
            os.close(pipe)
        return heard

    def listen(self) -> PipeEar | None:
        """Begin to listen; None where the file system has no pipes."""
        try:
            return PipeEar(self._folder)
        except OSError:
            return None


def _is_young(path: str, name: str) -> bool:
    """Whether a pipe may be one that its reader has not opened yet."""
    try:
        return name.startswith(".") and now_micros() / 1e6 - os.stat(path).st_mtime < _YOUNG_SECONDS  # noqa: PTH116 -- a text already
    except OSError:
        return True


class PipeEar:
    """One process that listens."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        name = new_id()
        young, self._path = folder / f".{name}", folder / name
        os.mkfifo(young, 0o600)
        try:
            # Open for both: it never reaches its end, however many callers come and go.
            self._pipe = os.open(young, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            young.rename(self._path)  # only now callers see it, so that none takes it for a dead one
        except BaseException:
            young.unlink()
            raise
        self._poll = select.poll()  # `select` knows the first 1,024 descriptors only
        self._poll.register(self._pipe, select.POLLIN)
        _ears.add(self)

    def hear(self, timeout: float) -> bool:
        """Wait for a call, for so many seconds at most; whether there was one since the last time."""
        if not self._poll.poll(max(0.0, timeout) * 1000):
            return False
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe, _DRAIN_BYTES)
        return True

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self.leave()

    def leave(self) -> None:
        """Let go of a pipe that is the parent's: held here, it would seem to have a reader when its parent is gone."""
        _ears.discard(self)
        os.close(self._pipe)


_ears: weakref.WeakSet[PipeEar] = weakref.WeakSet()


def _leave_inherited() -> None:
    for ear in list(_ears):
        ear.leave()


os.register_at_fork(after_in_child=_leave_inherited)
