"""What a process prints, as a part of its run: in order, with times, without the intermediate states of progress bars.

Two ways to listen. `python` puts itself before `write` of `sys.stdout` and `sys.stderr`: what Python prints, handlers
of `logging` that were made before included; it changes nothing that anybody could see. `process` redirects the file
descriptors through a pipe, so that C libraries and child processes are heard too; there a terminal is no terminal any
more. Nothing that goes wrong here reaches the program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

from mainspring.kernel.clock import from_micros, now_micros
from mainspring.tracking.console_pipe import DescriptorTap

__all__ = ["ConsoleOutput", "Mode"]

_log = logging.getLogger("mainspring.tracking")

Mode = Literal["off", "python", "process"]

_SEGMENT = 256 << 10
_WHOLE = 64 << 20
_PENDING = 4 << 20
_LINE = 32 << 10
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_LINES = re.compile(r"([^\r\n]*)(\r\n|\n|\r|$)")


class _Tap(Protocol):
    def stop(self) -> None: ...


class ConsoleOutput:
    """Listens until stopped, and hands over what was printed in segments that grow and are handed over again.

    Args:
        keep: Takes the number of a segment and all of its bytes, again and again while it grows.
        mode: `python` or `process`.
    """

    def __init__(self, keep: Callable[[int, bytes], Any], *, mode: Mode = "python") -> None:
        self._keep = keep
        self._pieces: deque[tuple[int, str, str]] = deque()
        self._pending = 0
        self._lost = 0
        self._book = _Book()
        self._handed: tuple[int, bytes] = (0, b"")
        self._stopping = threading.Event()
        self._taps: list[_Tap] = []
        if mode == "process":
            self._taps = [*DescriptorTap.install(self._hear)]
        elif mode == "python":
            self._taps = [tap for name in ("stdout", "stderr") if (tap := _WriteTap.install(name, self._hear))]
        self._thread = threading.Thread(target=self._work, name="mainspring-console", daemon=True)
        self._thread.start()

    def stop(self, error: BaseException | None = None) -> None:
        """Listen no more and hand over the rest, and with it how the error came about, which nobody has printed yet."""
        for tap in reversed(self._taps):
            tap.stop()
        self._taps = []
        if error is not None:
            self._hear("stderr", "".join(traceback.format_exception(error)))
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _hear(self, stream: str, text: str) -> None:
        """Called in whatever thread prints: as little as possible."""
        if self._pending > _PENDING:
            self._lost += len(text)
            return
        self._pending += len(text)
        self._pieces.append((now_micros(), stream, text))

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            last = self._stopping.wait(pause)
            try:
                self._hand_over()
            except Exception as error:  # noqa: BLE001 -- the end of a thread of ours: the program goes on without
                _log.warning("what the program prints is no longer recorded: %s", error)
                return
            if last:
                return
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _hand_over(self) -> None:
        while self._pieces:
            at, stream, text = self._pieces.popleft()
            self._pending -= len(text)
            self._book.add(at, stream, text)
            if self._book.full:
                number = self._book.number
                self._keep(number, self._book.turn())
        self._pending = 0  # counted without a lock: a count that drifted begins anew
        if self._lost:
            lost, self._lost = self._lost, 0
            self._book.add(now_micros(), "stderr", f"[{lost} characters came too quickly to be recorded]\n")
        now = (self._book.number, self._book.text())
        if now[1] and now != self._handed:
            self._keep(*now)
            self._handed = now


class _Book:
    """Lines in order, in segments. Each line with its time and stream; an unfinished one stands at the end."""

    def __init__(self) -> None:
        self.number = 0
        self._lines: list[str] = []
        self._size = 0
        self._whole = 0
        self._open: dict[str, tuple[int, str, bool]] = {}

    @property
    def full(self) -> bool:
        return self._size >= _SEGMENT

    def add(self, at: int, stream: str, text: str) -> None:
        """Text of a stream; after a carriage return what comes replaces the line."""
        if self._whole > _WHOLE:
            return
        began, line, back = self._open.pop(stream, (at, "", False))
        for body, end in _LINES.findall(_ESCAPES.sub("", text)):
            if body:
                began, line = (at, body) if back or not line else (began, line + body)
                back = False
            if len(line) > _LINE:
                line = line[:_LINE]
            if end == "\r":
                back = True
            elif end:
                self._close(began, stream, line)
                began, line, back = at, "", False
        if line or back:
            self._open[stream] = (began, line, back)

    def turn(self) -> bytes:
        """All of the segment; the next one begins."""
        done = "".join(self._lines).encode(errors="replace")
        self.number, self._lines, self._size = self.number + 1, [], 0
        return done

    def text(self) -> bytes:
        """The segment as it is now, unfinished lines at its end."""
        rest = [_line(began, stream, line) for stream, (began, line, _) in self._open.items() if line]
        return "".join([*self._lines, *rest]).encode(errors="replace")

    def _close(self, at: int, stream: str, line: str) -> None:
        whole = _line(at, stream, line)
        self._whole += len(whole)
        if self._whole > _WHOLE:
            whole = _line(at, "stderr", f"[more than {_WHOLE >> 20} MiB were printed; the rest is not recorded]")
        self._lines.append(whole)
        self._size += len(whole)


class _WriteTap:
    """Stands before `write` of one of Python's streams."""

    def __init__(self, stream: Any, name: str, hear: Callable[[str, str], None]) -> None:
        self.stream, self.name = stream, name
        self.before = stream.__dict__.get("write")
        self.original = stream.write
        self._hear: Callable[[str, str], None] | None = hear
        self._process = os.getpid()

    @classmethod
    def install(cls, name: str, hear: Callable[[str, str], None]) -> _WriteTap | None:
        """On `sys.stdout` or `sys.stderr`; None where there is none, or it cannot be listened to."""
        stream = getattr(sys, name, None)
        try:
            tap = cls(stream, name, hear)
            stream.write = tap.write  # type: ignore[union-attr]  # a stream that is None has no __dict__
        except (AttributeError, TypeError):
            return None
        return tap

    def write(self, text: str) -> Any:
        written = self.original(text)
        hear = self._hear
        if hear is not None and os.getpid() == self._process:  # a forked child's words are its own
            hear(self.name, text)
        return written

    def stop(self) -> None:
        """Step aside; where somebody has put himself before us, only listen no more."""
        self._hear = None
        if self.stream.__dict__.get("write") != self.write:
            return
        owner = getattr(self.before, "__self__", None)
        while isinstance(owner, _WriteTap) and owner._hear is None:  # noqa: SLF001 -- others of us that could not leave
            self.before = owner.before
            owner = getattr(self.before, "__self__", None)
        if self.before is None:
            with contextlib.suppress(AttributeError):
                del self.stream.write
        else:
            self.stream.write = self.before


def _line(at: int, stream: str, text: str) -> str:
    return f"{from_micros(at).strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3]}Z {stream} {text.rstrip()}\n"
