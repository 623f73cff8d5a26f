"""Processes forked from one that has a flow's module behave like fresh ones, or are not used."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.client.client import Client
from mainspring.pipelines.types import Location
from mainspring.pipelines.worker import Worker
from mainspring.pipelines.zygotes import engine_kept, forge

pytestmark = pytest.mark.databases("sqlite")

_RANDOM = """
import os, random
import numpy
import mainspring as ms
PARENT = os.getppid()
SEEDED = numpy.random.RandomState(7)
{seed}

@ms.flow
def draws() -> list:
    return [PARENT == os.getppid(), float(numpy.random.random()), random.random()]
"""
_UNFIT = """
import threading
import polars as pl
import mainspring as ms
{what}

@ms.flow
def sums() -> int:
    return int(pl.DataFrame({{"a": [1, 2]}}).lazy().select(pl.col("a").sum()).collect().item())
"""


@pytest.fixture
def worker(client: Client) -> Iterator[Worker]:
    """A worker in a thread of this process."""
    with engine_kept():
        made = Worker(client, concurrency=2, lease=30)
        thread = threading.Thread(target=made.run)
        thread.start()
        yield made
        made.stop()
        thread.join()


def start(client: Client, folder: Path, name: str, text: str) -> str:
    """Have a flow of a module run; the id of the run."""
    module = folder / f"{name}.py"
    if not module.exists():
        module.write_text(text)
    flow = "draws" if "draws" in text else "sums"
    location = Location(f"{name}:{flow}", (str(folder), *sys.path), str(folder))
    return client.pipelines.enqueue(flow, location=location).id


def test_random_numbers_differ_between_processes_unless_they_were_seeded(
    client: Client, tmp_path: Path, worker: Worker
) -> None:
    found = {}
    for name, seed in (("unseeded", ""), ("seeded", "numpy.random.seed(3); random.seed(3)")):
        text = _RANDOM.format(seed=seed)
        found[name] = [client.pipelines.result(start(client, tmp_path, name, text), timeout=60) for _ in range(5)]
    # the first imported the module itself, the last ones were forked with it
    assert {(results[0][0], results[-1][0]) for results in found.values()} == {(True, False)}
    assert len({each[1] for each in found["unseeded"]}) == len({each[2] for each in found["unseeded"]}) == 5
    assert len({each[1] for each in found["seeded"]}) == 1


@pytest.mark.parametrize(
    "what",
    [
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        'pl.DataFrame({"a": [1] * 100}).lazy().group_by("a").agg(pl.len()).collect()',
        "client = ms.connect(__file__ + '.store'); client.pipelines.runs()",
    ],
    ids=["thread", "pool", "store"],
)
def test_what_must_not_be_forked_is_imported_each_time(
    client: Client, tmp_path: Path, worker: Worker, what: str
) -> None:
    for _ in range(3):
        run_id = start(client, tmp_path, "unfit_module", _UNFIT.format(what=what))
        assert client.pipelines.result(run_id, timeout=60) == 3
    (reason,) = forge().refused.values()
    assert "when they are imported" in reason


def test_a_script_is_executed_by_workers_as_itself(client: Client, tmp_path: Path, worker: Worker) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nimport mainspring as ms\n\n"
        "@ms.step\ndef double(n: int) -> int:\n    return 2 * n\n\n"
        "@ms.flow\ndef doubled(n: int) -> list:\n    return [sum(double.map([n, n])), __name__]\n\n"
        "if __name__ == '__main__':\n    print(doubled.start(ms.connect(sys.argv[1]), n=4))\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, str(script), client.address],
            capture_output=True,
            text=True,
            check=True,
        )
        assert client.pipelines.result(done.stdout.strip(), timeout=60)[0] == 16
