"""Who is interrupted, swallows an error, goes away or comes from another event loop harms nobody else's change."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import pytest

from mainspring.kernel.context import Caller, acting_as, performing
from mainspring.kernel.errors import AlreadyExists, Conflict, InternalError, InvalidInput, StorageError
from mainspring.store.database import Database
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

ADD = "INSERT INTO note (id, text) VALUES (?, 'x')"


@pytest.fixture
def notes(store: Store) -> Store:
    with store.bookkeeping() as tx:
        tx.execute("CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")
    return store


def there(store: Store) -> list[int]:
    with store.read() as tx:
        return [number for (number,) in tx.rows("SELECT id FROM note ORDER BY id")]


def start_waiting(store: Store, *numbers: int) -> tuple[list[threading.Thread], list[BaseException]]:
    """Threads that want to write `numbers`; called while somebody writes, it returns when they all wait."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with store.write("test.other") as tx:
                tx.execute(ADD, (number,))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    while len(store.database._waiting) < len(numbers):
        pass
    return threads, failures


class Interrupted:
    """A connection that Ctrl-C interrupts, once, at a statement."""

    def __init__(self, inner: object, at: str) -> None:
        self.inner, self.at = inner, at

    def __getattr__(self, name: str) -> object:
        real = getattr(self.inner, name)

        def call(*args: object, **kwargs: object) -> object:
            if self.at and self.at in (name, *args):
                self.at = ""
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return call


def warm(store: Store) -> None:
    with store.bookkeeping() as tx:
        tx.execute(ADD, (0,))


@pytest.mark.parametrize("at", ["commit", "ROLLBACK TO member", "RELEASE member", "SAVEPOINT member", "rollback"])
def test_an_interrupt_anywhere_leaves_a_store_that_works_and_no_half_of_a_change(notes: Store, at: str) -> None:
    warm(notes)
    database = notes.database
    interrupted = database._writer = Interrupted(database._writer, at)
    outcomes: list[str] = []

    def work(number: int) -> None:
        try:
            with notes.write("test.add") as tx:
                tx.execute(ADD, (number,))
                tx.execute(ADD, (number + 100,))
                if number % 3 == 0:
                    raise ValueError("no")  # so that something is rolled back
            outcomes.append(f"kept {number}")
        except (KeyboardInterrupt, ValueError, StorageError):
            outcomes.append(f"failed {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    interrupted.at = ""
    assert len(outcomes) == 12
    kept = {int(each.split()[1]) for each in outcomes if each.startswith("kept")}
    assert set(there(notes)) == {0} | kept | {number + 100 for number in kept}
    work(50)
    assert outcomes[-1] == "kept 50"
    assert notes.ledger.verify().intact


def test_an_open_group_whose_leader_was_lost_is_committed_by_who_waits_for_it(
    notes: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_turn = Database._end_turn
    lost = [True]

    def forget_once(self: Database) -> None:
        if not (self._group and lost.pop() if lost else False):
            end_turn(self)

    monkeypatch.setattr(Database, "_end_turn", forget_once)
    with notes.write("test.add") as tx:
        tx.execute(ADD, (1,))
    assert there(notes) == [1]
    assert lost == []


def test_a_failed_first_member_does_not_take_the_others_with_it(notes: Store) -> None:
    with pytest.raises(ValueError, match="no"), notes.write("test.fail") as tx:
        tx.execute(ADD, (9,))
        threads, failures = start_waiting(notes, 1, 2, 3)
        raise ValueError("no")
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert there(notes) == [1, 2, 3]


def test_a_failure_that_was_passed_over_is_no_half_change(notes: Store, database_kind: str) -> None:
    with notes.write("test.add") as tx:
        tx.execute(ADD, (1,))

    def swallow() -> None:
        with notes.write("test.swallow") as tx:
            tx.execute(ADD, (2,))
            with contextlib.suppress(AlreadyExists):
                tx.execute(ADD, (1,))

    if database_kind == "postgres":  # which ends a transaction at the first failure
        with pytest.raises(StorageError, match="nothing of it was kept"):
            swallow()
        assert there(notes) == [1]
    else:
        swallow()
        assert there(notes) == [1, 2]
    with notes.write("test.add") as tx:
        tx.execute(ADD, (3,))
    assert notes.ledger.verify().intact


def test_a_transaction_does_not_leave_its_block(notes: Store) -> None:
    with notes.write("test.add") as tx:
        tx.execute(ADD, (1,))
    with pytest.raises(InternalError, match="after its block"):
        tx.execute(ADD, (2,))
    with notes.read() as reading:
        pass
    with pytest.raises(InternalError, match="after its block"):
        reading.rows("SELECT 1")
    assert there(notes) == [1]


@pytest.mark.parametrize("detail", [float("nan"), float("inf"), object(), {"deep": [1.0, float("-inf")]}, "\ud800"])
def test_an_audit_event_that_cannot_be_written_refuses_the_change(notes: Store, detail: object) -> None:
    with pytest.raises(InvalidInput, match="no canonical form"), notes.write("test.add") as tx:
        tx.execute(ADD, (1,))
        tx.note("note/1", value=detail)
    assert there(notes) == []
    assert notes.ledger.verify().events == 0


def test_details_of_every_json_kind_verify_as_they_were_written(notes: Store) -> None:
    with notes.write("test.add") as tx:
        tx.note(
            "note/1",
            none=None,
            big=2**63,
            small=-(2**63),
            float=1e300,
            tiny=5e-324,
            text='ü"\\\n',
            nested={"a": [(1, 2)]},
        )
        tx.note("note/2", one=1.0, zero=-0.0, when=tx.now, raw=b"\x00", numbers={1: "a"})
    assert notes.ledger.verify().intact
    assert notes.ledger.events(limit=1)[0].changes[0].detail["nested"] == {"a": [[1, 2]]}


def test_a_statement_with_returning_is_audited(notes: Store) -> None:
    with notes.write("test.add") as tx:
        assert tx.value(f"{ADD} RETURNING id", (5,)) == 5
    assert [event.action for event in notes.ledger.events()] == ["test.add"]
    with pytest.raises(StorageError), notes.read() as tx:
        tx.rows(f"{ADD} RETURNING id", (6,))
    assert there(notes) == [5]


def test_what_is_submitted_is_audited_under_the_name_of_who_submitted_it(notes: Store) -> None:
    async def submit(number: int) -> None:
        with acting_as(Caller(f"user-{number}")), performing(f"test.add{number}"):
            await notes.submit(lambda tx: tx.execute(ADD, (number,)))

    async def many() -> None:
        await asyncio.gather(*map(submit, range(5)))

    asyncio.run(many())
    assert {(event.actor, event.action) for event in notes.ledger.events()} == {
        (f"user-{n}", f"test.add{n}") for n in range(5)
    }


def test_event_loops_of_many_threads_submit_to_one_store(notes: Store) -> None:
    done: list[int] = []

    async def submit(number: int) -> None:
        await notes.submit(lambda tx: tx.execute(ADD, (number,)), "test.add")
        done.append(number)

    async def many(first: int) -> None:
        await asyncio.gather(*map(submit, range(first, first + 20)))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(many(100 * n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == there(notes) and len(done) == 80


def test_a_change_that_ends_in_any_error_answers_its_caller_alone(notes: Store) -> None:
    def fail(error: BaseException) -> object:
        def change(tx: Transaction) -> None:
            tx.execute(ADD, (99,))
            raise error

        return notes.submit(change, "test.fail")

    async def many() -> list[object]:
        errors = [ValueError("no"), StopIteration(), asyncio.CancelledError(), GeneratorExit()]
        waits = [fail(error) for error in errors]
        waits += [notes.submit(lambda tx, n=n: tx.execute(ADD, (n,)), "test.add") for n in range(3)]
        return await asyncio.gather(*waits, return_exceptions=True)

    outcomes = asyncio.run(many())
    assert [type(each) for each in outcomes[:4]] == [ValueError, InternalError, asyncio.CancelledError, GeneratorExit]
    assert outcomes[4:] == [1, 1, 1]
    assert there(notes) == [0, 1, 2]


def test_a_cancelled_caller_takes_back_what_had_not_begun(notes: Store) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        began.set()
        go_on.wait(10)
        tx.execute(ADD, (1,))

    async def main() -> None:
        first = notes.submit(slow, "test.add")
        await asyncio.to_thread(began.wait, 10)
        second = notes.submit(lambda tx: tx.execute(ADD, (2,)), "test.add")
        third = notes.submit(lambda tx: tx.execute(ADD, (3,)), "test.add")
        await asyncio.sleep(0)
        assert second.cancel() and first.cancel()
        go_on.set()
        await third

    asyncio.run(main())
    assert there(notes) == [1, 3]  # the first had begun: it stands


def test_a_loop_that_ends_without_its_answers_leaves_the_store_working(notes: Store) -> None:
    loop = asyncio.new_event_loop()

    async def submit_and_go() -> None:
        notes.submit(lambda tx: tx.execute(ADD, (1,)), "test.add")

    loop.run_until_complete(submit_and_go())
    loop.close()

    async def submit() -> int:
        return await notes.submit(lambda tx: tx.execute(ADD, (2,)), "test.add")

    assert asyncio.run(submit()) == 1
    assert 2 in there(notes)


def test_closing_finishes_what_was_handed_over_and_refuses_what_comes_later(notes: Store, store_folder: Path) -> None:
    database = notes.database
    began, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        began.set()
        go_on.wait(10)
        tx.execute(ADD, (1,))

    async def main() -> None:
        first = notes.submit(slow, "test.add")
        await asyncio.to_thread(began.wait, 10)
        closing = asyncio.create_task(asyncio.to_thread(notes.close))
        while not database._submissions._closed:  # noqa: ASYNC110 -- another thread sets it
            await asyncio.sleep(0)
        late = notes.submit(lambda tx: tx.execute(ADD, (2,)), "test.add")
        go_on.set()
        await first
        with pytest.raises(StorageError, match="was closed"):
            await late
        await closing

    asyncio.run(main())
    for use in (notes.read, notes.bookkeeping):
        with pytest.raises(StorageError, match="was closed"), use():
            pass
    database.close()  # a second time: nothing happens
    with Store.open(store_folder) as again:
        assert there(again) == [1]


def test_a_store_is_not_closed_from_inside_its_own_transaction(notes: Store) -> None:
    with pytest.raises(InternalError, match="inside one of its own"), notes.write("test.add"):
        notes.database.close()


def test_errors_inside_a_read_do_not_cost_the_connection(notes: Store) -> None:
    for _ in range(5):
        with pytest.raises(Conflict), notes.read() as tx:
            tx.rows("SELECT 1")
            raise Conflict("no")
    assert len(notes.database._readers) == 1


def test_a_long_reader_holds_up_neither_writers_nor_readers(notes: Store) -> None:
    with notes.read() as long:
        assert long.rows("SELECT id FROM note") == []
        with notes.write("test.add") as tx:
            tx.execute(ADD, (1,))
        assert there(notes) == [1]
        assert long.rows("SELECT id FROM note") == []


def test_two_stores_on_one_folder_in_one_process(notes: Store, store_folder: Path) -> None:
    with Store.open(store_folder) as other:

        def work(store: Store, first: int) -> None:
            for number in range(first, first + 20):
                with store.write("test.add") as tx:
                    tx.execute(ADD, (number,))

        threads = [
            threading.Thread(target=work, args=each) for each in ((notes, 0), (other, 100), (notes, 200), (other, 300))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(there(notes)) == 80
        assert other.ledger.verify().intact


def test_a_forked_child_is_told_to_open_its_own_and_harms_nothing(notes: Store, store_folder: Path) -> None:
    with notes.write("test.add") as tx:
        tx.execute(ADD, (1,))
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                try:
                    notes.read().__enter__()
                except InternalError as error:
                    os.write(writing, error.message.encode())
                notes.database.close()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert "after a fork" in pipe.read()
        os.waitpid(pid, 0)
    assert there(notes) == [1]
    with Store.open(store_folder) as other, other.write("test.add") as tx:
        tx.execute(ADD, (2,))
    assert there(notes) == [1, 2]
