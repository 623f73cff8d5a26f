"""The queue: durable work on the store's own database, with leases, heartbeats and fencing.

A task is enqueued in the transaction that makes it necessary, so that neither exists without the other. A worker claims
it, which counts its `attempt` up; whatever the worker commits in the end is accepted only while that attempt is the
running one. So a result is committed once, and a task whose worker was lost is given to another.

**Leases and clocks.** A worker is alive as long as its heartbeat *counter* moves. Who reaps remembers the counter and
its own monotonic clock, and calls a worker lost when the counter stood still for the length of the lease. No wall clock
is compared, on one machine or between two, so setting a clock back or forth neither loses a lease nor keeps one for
ever. A killed process of the same machine is seen at once (`queue_presence.py`).

**Waking up.** Whoever adds a task wakes the waiting workers of all processes when it is committed (`commits.py`), so
that nobody asks again and again, and a task is begun within a millisecond.

Written by hand: task queue libraries bring a broker or a database of their own, and none commits with the caller.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from mainspring.kernel.clock import monotonic, now, now_micros, to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, LostLease, NotFound
from mainspring.kernel.ids import new_id
from mainspring.store.database import Database
from mainspring.store.queue_entry import enqueue, find_task
from mainspring.store.queue_presence import birth, host, is_gone
from mainspring.store.queue_tables import TASKS, WORKERS, Task, WorkerRow
from mainspring.store.transaction import Transaction

__all__ = ["Queue", "backoff"]

LEASE_SECONDS = 10.0
"""How long a worker's heartbeat may stand still before its tasks are given to others."""


def backoff(attempt: int, *, base: float = 1.0, cap: float = 300.0) -> float:
    """Seconds to wait before trying again: full jitter, uniform in [0, min(cap, base * 2^(attempt-1))].

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    import random

    return random.uniform(0.0, min(cap, base * 2.0 ** min(attempt - 1, 60)))  # noqa: S311 -- spreads load, guards nothing


class Queue:
    """Durable tasks of one store. Safe from many threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beats: dict[str, tuple[int, float]] = {}
        self._reaping = threading.Lock()

    def enqueue(
        self,
        tx: Transaction,
        kind: str,
        payload: dict[str, Any],
        *,
        key: str = "",
        priority: int = 0,
        not_before: datetime | None = None,
        max_attempts: int = 3,
    ) -> str:
        """Add a task inside the caller's transaction; its id. A `key` that is taken gives the id of that task."""
        return enqueue(tx, kind, payload, key=key, priority=priority, not_before=not_before, max_attempts=max_attempts)

    def join(self, kinds: Sequence[str] = (), *, lease: float = LEASE_SECONDS, name: str = "") -> str:
        """Make this process known as a worker; the id to claim with. It must `heartbeat` every third of its lease."""
        if lease <= 0:
            raise InvalidInput(f"lease={lease}: a lease is a positive number of seconds")
        worker = name or new_id()
        row = WorkerRow(
            id=worker,
            host=host(),
            pid=os.getpid(),
            born=birth(os.getpid()),
            lease_ms=max(1, round(lease * 1000)),
            beats=0,
            kinds=list(kinds),
            joined_at=now(),
            seen_at=now(),
        )
        with self._database.write() as tx:
            tx.insert(WORKERS, row)
        return worker

    def leave(self, worker: str) -> int:
        """End a worker: what it still holds goes back to the queue, without counting as an attempt. How many tasks."""
        with self._database.write() as tx:
            tx.execute("DELETE FROM queue_workers WHERE id = ?", (worker,))
            tx.announce()
            return tx.execute(
                "UPDATE queue_tasks SET state = 'ready', worker = '', max_attempts = max_attempts + 1, changed_at = ?"
                " WHERE worker = ? AND state = 'running'",
                (tx.now_micros, worker),
            )

    def claim(self, worker: str, kinds: Sequence[str], limit: int = 1) -> list[Task]:
        """Take up to `limit` ready tasks of these kinds, the most urgent first.

        Raises:
            LostLease: The worker was given up by the others; it has to `join` again.
        """
        if not kinds or limit < 1 or not self.pending(kinds):
            return []
        with self._database.write() as tx:
            if not tx.execute("UPDATE queue_workers SET beats = beats + 1 WHERE id = ?", (worker,)):
                raise LostLease(f"worker {worker} is not known any more; it was given up", hint="join again")
            _wake_due(tx)
            rows = tx.rows(
                f"UPDATE queue_tasks SET state = 'running', attempt = attempt + 1, worker = ?, changed_at = ?"  # noqa: S608 -- marks only
                f" WHERE id IN (SELECT id FROM queue_tasks WHERE state = 'ready' AND kind IN ({_marks(kinds)})"
                f" ORDER BY priority DESC, id LIMIT ?) RETURNING {', '.join(TASKS.columns)}",
                (worker, tx.now_micros, *kinds, limit),
            )
        return sorted((TASKS.from_row(row) for row in rows), key=lambda task: (-task.priority, task.id))

    def heartbeat(self, worker: str) -> frozenset[str]:
        """Say that the worker lives; the ids of the tasks it still holds. One that is missing was cancelled or lost.

        Raises:
            LostLease: The others gave this worker up; everything it computes must be discarded.
        """
        with self._database.write() as tx:
            beat = "UPDATE queue_workers SET beats = beats + 1, seen_at = ? WHERE id = ?"
            if not tx.execute(beat, (tx.now_micros, worker)):
                raise LostLease(
                    f"worker {worker} was silent for longer than its lease and was given up", hint="join again"
                )
            held = tx.rows("SELECT id FROM queue_tasks WHERE worker = ? AND state = 'running'", (worker,))
        return frozenset(str(row[0]) for row in held)

    def complete(self, task: Task, result: Any = None, *, tx: Transaction | None = None) -> None:
        """Commit a task's result, in the caller's transaction when given, so that both stand or fall together.

        Raises:
            LostLease: Another attempt is running or the task was cancelled; nothing was changed.
        """
        if tx is None:
            with self._database.write() as own:
                self.complete(task, result, tx=own)
            return
        self._finish(tx, task, "state = 'done', result = ?, error = NULL", (_json(result),))

    def complete_many(self, results: Iterable[tuple[Task, Any]]) -> list[Task]:
        """Commit many results in one transaction; the tasks whose lease was lost, whose results are discarded."""
        lost: list[Task] = []
        with self._database.write() as tx:
            for task, result in results:
                try:
                    self.complete(task, result, tx=tx)
                except LostLease:
                    lost.append(task)
        return lost

    def fail(
        self,
        task: Task,
        error: dict[str, Any],
        *,
        retry: bool = True,
        delay: float | None = None,
        tx: Transaction | None = None,
    ) -> bool:
        """Give a failed task back, to be tried again after a while; whether it will be.

        It is dead, and kept to be looked at, when `retry` is False or its attempts are used up.

        Args:
            task: As it was claimed.
            error: What went wrong, in the form of `MainspringError.payload()`.
            retry: Whether trying again could help.
            delay: Seconds until the next attempt; `backoff(attempt)` when None.
            tx: The caller's transaction, when the failure must commit with other changes.

        Raises:
            LostLease: Another attempt is running or the task was cancelled; nothing was changed.
        """
        if tx is None:
            with self._database.write() as own:
                return self.fail(task, error, retry=retry, delay=delay, tx=own)
        again = retry and task.attempt < task.max_attempts
        wait = backoff(task.attempt) if delay is None else max(0.0, delay)
        due = tx.now + timedelta(seconds=wait)
        state = ("waiting" if wait else "ready") if again else "dead"
        self._finish(tx, task, "state = ?, not_before = ?, error = ?", (state, to_micros(due), _json(error)))
        tx.announce()
        return again

    def cancel(self, tx: Transaction, task_id: str) -> bool:
        """Cancel a task that has not ended; whether there was one. Who runs it learns from its next heartbeat."""
        tx.announce()
        return bool(
            tx.execute(
                "UPDATE queue_tasks SET state = 'cancelled', worker = '', changed_at = ?"
                " WHERE id = ? AND state IN ('waiting', 'ready', 'running')",
                (tx.now_micros, task_id),
            )
        )

    def revive(self, tx: Transaction, task_id: str, *, attempts: int = 3) -> None:
        """Make a dead or cancelled task ready again, with more attempts."""
        tx.announce()
        changed = tx.execute(
            "UPDATE queue_tasks SET state = 'ready', worker = '', max_attempts = attempt + ?, changed_at = ?,"
            " not_before = 0 WHERE id = ? AND state IN ('dead', 'cancelled')",
            (attempts, tx.now_micros, task_id),
        )
        if not changed:
            raise Conflict(f"task {task_id} is neither dead nor cancelled, or does not exist")

    def reap(self) -> list[Task]:
        """Take the tasks of lost workers back: ready again, or dead when their attempts are used up.

        To be called about every second. The tasks are returned as they are afterwards. A reaper that has just begun
        watches a silent worker for a whole lease before it acts, unless the process is seen to be gone.
        """
        with self._reaping:
            with self._database.read() as tx:
                workers = tx.fetch(WORKERS)
            moment = monotonic()
            seen, self._beats = self._beats, {}
            lost: list[WorkerRow] = []
            for worker in workers:
                beats, since = seen.get(worker.id, (-1, moment))
                self._beats[worker.id] = (worker.beats, since if beats == worker.beats else moment)
                silent = beats == worker.beats and moment - since > worker.lease_ms / 1000
                if silent or is_gone(worker.host, worker.pid, worker.born):
                    lost.append(worker)
            return [task for worker in lost for task in self._bury(worker)]

    def wait(self, kinds: Sequence[str], *, timeout: float) -> bool:
        """Block until a task of these kinds may be claimed, or `timeout` seconds went by; whether there is one."""
        deadline = monotonic() + timeout
        commits = self._database.commits
        while True:
            seen = commits.number
            if self.pending(kinds):
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            commits.wait(seen, min(left, self._until_due(kinds)))

    def pending(self, kinds: Sequence[str]) -> bool:
        """Whether a task of these kinds could be claimed now."""
        with self._database.read() as tx:
            ready = f"SELECT 1 FROM queue_tasks WHERE state = 'ready' AND kind IN ({_marks(kinds)}) LIMIT 1"  # noqa: S608 -- marks only
            if tx.row(ready, kinds):
                return True
            due = f"SELECT 1 FROM queue_tasks WHERE {_DUE} AND kind IN ({_marks(kinds)}) LIMIT 1"  # noqa: S608 -- marks only
            return tx.row(due, (tx.now_micros, tx.now_micros, *kinds)) is not None

    def get(self, task_id: str) -> Task:
        """A task by its id."""
        with self._database.read() as tx:
            task = tx.fetch_one(TASKS, "WHERE id = ?", (task_id,))
        if task is None:
            raise NotFound(f"no task {task_id}")
        return task

    def find(self, tx: Transaction, kind: str, key: str) -> Task | None:
        """The task of this kind with this key, in the caller's workspace."""
        return find_task(tx, kind, key)

    def tasks(self, *, state: str = "", kind: str = "", limit: int = 100) -> list[Task]:
        """The newest tasks of the caller's workspace."""
        with self._database.read() as tx:
            return tx.fetch(
                TASKS,
                "WHERE workspace = ? AND (? = '' OR state = ?) AND (? = '' OR kind = ?) ORDER BY id DESC LIMIT ?",
                (caller().workspace, state, state, kind, kind, limit),
            )

    def workers(self) -> list[WorkerRow]:
        """The workers that are known now."""
        with self._database.read() as tx:
            return tx.fetch(WORKERS, "ORDER BY id")

    def purge(self, *, older_than: timedelta) -> int:
        """Forget tasks that were done or cancelled so long ago; how many. Dead ones stay."""
        with self._database.write() as tx:
            return tx.execute(
                "DELETE FROM queue_tasks WHERE state IN ('done', 'cancelled') AND changed_at < ?",
                (now_micros() - older_than // timedelta(microseconds=1),),
            )

    def _finish(self, tx: Transaction, task: Task, change: str, values: Sequence[Any]) -> None:
        changed = tx.execute(
            f"UPDATE queue_tasks SET {change}, worker = '', changed_at = ?"  # noqa: S608 -- `change` is a constant of this file
            " WHERE id = ? AND attempt = ? AND state = 'running'",
            (*values, tx.now_micros, task.id, task.attempt),
        )
        if not changed:
            raise LostLease(
                f"task {task.id}: attempt {task.attempt} is not the running one any more; its result is discarded",
                details={"task": task.id, "attempt": task.attempt},
            )

    def _bury(self, worker: WorkerRow) -> list[Task]:
        self._beats.pop(worker.id, None)
        error = _json(LostLease(f"worker {worker.id} (process {worker.pid}) was lost").payload())
        with self._database.write() as tx:
            # A heartbeat that arrived since the reading shows that the worker lives.
            if not tx.execute("DELETE FROM queue_workers WHERE id = ? AND beats = ?", (worker.id, worker.beats)):
                return []
            tx.announce()
            rows = tx.rows(
                "UPDATE queue_tasks SET state = CASE WHEN attempt < max_attempts THEN 'ready' ELSE 'dead' END,"  # noqa: S608 -- column names
                " worker = '', error = ?, changed_at = ? WHERE worker = ? AND state = 'running'"
                f" RETURNING {', '.join(TASKS.columns)}",
                (error, tx.now_micros, worker.id),
            )
        return [TASKS.from_row(row) for row in rows]

    def _until_due(self, kinds: Sequence[str]) -> float:
        with self._database.read() as tx:
            soonest = f"SELECT MIN(not_before) FROM queue_tasks WHERE state = 'waiting' AND kind IN ({_marks(kinds)})"  # noqa: S608 -- marks only
            first = tx.value(soonest, kinds)
        return float("inf") if first is None else max(0.0, (first - now_micros()) / 1e6)


# A retry whose waiting began "in the future" belongs to a clock that was set back since: it does not wait for it again.
_DUE = "state = 'waiting' AND (not_before <= ? OR (attempt > 0 AND changed_at > ?))"


def _wake_due(tx: Transaction) -> None:
    tx.execute(f"UPDATE queue_tasks SET state = 'ready' WHERE {_DUE}", (tx.now_micros, tx.now_micros))  # noqa: S608 -- constant


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
