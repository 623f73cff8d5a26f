"""Where a piece of work runs: here, in threads, or in warm processes. One narrow port for all of them.

Work is the address of a function, `module:name`, that takes bytes and gives bytes. What the bytes mean is the business
of who calls; so the same port reaches a process on this machine, a Ray task or a Kubernetes Job.

    engine.submit("mainspring.pipelines.remote:execute", payload, limits=Limits(timeout=60)) -> Future[bytes]
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, cast

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, Unavailable, nearest

__all__ = ["InlineEngine", "Limits", "ProcessDied", "TaskEngine", "ThreadEngine", "open_tasks", "resolve"]

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
        """Stop everything and give the processes back. The engine cannot be used any more."""
        ...


class InlineEngine:
    """Runs work at once, in the thread that submits it. For tests and debuggers.

    Example:
        >>> with_no_processes = InlineEngine()
        >>> with_no_processes.submit("mainspring.engines.tasks_child:echo", b"hello").result()
        b'hello'
    """

    width = 1

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload`, now; limits other than that of the result do not apply."""
        future: Future[bytes] = Future()
        try:
            future.set_result(resolve(address)(payload))
        except Exception as error:  # noqa: BLE001 -- the future carries it, as that of any other engine
            future.set_exception(error)
        return future

    def cancel(self, future: Future[bytes]) -> bool:
        """Nothing can be stopped: it has already run."""
        return False

    def close(self) -> None:
        """Nothing to give back."""


class ThreadEngine:
    """Runs work in threads of this process: for work that waits, or that releases the interpreter's lock."""

    def __init__(self, width: int = 8) -> None:
        if width < 1:
            raise InvalidInput(f"width={width}: an engine runs at least one piece of work at a time")
        self.width = width
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="mainspring-task")

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload`; limits do not apply, because a thread cannot be stopped."""
        return self._pool.submit(resolve(address), payload)

    def cancel(self, future: Future[bytes]) -> bool:
        """Stop work that has not begun."""
        return future.cancel()

    def close(self) -> None:
        """Wait for what runs, drop what has not begun."""
        self._pool.shutdown(cancel_futures=True)


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


def open_tasks(kind: str = "process", *, width: int = 0) -> TaskEngine:
    """An engine by its name: `process`, `thread` or `inline`; `width` 0 for one per core."""
    import os

    width = width or os.cpu_count() or 1
    if kind == "process":
        from mainspring.engines.tasks_process import ProcessEngine

        return ProcessEngine(width)
    if kind == "thread":
        return ThreadEngine(width)
    if kind == "inline":
        return InlineEngine()
    known = nearest(kind, ["inline", "process", "thread"])
    raise NotFound(f"there is no task engine {kind!r}", known=known)
