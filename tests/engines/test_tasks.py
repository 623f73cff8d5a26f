"""Work elsewhere: in threads, and in processes that crash, hang, eat memory and leave children behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from mainspring.engines.tasks import InlineEngine, Limits, ProcessDied, TaskEngine, ThreadEngine, open_tasks, resolve
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.errors import (
    Conflict,
    DeadlineExceeded,
    InternalError,
    InvalidInput,
    NotFound,
    TooLarge,
    Unavailable,
)

ECHO = "mainspring.engines.tasks_child:echo"

_WORK = """
import ctypes, os, signal, subprocess, sys, time
from mainspring.kernel.errors import Conflict

def pid(_): return str(os.getpid()).encode()
def upper(payload): return payload.upper()
def refuse(_): raise Conflict("no", hint="never")
def break_(_): raise ValueError("broken")
def leave(_): os._exit(3)
def exit_(_): sys.exit(4)
def crash(_): ctypes.string_at(0)
def kill(_): os.kill(os.getpid(), signal.SIGKILL)
def eat(_): return bytes(512 << 20)[:1]
def big(payload): return bytes(int(payload))
def hang(payload):
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(payload.decode(), "w") as file:
        file.write(str(child.pid))
    time.sleep(600)
def orphan(payload):
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(payload.decode(), "w") as file:
        file.write(str(child.pid))
    os._exit(1)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEngine]:
    """Two processes that can import the functions above."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "task_work.py").write_text(_WORK)
    with ProcessEngine(2, sys_path=[str(folder), *sys.path], preload=["task_work"], cwd=str(folder)) as made:
        yield made


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("make", [InlineEngine, ThreadEngine, lambda: ProcessEngine(1)])
def test_every_engine_answers_with_what_the_work_returned(make: type[TaskEngine]) -> None:
    made = make()
    try:
        assert made.submit(ECHO, b"x" * 100_000).result() == b"x" * 100_000
        assert made.width >= 1
    finally:
        made.close()


def test_processes_are_warm_and_not_this_one(engine: ProcessEngine) -> None:
    first = engine.submit("task_work:pid", b"").result()
    assert engine.submit("task_work:pid", b"").result() == first
    assert int(first) != os.getpid()


def test_many_threads_may_submit(engine: ProcessEngine) -> None:
    results: list[bytes] = []

    def ask(number: int) -> None:
        results.append(engine.submit("task_work:upper", b"a" * number).result())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == list(range(20))


def test_errors_of_ours_come_back_as_they_were_and_others_with_their_traceback(engine: ProcessEngine) -> None:
    with pytest.raises(Conflict, match="no") as ours:
        engine.submit("task_work:refuse", b"").result()
    assert ours.value.hint == "never"
    with pytest.raises(InternalError, match="ValueError: broken") as other:
        engine.submit("task_work:break_", b"").result()
    assert "task_work.py" in other.value.details["traceback"]
    with pytest.raises(InternalError, match="SystemExit"):
        engine.submit("task_work:exit_", b"").result()
    with pytest.raises(NotFound, match="no_such"):
        engine.submit("task_work:no_such", b"").result()


@pytest.mark.parametrize(
    ("work", "signal", "code"), [("leave", "", 3), ("crash", "SIGSEGV", -11), ("kill", "SIGKILL", -9)]
)
def test_a_process_that_dies_is_reported_and_replaced(engine: ProcessEngine, work: str, signal: str, code: int) -> None:
    with pytest.raises(ProcessDied) as died:
        engine.submit(f"task_work:{work}", b"").result()
    assert (died.value.details["signal"], died.value.details["exit_code"]) == (signal, code)
    assert engine.submit("task_work:upper", b"ok").result() == b"OK"


def test_a_time_limit_kills_the_whole_tree(engine: ProcessEngine, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded, match="for longer than"):
        engine.submit("task_work:hang", str(note).encode(), limits=Limits(timeout=0.5)).result()
    assert not _alive(int(note.read_text()))
    assert engine.submit("task_work:upper", b"ok").result() == b"OK"


def test_cancelling_kills_the_whole_tree(engine: ProcessEngine, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    future = engine.submit("task_work:hang", str(note).encode())
    while not (note.exists() and note.read_text()):
        assert not future.done()
    assert engine.cancel(future)
    with pytest.raises(ProcessDied, match="cancelled"):
        future.result()
    assert not _alive(int(note.read_text()))
    assert not engine.cancel(future)


def test_what_a_dead_process_had_started_is_ended_too(engine: ProcessEngine, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(ProcessDied):
        engine.submit("task_work:orphan", str(note).encode()).result()
    assert not _alive(int(note.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's RLIMIT_DATA")
def test_a_memory_limit_stops_the_work_and_not_the_process(engine: ProcessEngine) -> None:
    with pytest.raises(ProcessDied, match="more memory"):
        engine.submit("task_work:eat", b"", limits=Limits(memory=256 << 20)).result()
    assert engine.submit("task_work:eat", b"").result() == b"\0"


def test_answers_have_a_limit(engine: ProcessEngine) -> None:
    with pytest.raises(TooLarge):
        engine.submit("task_work:big", b"100000", limits=Limits(result=1000)).result()
    assert engine.submit("task_work:big", b"1000", limits=Limits(result=1000)).result() == bytes(1000)


def test_work_that_has_not_begun_is_dropped(tmp_path: Path) -> None:
    with ProcessEngine(1) as engine:
        blocker = engine.submit("time:sleep", b"")  # a TypeError in the process; only takes the place
        waiting = [engine.submit(ECHO, b"") for _ in range(3)]
        engine.cancel(waiting[-1])
        done, _ = wait(waiting)
        assert blocker.exception() is not None
        assert len(done) == 3
        assert waiting[0].result() == b""


def test_closing_kills_what_runs(tmp_path: Path) -> None:
    (tmp_path / "task_work.py").write_text(_WORK)
    note = tmp_path / "pid"
    engine = ProcessEngine(1, sys_path=[str(tmp_path), *sys.path])
    future = engine.submit("task_work:hang", str(note).encode())
    while not (note.exists() and note.read_text()):
        assert not future.done()
    engine.close()
    with pytest.raises(ProcessDied):
        future.result()
    assert not _alive(int(note.read_text()))
    with pytest.raises((Unavailable, RuntimeError)):
        engine.submit(ECHO, b"").result()


def test_a_recycled_process_is_fresh_each_time() -> None:
    with ProcessEngine(1, recycle=1) as engine:
        first, second = (engine.submit("mainspring.engines.tasks_child:pid", b"").result() for _ in range(2))
        assert first != second


def test_the_parent_being_killed_ends_the_processes(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "task_work.py").write_text(_WORK)
    script = (
        "import sys\nfrom mainspring.engines.tasks_process import ProcessEngine\n"
        "engine = ProcessEngine(1, sys_path=[sys.argv[1], *sys.path])\n"
        "print(engine.submit('task_work:pid', b'').result().decode(), flush=True)\nsys.stdin.readline()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _alive(child)
    parent.kill()
    parent.communicate()
    while _alive(child):
        pass


def test_bad_names_and_widths_are_refused() -> None:
    with pytest.raises(NotFound) as unknown:
        open_tasks("proces")
    assert unknown.value.known == ("process",)
    for kind in ("inline", "thread", "process"):
        open_tasks(kind, width=1).close()
    for make in (ThreadEngine, ProcessEngine):
        with pytest.raises(InvalidInput):
            make(0)
    with pytest.raises(NotFound):
        resolve("no.such.module:f")
