"""Work beside work: never more than the machine has, the urgent first, and devices given to one at a time."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import wait

import pytest

from mainspring.engines.tasks import Limits, ThreadEngine
from mainspring.engines.tasks_packing import Machine, PackedEngine, Packing, this_machine
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.testing.tasks_suite import TasksSuite

_now = {"cores": 0.0, "memory": 0, "gpu": 0.0}
_most = dict(_now)
_order: list[bytes] = []
_lock = threading.Lock()


def busy(payload: bytes) -> bytes:
    cores, memory, gpu = (float(part) for part in payload.split())
    took = {"cores": cores, "memory": memory, "gpu": gpu}
    with _lock:
        _order.append(payload)
        for name, value in took.items():
            _now[name] += value
            _most[name] = max(_most[name], _now[name])
    time.sleep(0.004)
    with _lock:
        for name, value in took.items():
            _now[name] -= value
    return payload


def visible(_payload: bytes) -> bytes:
    time.sleep(0.05)
    return f"{os.environ.get('CUDA_VISIBLE_DEVICES', '-')} {os.getpid()}".encode()


@pytest.fixture
def packed():
    _order.clear()
    _most.update(cores=0.0, memory=0, gpu=0.0)
    engine = PackedEngine(ThreadEngine(16), Packing(Machine(cores=4, memory=100, devices=("0", "1"))))
    yield engine
    engine.close()


class TestPackedEngine(TasksSuite):
    @pytest.fixture
    def engine(self):
        made = PackedEngine(ThreadEngine(2), Packing(Machine(cores=2, memory=0)))
        yield made
        made.close()

    @pytest.fixture
    def make(self):
        return lambda: PackedEngine(ThreadEngine(1), Packing(Machine(cores=1, memory=0)))


def test_no_more_runs_than_fits(packed):
    asked = [(1, 0, 0), (3, 10, 0), (2, 60, 1), (1, 60, 0.5), (4, 0, 0), (0.5, 30, 0.5)] * 5
    futures = [
        packed.submit(
            f"{__name__}:busy", f"{cpu} {memory} {gpu}".encode(), limits=Limits(cpu=cpu, memory=memory, gpu=gpu)
        )
        for cpu, memory, gpu in asked
    ]
    assert len(wait(futures, 20).done) == len(asked)
    assert _most["cores"] <= 4
    assert _most["memory"] <= 100
    assert _most["gpu"] <= 2
    assert _most["cores"] > 1  # and some ran beside each other


def test_the_urgent_begins_first_and_the_large_is_not_overtaken(packed):
    first = packed.submit(f"{__name__}:busy", b"4 0 0", limits=Limits(cpu=4))
    rest = [
        packed.submit(f"{__name__}:busy", payload, limits=Limits(cpu=float(payload.split()[0]), priority=priority))
        for payload, priority in (
            (b"1 0 0", 0),
            (b"4 0 1", 5),
            (b"1 1 0", 0),
            (b"9 2 0", 1),
        )  # 9 cores are all there are
    ]
    wait([first, *rest], 20)
    assert _order == [b"4 0 0", b"4 0 1", b"9 2 0", b"1 0 0", b"1 1 0"] or set(_order[3:]) == {b"1 0 0", b"1 1 0"}
    assert _order[:3] == [b"4 0 0", b"4 0 1", b"9 2 0"]


def test_devices_are_given_to_one_at_a_time_and_their_process_ends():
    with ProcessEngine(3) as below:
        engine = PackedEngine(below, Packing(Machine(cores=8, memory=0, devices=("0", "1"))))
        futures = [engine.submit(f"{__name__}:visible", b"", limits=Limits(gpu=1)) for _ in range(2)]
        futures.append(engine.submit(f"{__name__}:visible", b"", limits=Limits(cpu=1)))
        answers = [future.result(30).decode().split() for future in futures]
        assert sorted(device for device, _ in answers[:2]) == ["0", "1"]
        assert answers[2][0] == os.environ.get("CUDA_VISIBLE_DEVICES", "-")
        later = engine.submit(f"{__name__}:visible", b"", limits=Limits(gpu=2)).result(30).decode().split()
        assert later[0] == "0,1"
        assert later[1] not in {pid for _, pid in answers[:2]}


def test_what_a_machine_has():
    assert this_machine({"CUDA_VISIBLE_DEVICES": "0, 3"}).devices == ("0", "3")
    assert this_machine({"CUDA_VISIBLE_DEVICES": "-1"}).devices == ()
    assert this_machine().cores >= 1
