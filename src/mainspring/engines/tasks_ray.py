"""Work on a Ray cluster: Ray finds the machine, and a warm process on that machine does the work.

What Ray calls a task only watches here; the work runs in a process of `tasks_process` beside Ray's worker. Ray by
itself has no time limit for a task, does not say by which signal or exit code a worker ended, leaves behind what a
cancelled task had started, and starts a new worker after each crash. This way limits and errors mean on a cluster what
they mean on this machine. Nothing is tried again (`max_retries=0`): durability belongs to the steps of a flow.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import msgspec

from mainspring.engines.tasks import NO_LIMITS, Limits, ProcessDied
from mainspring.engines.tasks_child import OK, RAISED, Setup
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.engines.tasks_ray_connection import CONNECTION
from mainspring.kernel.errors import InvalidInput, MainspringError, Unavailable, from_payload

__all__ = ["RayEngine", "supervise"]

_ASK_SECONDS = 0.1
_END_SECONDS = 10.0
_OBJECT_STORE = 256 << 20


class Order(msgspec.Struct, frozen=True):
    """What a Ray worker needs to know beside the payload."""

    setup: Setup
    address: str
    limits: Limits


class _Work(msgspec.Struct, frozen=True):
    outcome: Future[bytes]
    address: str
    payload: bytes
    limits: Limits


class _Answer(msgspec.Struct, frozen=True):
    work: _Work
    future: Future[tuple[int, bytes]]


class RayEngine:
    """Runs work on a Ray cluster.

    A process has one connection to Ray, which all its engines share; the last that closes ends it. One that somebody
    else has made with `ray.init` is used, and left as it is. With Ray's own addresses `ray://` it is untested.

    Args:
        width: How many at the same time; 0 for one per core of a local cluster, and all that another cluster can take.
        address: Of a cluster, `host:port`; by default that in `RAY_ADDRESS`, or else a cluster is started here.
        cpus: How many cores of the cluster one piece of work takes.
        object_store: Bytes of shared memory of a local cluster.
        preload: Modules that each machine imports once, for all its processes.
        main: Path of the script whose functions the work needs, when they live in `__main__`.
        cwd: Working folder of the processes, where a machine has it; that of this process by default.
        runtime_env: What Ray sets up on the machines before work runs there, in Ray's own form; new connections only.

    Example:
        >>> def shout(words: bytes) -> bytes:
        ...     with RayEngine(2) as engine:
        ...         return engine.submit("mainspring.engines.tasks_child:echo", words).result()
    """

    def __init__(
        self,
        width: int = 0,
        *,
        address: str = "",
        cpus: float = 1.0,
        object_store: int = _OBJECT_STORE,
        preload: Sequence[str] = (),
        main: str = "",
        cwd: str = "",
        runtime_env: dict[str, Any] | None = None,
    ) -> None:
        if width < 0:
            raise InvalidInput(f"width={width}: an engine runs at least one piece of work at a time; 0 for the default")
        if cpus <= 0:
            raise InvalidInput(f"cpus={cpus}: a piece of work takes a part of a core at least")
        self._setup = Setup(
            sys_path=list(sys.path),
            cwd=cwd or os.getcwd(),  # noqa: PTH109 -- a text is what travels
            preload=list(preload),
            main=main,
        )
        self._ray = CONNECTION.enter(address, width or os.cpu_count() or 1, object_store, runtime_env)
        self._function = self._ray.remote(num_cpus=cpus, max_retries=0)(supervise)
        self._width, self._cpus = width, cpus
        self._lock = threading.Lock()
        self._inbox: SimpleQueue[_Work | _Answer | None] = SimpleQueue()
        self._running: dict[Future[bytes], Any] = {}
        self._cancelled: set[Future[bytes]] = set()
        self._closed = False
        # One thread sends and receives: Ray's own, which says that a result is there, must not be made to wait.
        self._thread = threading.Thread(target=self._serve, name="mainspring-ray-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def width(self) -> int:
        """How many at the same time: what was asked for, or what the cluster has room for now."""
        return self._width or max(1, int(self._ray.cluster_resources().get("CPU", 1) / self._cpus))

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload` somewhere in the cluster. Its time begins when it has a place."""
        outcome: Future[bytes] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("the task engine was closed")
            self._inbox.put(_Work(outcome, address, bytes(payload), limits))
        return outcome

    def cancel(self, future: Future[bytes]) -> bool:
        """Drop work that has no place yet; kill it, and all processes it started, when it has."""
        if future.cancel():
            return True
        with self._lock:
            if future not in self._running:
                return False
            self._cancelled.add(future)
            reference = self._running[future]
        if reference is not None:
            self._ray.cancel(reference, force=False, recursive=False)
        return True

    def close(self) -> None:
        """Kill what runs, drop what has not begun; end the local cluster when no other engine uses it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for future in running:
            self.cancel(future)
        wait(running, timeout=_END_SECONDS)
        self._inbox.put(None)
        self._thread.join()
        for reference in self._running.values():
            self._ray.cancel(reference, force=True, recursive=False)
        CONNECTION.leave()

    def _serve(self) -> None:
        waiting: deque[_Work] = deque()
        while (message := self._inbox.get()) is not None:
            if isinstance(message, _Answer):
                self._settle(message)
            else:
                waiting.append(message)
            while waiting and not (self._width and len(self._running) >= self._width):
                self._send(waiting.popleft())
        for work in waiting:
            work.outcome.cancel()
            work.outcome.set_running_or_notify_cancel()

    def _send(self, work: _Work) -> None:
        with self._lock:
            if self._closed:
                work.outcome.cancel()
            if not work.outcome.set_running_or_notify_cancel():
                return
            self._running[work.outcome] = None
        order = msgspec.msgpack.encode(Order(self._setup, work.address, work.limits))
        try:
            reference = self._function.remote(order, work.payload)
        except Exception as error:  # noqa: BLE001 -- whatever Ray says, the future carries it to who waits
            failed: Future[tuple[int, bytes]] = Future()
            failed.set_exception(error)
            self._settle(_Answer(work, failed))
            return
        with self._lock:
            self._running[work.outcome] = reference
            cancelled = work.outcome in self._cancelled
        if cancelled:
            self._ray.cancel(reference, force=False, recursive=False)
        reference.future().add_done_callback(lambda future: self._inbox.put(_Answer(work, future)))

    def _settle(self, answer: _Answer) -> None:
        outcome = answer.work.outcome
        with self._lock:
            self._running.pop(outcome, None)
            cancelled = outcome in self._cancelled
            self._cancelled.discard(outcome)
        error = answer.future.exception()
        if error is not None:
            outcome.set_exception(_translated(error, answer.work.address, cancelled=cancelled))
            return
        kind, body = answer.future.result()
        if kind == OK:
            outcome.set_result(body)
        else:
            outcome.set_exception(from_payload(msgspec.json.decode(body)))


def _translated(error: BaseException, address: str, *, cancelled: bool) -> MainspringError:
    """What Ray says of a task that gave no answer, in our words."""
    from ray import exceptions as known

    lost = (
        known.WorkerCrashedError,
        known.NodeDiedError,
        known.LocalRayletDiedError,
        known.ObjectLostError,  # covers answers whose machine has gone
        known.OutOfMemoryError,
        known.TaskCancelledError,
    )
    if not isinstance(error, lost):
        return Unavailable(
            f"Ray could not run {address}: {type(error).__name__}: {error}",
            hint="every machine of the cluster needs mainspring and the module of the work, of these versions",
        )
    stopped = cancelled or isinstance(error, known.TaskCancelledError)
    memory = isinstance(error, known.OutOfMemoryError)
    how = "was cancelled" if stopped else "was ended because its machine ran out of memory" if memory else "died"
    return ProcessDied(
        f"the Ray worker that ran {address} {how} before it answered",
        hint="" if stopped else f"Ray says: {str(error).strip()[:500]}",
        details={"signal": "", "exit_code": None, "pid": 0, "cancelled": stopped}
        | ({"reason": "memory"} if memory else {}),
    )


_processes: tuple[Setup, ProcessEngine] | None = None


def supervise(order: bytes, payload: bytes) -> tuple[int, bytes]:
    """Have a process of this machine do the work, and watch it. Runs in a Ray worker, one at a time."""
    wanted = msgspec.msgpack.decode(order, type=Order)
    try:
        future = _process(wanted.setup).submit(wanted.address, payload, limits=wanted.limits)
        while not future.done():
            wait([future], timeout=_ASK_SECONDS)  # Ray's way of cancelling does not end a wait
        return OK, future.result()
    except MainspringError as error:
        return RAISED, msgspec.json.encode(error.payload())
    except BaseException:
        _end_processes()
        raise


def _process(setup: Setup) -> ProcessEngine:
    """The warm process of this Ray worker, with what only this machine knows of where to import from."""
    global _processes  # noqa: PLW0603 -- a property of the worker
    if _processes is None or _processes[0] != setup:
        _end_processes()
        here = [path for path in setup.sys_path if not path or Path(path).exists()]
        engine = ProcessEngine(
            1,
            preload=setup.preload,
            main=setup.main,
            cwd=setup.cwd,
            sys_path=list(dict.fromkeys([*here, *sys.path])),
        )
        _processes = (setup, engine)
    return _processes[1]


def _end_processes() -> None:
    global _processes
    if _processes is not None:
        found, _processes = _processes, None
        found[1].close()
