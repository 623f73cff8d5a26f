"""The supervisor behind `mainspring up`: starts the parts, brings back what dies, ends them all.

Parts are forked, not started anew: they share the memory of what the supervisor imported, so that all of them
together start
in a fraction of a second and weigh little more than one. The supervisor itself opens no store, starts no thread and
imports
no model library, so that forking it is safe at any time; and it holds the listening sockets, so that a connection made
while a part is coming back waits instead of being refused.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import msgspec

from mainspring.kernel.clock import monotonic

__all__ = ["Part", "supervise"]

_GRACE = 20.0  # seconds that a part has to finish what it is doing
_QUICK = 2.0  # a part that lives shorter than this is brought back with a growing pause
_MOST_PAUSE = 5.0
_PR_SET_PDEATHSIG = 1
_log = logging.getLogger("mainspring.up")


class Part(msgspec.Struct, frozen=True):
    """One process of the group."""

    name: str
    run: Callable[[], None]
    """Runs in the forked process until SIGTERM."""


class _Child:
    def __init__(self, part: Part) -> None:
        self.part = part
        self.pid = 0
        self.born = 0.0
        self.failures = 0
        self.again_at = 0.0


def supervise(parts: Sequence[Part]) -> int:
    """Run the parts until SIGINT or SIGTERM; the exit code is 0 when all of them ended in time."""
    children = [_Child(part) for part in parts]
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        del signum, frame
        stopping = True

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that a death is written to the pipe below
    alarm, ring = os.pipe()
    for end in (alarm, ring):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    while not stopping:
        for child in children:
            if child.pid == 0 and monotonic() >= child.again_at:
                _start(child)
        _wait_for_signal(alarm, children)
        _reap(children)
    return _stop(children)


def _start(child: _Child) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child.born = monotonic()
    pid = os.fork()
    if pid:
        child.pid = pid
        return
    code = 1
    try:
        _become(child.part, parent)
        child.part.run()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # the boundary of the process: whatever it was is told, then it ends
        logging.getLogger("mainspring").exception("%s ended with an error", child.part.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # never back into the supervisor's own code


def _become(part: Part, parent: int) -> None:
    """Be a part and not a copy of the supervisor: own signals, own name in the log, and no life after its parent."""
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    logging.getLogger("mainspring").name = f"mainspring.{part.name}"
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)


def _wait_for_signal(alarm: int, children: Sequence[_Child]) -> None:
    """Sleep until a signal comes or a part is due to be brought back."""
    due = [child.again_at - monotonic() for child in children if child.pid == 0]
    if select.select([alarm], [], [], max(0.0, min([60.0, *due])))[0]:
        os.read(alarm, 4096)


def _reap(children: Sequence[_Child]) -> None:
    for child in children:
        if child.pid == 0:
            continue
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            continue
        lived = monotonic() - child.born
        child.failures = child.failures + 1 if lived < _QUICK else 0
        pause = min(_MOST_PAUSE, 0.1 * 2**child.failures) if child.failures else 0.0
        child.pid, child.again_at = 0, monotonic() + pause
        _log.warning(
            "%s (pid %d) %s; it is brought back%s",
            child.part.name,
            pid,
            _ending(status),
            f" in {pause:.1f} s" if pause else "",
        )


def _stop(children: Sequence[_Child]) -> int:
    """Ask every part to finish, wait, and kill what does not."""
    alive = [child for child in children if child.pid]
    for child in alive:
        os.kill(child.pid, signal.SIGTERM)
    deadline = monotonic() + _GRACE
    while alive and monotonic() < deadline:
        alive = [child for child in alive if os.waitpid(child.pid, os.WNOHANG)[0] == 0]
        if alive:
            time.sleep(0.01)
    for child in alive:
        _log.error("%s (pid %d) did not finish in %.0f s and is killed", child.part.name, child.pid, _GRACE)
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    return 1 if alive else 0


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
