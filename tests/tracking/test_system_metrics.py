"""The machine of a run: figures that can be true, at a low cost, and no thread is left."""

from __future__ import annotations

import builtins
import sys
import threading
import time
import types
from typing import Any

import pytest

from mainspring.tracking.system_metrics import SystemMetrics
from mainspring.tracking.system_readings import LinuxReadings, PsutilReadings, find_readings


def test_a_busy_process_is_seen_and_the_thread_ends() -> None:
    taken: list[tuple[int, dict[str, float]]] = []
    system = SystemMetrics(lambda step, values: taken.append((step, values)), seconds=60, elapsed=100)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        sum(range(1000))
    system.stop()
    ((step, values),) = taken  # one at the end: the run was shorter than the time between two
    assert 100 <= step <= 110
    assert values["system/process/cpu"] > 5
    assert 0 <= values["system/cpu"] <= 100
    assert 0 < values["system/memory/used"] < 100
    assert 10e6 < values["system/process/memory"] < 100e9
    assert 0 < values["system/disk/used"] <= 100
    assert not [thread for thread in threading.enumerate() if thread.name == "mainspring-system"]


def test_samples_come_at_their_interval() -> None:
    taken: list[int] = []
    system = SystemMetrics(lambda step, values: taken.append(step), seconds=0.05, prefix="system/host-1/")
    time.sleep(0.6)
    system.stop()
    assert len(taken) >= 4


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_proc_says_what_psutil_says() -> None:
    pytest.importorskip("psutil")
    ours, theirs = LinuxReadings(), PsutilReadings()
    one, two = ours.totals(), theirs.totals()
    assert one["cpu/whole"] == pytest.approx(two["cpu/whole"], rel=0.01)
    assert one["process/cpu"] == pytest.approx(two["process/cpu"], abs=0.2)
    assert set(ours.levels()) == set(theirs.levels())
    assert ours.levels()["process/memory"] == pytest.approx(theirs.levels()["process/memory"], rel=0.05)
    assert ours.levels()["memory/available"] == pytest.approx(theirs.levels()["memory/available"], rel=0.2)


def test_without_psutil_and_with_a_graphics_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__
    monkeypatch.setitem(sys.modules, "psutil", None)
    library = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=42),
        nvmlDeviceGetMemoryInfo=lambda handle: types.SimpleNamespace(used=1 << 30, total=4 << 30),
        nvmlDeviceGetPowerUsage=lambda handle: 125_000,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    readings = find_readings()
    levels = readings.levels()
    readings.close()
    assert {name: value for name, value in levels.items() if name.startswith("gpu")} == {
        "gpu/0/busy": 42,
        "gpu/0/memory": 1 << 30,
        "gpu/0/memory_used": 25.0,
        "gpu/0/power": 125.0,
    }  # what this card does not answer is left out
    assert levels["process/memory"] > 0
    assert builtins.__import__ is real


def test_a_log_that_fails_stops_the_watch_and_nothing_else() -> None:
    def refuse(step: int, values: dict[str, float]) -> Any:
        raise OSError("no space")

    system = SystemMetrics(refuse, seconds=0.01)
    time.sleep(0.1)
    system.stop()
