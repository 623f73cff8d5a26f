from __future__ import annotations

import pytest

from mainspring.importers import import_optuna
from mainspring.kernel.errors import InvalidInput, NotFound

pytestmark = pytest.mark.databases("sqlite")
optuna = pytest.importorskip("optuna")


@pytest.fixture(params=["database", "journal"])
def storage(request, tmp_path):
    address = f"sqlite:///{tmp_path}/study.db" if request.param == "database" else str(tmp_path / "journal.log")
    if request.param == "database":
        opened = address
    else:
        opened = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(address))

    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        trial.set_user_attr("seen", {"rows": 3})
        for step in range(3):
            trial.report(x + step, step)
            if trial.number == 1 and step == 1:
                raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("this one fails")
        return x * x + (kind == "a")

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="depth", storage=opened, direction="minimize")
    study.optimize(objective, n_trials=5, catch=(ValueError,))
    pairs = optuna.create_study(study_name="pair", storage=opened, directions=["minimize", "maximize"])
    pairs.optimize(lambda trial: (trial.suggest_int("n", 1, 9), 2.0), n_trials=2)
    return address, study


def test_trials_are_runs(client, storage):
    address, study = storage
    report = import_optuna(client, address)
    assert (report.problems, report.runs, sorted(report.experiments)) == ([], 7, ["depth", "pair"])
    found = {int(run.tags["optuna.number"]): run for run in client.tracking.search(experiments=["depth"]).runs}
    for trial in study.trials:
        run = found[trial.number]
        assert run.params == trial.params
        assert run.tags["optuna.state"] == trial.state.name.lower()
        assert run.tags["seen"] == '{"rows": 3}'
        if trial.value is not None and trial.state.name == "COMPLETE":
            assert run.metrics["value"].value == trial.value
        reported = client.tracking.history(run.id, "intermediate")
        assert dict(zip(reported["step"], reported["value"], strict=True)) == trial.intermediate_values
    assert {found[1].status, found[2].status} == {"finished", "failed"}
    pair = client.tracking.search(experiments=["pair"]).runs[0]
    assert pair.metrics["value_1"].value == 2.0
    assert client.tracking.experiment("pair").tags["optuna.directions"] == "minimize,maximize"


def test_again_changes_nothing_and_one_study_can_be_named(client, storage):
    address, _ = storage
    assert import_optuna(client, address, study="pair").runs == 2
    again = import_optuna(client, address)
    assert (again.runs, again.unchanged) == (5, 2)


def test_what_optuna_cannot_open_is_bad_input(client, tmp_path):
    with pytest.raises(InvalidInput, match="cannot open"):
        import_optuna(client, "sqlite:////no/such/folder/study.db")
    with pytest.raises(NotFound):
        import_optuna(client, str(tmp_path / "journal.log"), study="none")
