"""Changes from event loops: gathered while a commit is under way, committed together, answered on their own loop.

Changes that the callers of one loop submit in one turn of it are handed over in one piece, and everything that was
handed over by the time a commit begins goes into it. So a commit's fsync, its locks and the waking of a thread are
paid once for many callers; each still has a savepoint of its own and fails alone.
"""

from __future__ import annotations

import contextvars
import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mainspring.kernel.errors import InternalError, MainspringError, StorageError
from mainspring.store.transaction import Seal, Transaction

if TYPE_CHECKING:
    import asyncio  # no command that runs and ends has a loop

    Loop = asyncio.AbstractEventLoop
    Answer = tuple[asyncio.Future[Any], Any, BaseException | None]

__all__ = ["Submissions"]

R = TypeVar("R")
Write = Callable[[], AbstractContextManager[Transaction]]

_BATCH = 512


class _Submitted(msgspec.Struct, gc=False):
    """A change that waits for its commit."""

    change: Callable[[Transaction], Any]
    seal: Seal | None
    context: contextvars.Context
    loop: Loop
    future: asyncio.Future[Any]

    def run(self, tx: Transaction) -> Any:
        result = self.change(tx)
        tx.finish(self.seal)
        return result


class Submissions:
    """Takes changes from any number of event loops and commits them in a thread of its own."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._mine = threading.local()
        self._handed: deque[_Submitted] = deque()
        self._guard = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._closed = False

    def submit(self, change: Callable[[Transaction], R], seal: Seal | None) -> asyncio.Future[R]:
        """Commit a change with those that wait; what it returned or raised, once it is durable."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        gathered = self._gathered(loop)
        if not gathered:
            loop.call_soon(self._hand_over, gathered)  # after the others that are ready in this turn of the loop
        gathered.append(_Submitted(change, seal, contextvars.copy_context(), loop, future))
        return future

    def close(self) -> None:
        """Commit what was handed over, and take no more."""
        with self._guard:
            self._closed = True
        if self._thread is not None:
            self._thread.shutdown()

    def _gathered(self, loop: Loop) -> list[_Submitted]:
        """What this turn of the loop has submitted. A loop runs in one thread; one that ended takes its own with it."""
        if getattr(self._mine, "loop", None) is not loop:
            self._mine.loop, self._mine.gathered = loop, []
        gathered: list[_Submitted] = self._mine.gathered
        return gathered

    def _hand_over(self, gathered: list[_Submitted]) -> None:
        pieces = gathered[:]
        gathered.clear()
        with self._guard:
            if self._closed:
                error = StorageError("this store was closed", hint="open it again: Store.open(...)")
                _deliver([(each.future, None, error) for each in pieces])
                return
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="mainspring-commit")
            self._handed.extend(pieces)
            self._thread.submit(self._commit_all)

    def _commit_all(self) -> None:
        """Commit everything that was handed over; finds nothing when an earlier turn has taken it along."""
        while self._handed:
            batch = [self._handed.popleft() for _ in range(min(_BATCH, len(self._handed)))]
            batch = [each for each in batch if not each.future.done()]
            if batch:
                _answer(batch, self._commit(batch))

    def _commit(self, batch: Sequence[_Submitted]) -> list[tuple[Any, BaseException | None]]:
        try:
            with self._write() as outer:
                return [_run(outer, each) for each in batch]
        except BaseException as error:  # noqa: BLE001 -- nothing was kept, and each caller must hear of it
            return [(None, copy.copy(error) if isinstance(error, MainspringError) else error) for _ in batch]


def _run(outer: Transaction, submitted: _Submitted) -> tuple[Any, BaseException | None]:
    """Run one change in its savepoint; what it returned or raised."""
    connection = outer._connection  # noqa: SLF001 -- members of a batch get transactions of their own
    connection.execute("SAVEPOINT submitted")
    tx = Transaction(connection, writes=True)
    try:
        result = submitted.context.run(submitted.run, tx)
        connection.execute("RELEASE submitted")
    except BaseException as error:
        tx.end()
        if not connection.in_transaction():
            raise  # the failure took the transaction of all with it
        connection.execute("ROLLBACK TO submitted")
        connection.execute("RELEASE submitted")
        return None, error
    outer.events += tx.events
    return result, None


def _answer(batch: Sequence[_Submitted], outcomes: Sequence[tuple[Any, BaseException | None]]) -> None:
    answers: dict[Loop, list[Answer]] = {}
    for each, (result, error) in zip(batch, outcomes, strict=True):
        answers.setdefault(each.loop, []).append((each.future, result, error))
    for loop, some in answers.items():
        try:
            loop.call_soon_threadsafe(_deliver, some)
        except RuntimeError:
            continue  # the loop was closed; nobody waits there any more


def _deliver(answers: Sequence[Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue  # its caller went away; what it changed stands
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # a future cannot carry it
            future.set_exception(InternalError("a change raised StopIteration"))
        else:
            future.set_exception(error)
