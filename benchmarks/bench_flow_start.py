"""From `start` to the first line of user code, and from an answer to the line behind it, in a worker.

Warm: the worker has executed the flow before, and forks its process from one that has the module. Cold: it is up, and
sees the flow for the first time. Medians; the store and the worker are on this machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from row import Row

from mainspring.client.client import Client, connect
from mainspring.pipelines.types import Location

_MODULE = """
import time
import polars
import mainspring as ms

@ms.step
def first() -> float:
    return time.time()

@ms.flow
def quick() -> list:
    body = time.time()
    return [body, first()]

@ms.flow
def asks() -> float:
    ms.ask("Go on?")
    return time.time()
"""


def rows() -> Iterator[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder) / "store") as client, worker(client):
        client.pipelines.result(start(client, Path(folder), "warming", "quick"), timeout=60)  # the worker is up
        cold = [latency(client, Path(folder), f"flows_{number}")[0] for number in range(7)]
        warm: list[tuple[float, float]] = []
        for _ in range(23):
            warm.append(latency(client, Path(folder), "flows_0"))
            time.sleep(0.1)  # the process for the next one is being made
        resumed = [answered(client, Path(folder), "flows_0") for _ in range(13)]
    yield Row("a flow's first line, cold", 1e3 * statistics.median(cold), limit="ours < 400", unit="ms")
    body, step = (1e3 * statistics.median(each) for each in zip(*warm[3:], strict=True))
    yield Row("a flow's first line, warm", body, limit="ours < 50", unit="ms")
    yield Row("a flow's first step, warm", step, unit="ms")
    yield Row(
        "an answer to the line behind it, warm", 1e3 * statistics.median(resumed[3:]), limit="ours < 50", unit="ms"
    )


@contextmanager
def worker(client: Client) -> Iterator[None]:
    """A worker on the client's store."""
    process = subprocess.Popen([sys.executable, "-m", "mainspring.pipelines.worker", "--store", client.address])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def start(client: Client, folder: Path, module: str, flow: str) -> str:
    """Queue a run of a flow of a module, which is written when it is not there; the id of the run."""
    path = folder / f"{module}.py"
    if not path.exists():
        path.write_text(_MODULE)
    location = Location(f"{module}:{flow}", (str(folder), *sys.path), str(folder))
    return client.pipelines.enqueue(flow, location=location).id


def latency(client: Client, folder: Path, module: str) -> tuple[float, float]:
    """Seconds until the body's first line, and its first step."""
    began = time.time()
    body, step = client.pipelines.result(start(client, folder, module, "quick"), timeout=60)
    return body - began, step - began


def answered(client: Client, folder: Path, module: str) -> float:
    """Seconds from an answer to the line behind the question."""
    run_id = start(client, folder, module, "asks")
    while client.pipelines.get(run_id).state != "waiting":
        time.sleep(0.005)
    (wait,) = client.pipelines.waits(run_id=run_id)
    time.sleep(0.05)
    began = time.time()
    client.pipelines.answer(wait.id, answer=True)
    return float(client.pipelines.result(run_id, timeout=60)) - began


if __name__ == "__main__":
    for row in rows():
        print(row.workload, row.ours, row.verdict)
