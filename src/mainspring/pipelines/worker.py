"""The worker: claims queued tasks of every registered kind, runs their handlers, and gives back what it cannot finish.

    python -m mainspring.pipelines.worker --store DIR

On SIGTERM it claims nothing more, lets what runs finish for a while, then kills it and gives it back to the queue. When
it is killed itself, its processes end with it, and the queue gives its tasks to another worker.
"""

from __future__ import annotations

import argparse
import contextvars
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import LostLease, MainspringError
from mainspring.kernel.hooks import HANDLERS, load, registered
from mainspring.kernel.names import check_name
from mainspring.pipelines.handler import engine_kept
from mainspring.pipelines.remote import failure_of
from mainspring.pipelines.starting import task_kind
from mainspring.pipelines.tick import fire_due, next_due, tick
from mainspring.pipelines.working import working
from mainspring.store.queue_tables import Task

__all__ = ["Worker", "run_worker"]

_LOOK_SECONDS = 0.5
_TICK_SECONDS = 1.0
"""How often it is looked for workers that were lost: that nothing came from them is seen only by looking."""
_BREATH_SECONDS = 0.05
"""After a commit that may matter: where there is a scheduler, it has done by then what there was to do."""
_GRACE_SECONDS = 10.0
_log = logging.getLogger("mainspring.worker")


class Worker:
    """One worker at one store.

    Args:
        client: An embedded client: a worker needs the database itself.
        kinds: Which kinds of tasks; all that are registered by default, and none where `pools` are given.
        pools: Pools whose flows it executes: `@flow(pool="gpu")`.
        concurrency: How many at the same time; one for each core by default.
        lease: Seconds of silence after which others take its tasks; the setting `lease_seconds` by default.
    """

    def __init__(
        self,
        client: Any,
        *,
        kinds: Iterable[str] = (),
        pools: Iterable[str] = (),
        concurrency: int = 0,
        lease: float = 0.0,
    ) -> None:
        self._client = client
        self._store = client.backend.store
        self._queue = self._store.queue
        pooled = [task_kind(check_name(each, what="pool")) for each in pools]
        self._kinds = sorted({*(kinds or (() if pooled else HANDLERS)), *pooled})
        self._width = concurrency or os.cpu_count() or 1
        self._lease = lease or self._store.settings.lease_seconds
        self._ending = threading.Event()
        self._running: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._room = threading.Semaphore(self._width)
        self._id = ""

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what runs has finished, or after a while."""
        self._ending.set()

    def run(self, *, until_idle: bool = False) -> int:
        """Work until `stop`, or until nothing is left to do; how many tasks were claimed."""
        with engine_kept():
            return self._run(until_idle=until_idle)

    def _run(self, *, until_idle: bool) -> int:
        self._id = self._queue.join(self._kinds, lease=self._lease)
        beside = [
            threading.Thread(target=self._beat, name="mainspring-heartbeat", daemon=True),
            threading.Thread(target=self._look, name="mainspring-lookout", daemon=True),
        ]
        for each in beside:
            each.start()
        claimed = 0
        pool = ThreadPoolExecutor(self._width, thread_name_prefix="mainspring-handler")
        try:
            while not self._ending.is_set():
                tasks = self._claim()
                claimed += len(tasks)
                for task in tasks:
                    self._begin(pool, task)
                if not tasks and until_idle and not self._running and not self._queue.pending(self._kinds):
                    break
        finally:
            self._drain()
            self._ending.set()
            self._store.database.commits.tell()
            pool.shutdown()
            for each in beside:
                each.join()
            self._queue.leave(self._id)
        return claimed

    def _claim(self) -> list[Task]:
        """Ready tasks, as many as there is room for; waits a moment for the first."""
        if not self._room.acquire(timeout=_LOOK_SECONDS):
            return []
        room = 1
        while room < self._width and self._room.acquire(blocking=False):
            room += 1
        tasks: list[Task] = []
        try:
            if self._queue.wait(self._kinds, timeout=_LOOK_SECONDS):
                tasks = self._queue.claim(self._id, self._kinds, room)
        except LostLease:
            self._rejoin()
        except MainspringError as error:
            _log.warning("claiming failed, it is tried again: %s", error)
            self._ending.wait(_LOOK_SECONDS)
        finally:
            self._room.release(room - len(tasks)) if room > len(tasks) else None
        return tasks

    def _begin(self, pool: ThreadPoolExecutor, task: Task) -> None:
        stop = threading.Event()
        with self._lock:
            self._running[task.id] = stop
        pool.submit(contextvars.Context().run, self._handle, task, stop)

    def _handle(self, task: Task, stop: threading.Event) -> None:
        try:
            with working(stop):
                result = registered("handlers", HANDLERS, task.kind.partition(":")[0])(self._client, task)
            self._queue.complete(task, result)
        except LostLease as lost:
            _log.info("task %s: %s", task.id, lost)
        except Exception as error:  # noqa: BLE001 -- the boundary of the task: whatever it raised is recorded
            self._fail(task, error, stop)
        finally:
            with self._lock:
                self._running.pop(task.id, None)
            self._room.release()

    def _fail(self, task: Task, error: Exception, stop: threading.Event) -> None:
        _log.warning("task %s (%s), attempt %d failed: %s", task.id, task.kind, task.attempt, error)
        if stop.is_set():
            return  # leaving gives it back
        try:
            self._queue.fail(task, failure_of(error).payload, delay=getattr(error, "retry_after", None))
        except MainspringError as second:
            _log.warning("the failure of task %s could not be recorded: %s", task.id, second)

    def _beat(self) -> None:
        """Every third of the lease say that this worker lives: in a thread of its own, however long looking takes."""
        while not self._ending.wait(self._lease / 3) or self._running:
            try:
                with self._lock:
                    claimed = list(self._running)  # what is claimed while it beats is held, and not yet told of
                self._stop(set(claimed) - self._queue.heartbeat(self._id))
            except LostLease:
                self._rejoin()
            except MainspringError as error:
                _log.warning("the store could not be told that this worker lives, it is tried again: %s", error)
            if self._ending.is_set():  # what runs may finish
                time.sleep(_BREATH_SECONDS)

    def _look(self) -> None:
        """Look at what is due when its moment comes, and every second at what was lost."""
        ticked = monotonic()
        while not self._ending.is_set() or self._running:
            seen, left = self._store.database.commits.number, None
            try:
                if monotonic() - ticked >= _TICK_SECONDS:
                    ticked = monotonic()
                    tick(self._store)
                else:
                    fire_due(self._store)
                left = next_due(self._store)
            except MainspringError as error:
                _log.warning("the store could not be looked at, it is tried again: %s", error)
            except Exception:  # noqa: BLE001 -- whatever one schedule or trigger does: the next look begins anew
                _log.exception("the store could not be looked at, it is tried again")
            most = ticked + _TICK_SECONDS - monotonic()
            self._rest(seen, most if left is None else min(most, left))

    def _rest(self, seen: int, seconds: float) -> None:
        """Wait until something is due, or was committed; not shorter than a breath."""
        commits = self._store.database.commits
        if seconds > _BREATH_SECONDS:
            commits.wait(seen, seconds)
        if commits.number != seen or seconds <= _BREATH_SECONDS:
            self._ending.wait(_BREATH_SECONDS)

    def _stop(self, lost: set[str]) -> None:
        """Stop tasks that are not this worker's any more."""
        with self._lock:
            for task_id in lost & self._running.keys():
                self._running[task_id].set()

    def _rejoin(self) -> None:
        """The others gave this worker up: stop what it runs, and be a new one."""
        with self._lock:
            for stop in self._running.values():
                stop.set()
        _log.warning("worker %s was given up by the others and joins again", self._id)
        self._id = self._queue.join(self._kinds, lease=self._lease)

    def _drain(self) -> None:
        deadline = monotonic() + _GRACE_SECONDS
        while self._running and monotonic() < deadline:
            threading.Event().wait(0.02)
        with self._lock:
            for stop in self._running.values():
                stop.set()


def run_worker(
    store: str | os.PathLike[str] = "",
    *,
    kinds: Iterable[str] = (),
    pools: Iterable[str] = (),
    concurrency: int = 0,
    lease: float = 0.0,
    until_idle: bool = False,
) -> int:
    """Work on the store in a folder until SIGTERM or SIGINT; how many tasks were claimed. Runs in the main thread."""
    with load("mainspring.client.client:connect")(Path(store) if store else "") as client:
        worker = Worker(client, kinds=kinds, pools=pools, concurrency=concurrency, lease=lease)
        before = {each: signal.signal(each, lambda *_: worker.stop()) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            return worker.run(until_idle=until_idle)
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def main() -> None:
    """The command line of `python -m mainspring.pipelines.worker`."""
    parser = argparse.ArgumentParser(prog="python -m mainspring.pipelines.worker", description=__doc__)
    parser.add_argument("--store", default="", help="the store's folder; found upward from here by default")
    parser.add_argument("--kind", action="append", default=[], help="a kind of task; all kinds by default")
    parser.add_argument("--pool", action="append", default=[], help="a pool whose flows it executes, and no others")
    parser.add_argument("--concurrency", type=int, default=0, help="how many tasks at once; one per core by default")
    parser.add_argument("--lease", type=float, default=0.0, help="seconds of silence after which others take over")
    parser.add_argument("--until-idle", action="store_true", help="end when nothing is left to do")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    run_worker(
        options.store,
        kinds=options.kind,
        pools=options.pool,
        concurrency=options.concurrency,
        lease=options.lease,
        until_idle=options.until_idle,
    )


if __name__ == "__main__":
    main()
