"""The queue: order, keys, leases, fencing, retries, and clocks that are turned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel import clock
from mainspring.kernel.errors import Conflict, InvalidInput, LostLease
from mainspring.kernel.hooks import ROOMS
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.migrations import migrate
from mainspring.store.queue import Queue, backoff

ERROR = {"code": "MS-0000", "message": "broke", "hint": "", "known": [], "details": {}}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with the store's own tables."""
    opened = Database(SqliteEngine(tmp_path))
    migrate(opened, ROOMS[:1])
    yield opened
    opened.close()


@pytest.fixture
def queue(database: Database) -> Queue:
    """A queue on it."""
    return Queue(database)


class Ticks:
    """A monotonic clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1000.0
        monkeypatch.setattr("mainspring.store.queue.monotonic", lambda: self.at)


def add(database: Database, queue: Queue, kind: str = "job", **options: object) -> str:
    """Enqueue one task in a transaction of its own."""
    with database.write() as tx:
        return queue.enqueue(tx, kind, {"n": 1}, **options)  # type: ignore[arg-type]


def test_a_task_is_claimed_and_completed_once(database: Database, queue: Queue) -> None:
    task_id = add(database, queue)
    worker = queue.join(["job"])
    (task,) = queue.claim(worker, ["job"], 5)
    assert (task.id, task.attempt, task.state, task.payload) == (task_id, 1, "running", {"n": 1})
    assert queue.claim(worker, ["job"]) == []
    queue.complete(task, {"answer": 42})
    assert (queue.get(task_id).state, queue.get(task_id).result) == ("done", {"answer": 42})
    with pytest.raises(LostLease):
        queue.complete(task, {"answer": 43})
    assert queue.get(task_id).result == {"answer": 42}


def test_a_rolled_back_caller_leaves_no_task(database: Database, queue: Queue) -> None:
    def change() -> None:
        with database.write() as tx:
            queue.enqueue(tx, "job", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert queue.tasks() == []


def test_the_same_key_is_the_same_task_even_when_it_is_done(database: Database, queue: Queue) -> None:
    first = add(database, queue, key="2026-01-01")
    assert add(database, queue, key="2026-01-01") == first
    queue.complete(queue.claim(queue.join(), ["job"])[0])
    assert add(database, queue, key="2026-01-01") == first
    assert add(database, queue, kind="other", key="2026-01-01") != first


def test_priority_then_age_decides(database: Database, queue: Queue) -> None:
    low, high, later = add(database, queue), add(database, queue, priority=5), add(database, queue)
    add(database, queue, kind="other", priority=9)
    assert [task.id for task in queue.claim(queue.join(), ["job"], 10)] == [high, low, later]


def test_not_before_waits_for_its_moment(database: Database, queue: Queue) -> None:
    task_id = add(database, queue, not_before=clock.now() + timedelta(hours=1))
    worker = queue.join()
    assert not queue.pending(["job"])
    assert queue.claim(worker, ["job"]) == []
    with clock.turned(timedelta(hours=2)):
        assert [task.id for task in queue.claim(worker, ["job"])] == [task_id]


def test_failures_are_retried_until_the_attempts_are_used_up(database: Database, queue: Queue) -> None:
    task_id = add(database, queue, max_attempts=2)
    worker = queue.join()
    assert queue.fail(queue.claim(worker, ["job"])[0], ERROR, delay=0) is True
    assert queue.fail(queue.claim(worker, ["job"])[0], ERROR) is False
    dead = queue.get(task_id)
    assert (dead.state, dead.attempt, dead.error) == ("dead", 2, ERROR)
    assert queue.tasks(state="dead") == [dead]
    with database.write() as tx:
        queue.revive(tx, task_id)
    assert queue.claim(worker, ["job"])[0].attempt == 3


def test_a_failure_that_must_not_be_retried_is_dead_at_once(database: Database, queue: Queue) -> None:
    task_id = add(database, queue)
    assert queue.fail(queue.claim(queue.join(), ["job"])[0], ERROR, retry=False) is False
    assert queue.get(task_id).state == "dead"


def test_a_retry_waits_even_so_a_clock_set_back_does_not_make_it_wait_longer(database: Database, queue: Queue) -> None:
    add(database, queue)
    worker = queue.join()
    queue.fail(queue.claim(worker, ["job"])[0], ERROR, delay=60)
    assert not queue.pending(["job"])
    with clock.turned(timedelta(hours=-1)):
        assert queue.claim(worker, ["job"])


@given(st.integers(1, 200), st.floats(0.001, 10), st.floats(0.001, 1000))
@settings(max_examples=50, deadline=None)
def test_backoff_stays_within_its_bounds(attempt: int, base: float, cap: float) -> None:
    assert 0 <= backoff(attempt, base=base, cap=cap) <= cap


def test_bad_input_is_refused(database: Database, queue: Queue) -> None:
    for bad in ({"kind": ""}, {"max_attempts": 0}):
        with pytest.raises(InvalidInput):
            add(database, queue, **bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        queue.join(lease=0)
    assert queue.tasks() == []


@pytest.mark.parametrize("shift", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
def test_leases_do_not_look_at_the_wall_clock(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch, shift: timedelta
) -> None:
    ticks = Ticks(monkeypatch)
    task_id = add(database, queue)
    worker = queue.join(lease=10)
    (task,) = queue.claim(worker, ["job"])
    assert queue.reap() == []
    with clock.turned(shift):
        ticks.at += 9
        assert queue.reap() == []
        assert queue.heartbeat(worker) == {task_id}
        ticks.at += 9
        assert queue.reap() == []  # 18 s of running, 9 s of silence at most
        ticks.at += 10.1
        assert [(lost.id, lost.state) for lost in queue.reap()] == [(task_id, "ready")]
        with pytest.raises(LostLease):
            queue.heartbeat(worker)
        with pytest.raises(LostLease):
            queue.complete(task, "too late")
        other = queue.join()
        (again,) = queue.claim(other, ["job"])
        assert (again.id, again.attempt) == (task_id, 2)
        with pytest.raises(LostLease):
            queue.fail(task, ERROR)
        queue.complete(again, "in time")
    assert queue.get(task_id).result == "in time"


def test_a_task_that_kills_its_workers_ends_among_the_dead(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(monkeypatch)
    task_id = add(database, queue, max_attempts=2)
    for _ in range(2):
        queue.claim(queue.join(lease=1), ["job"])
        queue.reap()
        ticks.at += 2
        queue.reap()
    dead = queue.get(task_id)
    assert dead.state == "dead"
    assert dead.error is not None
    assert dead.error["code"] == LostLease.code


def test_a_second_reaper_watches_for_a_whole_lease_of_its_own(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(monkeypatch)
    add(database, queue)
    queue.claim(queue.join(lease=10), ["job"])
    ticks.at += 1000
    late = Queue(database)
    assert late.reap() == []
    ticks.at += 10.1
    assert len(late.reap()) == 1
    assert queue.reap() == []


def test_leaving_gives_tasks_back_without_costing_an_attempt(database: Database, queue: Queue) -> None:
    task_id = add(database, queue, max_attempts=1)
    worker = queue.join()
    queue.claim(worker, ["job"])
    assert queue.leave(worker) == 1
    (task,) = queue.claim(queue.join(), ["job"])
    assert task.id == task_id
    add(database, queue)
    with pytest.raises(LostLease):
        queue.claim(worker, ["job"])


def test_a_cancelled_task_is_missing_from_the_next_heartbeat(database: Database, queue: Queue) -> None:
    first, second = add(database, queue), add(database, queue)
    worker = queue.join()
    task = queue.claim(worker, ["job"], 2)[0]
    with database.write() as tx:
        assert queue.cancel(tx, first)
    assert queue.heartbeat(worker) == {second}
    with pytest.raises(LostLease):
        queue.complete(task)
    with database.write() as tx:
        assert not queue.cancel(tx, first)
        with pytest.raises(Conflict):
            queue.revive(tx, second)


def test_results_of_a_batch_commit_together_and_name_what_was_lost(database: Database, queue: Queue) -> None:
    for _ in range(3):
        add(database, queue)
    tasks = queue.claim(queue.join(), ["job"], 3)
    queue.complete(tasks[1], "before")
    assert queue.complete_many([(task, "batch") for task in tasks]) == [tasks[1]]
    assert [queue.get(task.id).result for task in tasks] == ["batch", "before", "batch"]


def test_a_completion_stands_or_falls_with_the_callers_transaction(database: Database, queue: Queue) -> None:
    task_id = add(database, queue)
    (task,) = queue.claim(queue.join(), ["job"])

    def change() -> None:
        with database.write() as tx:
            queue.complete(task, 1, tx=tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert queue.get(task_id).state == "running"


def test_a_waiting_thread_is_woken_by_a_commit(database: Database, queue: Queue) -> None:
    assert queue.wait(["job"], timeout=0) is False
    outcome: list[bool] = []
    waiting = threading.Thread(target=lambda: outcome.append(queue.wait(["job"], timeout=30)))
    waiting.start()
    add(database, queue, kind="other")
    add(database, queue)
    waiting.join(20)
    assert outcome == [True]


def test_waiting_ends_when_a_task_falls_due(database: Database, queue: Queue) -> None:
    add(database, queue, not_before=clock.now() + timedelta(milliseconds=60))
    assert queue.wait(["job"], timeout=30) is True


def test_purging_forgets_what_ended_and_keeps_the_dead(database: Database, queue: Queue) -> None:
    add(database, queue)
    add(database, queue)
    worker = queue.join()
    queue.complete(queue.claim(worker, ["job"])[0])
    queue.fail(queue.claim(worker, ["job"])[0], ERROR, retry=False)
    assert queue.purge(older_than=timedelta(hours=1)) == 0
    with clock.turned(timedelta(hours=2)):
        assert queue.purge(older_than=timedelta(hours=1)) == 1
    assert [task.state for task in queue.tasks()] == ["dead"]


@given(st.lists(st.sampled_from(["add", "claim", "complete", "fail", "leave", "cancel"]), max_size=30))
@settings(max_examples=20, deadline=None)
def test_no_sequence_of_calls_loses_a_task_or_commits_it_twice(
    tmp_path_factory: pytest.TempPathFactory, calls: list[str]
) -> None:
    database = Database(SqliteEngine(tmp_path_factory.mktemp("queue")))
    migrate(database, ROOMS[:1])
    queue = Queue(database)
    worker, held, committed, ids = queue.join(), [], [], []
    for call in calls:
        if call == "add":
            ids.append(add(database, queue))
        elif call == "claim":
            held += queue.claim(worker, ["job"])
        elif call == "leave":
            queue.leave(worker)
            worker = queue.join()
        elif held:
            task = held.pop(0)
            if call == "cancel":
                with database.write() as tx:
                    queue.cancel(tx, task.id)
                continue
            try:
                queue.complete(task) if call == "complete" else queue.fail(task, ERROR, delay=0)
            except LostLease:
                continue
            committed += [task.id] if call == "complete" else []
    states = {task.id: task.state for task in queue.tasks(limit=1000)}
    assert sorted(states) == sorted(ids)
    assert len(set(committed)) == len(committed)
    assert {task_id for task_id, state in states.items() if state == "done"} == set(committed)
    database.close()
