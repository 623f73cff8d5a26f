"""What people do to runs: cancel, pause, try again, clear, mark; process ids and files are the oracle."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.kernel.errors import Conflict, DeadlineExceeded, InvalidInput, LostLease, MainspringError
from mainspring.pipelines.runtime import begin
from mainspring.pipelines.worker import Worker
from mainspring.pipelines.zygotes import engine_kept

_FLOWS = """
import os, subprocess, sys, time
import mainspring as ms

ORACLE = {oracle!r}
FACTOR = 10

def note(text):
    file = os.open(ORACLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (text + "\\n").encode())
    os.close(file)

@ms.step
def one(x: int) -> int:
    note(f"one {{x}}")
    return x + 1

@ms.step
def held(x: int) -> int:
    note(f"held {{x}}")
    while not os.path.exists(ORACLE + ".go"):
        time.sleep(0.005)
    return x * FACTOR

@ms.step(cache=True)
def costly(x: int) -> int:
    note(f"costly {{x}}")
    return x * FACTOR

@ms.step
def breaks(x: int) -> int:
    note(f"breaks {{x}}")
    if not os.path.exists(ORACLE + ".mended"):
        raise ValueError("broken")
    return x

@ms.step
def family(x: int) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import subprocess, sys, time; "
        "p = subprocess.Popen(['sleep', '600'], start_new_session=True); print(p.pid, flush=True); time.sleep(600)"],
        stdout=subprocess.PIPE, start_new_session=True)
    note(f"family {{os.getpid()}} {{child.pid}} {{int(child.stdout.readline())}}")
    time.sleep(600)
    return x

@ms.flow
def simple(n: int = 1) -> int:
    return one(one(n))

@ms.flow
def slow(n: int = 1) -> int:
    return one(held(one(n)))

@ms.flow
def wide(n: int = 40) -> int:
    return sum(held.map(list(range(n))))

@ms.flow
def families() -> int:
    return sum(family.map([1, 2]))

@ms.flow
def chain(n: int = 1) -> int:
    a = one(n)
    b = costly(a)
    c = one(b)
    return breaks(c)

@ms.flow
def asks() -> bool:
    return ms.ask("Well?")

def told(run):
    note(f"told {{run.flow}} {{run.state}}")
    if run.params.get("n") == 13 and not os.path.exists(ORACLE + ".told"):
        open(ORACLE + ".told", "w").close()
        raise RuntimeError("the first call fails")

@ms.flow(on_success=told, on_failure=told, retries=1)
def tells(n: int = 1) -> int:
    if n == 9:
        os._exit(7)
    if n < 0:
        raise ValueError("negative")
    return one(n)

@ms.flow(timeout=0.5, on_failure=told)
def limited(n: int = 0) -> bool:
    if n:
        held(n)
    return ms.ask("In time?")
"""


@pytest.fixture(autouse=True)
def impatient_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing to do says so at once."""
    monkeypatch.setattr("mainspring.pipelines.worker._LOOK_SECONDS", 0.03, raising=False)


@pytest.fixture(autouse=True, scope="module")
def processes() -> Iterator[None]:
    """The zygote of flow processes lives as long as this module's tests."""
    with engine_kept():
        yield


@pytest.fixture
def steered(tmp_path: Path, oracle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Flows to be steered, importable here and by workers."""
    folder = tmp_path / "steered"
    folder.mkdir()
    (folder / "flows_to_steer.py").write_text(_FLOWS.format(oracle=str(oracle)))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("flows_to_steer", None)
    yield importlib.import_module("flows_to_steer")
    sys.modules.pop("flows_to_steer", None)


@pytest.fixture
def worker(client: Client) -> Iterator[Worker]:
    """A worker in a thread of this process."""
    made = Worker(client, concurrency=4, lease=30)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()


def work(client: Client) -> None:
    """Do what can be done now."""
    Worker(client, concurrency=4, lease=30).run(until_idle=True)


def seen(oracle: Path, text: str, times: int = 1) -> None:
    """Wait until the oracle says something so often."""
    deadline = time.monotonic() + 60
    while oracle.read_text().count(text) < times:
        assert time.monotonic() < deadline, oracle.read_text()
        time.sleep(0.005)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_run_is_cancelled_in_every_state(steered: ModuleType, client: Client, oracle: Path) -> None:
    queued = client.pipelines.start(steered.simple)
    assert client.pipelines.cancel(queued).state == "cancelled"
    asking = client.pipelines.start(steered.asks)
    paused = client.pipelines.start(steered.simple)
    client.pipelines.pause_run(paused)
    work(client)
    assert [client.pipelines.get(each).state for each in (asking, paused)] == ["waiting", "paused"]
    (wait,) = client.pipelines.waits()
    for each in (asking, paused):
        assert client.pipelines.cancel(each).state == "cancelled"
        assert client.pipelines.cancel(each).state == "cancelled"
    assert client.pipelines.waits() == []
    with pytest.raises(Conflict, match="cancelled"):
        client.pipelines.answer(wait.id, True)
    with pytest.raises(Conflict, match="cancelled"):
        client.pipelines.result(asking)
    assert [each.state for each in client.pipelines.steps(asking)] == ["failed"]
    assert client.pipelines.retry(asking).state == "queued"  # the same question is open again
    work(client)
    assert [each.id for each in client.pipelines.waits()] == [wait.id]

    def here() -> None:
        with pytest.raises(LostLease):
            steered.slow.run(client)

    thread = threading.Thread(target=here)
    thread.start()
    seen(oracle, "held")
    (run,) = client.pipelines.runs(flow="slow")
    client.pipelines.cancel(run.id)
    Path(f"{oracle}.go").touch()
    thread.join()
    assert client.pipelines.get(run.id).state == "cancelled"
    assert "one 10" not in oracle.read_text()
    kept = client.pipelines.start(steered.asks)
    assert client.pipelines.cancel_all(flow="simple") == []
    assert client.pipelines.cancel_all(flow="asks") == [asking, kept]
    with pytest.raises(InvalidInput):
        client.pipelines.cancel_all()


@pytest.mark.databases("sqlite")
def test_cancelling_ends_whole_families_of_processes(
    steered: ModuleType, client: Client, oracle: Path, start_worker: Callable[..., subprocess.Popen[bytes]]
) -> None:
    start_worker()
    run_id = client.pipelines.start(steered.families)
    seen(oracle, "family", 2)
    pids = [int(word) for line in oracle.read_text().splitlines() for word in line.split()[1:]]
    assert len(pids) == 6
    assert all(alive(pid) for pid in pids)
    client.pipelines.cancel(run_id)
    until(lambda: not any(alive(pid) for pid in pids))
    assert client.pipelines.get(run_id).state == "cancelled"

    def here() -> None:
        with pytest.raises(LostLease):
            steered.families.run(client)

    thread = threading.Thread(target=here)
    thread.start()
    seen(oracle, "family", 4)
    pids = [int(word) for line in oracle.read_text().splitlines()[2:] for word in line.split()[1:]]
    client.pipelines.cancel_all(flow="families")
    thread.join()  # what runs in this process cannot be killed; the processes of its steps are
    until(lambda: not any(alive(pid) for pid in pids))


def test_of_a_cancellation_and_an_end_one_wins(steered: ModuleType, client: Client) -> None:
    service = client.pipelines
    outcomes = set()
    for number in range(200 if client.backend.store.database.dialect == "sqlite" else 40):  # type: ignore[attr-defined]
        opened = begin(service, steered.simple)
        barrier = threading.Barrier(2)
        said: dict[str, str] = {}

        def finish(opened: Any = opened, barrier: Any = barrier, said: Any = said, number: int = number) -> None:
            barrier.wait()
            try:
                state = "finished" if number % 2 else "failed"
                said["finish"] = service.finish(opened.run.id, attempt=opened.run.attempt, state=state).state
            except LostLease:
                said["finish"] = "lost"

        thread = threading.Thread(target=finish)
        thread.start()
        barrier.wait()
        said["cancel"] = service.cancel(opened.run.id).state
        thread.join()
        state = service.get(opened.run.id).state
        if said["finish"] == "lost":
            assert (said["cancel"], state) == ("cancelled", "cancelled")
        else:
            assert said["cancel"] == said["finish"] == state
        outcomes.add(state == "cancelled")
    kinds = [each.kind for each in client.events.since(0, kinds=["flow.run.*"], limit=1000)]
    ends = sum(kinds.count(f"flow.run.{each}") for each in ("finished", "failed", "cancelled"))
    assert ends == kinds.count("flow.run.started")
    assert outcomes


@pytest.mark.databases("sqlite")
def test_a_paused_run_finishes_its_step_and_begins_no_other(
    steered: ModuleType, client: Client, oracle: Path, worker: Worker
) -> None:
    run_id = client.pipelines.start(steered.slow)
    many = client.pipelines.start(steered.wide)
    seen(oracle, "held 2\n")
    seen(oracle, "held 1\n")
    until(lambda: len(client.pipelines.steps(many)) >= 2)
    for each in (run_id, many):
        assert client.pipelines.pause_run(each).state == "paused"
    begun = oracle.read_text().count("held")
    Path(f"{oracle}.go").touch()
    queue = client.backend.store.queue  # type: ignore[attr-defined]
    until(lambda: all(queue.get(client.pipelines.get(each).task_id).state == "done" for each in (run_id, many)))
    assert {each.state for each in client.pipelines.steps(run_id)} == {"finished"}
    assert oracle.read_text().count("one") == 1
    assert oracle.read_text().count("held") <= begun + 32 < 41  # those that were on their way to the processes
    assert client.pipelines.get(run_id).state == "paused"
    with pytest.raises(Conflict):
        client.pipelines.retry(run_id)
    for each in (run_id, many):
        client.pipelines.resume_run(each)
    assert client.pipelines.result(run_id, timeout=60) == 21
    assert client.pipelines.result(many, timeout=60) == sum(range(40)) * 10
    assert oracle.read_text().count("held") == 41
    with pytest.raises(Conflict):
        client.pipelines.pause_run(run_id)


@pytest.mark.databases("sqlite")
def test_a_run_here_is_paused_and_goes_on_here(steered: ModuleType, client: Client, oracle: Path) -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(steered.slow.run(client)))
    thread.start()
    seen(oracle, "held")
    (run,) = client.pipelines.runs()
    client.pipelines.pause_run(run.id)
    Path(f"{oracle}.go").touch()
    until(lambda: len([each for each in client.pipelines.steps(run.id) if each.state == "finished"]) == 2)
    time.sleep(0.1)
    assert oracle.read_text().count("one") == 1
    assert client.pipelines.resume_run(run.id).state == "running"
    thread.join()
    assert results == [21]
    assert client.pipelines.get(run.id).attempt == 1

    Path(f"{oracle}.go").unlink()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it

    def interrupt() -> None:
        seen(oracle, "held", 2)
        (running,) = client.pipelines.runs(state="running")
        client.pipelines.pause_run(running.id)
        Path(f"{oracle}.go").touch()
        until(lambda: len([each for each in client.pipelines.steps(running.id) if each.state == "finished"]) == 2)
        time.sleep(0.2)  # it has come to the boundary
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            steered.slow.run(client)
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    (left,) = client.pipelines.runs(state="paused")  # it was not cancelled
    assert steered.slow.resume(client, left.id) == 21
    assert oracle.read_text().count("held") == 2


def test_steps_are_done_again_from_one_on_or_alone(steered: ModuleType, client: Client, oracle: Path) -> None:
    run_id = client.pipelines.start(steered.chain)
    work(client)
    assert client.pipelines.get(run_id).state == "failed"
    assert oracle.read_text().split("\n") == ["one 1", "costly 2", "one 20", "breaks 21", ""]
    Path(f"{oracle}.mended").touch()

    def again(change: Callable[[], Any]) -> list[str]:
        oracle.write_text("")
        change()
        work(client)
        return oracle.read_text().split("\n")[:-1]

    assert again(lambda: client.pipelines.retry(run_id)) == ["breaks 21"]
    assert client.pipelines.result(run_id) == 21
    with pytest.raises(Conflict, match="from_step"):
        client.pipelines.retry(run_id)
    assert again(lambda: client.pipelines.retry(run_id, from_step="1")) == ["costly 2", "one 20", "breaks 21"]
    steps = {each.path: each for each in client.pipelines.steps(run_id)}
    assert again(lambda: client.pipelines.clear(run_id, [steps["2"].id])) == ["one 20"]  # what follows is the same
    marked = client.pipelines.mark(steps["1"].id, 500)
    assert (marked.marked_by, marked.output, marked.key) == ("owner", 500, "")
    assert again(lambda: client.pipelines.retry(run_id, from_step="3")) == ["one 500", "breaks 501"]  # 2 follows 1
    assert client.pipelines.result(run_id) == 501
    other = client.pipelines.start(steered.chain)  # what a person said is nobody else's result
    assert again(lambda: None) == ["one 1", "costly 2", "one 20", "breaks 21"]
    assert client.pipelines.result(other) == 21
    for wrong in ({"paths": ["77"]}, {"paths": []}):
        with pytest.raises(MainspringError):
            client.pipelines.clear(run_id, **wrong)
    assert client.pipelines.mark_run(run_id, "failed", reason="wrong data").labels == {"marked_by": "owner"}
    assert client.pipelines.get(run_id).error["message"] == "wrong data"  # type: ignore[index]
    assert client.pipelines.retry_all(flow="chain") == [run_id]
    work(client)
    assert client.pipelines.get(run_id).state == "finished"
    actions = {each.action for each in client.storage.events(resource=f"run/{run_id}", limit=1000)}
    assert {"pipelines.retry", "pipelines.clear", "pipelines.mark_run"} <= actions


def test_a_flow_is_told_once_how_it_ended(
    steered: ModuleType, client: Client, oracle: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [client.pipelines.start(steered.tells, {"n": n}) for n in (1, -1, 13)]
    location = steered.tells.location()
    lost = client.pipelines.enqueue(
        "tells", location=location, params={"n": 9}, max_attempts=1
    ).id  # its process ends without a word
    for run_id in (*runs, lost):
        client.pipelines.wait(run_id, timeout=60)
    seen(oracle, "told tells finished", 3)  # one of three failed in the first call, and was tried again
    seen(oracle, "told tells failed")
    seen(oracle, "told tells crashed")  # nothing of its own was left to say so
    assert client.pipelines.get(lost).state == "crashed"
    with pytest.raises(ValueError, match="negative"):
        steered.tells.run(client, -2)
    assert steered.tells.run(client, 3) == 4
    seen(oracle, "told tells finished", 4)
    seen(oracle, "told tells failed", 2)
    queue = client.backend.store.queue  # type: ignore[attr-defined]
    until(lambda: not queue.tasks(state="ready") and not queue.tasks(state="running"))
    told = [line for line in oracle.read_text().splitlines() if line.startswith("told")]
    assert (told.count("told tells finished"), told.count("told tells failed")) == (4, 2)


@pytest.mark.databases("sqlite")
def test_a_run_is_ended_at_its_deadline_wherever_it_is(
    steered: ModuleType, client: Client, oracle: Path, worker: Worker
) -> None:
    working = client.pipelines.start(steered.limited, {"n": 1})
    waits = client.pipelines.start(steered.limited, {"n": 0})
    for run_id in (working, waits):
        with pytest.raises(DeadlineExceeded):
            client.pipelines.result(run_id, timeout=60)
        assert client.pipelines.get(run_id).state == "failed"
    seen(oracle, "told limited failed", 2)
    with pytest.raises(DeadlineExceeded):
        steered.limited.run(client, 0)
    seen(oracle, "told limited failed", 3)
    with pytest.raises(DeadlineExceeded, match="after"):
        client.pipelines.wait(client.pipelines.start(steered.slow), timeout=0.05)
    client.pipelines.cancel_all(flow="slow")


@pytest.mark.databases("sqlite")
def test_what_a_process_has_imported_is_never_older_than_its_files(
    steered: ModuleType, client: Client, oracle: Path, worker: Worker
) -> None:
    Path(f"{oracle}.mended").touch()
    source = Path(steered.__file__)
    results = []
    for factor in (10, 10, 10, 7, 7, 3):
        source.write_text(_FLOWS.format(oracle=str(oracle)).replace("FACTOR = 10", f"FACTOR = {factor}"))
        results.append(client.pipelines.result(client.pipelines.start(steered.chain), timeout=60))
    assert results == [21, 21, 21, 15, 15, 7]


@pytest.mark.databases("sqlite")
def test_waiting_for_a_run_that_another_process_ends(
    steered: ModuleType, any_client: Client, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = any_client.pipelines.start(steered.simple, {"n": 3})
    threading.Timer(0.2, lambda: any_client.pipelines.mark_run(run_id, "finished", result=[1, 2])).start()
    assert any_client.pipelines.result(run_id, timeout=30) == [1, 2]
    assert any_client.pipelines.wait(run_id).labels == {"marked_by": "owner"}
