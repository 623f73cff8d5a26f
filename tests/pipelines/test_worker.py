"""Workers as real processes, killed in the middle; the oracle is a file outside of the store."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mainspring import on
from mainspring.client.client import Client
from mainspring.events.outbox import emit
from mainspring.kernel.errors import Conflict
from mainspring.kernel.hooks import HANDLERS
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.worker import Worker

Start = Callable[..., subprocess.Popen[bytes]]


def ended(client: Client, run_id: str) -> FlowRun:
    """Wait until a run has ended."""
    while (run := client.pipelines.get(run_id)).state in ("queued", "running"):
        time.sleep(0.02)
    return run


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def seen(oracle: Path, text: str, times: int = 1) -> None:
    """Wait until the oracle says something so often."""
    while oracle.read_text().count(text) < times:
        time.sleep(0.01)


def test_a_started_flow_is_run_by_a_worker(
    flows: ModuleType, client: Client, oracle: Path, start_worker: Start
) -> None:
    run_id = client.pipelines.start(flows.simple, {"n": 5}, key="today")
    assert client.pipelines.start(flows.simple, {"n": 6}, key="today") == run_id
    worker = start_worker("--until-idle")
    assert worker.wait(60) == 0
    run = client.pipelines.get(run_id)
    assert (run.state, run.result, run.attempt) == ("finished", 7, 1)
    assert client.pipelines.logs(run_id) == "body\n"
    assert oracle.read_text().split() == ["one", "5", "one", "6"]
    assert client.lineage.runs(kind="flow")[0].id == run_id


@pytest.mark.databases("sqlite")
def test_killed_workers_lose_no_step_and_repeat_none(
    flows: ModuleType, client: Client, oracle: Path, start_worker: Start
) -> None:
    workers = {worker.pid: worker for worker in (start_worker(), start_worker())}
    run_id = client.pipelines.start(flows.wide, {"n": 2})
    queue: Any = client.backend.store.queue  # type: ignore[attr-defined]
    seen(oracle, "held", 4)  # the items of 1 and 2 finish at once, those of 3 are held
    while len([each for each in client.pipelines.steps(run_id) if each.state == "finished"]) < 3:
        time.sleep(0.01)
    task = queue.get(client.pipelines.get(run_id).task_id)
    owner = next(each.pid for each in queue.workers() if each.id == task.worker)
    inner = [int(line.split()[2]) for line in oracle.read_text().splitlines() if line.startswith("held 3")]
    os.kill(owner, signal.SIGKILL)
    workers.pop(owner).wait()
    killed = time.monotonic()
    seen(oracle, "held 3", 4)  # another worker has taken over and begun what was not finished
    assert time.monotonic() - killed < 30
    while any(alive(pid) for pid in inner):  # nothing of the dead worker is left behind
        time.sleep(0.01)
    Path(f"{oracle}.go").touch()
    run = ended(client, run_id)
    assert (run.state, run.result, run.attempt) == ("finished", 10 * (3 + 1 + 2 + 3), 2)
    words = [" ".join(line.split()[:2]) for line in oracle.read_text().splitlines()]
    assert {word: words.count(word) for word in set(words)} == {"one 2": 1, "held 1": 1, "held 2": 1, "held 3": 4}
    assert {each.state for each in client.pipelines.steps(run_id)} == {"finished"}
    assert queue.get(task.id).attempt == 2


@pytest.mark.databases("sqlite")
def test_a_worker_that_is_asked_to_end_gives_its_flow_back(
    flows: ModuleType, client: Client, oracle: Path, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.pipelines.worker._GRACE_SECONDS", 0.1)
    worker = Worker(client, kinds=["flow"], lease=1)
    import threading

    running = threading.Thread(target=worker.run)
    running.start()
    run_id = client.pipelines.start(flows.wide, {"n": 2})
    seen(oracle, "held 3", 2)
    worker.stop()
    running.join(30)
    assert not running.is_alive()
    task = client.backend.store.queue.get(client.pipelines.get(run_id).task_id)  # type: ignore[attr-defined]
    assert (task.state, task.max_attempts - task.attempt) == ("ready", 5)
    Path(f"{oracle}.go").touch()
    start_worker("--until-idle").wait(60)
    assert client.pipelines.get(run_id).result == 90
    assert oracle.read_text().count("one 2") == 1


@pytest.mark.databases("sqlite")
def test_a_cancelled_flow_is_killed_where_it_runs(
    flows: ModuleType, client: Client, oracle: Path, start_worker: Start
) -> None:
    start_worker()
    run_id = client.pipelines.start(flows.wide, {"n": 2})
    seen(oracle, "held 3", 2)
    inner = [int(line.split()[2]) for line in oracle.read_text().splitlines() if line.startswith("held 3")]
    assert client.pipelines.cancel(run_id).state == "cancelled"
    while any(alive(pid) for pid in inner):
        time.sleep(0.01)
    assert client.pipelines.get(run_id).state == "cancelled"
    assert client.pipelines.retry(run_id).state == "queued"
    Path(f"{oracle}.go").touch()
    assert ended(client, run_id).result == 90
    with pytest.raises(Conflict):
        client.pipelines.retry(run_id)


@pytest.mark.databases("sqlite")
def test_errors_of_a_flow_end_it_unless_it_asks_for_more(
    flows: ModuleType, client: Client, oracle: Path, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = client.pipelines.start(flows.fails, {"n": 8})
    stubborn = client.pipelines.start(flows.stubborn, {"n": 2})
    missing = client.pipelines.enqueue(
        "missing", location=flows.simple.location().__class__(address="no_such_module_anywhere:flow")
    ).id
    other = client.pipelines.enqueue("other", location=flows.simple.location().__class__(address="os:getcwd")).id
    start_worker()
    run = ended(client, failing)
    assert (run.state, run.error["message"]) == ("failed", "ValueError: not yet 9")  # type: ignore[index]
    assert "flows_under_test.py" in run.error["details"]["traceback"]  # type: ignore[index]
    assert "no_such_module_anywhere" in ended(client, missing).error["message"]  # type: ignore[index]
    assert "not a flow" in ended(client, other).error["message"]  # type: ignore[index]
    done = ended(client, stubborn)
    assert (done.state, done.attempt) == ("finished", 2)
    assert oracle.read_text().count("one 2") == 1


def test_handlers_of_every_kind_are_run_and_their_failures_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kinds_under_test.py").write_text(
        "seen = []\n"
        "def work(client, task):\n"
        "    seen.append(task.attempt)\n"
        "    if task.attempt < task.payload['until']: raise ValueError('not yet')\n"
        "    return {'n': task.attempt}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(HANDLERS, "tests.work", "kinds_under_test:work")
    monkeypatch.setattr("mainspring.store.queue.backoff", lambda attempt: 0.0)
    store = client.backend.store  # type: ignore[attr-defined]
    with store.bookkeeping() as tx:
        done = store.queue.enqueue(tx, "tests.work", {"until": 2})
        dead = store.queue.enqueue(tx, "tests.work", {"until": 9}, max_attempts=2)
    assert Worker(client, kinds=["tests.work"]).run(until_idle=True) == 4
    assert store.queue.get(done).result == {"n": 2}
    assert store.queue.get(dead).state == "dead"
    assert store.queue.get(dead).error["message"] == "ValueError: not yet"
    assert store.queue.workers() == []


@pytest.mark.databases("sqlite")
def test_a_flow_that_always_kills_its_process_crashes_in_the_end(
    flows: ModuleType, client: Client, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(flows.__file__)
    source.write_text(source.read_text() + "\n\n@flow(max_attempts=1)\ndef deadly() -> None:\n    os._exit(7)\n")
    location = flows.simple.location()
    run = client.pipelines.enqueue(
        "deadly", location=type(location)("flows_under_test:deadly", location.sys_path, location.cwd), max_attempts=1
    )
    start_worker()
    ended_run = ended(client, run.id)
    assert client.backend.store.queue.get(run.task_id).state == "dead"  # type: ignore[attr-defined]
    assert ended_run.state == "crashed"
    assert "exited with code 7" in ended_run.error["details"]["last"]["message"]  # type: ignore[index]
    assert client.lineage.runs(kind="flow")[0].status == "crashed"


@pytest.mark.databases("sqlite")
def test_a_worker_alone_starts_what_is_due_without_waiting_for_its_next_look(
    flows: ModuleType, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.pipelines.worker._TICK_SECONDS", 600.0)
    client.pipelines.trigger("on-data", flows.simple, on("dataset.version.created"), params={"n": 5})
    worker = Worker(client, concurrency=1)
    working = threading.Thread(target=worker.run)
    working.start()
    try:
        deadline = time.monotonic() + 30
        with client.backend.store.write("test.emit") as tx:  # type: ignore[attr-defined]
            emit(tx, "dataset.version.created", subject="dataset/flights@1", data={})
        while not client.pipelines.runs(flow="simple", state="finished"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        worker.stop()
        working.join()


@pytest.mark.databases("sqlite")
def test_a_worker_lives_on_while_what_is_due_takes_long(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()
    looking = threading.Event()

    def look(_: object) -> int:
        looking.set()
        may_go_on.wait(30)
        return 0

    monkeypatch.setattr("mainspring.pipelines.worker.fire_due", look)
    worker = Worker(client, concurrency=1, lease=0.3)
    working = threading.Thread(target=worker.run)
    working.start()
    try:
        assert looking.wait(30)
        before = client.pipelines.workers()[0]
        deadline = time.monotonic() + 30
        while client.pipelines.workers()[0].beats < before.beats + 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        may_go_on.set()
        worker.stop()
        working.join()


@pytest.mark.databases("sqlite")
def test_a_task_that_is_claimed_while_the_worker_beats_is_not_stopped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(client, lease=0.01)
    late, lost = threading.Event(), threading.Event()
    worker._running["lost"] = lost
    beats = []

    def heartbeat(_: str) -> frozenset[str]:
        beats.append(len(worker._running))
        worker._running.setdefault("late", late)  # claimed after what is held was read
        if len(beats) == 2:
            worker._running.clear()
            worker.stop()
        return frozenset() if len(beats) == 1 else frozenset({"late"})

    monkeypatch.setattr(worker._queue, "heartbeat", heartbeat)
    worker._beat()
    assert len(beats) == 2
    assert lost.is_set()
    assert not late.is_set()
