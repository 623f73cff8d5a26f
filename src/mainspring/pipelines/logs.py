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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO, cast

from mainspring.pipelines.ticking import Ticking, begin_ticking

__all__ = ["TAIL_CHARACTERS", "Tail", "caught", "caught_descriptors"]

TAIL_CHARACTERS = 64_000
"""How much of the end of a log is kept."""
_LONGEST_LINE = 2000
"""What is longer is sent before it ends; a secret in it might be cut in two, and the whole log is clean at the end."""
Live = Callable[[str], None]

_into: ContextVar[Tail | None] = ContextVar("mainspring.pipelines.log", default=None)
_lock = threading.Lock()
_users = 0
_originals: tuple[TextIO, TextIO] | None = None
_empty: list[tuple[int, Any]] = []


class Tail:
    """The last characters of a text that grows.

    Args:
        live: Told what was added, twice a second, in whole lines.
    """

    def __init__(self, live: Live | None = None) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._live = live
        self._unsent: list[str] = []
        self._unsent_size = 0
        self._sending = threading.Lock()
        self._ticking: Ticking | None = None

    def add(self, text: str) -> None:
        """Append; what is too old is forgotten now and then."""
        if self._live is not None:
            with self._sending:
                self._unsent.append(text)
                self._unsent_size += len(text)
                if self._unsent_size > 2 * TAIL_CHARACTERS:
                    self._unsent = ["".join(self._unsent)[-TAIL_CHARACTERS:]]
                    self._unsent_size = len(self._unsent[0])
                if self._ticking is None:
                    self._ticking = begin_ticking(self.send)
        self._keep(text)

    def send(self) -> None:
        """Send the lines that were not sent yet; what is printed of one that has not ended waits for its end."""
        with self._sending:
            there = "".join(self._unsent)[-TAIL_CHARACTERS:]
            cut = 1 + max(there.rfind("\n"), there.rfind("\r"))
            if not cut and len(there) > _LONGEST_LINE:
                cut = len(there)
            self._unsent, self._unsent_size = [there[cut:]], len(there) - cut
        if cut and self._live is not None:
            self._live(there[:cut])  # what the store refuses is there again at the end

    def end(self) -> None:
        """Send nothing more."""
        if self._ticking is not None:
            self._ticking.end()

    def unsent(self) -> str:
        """What was not sent."""
        return "".join(self._unsent)

    def _keep(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)
        if self._size > 2 * TAIL_CHARACTERS:
            self._parts = [self.text()]
            self._size = len(self._parts[0])

    def text(self) -> str:
        """What is kept."""
        return "".join(self._parts)[-TAIL_CHARACTERS:]


class _FileTail(Tail):
    """The end of a file that others write."""

    def __init__(self, descriptor: int, live: Live | None) -> None:
        super().__init__(live)
        self._descriptor = descriptor
        self._sent = 0
        if live is not None:
            self._ticking = begin_ticking(self.send)

    def send(self) -> None:
        """Send the lines that were not sent yet."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        begin, data = self._rest()
        cut = 1 + max(data.rfind(b"\n"), data.rfind(b"\r"))
        if not cut and len(data) > _LONGEST_LINE:
            cut = len(data)
        if cut and self._live is not None:
            self._live(data[:cut].decode(errors="replace")[-TAIL_CHARACTERS:])
            self._sent = begin + cut

    def finish(self) -> None:
        """Take what is kept out of the file."""
        size = os.fstat(self._descriptor).st_size
        begin = max(0, size - 4 * TAIL_CHARACTERS)
        self._keep(os.pread(self._descriptor, size - begin, begin).decode(errors="replace"))
        self._unsent = [self._rest()[1].decode(errors="replace")[-TAIL_CHARACTERS:]]

    def _rest(self) -> tuple[int, bytes]:
        size = os.fstat(self._descriptor).st_size
        begin = max(self._sent, size - 4 * TAIL_CHARACTERS)
        return begin, os.pread(self._descriptor, size - begin, begin) if size > begin else b""


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
def caught(live: Live | None = None) -> Iterator[Tail]:
    """Keep what this context prints inside the block; `live` is told of it meanwhile."""
    tail = Tail(live)
    token = _into.set(tail)
    _install()
    try:
        yield tail
    finally:
        _uninstall()
        _into.reset(token)
        tail.end()


@contextmanager
def caught_descriptors(live: Live | None = None) -> Iterator[Tail]:
    """Keep what this whole process, and what it starts, prints inside the block. For processes that do nothing else.

    `live` is told of it meanwhile.
    """
    file = _empty_file()
    tail = _FileTail(file.fileno(), live)
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
        tail.end()
        if os.fstat(file.fileno()).st_size:
            with file:  # what the step started may go on writing there: nobody else is to read it
                tail.finish()
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
