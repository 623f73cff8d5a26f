"""Transactions: durable, serial, in groups; on both databases, from threads, event loops and processes."""

from __future__ import annotations

import asyncio
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mainspring.kernel.errors import AlreadyExists, InternalError, MainspringError
from mainspring.store.sqlite import WriteLock, driver_report, wal_is_safe
from mainspring.store.store import Store

TABLE = "CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL)"


@pytest.fixture
def notes(store: Store) -> Store:
    with store.write("test.setup") as tx:
        tx.execute(TABLE)
    return store


def count(store: Store) -> int:
    with store.read() as tx:
        return int(tx.value("SELECT count(*) FROM note"))


def add(store: Store, number: int) -> None:
    with store.write("test.add") as tx:
        tx.execute("INSERT INTO note (id, text) VALUES (?, ?)", (number, "x"))


def test_a_block_that_raises_changes_nothing(notes: Store) -> None:
    before = len(notes.ledger.events())
    with pytest.raises(ZeroDivisionError), notes.write("test.fail") as tx:
        tx.execute("INSERT INTO note (id, text) VALUES (1, 'x')")
        1 / 0  # noqa: B018
    assert count(notes) == 0
    assert len(notes.ledger.events()) == before


@pytest.mark.databases("sqlite")
def test_a_durable_change_joins_no_group_that_need_not_be(notes: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    engine, database = notes.database._engine, notes.database
    begin, end = engine.begin_write, database._end_turn
    monkeypatch.setattr(
        engine, "begin_write", lambda *args, durable, **kw: asked.append(durable) or begin(*args, durable=durable, **kw)
    )

    def interrupted() -> None:
        monkeypatch.setattr(database, "_end_turn", end)
        raise KeyboardInterrupt

    monkeypatch.setattr(database, "_end_turn", interrupted)
    with pytest.raises(KeyboardInterrupt), database.write(durable=False) as tx:
        tx.execute("INSERT INTO note (id, text) VALUES (1, 'x')")
    add(notes, 2)
    assert asked == [False, True]
    assert count(notes) == 2


def test_many_threads_share_commits_and_a_failing_one_harms_nobody(notes: Store) -> None:
    failures: list[MainspringError] = []

    def work(thread: int) -> None:
        for i in range(25):
            try:
                add(notes, thread * 25 + i if thread else i % 5)  # thread 0 repeats its keys
            except AlreadyExists as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(notes) == 15 * 25 + 5
    assert len(failures) == 20
    report = notes.ledger.verify()
    assert report.intact and report.events == 15 * 25 + 5


def test_submitted_changes_commit_together_and_fail_alone(notes: Store) -> None:
    async def caller(number: int) -> str:
        try:
            await notes.submit(
                lambda tx: tx.execute("INSERT INTO note (id, text) VALUES (?, 'x')", (number,)), "test.add"
            )
        except AlreadyExists:
            return "taken"
        return "kept"

    async def many() -> list[str]:
        return await asyncio.gather(*[caller(number // 2) for number in range(200)])

    outcomes = asyncio.run(many())
    assert outcomes.count("kept") == outcomes.count("taken") == 100
    assert count(notes) == 100
    assert notes.ledger.verify().intact


def test_a_reader_sees_one_moment(notes: Store) -> None:
    add(notes, 1)
    with notes.read() as tx:
        assert tx.value("SELECT count(*) FROM note") == 1
        other = threading.Thread(target=add, args=(notes, 2))
        other.start()
        other.join()
        assert tx.value("SELECT count(*) FROM note") == 1
    assert count(notes) == 2


def test_a_read_transaction_cannot_write(notes: Store) -> None:
    with pytest.raises(InternalError, match="read transaction"), notes.read() as tx:
        tx.execute("INSERT INTO note (id, text) VALUES (1, 'x')")


def test_a_write_inside_a_write_is_refused_and_does_not_hang(notes: Store) -> None:
    with pytest.raises(InternalError, match="inside another"), notes.write("test.outer"), notes.write("test.inner"):
        pass
    add(notes, 1)
    assert count(notes) == 1


def test_a_change_outside_an_operation_names_itself(notes: Store) -> None:
    with pytest.raises(InternalError, match="name its action"), notes.write():
        pass


WRITER = """
import sys
from mainspring.store.store import Store
store = Store.open(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 60):
    with store.write("test.add") as tx:
        tx.execute("INSERT INTO note (id, text) VALUES (?, 'x')", (number,))
store.close()
"""


def test_many_processes_write_at_once_and_none_finds_the_database_locked(notes: Store, store_folder: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store_folder), str(1000 * n)], stderr=subprocess.PIPE)
        for n in range(4)
    ]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    assert count(notes) == 240
    assert notes.ledger.verify().intact


def test_the_driver_is_checked() -> None:
    assert wal_is_safe()
    assert not wal_is_safe("3.51.2")
    assert wal_is_safe("3.51.3")
    assert driver_report()["page_checksums"]


def test_who_gave_up_waiting_takes_the_lock_from_nobody(tmp_path: Path) -> None:
    holder, impatient = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    holder.acquire(timeout=0)
    with pytest.raises(MainspringError, match="held the store's write lock"):
        impatient.acquire(timeout=0.05)
    holder.release()
    for thread in threading.enumerate():
        if thread.name == "mainspring-write-lock":
            thread.join(10)  # it has the lock now, and too late
    impatient.acquire(timeout=0)
    with pytest.raises(BlockingIOError), (tmp_path / "lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    impatient.release()
    for lock in (holder, impatient):
        lock.close()


def test_a_write_lock_waited_for_is_held(tmp_path: Path) -> None:
    holder, waiter = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    holder.acquire(timeout=0)
    thread = threading.Thread(target=waiter.acquire, kwargs={"timeout": 10})
    thread.start()
    while not any(each.name == "mainspring-write-lock" for each in threading.enumerate()):
        pass
    holder.release()
    thread.join(10)
    with pytest.raises(BlockingIOError), (tmp_path / "lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    waiter.release()
    holder.acquire(timeout=0)
    for lock in (holder, waiter):
        lock.close()


def test_a_write_lock_is_given_up_after_its_time_and_not_lost(tmp_path: Path) -> None:
    first, second = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    first.acquire(timeout=0)
    with pytest.raises(MainspringError, match="held the store's write lock"):
        second.acquire(timeout=0.05)
    first.release()
    patient = WriteLock(tmp_path / "lock")
    patient.acquire(timeout=10)
    patient.release()
    for lock in (first, second, patient):
        lock.close()
