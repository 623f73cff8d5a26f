"""Durable steps: in the process, spread over processes, replayed; and how soon a queued task is picked up."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
from peers import find_peer, run_peer
from row import Row

from mainspring.client.client import Client, connect
from mainspring.pipelines import flow, step

STEPS = 300
WIDE = 1000
TASKS = 40

_DBOS = """
import json, os, tempfile, time
from dbos import DBOS
folder = tempfile.mkdtemp()
DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "log_level": "ERROR"})

@DBOS.step()
def add(a, b):
    return a + b

@DBOS.workflow()
def chain(n):
    total = 0
    for number in range(n):
        total = add(total, number)
    return total

DBOS.launch()
chain(20)
start = time.perf_counter()
chain(100)
print(json.dumps({"seconds": (time.perf_counter() - start) / 100}))
os._exit(0)
"""

_WORKER = """
import sys, time
from mainspring.store.store import Store
with Store.open(sys.argv[1]) as store:
    worker = store.queue.join(["bench"])
    print("ready", flush=True)
    while True:
        if store.queue.wait(["bench"], timeout=60):
            moment = time.time()
            for task in store.queue.claim(worker, ["bench"]):
                store.queue.complete(task)
                print(moment - task.payload["at"], flush=True)
"""


@step
def add(a: int, b: int) -> int:
    """A step that does next to nothing."""
    return a + b


@flow
def chain(n: int) -> int:
    """Steps one after another."""
    total = 0
    for number in range(n):
        total = add(total, number)
    return total


@flow
def spread(n: int) -> int:
    """Steps beside one another."""
    return sum(add.map(range(n), b=1))


def rows() -> Iterator[Row]:
    """All of it on one fresh store."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder, connect(Path(folder) / "store") as client:
        chain.run(client, 20)
        by_hand = _commits(Path(folder) / "plain.db")
        seconds = _timed(lambda: chain.run(client, STEPS)) / STEPS
        yield _row("durable step", seconds, by_hand, "apsw, one commit a step", "ratio >= 0.2")
        if peer := find_peer("dbos"):
            theirs = run_peer(peer[0], _DBOS)["seconds"]
            yield _row("durable step beside a peer", seconds, theirs, peer[1], "ratio >= 3")
        yield _row(
            "finished step, replayed", _replay(client), note="the body runs again, its steps answer from the record"
        )
        yield _row("step of a map over processes", _timed(lambda: spread.run(client, WIDE)) / WIDE)
        yield _pick_up(client, Path(folder) / "store")


def _row(
    workload: str, seconds: float, peer: float | None = None, version: str = "", limit: str = "", note: str = ""
) -> Row:
    theirs = None if peer is None else peer * 1e6
    return Row(workload, seconds * 1e6, theirs, version, None if peer is None else peer / seconds, limit, "us", note)


def _timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def _commits(path: Path) -> float:
    """What the disk asks for one durable row."""
    connection = apsw.Connection(str(path))
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE bench (id INTEGER PRIMARY KEY, value)",
    ):
        connection.execute(statement).fetchall()
    start = time.perf_counter()
    for number in range(STEPS):
        connection.execute("INSERT INTO bench VALUES (?, ?)", (number, "x" * 200))
    seconds = (time.perf_counter() - start) / STEPS
    connection.close()
    return seconds


def _replay(client: Client) -> float:
    run = client.pipelines.runs(flow="chain", limit=1)[0]
    store = client.backend.store  # type: ignore[attr-defined]
    with store.bookkeeping() as tx:  # as if the process had been killed just before its end
        tx.execute("UPDATE flow_run SET state = 'crashed' WHERE id = ?", (run.id,))
        tx.execute("UPDATE run SET status = 'crashed' WHERE id = ?", (run.id,))
    return _timed(lambda: chain.resume(client, run.id)) / STEPS


def _pick_up(client: Client, folder: Path) -> Row:
    store = client.backend.store  # type: ignore[attr-defined]
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    worker.stdout.readline()
    waits = []
    try:
        for number in range(TASKS):
            time.sleep(0.01 * (number % 7))
            with store.bookkeeping() as tx:
                store.queue.enqueue(tx, "bench", {"at": time.time()})
            waits.append(float(worker.stdout.readline()))
    finally:
        worker.kill()
        worker.wait()
    return Row("queued task picked up by another process", statistics.median(waits) * 1e3, limit="ours < 50", unit="ms")
