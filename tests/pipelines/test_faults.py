"""What goes wrong in production, made to happen; how often each step's body ran is counted outside of the store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import mainspring
from mainspring.client.client import Client
from mainspring.pipelines.types import FlowRun, Location

Start = Callable[..., subprocess.Popen[bytes]]

_FLOWS = """
import ctypes, os, signal, sys, time
from mainspring.pipelines import flow, step

ORACLE = {oracle!r}


def note(text):
    file = os.open(ORACLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (text + "\\n").encode())
    os.close(file)


def times(text):
    with open(ORACLE) as file:
        return file.read().split("\\n").count(text)


def wait_for(name):
    while not os.path.exists(ORACLE + "." + name):
        time.sleep(0.005)


class KillsAtCommit:
    "Its effect is there, its result is not: the process dies as the result is written."

    def __reduce__(self):
        if times("effect") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return (int, (7,))

    def __int__(self):
        return 7


@step(allow_pickle=True)
def effect() -> object:
    note("effect")
    return KillsAtCommit()


@step
def before() -> int:
    note("before")
    return 1


@flow
def between() -> int:
    before()
    return int(effect())


@step
def slow(n: int) -> int:
    note(f"slow {{n}}")
    if n == 1:
        wait_for("go")
    return n


@flow
def chain() -> int:
    return sum(slow(n) for n in range(3))


@step
def unit(n: int) -> int:
    note(f"unit {{n}}")
    return n


@flow
def many(start: int, n: int) -> int:
    return sum(unit(start + each) for each in range(n))


@step(timeout=60, memory=1 << 30)
def broken(how: str) -> object:
    if how == "segfault":
        ctypes.string_at(0)
    if how == "memory":
        return len(bytearray(4 << 30))
    if how == "exit":
        os._exit(3)
    if how == "closed":
        os.closerange(3, 100)
        os._exit(0)
    if how == "noise":
        line = b"x" * (1 << 20)
        for _ in range(1024):
            os.write(1, line)
        return "quiet at last"
    return lambda: None
"""


@pytest.fixture
def oracle(tmp_path: Path) -> Path:
    """What the steps note down."""
    path = tmp_path / "oracle.txt"
    path.touch()
    return path


@pytest.fixture
def code(tmp_path: Path, oracle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module `faulty_flows`, importable here."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "faulty_flows.py").write_text(_FLOWS.format(oracle=str(oracle)))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("faulty_flows", None)


@pytest.fixture
def start(store_folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a worker or a scheduler, with a place to die: `start("worker", "inside", "UPDATE")`."""
    started: list[subprocess.Popen[bytes]] = []
    script = str(Path(__file__).with_name("dying.py"))

    def begin(
        role: str, when: str = "never", text: str = "", *, path: str = "", lease: float = 1.0
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, script, role, str(store_folder), str(lease), when, text]
        environment = {**os.environ, "PYTHONPATH": path}
        started.append(subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.DEVNULL))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def enqueue(client: Client, code: Path, flow: str, key: str = "", **params: Any) -> str:
    """Have a worker run a flow of the module."""
    location = Location(address=f"faulty_flows:{flow}", sys_path=(str(code),), cwd="/")
    return client.pipelines.enqueue(flow, location=location, params=params, key=key).id


def ended(client: Client, run_id: str, seconds: float = 60.0) -> FlowRun:
    """Wait until a run has ended."""
    deadline = time.monotonic() + seconds
    while (run := client.pipelines.get(run_id)).state in ("queued", "running"):
        assert time.monotonic() < deadline, f"the run is still {run.state}"
        time.sleep(0.02)
    return run


def counted(oracle: Path) -> dict[str, int]:
    """How often each body ran."""
    return Counter(oracle.read_text().splitlines())


def seen(oracle: Path, text: str) -> None:
    """Wait until the oracle says something."""
    deadline = time.monotonic() + 60
    while text not in oracle.read_text():
        assert time.monotonic() < deadline, f"{text!r} is not noted"
        time.sleep(0.01)


@pytest.mark.databases("sqlite")
def test_a_process_that_dies_between_effect_and_commit_repeats_only_that_step(
    client: Client, code: Path, oracle: Path, start: Start
) -> None:
    run_id = enqueue(client, code, "between")
    start("worker")
    run = ended(client, run_id)
    assert (run.state, run.result, run.attempt) == ("finished", 7, 2), run.error
    assert counted(oracle) == {"before": 1, "effect": 2}


_PLACES = {
    "a heartbeat": ("inside", "UPDATE queue_workers SET beats = beats + 1, seen_at"),
    "a claim": ("inside", "UPDATE queue_tasks SET state = 'running'"),
    "just after a claim": ("after", "UPDATE queue_tasks SET state = 'running'"),
}


@pytest.mark.parametrize("place", _PLACES)
def test_a_worker_that_is_killed_during(place: str, client: Client, code: Path, oracle: Path, start: Start) -> None:
    run_id = enqueue(client, code, "chain")
    dying = start("worker", *_PLACES[place])
    assert dying.wait(60) == -signal.SIGKILL
    Path(f"{oracle}.go").touch()
    start("worker")
    run = ended(client, run_id)
    assert (run.state, run.result) == ("finished", 3), run.error
    repeated = {name: times for name, times in counted(oracle).items() if times > 1}
    assert set(repeated) <= {"slow 1"}, "only the step that was under way when it died may have run again"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("when", ["inside", "after"])
def test_a_scheduler_that_is_killed_as_a_schedule_fires_starts_it_once(
    when: str, client: Client, code: Path, oracle: Path, start: Start
) -> None:
    location = Location(address="faulty_flows:many", sys_path=(str(code),), cwd="/")
    client.pipelines.schedule(
        "each", flow="many", location=location, params={"start": 0, "n": 1}, every=1.0, overlap="allow_all"
    )
    first = client.pipelines.schedules()[0].next_at
    dying = start("scheduler", when, "INSERT INTO flow_run")
    assert dying.wait(60) == -signal.SIGKILL
    left = client.pipelines.runs(flow="many")
    assert len(left) == (0 if when == "inside" else 1), "a moment is fired whole, or not at all"
    start("scheduler"), start("scheduler")
    deadline = time.monotonic() + 30
    moments: Counter[datetime | None] = Counter()
    while max(filter(None, moments), default=first) < first + timedelta(seconds=2):
        moments = Counter(run.cause.fire_at for run in client.pipelines.runs(flow="many"))
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert set(moments.values()) == {1}, "no moment was fired twice"


def test_a_worker_that_was_stopped_past_its_lease_and_woke_up_commits_nothing(
    client: Client, code: Path, oracle: Path, start: Start
) -> None:
    stopped = start("worker")
    run_id = enqueue(client, code, "chain")
    seen(oracle, "slow 1")
    family = [stopped.pid, *_descendants(stopped.pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    start("worker")
    Path(f"{oracle}.go").touch()
    run = ended(client, run_id)
    assert (run.state, run.result, run.attempt) == ("finished", 3, 2), run.error
    before = [(step.id, step.attempt, step.finished_at) for step in client.pipelines.steps(run_id)]
    for pid in family:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1.5)  # it wakes, finishes its step, and wants to record it
    assert [(step.id, step.attempt, step.finished_at) for step in client.pipelines.steps(run_id)] == before
    assert client.pipelines.get(run_id) == run
    assert counted(oracle)["slow 0"] == 1
    assert counted(oracle)["slow 2"] <= 1 + 1, "the one that was stopped may have gone on, and was told so"
    assert stopped.poll() is None, "it joins again and goes on working"
    second = enqueue(client, code, "many", start=0, n=1)
    assert ended(client, second).state == "finished"


@pytest.mark.databases("postgres")
def test_a_database_that_is_away_for_five_seconds_loses_nothing(
    client: Client, code: Path, oracle: Path, start: Start, postgres_url: str, postgres_server: str
) -> None:
    import psycopg

    name = postgres_url.partition("///")[2].partition("?")[0]
    start("worker")
    run_id = enqueue(client, code, "chain")
    seen(oracle, "slow 1")
    with psycopg.connect(f"host={postgres_server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        time.sleep(5)
        admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")  # type: ignore[arg-type]
    Path(f"{oracle}.go").touch()
    run = ended(client, run_id)
    assert (run.state, run.result) == ("finished", 3), run.error
    times = counted(oracle)
    assert (times["slow 0"], times["slow 2"]) == (1, 1)
    assert times["slow 1"] <= 2


@pytest.mark.databases("sqlite")
def test_a_database_that_somebody_holds_for_five_seconds_only_delays(
    client: Client, code: Path, oracle: Path, start: Start, store_folder: Path
) -> None:
    import fcntl

    start("worker")
    run_id = enqueue(client, code, "chain")
    seen(oracle, "slow 1")
    with (store_folder / "write.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(f"{oracle}.go").touch()
        time.sleep(5)
    run = ended(client, run_id)
    assert (run.state, run.result, run.attempt) == ("finished", 3, 1), run.error
    assert set(counted(oracle).values()) == {1}


@pytest.mark.parametrize("runs", [20])
def test_two_schedulers_and_eight_workers_do_ten_thousand_steps_once_each(
    runs: int, client: Client, code: Path, oracle: Path, start: Start, database_kind: str
) -> None:
    each = 500 if database_kind == "sqlite" else 50  # the same with fewer on the slower one
    ids = [enqueue(client, code, "many", start=each * run, n=each) for run in range(runs)]
    workers = [start("worker", lease=10) for _ in range(8)]
    start("scheduler"), start("scheduler")
    seen(oracle, f"unit {each // 2}")
    workers[0].kill()
    assert {ended(client, run_id, 110).state for run_id in ids} == {"finished"}
    times = counted(oracle)
    assert len(times) == runs * each, "no step was left out"
    repeated = sum(times.values()) - len(times)
    assert repeated <= os.cpu_count(), "a killed worker repeats what it had under way, and nothing else"  # type: ignore[operator]
    done = [client.pipelines.steps(run_id) for run_id in ids]
    assert [len(steps) for steps in done] == [each] * runs
    assert {step.state for steps in done for step in steps} == {"finished"}


_ENDINGS = {
    "segfault": "SIGSEGV",
    "memory": "MemoryError",
    "exit": "exited with code 3",
    "closed": "before it answered",
    "pickle": "function",
}


@pytest.mark.databases("sqlite")
def test_a_step_that_breaks_its_process_fails_and_the_flow_goes_on(client: Client, code: Path, oracle: Path) -> None:
    import faulty_flows  # type: ignore[import-not-found]

    from mainspring.pipelines import flow

    @flow
    def survivor() -> dict[str, str]:
        said = {}
        for how in _ENDINGS:
            try:
                faulty_flows.broken(how)
            except Exception as error:  # noqa: BLE001 -- each is looked at
                said[how] = f"{type(error).__name__}: {error}"
        said["after"] = str(faulty_flows.unit(1))
        return said

    said = survivor.run(client)
    assert said["after"] == "1"
    for how, text in _ENDINGS.items():
        assert text in said[how], said[how]


@pytest.mark.databases("sqlite")
def test_a_gigabyte_of_output_costs_neither_memory_nor_disk(client: Client, code: Path, store_folder: Path) -> None:
    import faulty_flows

    from mainspring.pipelines import flow

    @flow
    def noisy() -> object:
        return faulty_flows.broken("noise")

    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten: tests before held more
    held = _highest()
    assert noisy.run(client) == "quiet at last"
    assert _highest() - held < 100_000, "kilobytes"
    used = sum(path.stat().st_size for path in store_folder.rglob("*") if path.is_file())
    assert used < 50_000_000
    step = client.pipelines.steps(client.pipelines.runs(flow="noisy")[0].id)[0]
    assert 0 < len(client.pipelines.logs(step.id)) <= 1_000_000, "the end of it is kept"


@pytest.mark.databases("sqlite")
def test_a_run_passes_from_one_release_to_the_next(
    client: Client, code: Path, oracle: Path, start: Start, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(
        Path(mainspring.__file__).parent, older / "mainspring", ignore=shutil.ignore_patterns("__pycache__")
    )
    init = older / "mainspring" / "__init__.py"
    now = init.read_text()
    init.write_text(now.replace(f'"{mainspring.__version__}"', '"0.0.9"'))
    assert init.read_text() != now, "the older release is another one"
    old = start("worker", path=str(older))
    run_id = enqueue(client, code, "chain")
    seen(oracle, "slow 1")
    new = start("worker")
    time.sleep(0.3)
    old.send_signal(signal.SIGTERM)  # it is drained: what does not end in time is given back
    time.sleep(0.3)
    old.kill()
    Path(f"{oracle}.go").touch()
    run = ended(client, run_id)
    assert (run.state, run.result) == ("finished", 3), run.error
    assert counted(oracle)["slow 0"] == 1
    assert new.poll() is None


def _highest() -> int:
    """The most memory that this process has held, in kilobytes."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for each in child.read_text().split():
            found += [int(each), *_descendants(int(each))]
    return found
