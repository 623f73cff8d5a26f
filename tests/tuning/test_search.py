"""Searching: trials are runs, and a killed search goes on as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.client.client import Client, connect
from mainspring.kernel.clock import now
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import CheckFailed, Conflict, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.pipelines import current_step, flow, step
from mainspring.tuning import Choice, Float, Int, Trial, TrialHandle, tune

SPACE = {"x": Float(-10, 10), "depth": Int(1, 5), "rate": Float(1e-4, 1, log=True), "kind": Choice(("a", "b", None))}


def bowl(params: dict[str, Any]) -> float:
    """Lowest at x = 2, depth 1."""
    return (params["x"] - 2) ** 2 + params["depth"] + (params["kind"] == "b")


def test_the_best_parameters_are_found_and_every_trial_is_a_run(any_client: Client) -> None:
    found = tune(bowl, SPACE, trials=30, seed=1, client=any_client)
    assert abs(found.params["x"] - 2) < 3
    assert found.value == min(trial.value for trial in found.trials if trial.value is not None) == bowl(found.params)
    assert [trial.number for trial in found.trials] == list(range(30))
    assert found.study.state == "finished"
    assert any_client.tuning.studies() == [found.study]
    runs = any_client.lineage.runs(kind="trial", limit=100)
    assert {run.id for run in runs} == {trial.id for trial in found.trials}
    assert {run.parent_id for run in runs} == {found.study.id}
    best = next(run for run in runs if run.id == found.best.id)
    assert (best.status, best.metadata["params"], best.metadata["value"]) == ("finished", found.params, found.value)


@pytest.mark.databases("sqlite")
def test_the_same_seed_makes_the_same_trials(client: Client) -> None:
    one, same, other = (tune(bowl, SPACE, trials=15, seed=seed, client=client) for seed in (1, 1, 2))
    assert [trial.params for trial in one.trials] == [trial.params for trial in same.trials]
    assert [trial.params for trial in one.trials] != [trial.params for trial in other.trials]
    assert one.study.id != same.study.id


@pytest.mark.databases("sqlite")
def test_maximizing_and_random_search(client: Client) -> None:
    found = tune(lambda p: -bowl(p), SPACE, trials=10, direction="maximize", sampler="random", client=client)
    assert found.value == max(trial.value for trial in found.trials if trial.value is not None)


_SCRIPT = """
import os, sys
from mainspring.client.client import connect
from mainspring.tuning import Float, tune

def bowl(params):
    with open(sys.argv[2], "a") as oracle:
        oracle.write("tried\\n")
    if os.environ.get("DIE") and sum(1 for _ in open(sys.argv[2])) == 13:
        os.kill(os.getpid(), 9)
    return (params["x"] - 2) ** 2

with connect(sys.argv[1]) as client:
    found = tune(bowl, {"x": Float(-10, 10)}, trials=25, seed=3, key="k", client=client)
    print([trial.params["x"] for trial in found.trials])
"""


def test_a_killed_search_goes_on_with_the_trials_it_would_have_made(tmp_path: Path) -> None:
    def search(store: str, die: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _SCRIPT, str(tmp_path / store), str(tmp_path / f"{store}.oracle")]
        return subprocess.run(command, env={"DIE": die, "PATH": ""}, capture_output=True, text=True, check=False)

    whole = search("whole")
    assert whole.returncode == 0, whole.stderr
    assert search("cut", die="yes").returncode == -signal.SIGKILL
    resumed = search("cut")
    assert resumed.stdout == whole.stdout
    assert (tmp_path / "cut.oracle").read_text().count("tried") == 26  # only the trial that was lost was tried twice
    with connect(tmp_path / "cut") as client:
        assert len(client.lineage.runs(kind="trial", status="crashed", limit=100)) == 1
        assert len(client.tuning.studies()) == 1


@pytest.mark.databases("sqlite")
def test_what_is_worse_than_the_others_is_pruned(client: Client) -> None:
    def objective(params: dict[str, Any], trial: TrialHandle) -> float:
        for number in range(10):
            trial.report(params["x"] ** 2 + number, step=number)
        return float(params["x"] ** 2)

    found = tune(objective, {"x": Float(-10, 10)}, trials=30, pruner="median", sampler="random", seed=1, client=client)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert 0 < len(pruned) < 30
    assert all(trial.reports and trial.value == list(trial.reports.values())[-1] for trial in pruned)  # as in Optuna
    assert found.best.state == "finished"


@pytest.mark.databases("sqlite")
def test_an_error_fails_its_trial_and_not_the_study(client: Client) -> None:
    def fragile(params: dict[str, Any]) -> float:
        if params["x"] < 0:
            raise ValueError("negative")
        return float("nan") if params["x"] > 9 else float(params["x"])

    found = tune(fragile, {"x": Float(-10, 10)}, trials=40, sampler="random", client=client)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert failed
    assert {trial.error for trial in failed} == {"ValueError: negative", "the value is nan"}
    with pytest.raises(CheckFailed, match="none of 2 trials"):
        tune(lambda _: 1 / 0, {"x": Float(0, 1)}, trials=2, client=client)


@step
def search() -> float:
    context = current_step()
    assert context is not None
    return tune(bowl, SPACE, trials=4).value


@flow
def tuned() -> float:
    return search()


@pytest.mark.databases("sqlite")
def test_a_study_inside_a_step_is_a_part_of_it(client: Client) -> None:
    value = tuned.run(client)
    (study,) = client.tuning.studies()
    (record,) = client.pipelines.steps(client.pipelines.runs()[0].id)
    assert study.parent_id == record.id
    assert study.name == "tuned/search"
    assert client.tuning.best(study.id).value == value  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "bad",
    [
        {"trials": 0},
        {"sampler": "tbe"},
        {"pruner": "nobody"},
        {"space": {}},
        {"space": {"x": Float(2, 1)}},
        {"space": {"x": Float(0, 1, log=True)}},
        {"space": {"x": Float(float("nan"), 1)}},
        {"space": {"x": Choice(())}},
        {"space": {"x": Int(1, 5, step=0)}},
        {"direction": "sideways"},
    ],
)
@pytest.mark.databases("sqlite")
def test_bad_input_changes_nothing(client: Client, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        tune(bowl, **{"space": SPACE, "trials": 1, "client": client, **bad})
    assert client.tuning.studies() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"key": "k" * 501},
        {"space": {"x": Float(0, 1, step=float("nan"))}},
        {"space": {"x": Float(0, 1, step=float("inf"))}},
        {"space": {"x": Int(0, 10**400)}},
        {"directions": []},
    ],
    ids=["key", "step-nan", "step-inf", "bounds", "directions"],
)
@pytest.mark.databases("sqlite")
def test_a_study_that_cannot_be_is_not_made(client: Client, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        client.tuning.create("s", **bad)
    assert client.tuning.studies() == []


@pytest.mark.databases("sqlite")
def test_a_workspace_changes_no_trial_of_another(client: Client) -> None:
    mine = client.tuning.create("mine")
    trial = client.tuning.begin(mine.id)
    with acting_as(Caller(workspace="other")):
        theirs = client.tuning.create("theirs")
        forged = Trial(trial.id, theirs.id, 0, "failed", {"x": 1.0}, now())
        with pytest.raises(Conflict, match="another run"):
            client.tuning.record(theirs.id, trials=[forged])
        assert client.tuning.trials(theirs.id) == []
    run = client.lineage.run(trial.id)
    assert (run.status, run.metadata) == ("running", {})


def test_trials_are_recorded_in_batches_and_checked(any_client: Client) -> None:
    study = any_client.tuning.create("by-hand", space={"x": Float(0, 1)}, key="k")
    assert any_client.tuning.create("by-hand", space={"x": Float(0, 1)}, key="k") == study
    with pytest.raises(Conflict):
        any_client.tuning.create("by-hand", space={"x": Float(0, 2)}, key="k")
    good = [
        Trial(new_id(), study.id, number, "finished", {"x": number / 4}, now(), values=[float(number)])
        for number in range(4)
    ]
    bad = [
        Trial(new_id(), study.id, 9, "finished", {"y": 1.0}, now(), values=[1.0]),
        Trial(new_id(), study.id, 9, "finished", {"x": 1.0}, now()),
        Trial(new_id(), new_id(), 9, "running", {"x": 1.0}, now()),
    ]
    for trial in bad:
        with pytest.raises(InvalidInput):
            any_client.tuning.record(study.id, trials=[*good, trial])
    assert any_client.tuning.trials(study.id) == []
    assert any_client.tuning.best(study.id) is None
    with pytest.raises(Conflict, match="another run"):
        other = any_client.tuning.create("other")
        any_client.tuning.record(study.id, trials=[msgspec.structs.replace(good[0], id=other.id)])
    any_client.tuning.record(study.id, trials=good)
    assert [trial.number for trial in any_client.tuning.trials("by-hand", after=1)] == [2, 3]
    assert any_client.tuning.best(study.id).number == 0  # type: ignore[union-attr]
    assert any_client.tuning.finish(study.id).state == "finished"
    with pytest.raises(NotFound):
        any_client.tuning.get("nobody")
