"""Durable single-row commits by 64 callers at once, beside one commit (one fsync) a row on the same disk and run."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import apsw
from row import Row

from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

CALLERS = 64
EACH = 60
ALONE = 600
ROUNDS = 5
BY_HAND = "apsw, one commit a row"
CREATE = "CREATE TABLE bench (id BIGINT PRIMARY KEY, value DOUBLE PRECISION NOT NULL)"
INSERT = "INSERT INTO bench (id, value) VALUES (?, ?)"


def rows() -> Iterator[Row]:
    """Tasks, threads, a single caller: the median of rounds that take turns, because a disk's speed changes."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder, Store.open(Path(folder) / "store") as store:
        plain = _plain_database(Path(folder) / "plain.db")
        with store.bookkeeping() as tx:
            tx.execute(CREATE)
        rounds = [
            [_by_hand(plain), _tasks(store), _audited_tasks(store), _threads(store), _audited(store), _alone(store)]
            for _ in range(ROUNDS)
        ]
        plain.close()
    by_hand, *figures = (statistics.median(column) for column in zip(*rounds, strict=True))
    for workload, ours, limit in zip(
        (
            f"{CALLERS} tasks",
            f"{CALLERS} tasks, audited",
            f"{CALLERS} threads",
            f"{CALLERS} threads, audited",
            "one caller",
        ),
        figures,
        ("ratio >= 10", "", "", "", ""),
        strict=True,
    ):
        yield Row(f"durable commits, {workload}", ours, by_hand, BY_HAND, ours / by_hand, limit, "/s")


def _plain_database(path: Path) -> apsw.Connection:
    """What a program opens that wants each row durable: a write-ahead log with synchronous=FULL."""
    connection = apsw.Connection(str(path))
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", CREATE):
        connection.execute(statement).fetchall()
    return connection


def _by_hand(connection: apsw.Connection) -> float:
    first = next(_next_block)
    start = time.perf_counter()
    for key in range(first, first + ALONE):
        connection.execute(INSERT, (key, 0.5))
    return ALONE / (time.perf_counter() - start)


_next_block = iter(range(0, 10**9, 10**6))


def _tasks(store: Store) -> float:
    return _with_tasks(lambda key: store.database.submit(lambda tx: tx.execute(INSERT, (key, 0.5))))


def _audited_tasks(store: Store) -> float:
    def change(tx: Transaction, key: int) -> None:
        tx.execute(INSERT, (key, 0.5))
        tx.note(f"bench/{key}")

    return _with_tasks(lambda key: store.submit(lambda tx: change(tx, key), "bench.insert"))


def _with_tasks(submit: Callable[[int], Awaitable[object]]) -> float:
    first = next(_next_block)

    async def caller(number: int) -> None:
        for key in range(first + number * EACH, first + (number + 1) * EACH):
            await submit(key)

    async def everybody() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        return CALLERS * EACH / (time.perf_counter() - start)

    return asyncio.run(everybody())


def _threads(store: Store) -> float:
    def change(key: int) -> None:
        with store.bookkeeping() as tx:
            tx.execute(INSERT, (key, 0.5))

    return _with_threads(change)


def _audited(store: Store) -> float:
    def change(key: int) -> None:
        with store.write("bench.insert") as tx:
            tx.execute(INSERT, (key, 0.5))
            tx.note(f"bench/{key}")

    return _with_threads(change)


def _with_threads(change: Callable[[int], None]) -> float:
    first = next(_next_block)
    gate = threading.Barrier(CALLERS + 1)

    def caller(number: int) -> None:
        gate.wait()
        for key in range(first + number * EACH, first + (number + 1) * EACH):
            change(key)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    gate.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return CALLERS * EACH / (time.perf_counter() - start)


def _alone(store: Store) -> float:
    first = next(_next_block)
    start = time.perf_counter()
    for key in range(first, first + ALONE):
        with store.bookkeeping() as tx:
            tx.execute(INSERT, (key, 0.5))
    return ALONE / (time.perf_counter() - start)
