"""Listening to the file descriptors of standard output and error: a pipe in their place, a thread that passes on."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import select
import sys
import threading
from collections.abc import Callable

__all__ = ["DescriptorTap"]

_PIECE = 64 << 10


class DescriptorTap:
    """A descriptor whose bytes go where they went before, and are heard on the way."""

    def __init__(self, name: str, descriptor: int, hear: Callable[[str, str], None]) -> None:
        self._name, self._descriptor = name, descriptor
        self._hear: Callable[[str, str], None] | None = hear
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._process = os.getpid()
        self._saved = os.dup(descriptor)
        self._reading, writing = os.pipe()
        self._wake, self._waker = os.pipe()
        _flush()
        os.dup2(writing, descriptor)
        os.close(writing)
        self._thread = threading.Thread(target=self._pass_on, name=f"mainspring-{name}", daemon=True)
        self._thread.start()

    @classmethod
    def install(cls, hear: Callable[[str, str], None]) -> list[DescriptorTap]:
        """On the descriptors 1 and 2, those that are open."""
        taps = []
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            with contextlib.suppress(OSError):
                taps.append(cls(name, descriptor, hear))
        return taps

    def stop(self) -> None:
        """Put the descriptor back. A child process that has the pipe still is passed on, and heard no more."""
        if os.getpid() != self._process:
            return
        _flush()
        os.dup2(self._saved, self._descriptor)
        os.write(self._waker, b".")
        self._thread.join(timeout=5.0)

    def _pass_on(self) -> None:
        ending = False
        while True:
            ready, _, _ = select.select([self._reading, self._wake], [], [], 0.0 if ending else None)
            if self._reading in ready:
                data = os.read(self._reading, _PIECE)
                if not data:
                    break
                self._write(data)
                hear = self._hear
                if hear is not None and (text := self._decoder.decode(data)):
                    hear(self._name, text)
            elif ending or self._wake in ready:
                if ending:  # nothing is left, but a child may still write: another thread looks after it
                    self._hear = None
                    threading.Thread(target=self._serve_children, name=f"mainspring-{self._name}", daemon=True).start()
                    return
                ending = True
        self._close()

    def _serve_children(self) -> None:
        while data := os.read(self._reading, _PIECE):
            self._write(data)
        self._close()

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody reads what the program prints: no reason to stop it
            while data:
                data = data[os.write(self._saved, data) :]

    def _close(self) -> None:
        for descriptor in (self._reading, self._saved, self._wake, self._waker):
            os.close(descriptor)


def _flush() -> None:
    """Empty the buffers of Python and of C."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
