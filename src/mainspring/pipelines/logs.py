"""What steps print: passed on as it comes, and its end kept.

In a process of its own a step's file descriptors are caught, so that what C libraries and child processes print is
there too. In the process of the caller only Python's `sys.stdout` and `sys.stderr` are, for each step apart from the
others.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO, cast

__all__ = ["TAIL_CHARACTERS", "Tail", "caught", "caught_descriptors"]

TAIL_CHARACTERS = 64_000
"""How much of the end of a log is kept."""

_into: ContextVar[Tail | None] = ContextVar("mainspring.pipelines.log", default=None)
_lock = threading.Lock()
_users = 0
_originals: tuple[TextIO, TextIO] | None = None
_empty: list[tuple[int, Any]] = []


class Tail:
    """The last characters of a text that grows."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Append; what is too old is forgotten now and then."""
        self._parts.append(text)
        self._size += len(text)
        if self._size > 2 * TAIL_CHARACTERS:
            self._parts = [self.text()]
            self._size = len(self._parts[0])

    def text(self) -> str:
        """What is kept."""
        return "".join(self._parts)[-TAIL_CHARACTERS:]


class _Tee:
    """A stream that also writes into the tail of the step that prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        tail = _into.get()
        if tail is not None:
            tail.add(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def caught() -> Iterator[Tail]:
    """Keep what this context prints inside the block."""
    tail = Tail()
    token = _into.set(tail)
    _install()
    try:
        yield tail
    finally:
        _uninstall()
        _into.reset(token)


@contextmanager
def caught_descriptors() -> Iterator[Tail]:
    """Keep what this whole process, and what it starts, prints inside the block. For processes that do nothing else."""
    tail, file = Tail(), _empty_file()
    saved = [os.dup(1), os.dup(2)]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number in (1, 2):
        os.dup2(file.fileno(), number)
    try:
        yield tail
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        for number, original in zip((1, 2), saved, strict=True):
            os.dup2(original, number)
            os.close(original)
        size = os.fstat(file.fileno()).st_size
        if size:
            with file:  # what the step started may go on writing there: nobody else is to read it
                file.seek(max(0, size - 4 * TAIL_CHARACTERS))
                tail.add(file.read().decode(errors="replace"))
        else:
            _empty[:] = [(os.getpid(), file)]


def _empty_file() -> Any:
    """A file to print into: that of a silent step is taken again, since making one costs more than such a step."""
    if _empty:
        made_by, file = _empty.pop()
        if made_by == os.getpid():
            return file
    return tempfile.TemporaryFile()


def _install() -> None:
    global _users, _originals  # noqa: PLW0603 -- the streams are one per process
    with _lock:
        _users += 1
        if _users == 1:
            _originals = (sys.stdout, sys.stderr)
            sys.stdout, sys.stderr = cast("TextIO", _Tee(sys.stdout)), cast("TextIO", _Tee(sys.stderr))


def _uninstall() -> None:
    global _users, _originals  # noqa: PLW0603
    with _lock:
        _users -= 1
        if _users == 0 and _originals is not None:
            if isinstance(sys.stdout, _Tee) and isinstance(sys.stderr, _Tee):  # else somebody else put their own there
                sys.stdout, sys.stderr = _originals
            _originals = None
