"""Where a piece of work runs: here, in threads, in warm processes, on Ray, as Kubernetes Jobs. One port for all.

Work is the address of a function, `module:name`, that takes bytes and gives bytes. What the bytes mean is the business
of who calls; so the same port reaches a process on this machine, a Ray task or a Kubernetes Job.

    engine.submit("mainspring.pipelines.remote:execute", payload, limits=Limits(timeout=60)) -> Future[bytes]
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, cast

import msgspec

from mainspring.kernel.errors import (
    InternalError,
    InvalidInput,
    MainspringError,
    NotFound,
    TooLarge,
    Unavailable,
    nearest,
)

__all__ = [
    "InlineEngine",
    "Limits",
    "ProcessDied",
    "TaskEngine",
    "ThreadEngine",
    "open_tasks",
    "perform",
    "resolve",
    "told",
    "too_large",
]

Work = Callable[[bytes], bytes]


class ProcessDied(Unavailable):
    """The process that ran a task ended before it answered: a crash, a kill, or the system ran out of memory.

    `details` has `signal` (a name, or empty), `exit_code` and `pid`.
    """

    code = "MS-6003"


class Limits(msgspec.Struct, frozen=True):
    """What a piece of work may use. Zero means no limit."""

    timeout: float = 0.0
    """Seconds until it is killed, with every process that it started; `DeadlineExceeded`."""
    memory: int = 0
    """Bytes of data that its process may hold; beyond it the work gets a `MemoryError`. Processes on Linux only."""
    result: int = 64 << 20
    """Bytes that an answer may have; `TooLarge`. Bigger things travel through the blob store, by digest."""
    cpu: float = 0.0
    """Cores that it is given, where an engine can choose."""
    gpu: float = 0.0
    """Graphics processors that it is given, where an engine can choose."""
    image: str = ""
    """The container image that it runs in, where there are any; that of the engine by default."""
    label: str = ""
    """What people are shown it by."""
    priority: int = 0
    """Of work that waits for room the higher begins first, where an engine can choose."""
    environ: dict[str, str] = {}
    """Environment variables while it runs, in a process of this machine that is ended afterwards."""


NO_LIMITS = Limits()


class TaskEngine(Protocol):
    """A place where work runs. Safe to use from many threads.

    `submit` never blocks for the work itself. The future raises what the work raised when that was a
    `MainspringError`, `InternalError` for any other exception, `ProcessDied` when its process ended without an answer.
    Work may run zero or one times; nothing is tried again here, because only the caller knows what may be repeated.
    """

    @property
    def width(self) -> int:
        """How many pieces of work run at the same time."""
        ...

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload`."""
        ...

    def cancel(self, future: Future[bytes]) -> bool:
        """Stop work that was submitted here, killing it if it runs in a process; whether it will not finish."""
        ...

    def close(self) -> None:
        """Stop everything and give the processes back; no future stays open. `submit` then raises `Unavailable`."""
        ...


class InlineEngine:
    """Runs work at once, in the thread that submits it. For tests and debuggers.

    Example:
        >>> with_no_processes = InlineEngine()
        >>> with_no_processes.submit("mainspring.engines.tasks_child:echo", b"hello").result()
        b'hello'
    """

    width = 1

    def __init__(self) -> None:
        self._closed = False

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload`, now; limits other than that of the result do not apply."""
        if self._closed:
            raise Unavailable("the task engine was closed")
        future: Future[bytes] = Future()
        try:
            future.set_result(perform(address, payload, limits))
        except MainspringError as error:
            future.set_exception(error)
        return future

    def cancel(self, future: Future[bytes]) -> bool:
        """Nothing can be stopped: it has already run."""
        return False

    def close(self) -> None:
        """Nothing to give back."""
        self._closed = True


class ThreadEngine:
    """Runs work in threads of this process: for work that waits, or that releases the interpreter's lock."""

    def __init__(self, width: int = 8) -> None:
        if width < 1:
            raise InvalidInput(f"width={width}: an engine runs at least one piece of work at a time")
        self.width = width
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="mainspring-task")
        self._closed = False

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload`; a thread cannot be stopped, so only the result has a limit."""
        if self._closed:
            raise Unavailable("the task engine was closed")
        return self._pool.submit(perform, address, payload, limits)

    def cancel(self, future: Future[bytes]) -> bool:
        """Stop work that has not begun."""
        return future.cancel()

    def close(self) -> None:
        """Wait for what runs, drop what has not begun."""
        self._closed = True
        self._pool.shutdown(cancel_futures=True)


def perform(address: str, payload: bytes, limits: Limits = NO_LIMITS) -> bytes:
    """Run the function at `address` in this thread; raises nothing but a `MainspringError`."""
    try:
        answer = resolve(address)(payload)
    except (Exception, SystemExit) as error:
        raise told(error) from error
    if limits.result and len(answer) > limits.result:
        raise too_large(address, limits)
    return answer


def told(error: BaseException) -> MainspringError:
    """What work raised, as who waits for it gets to see it: ours as it is, any other with its type and traceback."""
    if isinstance(error, MainspringError):
        return error
    name = type(error).__name__
    text = "".join(traceback.format_exception(error, limit=-20))
    return InternalError(f"{name}: {error}", details={"type": name, "traceback": text})


def too_large(address: str, limits: Limits) -> TooLarge:
    """The answer of work was over its limit."""
    return TooLarge(f"{address} answered with more than {limits.result} bytes", hint="put it into the blob store")


def resolve(address: str) -> Work:
    """The function at `module:qualified.name`."""
    module, _, name = address.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotFound(f"there is no function at {address!r}: {error}") from error
    return cast("Work", found)


def open_tasks(
    kind: str = "process",
    *,
    width: int = 0,
    preload: Sequence[str] = (),
    main: str = "",
    store: str = "",
    owner: str = "",
    python: str = "",
    sys_path: Sequence[str] | None = None,
) -> TaskEngine:
    """An engine by its name: `process`, `thread`, `inline`, `ray` or `kubernetes`.

    Args:
        kind: Its name.
        width: How many at the same time; 0 for one per core.
        preload: Modules that its processes import once, before any work comes.
        main: Path of the script whose functions the work needs, when they live in `__main__`.
        store: Address of the store that large things travel through, where machines share no memory.
        python: The interpreter of processes of this machine; that of this process by default.
        sys_path: Where they import from; as this process by default.
        owner: For whom it works: what an earlier engine of the same owner left running elsewhere is ended.
    """
    import os

    cores = os.cpu_count() or 1
    if kind == "process":
        from mainspring.engines.tasks_process import ProcessEngine

        return ProcessEngine(width or cores, preload=preload, main=main, python=python, sys_path=sys_path)
    if kind == "thread":
        return ThreadEngine(width or cores)
    if kind == "inline":
        return InlineEngine()
    if kind == "ray":
        from mainspring.engines.tasks_ray import RayEngine

        return RayEngine(width, preload=preload, main=main)
    if kind == "kubernetes":
        from mainspring.engines.tasks_kubernetes import KubernetesEngine

        return KubernetesEngine(width, store=store, owner=owner)
    known = nearest(kind, ["inline", "kubernetes", "process", "ray", "thread"])
    raise NotFound(f"there is no task engine {kind!r}", known=known)
