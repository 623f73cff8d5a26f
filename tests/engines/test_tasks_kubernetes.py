"""The task engine that makes Kubernetes Jobs, driven against an API server of the tests' own.

No real cluster can be had here. What is real: every manifest is checked against Kubernetes' schema, the client is the
one that reaches real clusters, and the containers' command runs, as a process of this machine.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mainspring
from mainspring.client.client import connect
from mainspring.engines.tasks import Limits, ProcessDied, TaskEngine
from mainspring.engines.tasks_kubernetes import KubernetesEngine, place_from_environment
from mainspring.engines.tasks_kubernetes_job import OWNER, Place, job
from mainspring.engines.tasks_pod import Order
from mainspring.kernel.errors import InvalidInput, Unavailable
from mainspring.testing.tasks_suite import Line, ProcessTasksSuite

lightkube = pytest.importorskip("lightkube")
validator = pytest.importorskip("kubernetes_validate")
pytestmark = pytest.mark.engines

_spec = importlib.util.spec_from_file_location("kubernetes_cluster", Path(__file__).with_name("kubernetes_cluster.py"))
_cluster = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cluster)
VERSION, Cluster, running_cluster = _cluster.VERSION, _cluster.Cluster, _cluster.running_cluster

_WORK = "mainspring.testing.tasks_work:"
_PLACE = Place(namespace="default", image="example.org/mainspring:1")


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "tests", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "tests", "user": "me", "namespace": "default"}}],
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Cluster, str]]:
    """One cluster for the module; its images hold this package."""
    source = str(Path(mainspring.__file__).parent.parent)
    image = {"PYTHONPATH": source, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with running_cluster(image) as made:
        yield made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that pods can reach."""
    folder = tmp_path_factory.mktemp("pods") / "store"
    connect(folder).close()
    return str(folder)


@pytest.fixture(scope="module")
def make_engine(cluster: tuple[Cluster, str], store: str) -> Callable[..., KubernetesEngine]:
    """Makes engines of the cluster."""
    config = lightkube.KubeConfig.from_dict(_kubeconfig(cluster[1]))

    def make(width: int = 1, place: Place = _PLACE, owner: str = "") -> KubernetesEngine:
        client = lightkube.Client(config=config, trust_env=False)
        return KubernetesEngine(width, store=store, place=place, cluster=client, owner=owner)

    return make


@pytest.fixture(scope="module")
def jobs(make_engine: Callable[..., KubernetesEngine]) -> Iterator[KubernetesEngine]:
    """One engine for the module."""
    with make_engine(2) as made:
        yield made


class TestKubernetesEngine(ProcessTasksSuite):
    @pytest.fixture
    def engine(self, jobs: KubernetesEngine) -> TaskEngine:
        return jobs

    @pytest.fixture
    def make(self, make_engine: Callable[..., KubernetesEngine]) -> Callable[[], TaskEngine]:
        return make_engine


def test_a_lost_answer_makes_no_second_job(cluster: tuple[Cluster, str], jobs: KubernetesEngine) -> None:
    before = len(cluster[0].created)
    cluster[0].lost_answers = 1
    assert jobs.submit(_WORK + "upper", b"once").result() == b"ONCE"
    assert len(cluster[0].created) == before + 1


def test_a_server_that_is_away_and_forgets_loses_no_answer(
    cluster: tuple[Cluster, str], jobs: KubernetesEngine
) -> None:
    with Line() as line:
        future = jobs.submit(_WORK + "wait", line.address)
        line.begun()
        cluster[0].away = True
        line.say(b"while you were away")
        while not any(each.poll() is not None for each in list(cluster[0].processes.values())[-1:]):
            pass
        cluster[0].forget()
        cluster[0].away = False
        assert future.result(60) == b"while you were away"


def test_what_cannot_start_is_told_and_not_waited_for(make_engine: Callable[..., KubernetesEngine]) -> None:
    with make_engine() as engine:
        with pytest.raises(ProcessDied, match="ErrImagePull: no such image"):
            engine.submit(_WORK + "upper", b"", limits=Limits(image="missing/image")).result(60)
        assert engine.submit(_WORK + "upper", b"ok").result(60) == b"OK"


def test_a_pod_that_is_killed_from_outside_is_a_death(
    cluster: tuple[Cluster, str], make_engine: Callable[..., KubernetesEngine]
) -> None:
    with make_engine() as engine, Line() as line:
        future = engine.submit(_WORK + "wait", line.address)
        line.begun()
        cluster[0].kill(list(cluster[0].processes)[-1], how=9)
        with pytest.raises(ProcessDied, match="OOMKilled") as died:
            future.result(60)
        assert died.value.details["reason"] == "memory"


def test_looking_tells_as_much_as_watching(
    cluster: tuple[Cluster, str], make_engine: Callable[..., KubernetesEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KubernetesEngine, "_watch", lambda _: None)
    monkeypatch.setattr("mainspring.engines.tasks_kubernetes._LOOK_SECONDS", 0.1)
    with make_engine() as engine, Line() as line:
        future = engine.submit(_WORK + "wait", line.address)
        line.begun()
        cluster[0].kill(list(cluster[0].processes)[-1], how=9)
        with pytest.raises(ProcessDied, match="OOMKilled") as died:
            future.result(60)
        assert died.value.details["reason"] == "memory"


def test_an_answer_outlives_a_store_that_is_away(
    make_engine: Callable[..., KubernetesEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.engines.tasks_kubernetes._LOOK_SECONDS", 0.1)
    with make_engine() as engine:
        get, asked = engine._shelf.get, []

        def away(digest: str) -> bytes:
            asked.append(digest)
            if len(asked) < 3:
                raise Unavailable("the server is away")
            return get(digest)

        monkeypatch.setattr(engine._shelf, "get", away)
        assert engine.submit(_WORK + "upper", b"there").result(60) == b"THERE"


def test_jobs_of_an_engine_that_died_are_removed_by_the_next(
    cluster: tuple[Cluster, str], make_engine: Callable[..., KubernetesEngine]
) -> None:
    with make_engine(owner="run-4711") as first, Line() as line:
        first.submit(_WORK + "hang", line.address)
        line.begun()
        with make_engine(owner="run-4711"):
            assert line.all_ended()
    left = list(cluster[0].objects["/apis/batch/v1/namespaces/default/jobs"].values())
    assert not any(each["metadata"]["labels"].get(OWNER) == "run-4711" for each in left)


def test_manifests_carry_resources_and_what_the_platform_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="no container image"):
        place_from_environment("default")
    pod = tmp_path / "pod.json"
    pod.write_text(
        '{"nodeSelector": {"gpu": "yes"}, "containers": [{"name": "work", "volumeMounts":'
        ' [{"name": "data", "mountPath": "/data"}]}], "volumes": [{"name": "data", "emptyDir": {}}]}'
    )
    for key, value in {"IMAGE": "i:1", "TOKEN_SECRET": "store", "POD": str(pod), "SERVICE_ACCOUNT": "steps"}.items():
        monkeypatch.setenv(f"MAINSPRING_KUBERNETES_{key}", value)
    limits = Limits(timeout=90, memory=1 << 30, cpu=0.5, gpu=1, label="nightly/train")
    order = Order("https://ms.example.org", "m:f", "0" * 64, limits)
    made = job("ms-1", place_from_environment("models"), order, engine="e1", owner="r1")
    validator.validate(made, VERSION, strict=True)
    spec = made["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert container["resources"]["requests"] == {
        "cpu": "500m", "memory": str((1 << 30) + (256 << 20)), "nvidia.com/gpu": "1"
    }  # fmt: skip
    assert (spec["nodeSelector"], container["volumeMounts"][0]["mountPath"]) == ({"gpu": "yes"}, "/data")
    assert container["env"][-1]["valueFrom"]["secretKeyRef"]["name"] == "store"
    assert made["spec"]["activeDeadlineSeconds"] >= 90
    pod.write_text("[")
    with pytest.raises(InvalidInput, match="MAINSPRING_KUBERNETES_POD"):
        place_from_environment("models")


def test_what_the_cluster_refuses_is_told(make_engine: Callable[..., KubernetesEngine]) -> None:
    wrong = Place(namespace="default", image="i:1", pod={"restartPolicy": 7})
    with make_engine(place=wrong) as engine, pytest.raises(Unavailable, match="did not take the Job"):
        engine.submit(_WORK + "upper", b"").result(60)


def test_a_flow_s_step_runs_in_a_pod(
    cluster: tuple[Cluster, str], store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pod_flows.py").write_text(
        "import os\n"
        "from mainspring.pipelines import flow, step\n"
        "@step(where='kubernetes', cpu=0.5)\n"
        "def where(n: int) -> list:\n"
        "    print('in the pod')\n"
        "    return [n, 'MAINSPRING_WORK' in os.environ, list(range(50_000))]\n"
        "@flow\n"
        "def podded() -> list:\n"
        "    return where(7)[:2] + [len(each[2]) for each in where.map([1, 2])]\n"
    )
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(_kubeconfig(cluster[1])))
    monkeypatch.setenv("KUBECONFIG", str(config))
    monkeypatch.setenv("MAINSPRING_KUBERNETES_IMAGE", "example.org/mainspring:1")
    monkeypatch.setitem(cluster[0].image, "PYTHONPATH", f"{cluster[0].image['PYTHONPATH']}:{tmp_path}")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("pod_flows")
    with connect(store) as client:
        assert module.podded.run(client) == [7, True, 50_000, 50_000]
        run = client.pipelines.runs(flow="podded")[0]
        assert client.pipelines.logs(client.pipelines.steps(run.id)[0].id) == "in the pod\n"
    labels = cluster[0].created[-1]["metadata"]
    assert labels["labels"][OWNER] == run.id
    assert labels["annotations"]["mainspring.dev/label"] == "podded/where"
