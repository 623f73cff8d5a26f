"""A module of flows that other processes can import, and an oracle outside of the store that counts what was done."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

_FLOWS = """
import os, sys, time
import polars as pl
from mainspring.pipelines import current_client, current_step, flow, step

ORACLE = {oracle!r}
FACTOR = 10


def note(text):
    file = os.open(ORACLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (text + "\\n").encode())
    os.close(file)


def wait_for(name):
    while not os.path.exists(ORACLE + "." + name):
        time.sleep(0.005)


def helper(x):
    return x * FACTOR


@step
def one(x: int) -> int:
    note(f"one {{x}}")
    return x + 1


@step
def held(x: int) -> int:
    note(f"held {{x}} {{os.getpid()}}")
    if x >= 3:
        wait_for("go")
    return helper(x)


@step
def frame(rows: int) -> pl.DataFrame:
    note("frame")
    return pl.DataFrame({{"a": range(rows), "b": ["x" * 50] * rows}})


@step
def total(data: pl.DataFrame, part: int = 0) -> int:
    return int(data["a"].sum()) + part


@step(cache=True)
def costly(x: int) -> int:
    note(f"costly {{x}}")
    return helper(x)


@step(retries=2, delay=0.0)
def flaky(x: int) -> int:
    note(f"flaky {{x}} {{current_step().attempt}}")
    if current_step().attempt <= x:
        raise ValueError(f"not yet {{x}}")
    return x


@step
def crash(x: int) -> int:
    os._exit(9)


@step(timeout=0.4)
def hang() -> int:
    time.sleep(600)
    return 1


@step
def loud(x: int) -> int:
    print(f"printed {{x}}")
    os.system(f"echo from a child {{x}}")
    return x


@flow
def simple(n: int = 1) -> int:
    print("body")
    return one(one(n))


@flow
def wide(n: int = 3) -> int:
    return sum(held.map([one(n), 1, 2, 3]))


@flow
def frames(rows: int = 1000) -> list[int]:
    data = frame(rows)
    return total.map([1, 2, 3], data=data) if False else total.using().map([data] * 2, [1, 2])


@flow
def fails(n: int) -> int:
    return flaky(one(n))


@flow(retries=2)
def stubborn(n: int) -> int:
    one(n)
    note("body")
    with open(ORACLE) as file:
        if file.read().count("body") < n:
            raise RuntimeError("again")
    return n


@flow
def cached(x: int) -> int:
    return costly(x)


@flow
def outer(n: int) -> int:
    return simple(n) + simple(n + 1) + one(n)


class NotAFlow:
    pass
"""


@pytest.fixture
def oracle(tmp_path: Path) -> Path:
    """What the steps note down."""
    path = tmp_path / "oracle.txt"
    path.touch()
    return path


@pytest.fixture
def flows(tmp_path: Path, oracle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, importable here and by workers."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "flows_under_test.py").write_text(_FLOWS.format(oracle=str(oracle)))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("flows_under_test", None)
    yield importlib.import_module("flows_under_test")
    sys.modules.pop("flows_under_test", None)


@pytest.fixture
def start_worker(store_folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts workers as processes of their own, with short leases; ends them with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mainspring.pipelines.worker", "--store", str(store_folder), "--lease", "1"]
        environment = {**os.environ, "PYTHONPATH": ""}
        started.append(subprocess.Popen([*command, *options], env=environment, cwd="/", stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(20)
