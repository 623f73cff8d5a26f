"""Limits over all runs: never more than allowed, in order, and nothing is lost with a process that dies."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from mainspring.kernel.clock import turned
from mainspring.kernel.errors import InvalidInput, LostLease, NotFound
from mainspring.pipelines import flow, step
from mainspring.pipelines.presence import present

_MANY = """
import os, sys, time
from mainspring.client.client import connect
from mainspring.pipelines import flow, step

STORE, ORACLE, PROCESSES, CALLS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def note(text):
    file = os.open(ORACLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (text + "\\n").encode())
    os.close(file)


@step(limits=("gpu",))
def limited(n):
    note("+")
    time.sleep(0.02)
    if CALLS == 1:
        note(f"held {os.getpid()}")
        time.sleep(600)
    note("-")
    return n


@flow
def busy():
    return [limited(n) for n in range(CALLS)]


children = []
for _ in range(PROCESSES):
    child = os.fork()
    if child == 0:
        with connect(STORE) as client:
            busy.run(client)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def _start(tmp_path: Path, folder: Path, processes: int, calls: int) -> subprocess.Popen[bytes]:
    script = tmp_path / "busy.py"
    script.write_text(_MANY)
    command = [sys.executable, str(script), str(folder), str(tmp_path / "oracle"), str(processes), str(calls)]
    return subprocess.Popen(command, start_new_session=True)


def test_eight_processes_never_hold_more_than_there_are_slots(client, store_folder, tmp_path):
    client.pipelines.set_limit("gpu", slots=2)
    assert _start(tmp_path, store_folder, 8, 3).wait(60) == 0
    running = most = begun = 0
    for line in (tmp_path / "oracle").read_text().split():
        running += 1 if line == "+" else -1
        begun += line == "+"
        most = max(most, running)
    assert (begun, running, most) == (24, 0, 2)
    [use] = client.pipelines.limits()
    assert (use.held, use.waiting) == (0, 0)


def test_places_of_a_process_that_was_killed_come_back(client, store_folder, tmp_path):
    client.pipelines.set_limit("gpu", slots=1)
    other = _start(tmp_path, store_folder, 1, 1)
    oracle = tmp_path / "oracle"
    deadline = time.monotonic() + 30
    while not (oracle.exists() and "held" in oracle.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [each.state for each in client.pipelines.claims("gpu")] == ["held"]
    killer = threading.Timer(0.1, os.killpg, (other.pid, signal.SIGKILL))
    killer.start()
    assert _limited.run(client, 5) == 5  # a lease is ten seconds, and it does not wait for it
    assert time.monotonic() < deadline
    other.wait()
    assert client.pipelines.claims("gpu") == []


@step(limits=("gpu",))
def _one(n: int) -> int:
    return n


@flow
def _limited(n: int) -> int:
    return _one(n)


@pytest.mark.databases("sqlite")
def test_the_more_urgent_enters_first_and_nobody_overtakes(client):
    service = client.pipelines
    service.set_limit("a", slots=1)
    service.set_limit("b", slots=1)
    opened = service.begin("nightly")
    order: list[str] = []
    with present(service) as worker:
        ask = {"attempt": 1, "worker": worker}
        first = service.enter_limits(opened.run.id, names=["a"], **ask)
        assert first.state == "held"

        def wait(name: str, names: list[str], priority: int) -> None:
            entry = service.enter_limits(opened.run.id, names=names, priority=priority, step=name, patience=20, **ask)
            order.append(name)
            assert entry.state == "held"
            service.leave_limits(entry.claim)

        waiters = []
        for number, (name, names, priority) in enumerate(
            [("low", ["a"], 0), ("both", ["a", "b"], 5), ("behind", ["b"], 1), ("high", ["a"], 9)]
        ):
            waiters.append(threading.Thread(target=wait, args=(name, names, priority)))
            waiters[-1].start()
            _until(lambda wanted=number + 1: sum(use.waiting for use in service.limits()) >= wanted)
        assert order == []  # `behind` finds b free, and lets `both` go before it
        service.leave_limits(first.claim)
        for waiter in waiters:
            waiter.join(20)
    assert order.index("high") < order.index("both") < min(order.index("low"), order.index("behind"))


def test_what_begins_per_second_is_limited_after_a_burst(client):
    service = client.pipelines
    service.set_limit("api", per_second=25, burst=3)
    opened = service.begin("nightly")
    began = time.monotonic()
    with present(service) as worker:
        for _ in range(8):
            entry = service.enter_limits(opened.run.id, attempt=1, names=["api"], worker=worker, patience=10)
            assert entry.state == "held"
        assert time.monotonic() - began >= 5 / 25 - 0.005
        assert service.limits()[0].held == 8  # a rate alone holds nobody up that runs


@pytest.mark.databases("sqlite")
def test_a_clock_that_is_set_back_stops_no_bucket(client):
    service = client.pipelines
    service.set_limit("api", per_second=50, burst=1)
    opened = service.begin("nightly")
    with present(service) as worker:
        ask = {"attempt": 1, "names": ["api"], "worker": worker}
        service.enter_limits(opened.run.id, **ask)
        with turned(timedelta(hours=-5)):
            assert service.enter_limits(opened.run.id, patience=10, **ask).state == "held"


@pytest.mark.databases("sqlite")
def test_limits_are_refused_changed_and_taken_away(client):
    service = client.pipelines
    for wrong in ({}, {"slots": -1}, {"per_second": float("nan")}, {"slots": 1, "burst": 3}, {"per_second": -1}):
        with pytest.raises(InvalidInput):
            service.set_limit("gpu", **wrong)
    with pytest.raises(NotFound, match="no limit 'gpu'"):
        _limited.run(client, 1)
    service.set_limit("gpu", slots=1)
    opened = service.begin("nightly")
    with present(service) as worker:
        ask = {"attempt": 1, "names": ["gpu"], "worker": worker}
        service.enter_limits(opened.run.id, **ask)
        waiting = service.enter_limits(opened.run.id, **ask)
        assert waiting.state == "waiting"
        service.set_limit("gpu", slots=2)  # whoever is next enters in the same transaction
        assert service.enter_limits(opened.run.id, claim=waiting.claim, **ask).state == "held"
        third = service.enter_limits(opened.run.id, **ask)
        service.cancel(opened.run.id)
        with pytest.raises(LostLease):
            service.enter_limits(opened.run.id, claim=third.claim, patience=5, **ask)
        service.delete_limit("gpu")
        assert service.limits() == []
        with pytest.raises(NotFound):
            service.delete_limit("gpu")


@pytest.mark.databases("sqlite")
def test_a_map_through_a_server_holds_no_more_than_it_may(server_url):
    from mainspring.client.client import connect

    with connect(server_url) as remote:
        remote.pipelines.set_limit("gpu", slots=1)
        assert _spread.run(remote) == [1, 2, 3, 4]
        assert _seen == {"now": 0, "most": 1}


_seen = {"now": 0, "most": 0}


@step(limits="gpu", where="thread")
def _counted(n: int) -> int:
    _seen["now"] += 1
    _seen["most"] = max(_seen["most"], _seen["now"])
    time.sleep(0.005)
    _seen["now"] -= 1
    return n


@flow
def _spread() -> list[int]:
    return _counted.map([1, 2, 3, 4])


_runs = {"now": 0, "most": 0}


@flow(limits="one-at-a-time")
def _alone(n: int) -> int:
    _runs["now"] += 1
    _runs["most"] = max(_runs["most"], _runs["now"])
    found = _counted.using(limits=("one-at-a-time",))(n)  # its run holds the place already
    time.sleep(0.01)
    _runs["now"] -= 1
    return found


@pytest.mark.databases("sqlite")
def test_runs_of_a_flow_are_limited_and_do_not_wait_for_themselves(client):
    client.pipelines.set_limit("one-at-a-time", slots=1)
    runs = [threading.Thread(target=_alone.run, args=(client, n), daemon=True) for n in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(20)
    assert [run.state for run in client.pipelines.runs()] == ["finished"] * 3
    assert _runs == {"now": 0, "most": 1}


def _until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.databases("sqlite")
def test_workers_of_a_pool_execute_its_flows_and_no_others(flows, client, oracle, start_worker):
    pooled = copy.copy(flows.simple)
    pooled.options = msgspec.structs.replace(flows.simple.options, pool="gpu")
    run_id = client.pipelines.start(pooled, {"n": 5})
    other = client.pipelines.start(flows.simple, {"n": 7})
    assert start_worker("--until-idle", "--pool", "other").wait(60) == 0
    assert client.pipelines.get(run_id).state == "queued"
    assert start_worker("--until-idle", "--pool", "gpu").wait(60) == 0
    assert (client.pipelines.get(run_id).state, client.pipelines.get(other).state) == ("finished", "queued")
    assert oracle.read_text().split() == ["one", "5", "one", "6"]
