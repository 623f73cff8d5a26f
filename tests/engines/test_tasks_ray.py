"""The task engine on a real local Ray cluster."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mainspring.client.client import connect
from mainspring.engines.tasks import ProcessDied, TaskEngine, open_tasks
from mainspring.engines.tasks_ray import RayEngine
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.testing.tasks_suite import Line, ProcessTasksSuite

pytest.importorskip("ray")
pytestmark = pytest.mark.engines

_MEMORY = 100 << 20
_WORK = "mainspring.testing.tasks_work:"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayEngine]:
    """One cluster for the whole module: the engines of a process share it."""
    handler = signal.getsignal(signal.SIGTERM)
    with RayEngine(2, object_store=_MEMORY) as made:
        assert signal.getsignal(signal.SIGTERM) is handler
        assert "RAY_USAGE_STATS_ENABLED" not in os.environ
        yield made
    assert _cluster_of(psutil.Process()) == []


def _cluster_of(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children(recursive=True) if "ray" in " ".join(each.cmdline())]


class TestRayEngine(ProcessTasksSuite):
    @pytest.fixture
    def engine(self, cluster: RayEngine) -> TaskEngine:
        return cluster

    @pytest.fixture
    def make(self, cluster: RayEngine) -> Callable[[], TaskEngine]:
        return lambda: RayEngine(1)


def test_a_cluster_listens_on_loopback_only_and_reports_to_nobody(cluster: RayEngine) -> None:
    me = psutil.Process()
    family = [me, *_cluster_of(me)]
    assert len(family) > 3
    heard = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert heard
    assert heard <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    servers = [each for each in _cluster_of(me) if not each.cmdline()[0].startswith("ray::")]  # a title hides the rest
    assert {process.environ().get("RAY_USAGE_STATS_ENABLED") for process in servers} == {"0"}


def test_processes_are_warm(cluster: RayEngine) -> None:
    assert len({cluster.submit(_WORK + "pid", b"").result() for _ in range(6)}) <= 3


def test_a_ray_worker_that_is_killed_takes_everything_along(cluster: RayEngine) -> None:
    with Line() as line:
        future = cluster.submit(_WORK + "hang", line.address)
        work = psutil.Process(line.begun())
        worker = work.parent().parent()  # the work's process, its zygote, Ray's worker
        assert worker.name().startswith("ray::")
        worker.kill()
        with pytest.raises(ProcessDied, match="the Ray worker") as died:
            future.result()
        assert not died.value.details["cancelled"]
        assert line.all_ended()
    assert cluster.submit(_WORK + "upper", b"ok").result() == b"OK"


def test_engines_of_a_process_share_its_cluster(cluster: RayEngine) -> None:
    other = open_tasks("ray")
    assert other.width == 2
    assert other.submit(_WORK + "upper", b"ok").result() == b"OK"
    other.close()
    assert cluster.submit(_WORK + "upper", b"ok").result() == b"OK"
    with pytest.raises(Conflict, match="another Ray cluster"):
        RayEngine(1, address="127.0.0.1:1")


_FLOW = """
import os
from mainspring.pipelines import flow, step

@step(where="ray", timeout=60)
def square(x: int, offset: int = 0) -> tuple[int, int]:
    print("squaring", x)
    return x * x + offset, os.getpid()

@step(where="ray", retries=1, delay=0.0)
def dies(mark: str) -> int:
    if not os.path.exists(mark):
        open(mark, "w").close()
        os._exit(7)
    return 1

@flow
def squares(n: int, mark: str) -> list[tuple[int, int]]:
    return square.map(range(n), offset=1) + [square(9), (dies(mark), 0)]
"""


def test_a_flow_maps_over_ray(cluster: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow_on_ray.py").write_text(_FLOW)
    monkeypatch.syspath_prepend(tmp_path)
    flows = importlib.import_module("flow_on_ray")
    with connect(tmp_path / "store") as client:
        found = flows.squares.run(client, 6, str(tmp_path / "mark"))
        assert [value for value, _ in found] == [1, 2, 5, 10, 17, 26, 81, 1]
        ours = {each.pid for each in psutil.Process().children()}
        assert not {process for _, process in found} & {os.getpid(), *ours}
        (run,) = client.pipelines.runs()
        steps = client.pipelines.steps(run.id)
        assert [each.state for each in steps] == ["finished"] * 8
        assert steps[-1].attempt == 2
        assert client.pipelines.logs(steps[3].id) == "squaring 3\n"
        assert flows.squares.resume(client, run.id) == found
    assert cluster.submit(_WORK + "upper", b"ok").result() == b"OK"


def test_the_process_being_killed_ends_its_cluster(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom mainspring.engines.tasks_ray import RayEngine\n"
        f"RayEngine(1, object_store={_MEMORY}).submit('{_WORK}hang', sys.argv[1].encode()).result()\n"
    )
    with Line() as line:
        parent = subprocess.Popen([sys.executable, "-c", script, line.address.decode()])
        line.begun()
        # Ray's agents look only now and then whether their node is still there; they do no work.
        family = [each for each in _cluster_of(psutil.Process(parent.pid)) if "Agent" not in each.name()]
        parent.kill()
        parent.wait()
        assert line.all_ended()
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="width"):
        RayEngine(-1)
    with pytest.raises(InvalidInput, match="cpus"):
        RayEngine(1, cpus=0)
