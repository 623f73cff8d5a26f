"""Unmodified Optuna workers, in processes of their own, over Optuna's gRPC protocol."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.testing.pytest_storages import StorageTestCase

from mainspring.client.client import Client, connect
from mainspring.kernel.errors import Forbidden, Unavailable
from mainspring.protocols.optuna_grpc import OptunaServer

optuna.logging.set_verbosity(optuna.logging.WARNING)

WORKER = """
import sys, warnings
warnings.simplefilter("ignore")
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.GrpcStorageProxy(host="localhost", port=int(sys.argv[1]))
study = optuna.create_study(
    storage=storage,
    study_name="shared",
    load_if_exists=True,
    sampler=optuna.samplers.RandomSampler(),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
)

def objective(trial):
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["plain", None, 3])
    for step in range(5):
        trial.report(abs(x) + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("worker", sys.argv[2])
    return x * x + (kind == 3)

study.optimize(objective, n_trials=20)
"""


def _proxy(port: int) -> optuna.storages.GrpcStorageProxy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proxy = optuna.storages.GrpcStorageProxy(host="localhost", port=port)
    proxy.wait_server_ready(timeout=30)
    return proxy


@pytest.mark.databases("sqlite")
def test_two_workers_share_a_study_and_its_trials_are_runs(client: Client) -> None:
    with OptunaServer(client) as server:
        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER, str(server.port), name], stderr=subprocess.PIPE)
            for name in ("ann", "ben")
        ]
        for each in workers:
            assert each.communicate(timeout=100)[1] == b""
            assert each.returncode == 0
        study = client.tuning.get("shared")
        trials = client.tuning.trials("shared")
        assert [each.number for each in trials] == list(range(40))
        assert {each.state for each in trials} == {"finished", "pruned"}
        assert all(each.reports for each in trials)
        finished = [each for each in trials if each.state == "finished"]
        assert all(each.value == each.params["x"] ** 2 + (each.params["kind"] == 3) for each in finished)
        assert {each.user_attrs["worker"] for each in finished} == {"ann", "ben"}
        runs = client.lineage.runs(kind="trial", limit=100)
        assert {run.id for run in runs} == {each.id for each in trials}
        assert {run.parent_id for run in runs} == {study.id}
        proxy = _proxy(server.port)
        try:
            assert (
                optuna.load_study(study_name="shared", storage=proxy).best_value == client.tuning.best("shared").value
            )
        finally:
            proxy.close()


def _serve(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    program = "import sys; from mainspring.cli.tune_serve import serve; serve(sys.argv[1:], standalone_mode=False)"
    command = [sys.executable, "-c", program, "--store", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    return server, int(server.stderr.readline().split()[0].rpartition(":")[2])


@pytest.mark.databases("sqlite")
def test_a_server_that_is_killed_loses_nothing_that_a_worker_was_told_it_has(store_folder: Path) -> None:
    server, port = _serve(store_folder)
    proxy = _proxy(port)
    study = optuna.create_study(storage=proxy, study_name="s")
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    trial.report(x, step=1)
    trial.set_user_attr("who", "ann")
    server.kill()
    server.communicate()
    proxy.close()
    server, _ = _serve(store_folder, port)
    proxy = _proxy(port)
    optuna.load_study(storage=proxy, study_name="s").tell(trial.number, x)
    proxy.close()
    server.terminate()
    assert server.wait(30) == 0
    server.communicate()
    with connect(store_folder) as client:
        (kept,) = client.tuning.trials("s")
    assert (kept.params, kept.reports, kept.user_attrs, kept.values) == ({"x": x}, {1: x}, {"who": "ann"}, [x])


@pytest.mark.databases("sqlite")
def test_others_cannot_reach_it_and_a_port_is_taken_once(client: Client) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(Forbidden, match="token"):
            OptunaServer(client, host=host)
    with OptunaServer(client) as server, pytest.raises(Unavailable):
        OptunaServer(client, port=server.port)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with connect(tmp_path_factory.mktemp("store")) as client, OptunaServer(client) as server:
        yield server.port


class TestStorage:
    """Those of Optuna's own tests whose answers the protocol carries."""

    @pytest.fixture
    def storage(self, port: int) -> Iterator[optuna.storages.BaseStorage]:
        proxy = _proxy(port)
        yield proxy
        proxy.close()

    test_create_new_study_with_name = StorageTestCase.test_create_new_study_with_name
    test_create_new_trial = StorageTestCase.test_create_new_trial
    test_set_trial_param = StorageTestCase.test_set_trial_param
    test_set_trial_state_values_for_state = StorageTestCase.test_set_trial_state_values_for_state
    test_set_trial_state_values_for_floats = StorageTestCase.test_set_trial_state_values_for_floats
    test_set_trial_intermediate_value = StorageTestCase.test_set_trial_intermediate_value
    test_get_all_trials_state_option = StorageTestCase.test_get_all_trials_state_option
    test_get_best_trial_for_multi_objective_optimization = (
        StorageTestCase.test_get_best_trial_for_multi_objective_optimization
    )
    test_pickle_storage = StorageTestCase.test_pickle_storage
