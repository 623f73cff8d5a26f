"""Work elsewhere: every engine through the conformance suite, and what only processes of this machine can show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainspring.engines.tasks import InlineEngine, TaskEngine, ThreadEngine, open_tasks, resolve
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound
from mainspring.testing.tasks_suite import Line, ProcessTasksSuite, TasksSuite

_WORK = "mainspring.testing.tasks_work:"


class TestInlineEngine(TasksSuite):
    @pytest.fixture
    def engine(self) -> TaskEngine:
        return InlineEngine()

    @pytest.fixture
    def make(self) -> Callable[[], TaskEngine]:
        return InlineEngine


class TestThreadEngine(TasksSuite):
    @pytest.fixture
    def engine(self) -> Iterator[TaskEngine]:
        made = ThreadEngine(2)
        yield made
        made.close()

    @pytest.fixture
    def make(self) -> Callable[[], TaskEngine]:
        return lambda: ThreadEngine(1)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessEngine]:
    with ProcessEngine(2, preload=["mainspring.testing.tasks_work"]) as made:
        yield made


class TestProcessEngine(ProcessTasksSuite):
    @pytest.fixture
    def engine(self, processes: ProcessEngine) -> TaskEngine:
        return processes

    @pytest.fixture
    def make(self) -> Callable[[], TaskEngine]:
        return lambda: ProcessEngine(1)


def test_processes_are_warm(processes: ProcessEngine) -> None:
    first = processes.submit(_WORK + "pid", b"").result()
    assert processes.submit(_WORK + "pid", b"").result() == first


def test_a_recycled_process_is_fresh_each_time() -> None:
    with ProcessEngine(1, recycle=1) as engine:
        first, second = (engine.submit("mainspring.engines.tasks_child:pid", b"").result() for _ in range(2))
        assert first != second


def test_processes_import_from_where_they_are_told(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("import os\ndef place(_): return os.getcwd().encode()\n")
    with ProcessEngine(1, sys_path=[str(tmp_path), *sys.path], cwd=str(tmp_path)) as engine:
        assert Path(engine.submit("only_here:place", b"").result().decode()).samefile(tmp_path)


def test_the_parent_being_killed_ends_all_that_work_had_started() -> None:
    script = (
        "import sys\nfrom mainspring.engines.tasks_process import ProcessEngine\n"
        "ProcessEngine(1).submit('mainspring.testing.tasks_work:hang', sys.argv[1].encode()).result()\n"
    )
    with Line() as line:
        parent = subprocess.Popen([sys.executable, "-c", script, line.address.decode()])
        line.begun()
        parent.kill()
        parent.wait()
        assert line.all_ended()


def test_an_engine_whose_package_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"mainspring\[ray\]"):
        open_tasks("ray")


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
