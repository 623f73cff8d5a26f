"""Durable steps: in the process, in a warm one, spread over processes, replayed; beside those of other products."""

from __future__ import annotations

import os
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

STEPS = 1000
SIZES = (100, 1_000, 10_000)
CHAIN = 2_000
WIDE = 10_000
TASKS = 40
ROUNDS = 3
"""Of each figure, ours and theirs; the best counts."""

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
taken = []
for _ in range(3):
    start = time.perf_counter()
    chain(100)
    taken.append((time.perf_counter() - start) / 100)
print(json.dumps({"seconds": min(taken)}), flush=True)
os._exit(0)
"""

_PREFECT = """
import json, os, tempfile, time
os.environ.update(PREFECT_HOME=tempfile.mkdtemp(), PREFECT_LOGGING_LEVEL="ERROR", PREFECT_SERVER_LOGGING_LEVEL="ERROR",
    PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120", DO_NOT_TRACK="1")
from prefect import flow, task

@task(persist_result=True)
def add(a, b):
    return a + b

@flow(persist_result=True)
def chain(n):
    total = 0
    for number in range(n):
        total = add(total, number)
    return total

chain(5)
taken = []
for _ in range(3):
    start = time.perf_counter()
    chain(50)
    taken.append((time.perf_counter() - start) / 50)
print(json.dumps({"seconds": min(taken)}))
"""

_DAGSTER = """
import json, logging, os, tempfile, time, warnings
warnings.simplefilter("ignore")
os.environ.update(DAGSTER_HOME=tempfile.mkdtemp(), DAGSTER_DISABLE_TELEMETRY="1")
from dagster import DagsterInstance, job, op

@op
def zero():
    return 0

@op
def add(total):
    return total + 1

@job(logger_defs={})
def chain():
    total = zero()
    for number in range(20):
        total = add.alias(f"add_{number}")(total)

with DagsterInstance.get() as instance:
    logging.disable(logging.CRITICAL)
    chain.execute_in_process(instance=instance)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        chain.execute_in_process(instance=instance)
        taken.append((time.perf_counter() - start) / 21)
    print(json.dumps({"seconds": min(taken)}), flush=True)
os._exit(0)
"""

_METAFLOW = """
import json, os, subprocess, sys, tempfile, time
from pathlib import Path
folder = Path(tempfile.mkdtemp())
names = [f"s{number}" for number in range(4)]
steps = ["    @step\\n    def start(self):\\n        self.total = 0\\n        self.next(self.s0)"]
for name, following in zip(names, [*names[1:], "end"]):
    steps.append(f"    @step\\n    def {name}(self):\\n        self.total += 1\\n        self.next(self.{following})")
steps.append("    @step\\n    def end(self):\\n        pass")
(folder / "chain.py").write_text("from metaflow import FlowSpec, step\\nclass Chain(FlowSpec):\\n" + "\\n".join(steps)
    + "\\nif __name__ == '__main__':\\n    Chain()\\n")
env = {**os.environ, "USERNAME": "bench", "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder)}
command = [sys.executable, str(folder / "chain.py"), "--quiet", "--no-pylint", "run"]
taken = []
for _ in range(3):
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    taken.append((time.perf_counter() - start) / 6)
print(json.dumps({"seconds": min(taken)}))
"""

_PEERS = (
    ("dbos", ("dbos",), _DBOS, "ratio >= 10"),
    ("prefect", ("prefect==3.8.8", "fastapi==0.149.0"), _PREFECT, "ratio >= 40"),
    ("dagster", ("dagster",), _DAGSTER, "ratio >= 100"),
    ("metaflow", ("metaflow",), _METAFLOW, "ratio >= 100"),
)
"""What each of them calls a step, with its result kept, one after another; of Airflow a task is a process, as of
Metaflow."""

_COLD = """
import os, sys, time
import mainspring as ms

@ms.step
def hello(x: int) -> int:
    print(time.time() - float(os.environ["STARTED"]))
    return x

@ms.flow
def main(x: int) -> int:
    return hello(x)

if __name__ == "__main__":
    with ms.connect(sys.argv[1]) as client:
        main.run(client, 1)
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
def outside(n: int) -> int:
    """Steps one after another, each in a warm process."""
    total, elsewhere = 0, add.using(where="process")
    for number in range(n):
        total = elsewhere(total, number)
    return total


@flow
def spread(n: int) -> int:
    """Steps beside one another."""
    return sum(add.map(range(n), b=1))


def rows() -> Iterator[Row]:
    """All of it on one fresh store."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder, connect(Path(folder) / "store") as client:
        chain.run(client, 20)
        by_hand = min(_commits(Path(folder) / f"plain{number}.db") for number in range(ROUNDS))
        costs = {size: _best(lambda size=size: chain.run(client, size)) / size for size in SIZES}
        seconds = costs[STEPS]
        yield _row("durable step", seconds, by_hand, "apsw, one commit a step", "ours <= 300")
        for name, requirements, program, limit in _PEERS:
            if peer := find_peer(name, *requirements):
                yield _row(
                    f"durable step beside {name}", seconds, run_peer(peer[0], program)["seconds"], peer[1], limit
                )
        for size in SIZES:
            note = "cost of a step, and how it was in a chain of a hundred"
            yield _row(
                f"durable step, chain of {size:,}", costs[size], costs[SIZES[0]], limit="ratio >= 0.7", note=note
            )
        yield Row("chain of 2,000 steps", _best(lambda: chain.run(client, CHAIN)), unit="s")
        yield Row(
            "10,000 finished steps, replayed",
            _replay(client) * 1e3,
            limit="ours < 200",
            unit="ms",
            note="the body runs again, its steps answer from the record",
        )
        outside.run(client, 20)
        yield _row(
            "durable step in a warm process", _best(lambda: outside.run(client, 200)) / 200, limit="ours <= 1500"
        )
        wide = _best(lambda: spread.run(client, WIDE))
        yield Row("map of 10,000 over processes", WIDE / wide, limit="ours >= 2000", unit="steps/s")
        yield Row("cold start to the first line of a step", _cold(Path(folder)), limit="ours < 400", unit="ms")
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


def _best(work: object) -> float:
    """The shortest of a few rounds: what a disk or a neighbour takes of the others is nobody's cost of a step."""
    return min(_timed(work) for _ in range(ROUNDS))


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
    chain.run(client, SIZES[-1])
    run = client.pipelines.runs(flow="chain", limit=1)[0]
    store = client.backend.store  # type: ignore[attr-defined]
    taken = []
    for _ in range(ROUNDS):
        with store.bookkeeping() as tx:  # as if the process had been killed just before its end
            tx.execute("UPDATE flow_run SET state = 'crashed' WHERE id = ?", (run.id,))
            tx.execute("UPDATE run SET status = 'crashed' WHERE id = ?", (run.id,))
        taken.append(_timed(lambda: chain.resume(client, run.id)))
    return min(taken)


def _cold(folder: Path) -> float:
    script = folder / "cold.py"
    script.write_text(_COLD)
    taken = []
    for _ in range(5):
        environment = {**os.environ, "STARTED": repr(time.time())}
        command = [sys.executable, str(script), str(folder / "cold")]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        taken.append(float(answer.stdout.splitlines()[-1]))
    return statistics.median(taken) * 1e3


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
