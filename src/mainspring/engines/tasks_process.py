"""Warm processes on this machine: forked from a zygote, kept for the next task, killed as a whole tree.

Written by hand because `concurrent.futures` cannot kill one task, breaks the whole pool when one process dies, and its
fork is unsafe in a parent with threads while its spawn costs an interpreter start and all imports per process.
Measured on two cores: 0.1 ms there and back to a warm process, 5 ms to fork one more, 120 ms to start one by exec.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import msgspec

from mainspring.engines.tasks import NO_LIMITS, Limits, ProcessDied, too_large
from mainspring.engines.tasks_child import OK, Died, Fork, Setup, WorkFrame, children_of, receive, send
from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, Unavailable, from_payload

__all__ = ["ProcessEngine", "kill_tree"]

_START_SECONDS = 60.0


class _Child:
    """One process that serves on a socket."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.served = 0
        self.cancelled = False


class _Zygote:
    """The process that forks children. Requests are answered one at a time."""

    def __init__(self, setup: Setup, python: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [python, "-m", "mainspring.engines.tasks_child", "zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in setup.sys_path if path)},
            )
        self._channel = ours
        self._channel.settimeout(_START_SECONDS)
        self._lock = threading.Lock()
        send(ours, OK, msgspec.json.encode(setup))

    def fork(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return _Child(self._ask(Fork(), theirs.fileno()), ours)
            except BaseException:
                ours.close()
                raise

    def bury(self, child: _Child) -> int:
        """End what is left of a child; its wait status."""
        child.channel.close()
        kill_tree(child.pid)
        return self._ask(Died(child.pid))

    def close(self) -> None:
        self._channel.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: Fork | Died, *descriptors: int) -> int:
        with self._lock:
            try:
                socket.send_fds(self._channel, [msgspec.json.encode(request)], descriptors)
                answer = self._channel.recv(8)
            except OSError as error:
                raise Unavailable(f"the process that starts task processes does not answer: {error}") from error
        if len(answer) != 8:
            raise Unavailable("the process that starts task processes has ended", hint="submit the work again")
        pid: int = struct.unpack(">q", answer)[0]
        return pid


class ProcessEngine:
    """Runs work in processes of this machine.

    Args:
        width: How many at the same time.
        preload: Modules that the zygote imports once, for all processes.
        recycle: After how much work a process is replaced by a fresh one; 0 for never, 1 for a fresh one each time.
        main: Path of the script whose functions the work needs, when they live in `__main__`.
        cwd: Working folder of the processes; that of this process by default.
        sys_path: Where they import from; as this process by default.
        python: Their interpreter; that of this process by default.

    Example:
        >>> with ProcessEngine(1) as engine:
        ...     engine.submit("mainspring.engines.tasks_child:echo", b"hello").result()
        b'hello'
    """

    def __init__(
        self,
        width: int = 1,
        *,
        preload: Sequence[str] = (),
        recycle: int = 0,
        main: str = "",
        cwd: str = "",
        sys_path: Sequence[str] | None = None,
        python: str = "",
    ) -> None:
        if width < 1:
            raise InvalidInput(f"width={width}: an engine runs at least one piece of work at a time")
        self.width = width
        self._recycle = recycle
        self._python = python or sys.executable
        self._setup = Setup(
            sys_path=list(sys.path if sys_path is None else sys_path),
            cwd=cwd or os.getcwd(),  # noqa: PTH109 -- a text is what travels
            preload=list(preload),
            main=main,
        )
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="mainspring-process")
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._idle: list[_Child] = []
        self._busy: dict[Future[bytes], _Child] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload` in a process."""
        outcome: Future[bytes] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("the task engine was closed")
            self._pool.submit(self._deliver, outcome, address, payload, limits)
        return outcome

    def warm(self) -> None:
        """Start the zygote now, so that its imports are under way before the first work comes."""
        with self._lock:
            self._zygote = self._zygote or _Zygote(self._setup, self._python)

    def cancel(self, future: Future[bytes]) -> bool:
        """Drop work that has not begun; kill it, and all processes it started, when it has."""
        if future.cancel():
            return True
        with self._lock:
            child = self._busy.get(future)
            if child is None:
                return False
            child.cancelled = True
        kill_tree(child.pid)
        return True

    def close(self) -> None:
        """Kill what runs, drop what has not begun, end every process."""
        with self._lock:
            self._closed = True
            busy = list(self._busy)
        for future in busy:
            self.cancel(future)
        self._pool.shutdown()  # what has not begun passes through it, and is refused
        for child in self._idle:
            child.channel.close()
        self._idle.clear()
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _deliver(self, outcome: Future[bytes], address: str, payload: bytes, limits: Limits) -> None:
        if self._closed:
            outcome.cancel()
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            outcome.set_result(self._run(outcome, address, payload, limits))
        except Exception as error:  # noqa: BLE001 -- the future carries it to who waits
            outcome.set_exception(error)

    def _run(self, outcome: Future[bytes], address: str, payload: bytes, limits: Limits) -> bytes:
        child = self._take(outcome)
        deadline = monotonic() + limits.timeout if limits.timeout else None
        answer: tuple[int, bytes] | None = None
        try:
            child.channel.settimeout(limits.timeout or None)
            send(child.channel, OK, msgspec.msgpack.encode(WorkFrame(address, payload, limits.memory, limits.environ)))
            if deadline is not None:
                child.channel.settimeout(max(0.001, deadline - monotonic()))
            answer = receive(child.channel, limit=limits.result)
        except TimeoutError:
            self._drop(outcome, child)
            raise DeadlineExceeded(
                f"{address} ran for longer than {limits.timeout:g} s and was killed with all it had started",
                details={"timeout": limits.timeout},
            ) from None
        except OverflowError as error:
            self._give_back(outcome, child)
            raise too_large(address, limits) from error
        except OSError:
            answer = None
        if answer is None:
            raise self._death(child, self._drop(outcome, child), address)
        if limits.environ:
            self._drop(outcome, child)  # a device that it has opened is held until it ends
        else:
            self._give_back(outcome, child)
        kind, body = answer
        if kind == OK:
            return body
        raise from_payload(msgspec.json.decode(body))

    def _take(self, outcome: Future[bytes]) -> _Child:
        with self._lock:
            if self._closed:
                raise Unavailable("the task engine was closed")
            zygote = self._zygote = self._zygote or _Zygote(self._setup, self._python)
            child = self._idle.pop() if self._idle else None
        if child is None:
            try:
                child = zygote.fork()
            except Unavailable:
                with self._lock:
                    if self._zygote is zygote:
                        self._zygote, self._idle = None, []  # its children died with it
                raise
        self._note(outcome, child)
        return child

    def _note(self, outcome: Future[bytes], child: _Child) -> None:
        """Let a child be found by who cancels; the engine may have been closed while it was forked."""
        with self._lock:
            self._busy[outcome] = child
            child.cancelled = self._closed
        if child.cancelled:
            kill_tree(child.pid)

    def _give_back(self, outcome: Future[bytes], child: _Child) -> None:
        child.served += 1
        if child.cancelled or (self._recycle and child.served >= self._recycle):
            self._drop(outcome, child)
            return
        with self._lock:
            self._busy.pop(outcome, None)
            self._idle.append(child)

    def _drop(self, outcome: Future[bytes], child: _Child) -> int:
        with self._lock:
            self._busy.pop(outcome, None)
            zygote = self._zygote
        try:
            return zygote.bury(child) if zygote else 0
        except Unavailable:
            with self._lock:
                if self._zygote is zygote:
                    self._zygote, self._idle = None, []
            return 0

    @staticmethod
    def _death(child: _Child, status: int, address: str) -> ProcessDied:
        name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
        code = os.waitstatus_to_exitcode(status)
        how = "was cancelled" if child.cancelled else f"was ended by {name}" if name else f"exited with code {code}"
        hint = "the system may have run out of memory" if name == "SIGKILL" and not child.cancelled else ""
        return ProcessDied(
            f"the process that ran {address} {how} before it answered",
            hint=hint,
            details={"signal": name, "exit_code": code, "pid": child.pid, "cancelled": child.cancelled},
        )


def kill_tree(pid: int) -> None:
    """Kill a process, its group, and every process that descends from it, however they have moved between groups."""
    family: list[int] = []
    young = [pid]
    while young:  # a stopped process cannot fork, so nobody is born behind our back
        for member in young:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGSTOP)
        family += young
        young = [child for child in children_of(*young) if child not in family]
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)
