"""What a search can do: objectives of every form, all samplers, several objectives, budgets, engines, warm starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mainspring as ms
from mainspring.kernel.errors import CheckFailed, InvalidInput
from mainspring.tuning import Branches, Choice, Float, Int, Trial, TrialHandle, tune
from mainspring.tuning.fronts import front_of
from mainspring.tuning.samplers import PRUNERS, SAMPLERS

pytestmark = pytest.mark.databases("sqlite")

SPACE = {"x": Float(-4, 4), "depth": Int(1, 5)}


def bowl(x: float, depth: int = 1) -> float:
    return (x - 2) ** 2 + depth


def asking(trial: TrialHandle) -> float:
    x = trial.suggest_float("x", -4, 4)
    return bowl(x, trial.suggest_int("depth", 1, 5) if x > 0 else 9)


def crashing(x: float, trial: TrialHandle) -> float:
    trial.set_user_attr("process", os.getpid())
    trial.report(x, 0)
    if trial.number == 2:
        os._exit(9)
    if trial.number == 3:
        raise KeyError("three")
    return x**2


@pytest.mark.parametrize(
    ("objective", "space"),
    [
        (lambda params: bowl(**params), SPACE),
        (lambda params, trial: bowl(**params) + 0 * trial.number, SPACE),
        (bowl, SPACE),
        (lambda x, trial, **rest: bowl(x, rest["depth"]) + 0 * trial.number, SPACE),
        (asking, None),
        (lambda depth: {"loss": depth, "other": "text"}, {"depth": Int(1, 5)}),
    ],
)
def test_an_objective_is_called_as_it_is_written(client: ms.Client, objective: Any, space: Any) -> None:
    metrics = ["loss"] if space == {"depth": Int(1, 5)} else []
    found = tune(objective, space, trials=12, seed=2, metrics=metrics, name="forms", client=client)
    values = [trial.value for trial in found.trials if trial.value is not None]
    assert [trial.state for trial in found.trials] == ["finished"] * 12
    assert found.value == min(values) < max(values)
    assert found.stopped == "trials"


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp"}))
def test_every_sampler_samples_inside_the_space_and_goes_on_where_it_was(client: ms.Client, sampler: str) -> None:
    space = {"x": Float(-4, 4, step=0.5), "depth": Int(1, 5), "kind": Choice(("a", "b"))}
    if sampler == "cmaes":
        space.pop("kind")
    options = {"partialfixed": {"fixed": {"depth": 3}}, "tpe": {"multivariate": True, "n_startup_trials": 3}}
    settings: dict[str, Any] = {"sampler": sampler, "sampler_options": options.get(sampler), "seed": 5}
    half = tune(lambda p: bowl(p["x"], p["depth"]), space, trials=5, key="k", name="s", client=client, **settings)
    found = tune(lambda p: bowl(p["x"], p["depth"]), space, trials=12, key="k", name="s", client=client, **settings)
    whole = tune(lambda p: bowl(p["x"], p["depth"]), space, trials=12, name="whole", client=client, **settings)
    assert found.study.id == half.study.id
    assert [trial.params for trial in found.trials[:5]] == [trial.params for trial in half.trials]
    assert [trial.params for trial in found.trials] == [trial.params for trial in whole.trials]
    assert len({str(trial.params) for trial in found.trials}) > 6
    assert all(-4 <= each.params["x"] <= 4 and each.params["depth"] in range(1, 6) for each in found.trials)
    assert sampler != "partialfixed" or {each.params["depth"] for each in found.trials} == {3}


@pytest.mark.engines  # torch
def test_gaussian_processes_find_the_bottom_of_a_bowl(client: ms.Client) -> None:
    options = {"n_startup_trials": 4}
    found = tune(bowl, {"x": Float(-4, 4)}, trials=10, sampler="gp", sampler_options=options, seed=1, client=client)
    assert abs(found.params["x"] - 2) < 0.2


def test_a_grid_ends_when_every_point_was_tried(client: ms.Client) -> None:
    space = {"depth": Int(1, 3), "kind": Choice(("a", "b"))}
    found = tune(lambda depth, kind: depth + len(kind), space, trials=50, sampler="grid", client=client)
    assert sorted((t.params["depth"], t.params["kind"]) for t in found.trials) == [
        (depth, kind) for depth in (1, 2, 3) for kind in "ab"
    ]
    assert found.stopped == "exhausted"


@pytest.mark.parametrize("pruner", sorted(set(PRUNERS) - {"none"}))
def test_every_pruner_stops_what_is_hopeless(client: ms.Client, pruner: str) -> None:
    options = {"threshold": {"upper": 20.0}, "hyperband": {"max_resource": 9, "reduction_factor": 3}}

    def objective(x: float, trial: TrialHandle) -> float:
        for number in range(9):
            trial.report(x**2 + 1 / (number + 1) + number * (x > 5), number)
        return x**2

    found = tune(
        objective,
        {"x": Float(-10, 10)},
        trials=30,
        sampler="random",
        pruner=pruner,
        pruner_options=options.get(pruner),
        seed=3,
        client=client,
    )
    states = {trial.state for trial in found.trials}
    assert states == {"finished", "pruned"}
    assert found.best.state == "finished"


def test_several_objectives_have_a_front_and_constraints_are_kept(client: ms.Client) -> None:
    def objective(x: float, trial: TrialHandle) -> tuple[float, float]:
        trial.constrain(not_too_far_left=-1 - x)
        return x**2, (x - 2) ** 2

    found = tune(
        objective,
        {"x": Float(-4, 4)},
        trials=40,
        direction=["minimize", "minimize"],
        metrics=["near", "far"],
        sampler="nsgaii",
        sampler_options={"population_size": 10},
        client=client,
    )
    assert found.study.metric_names == ["near", "far"]
    inside = [trial for trial in found.trials if 0 <= trial.params["x"] <= 2]
    assert {each.number for each in inside} <= {each.number for each in found.front}
    assert all(each.params["x"] >= -1 for each in found.front)
    with pytest.raises(CheckFailed, match="breaks no constraint"):
        tune(lambda x, trial: trial.constrain(never=1) or x, {"x": Float(0, 1)}, trials=2, client=client)


def test_a_value_that_breaks_a_constraint_is_neither_the_best_nor_good_enough(client: ms.Client) -> None:
    def objective(x: int, trial: TrialHandle) -> float:
        trial.constrain(enough=3 - x)
        return float(x)

    found = tune(objective, {"x": Int(0, 5)}, sampler="grid", target=3.0, name="held", client=client)
    assert found.stopped == "target"
    best = client.tuning.best("held")
    assert best is not None
    assert best.params == found.params == {"x": 3}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30), st.booleans())
def test_the_front_is_what_nothing_dominates(values: list[tuple[int, int]], down: bool) -> None:
    made = [Trial("", "", place, "finished", {}, values=list(each)) for place, each in enumerate(values)]
    sign = -1 if down else 1
    expected = [
        place
        for place, (a, b) in enumerate(values)
        if not any(c <= a and sign * d <= sign * b and (c, d) != (a, b) for c, d in values)
    ]
    assert [each.number for each in front_of(made, ["minimize", "maximize" if down else "minimize"])] == expected


def test_a_branch_has_its_own_parameters(client: ms.Client) -> None:
    space = {"model": Branches({"forest": {"depth": Int(1, 9)}, "line": {"depth": Int(20, 30), "c": Float(0, 1)}})}
    seen: list[dict[str, Any]] = []
    found = tune(lambda params: seen.append(params) or params["depth"], space, trials=15, client=client)
    assert {tuple(sorted(each)) for each in seen} == {("depth", "model"), ("c", "depth", "model")}
    assert all((each["depth"] < 10) == (each["model"] == "forest") for each in seen)
    assert found.params["model.forest.depth"] == found.value


@pytest.mark.parametrize(
    ("limits", "stopped", "trials"),
    [
        ({"target": 100.0}, "target", 1),
        ({"max_cost": 5.0}, "cost", 4),
        ({"patience": 6, "trials": 400}, "patience", None),
        ({"timeout": 0.15}, "timeout", None),
    ],
)
def test_a_search_ends_when_its_budget_does(
    client: ms.Client, limits: dict[str, Any], stopped: str, trials: int | None
) -> None:
    def objective(x: float, trial: TrialHandle) -> float:
        trial.spend(1.0)
        trial.spend(0.5)
        time.sleep(0.02 if stopped == "timeout" else 0)
        return bowl(x)

    found = tune(objective, {"x": Float(-4, 4)}, sampler="random", client=client, **limits)
    assert found.stopped == stopped
    assert trials is None or len(found.trials) == trials
    assert len(found.trials) < 60
    if stopped == "patience":
        assert found.best.number == len(found.trials) - 7


def test_trials_run_in_threads_beside_each_other(client: ms.Client) -> None:
    flying: list[int] = []
    most: list[int] = []

    def objective(x: float) -> float:
        flying.append(1)
        most.append(len(flying))
        time.sleep(0.02)
        flying.pop()
        return bowl(x)

    found = tune(objective, {"x": Float(-4, 4)}, trials=12, parallel=4, sampler="random", seed=1, client=client)
    alone = tune(bowl, {"x": Float(-4, 4)}, trials=12, sampler="random", seed=1, client=client)
    assert 1 < max(most) <= 4
    assert [trial.params for trial in found.trials] == [trial.params for trial in alone.trials]


def test_trials_run_in_processes_and_one_that_dies_fails_its_trial_only(client: ms.Client) -> None:
    space = {"x": Float(-4, 4)}
    found = tune(crashing, space, trials=6, parallel=2, where="process", seed=1, name="crash", client=client)
    states = [trial.state for trial in found.trials]
    assert states == ["finished", "finished", "failed", "failed", "finished", "finished"]
    assert "process died" in found.trials[2].error
    assert found.trials[3].error == "KeyError: 'three'"
    ended = [trial for trial in found.trials if trial.state == "finished"]
    assert all(trial.reports == {0: trial.params["x"]} for trial in ended)
    assert os.getpid() not in {trial.user_attrs["process"] for trial in ended}
    asked = tune(asking, trials=5, where="process", seed=4, name="asked", client=client)
    here = tune(asking, trials=5, seed=4, name="here", client=client)
    assert [trial.params for trial in asked.trials] == [trial.params for trial in here.trials]
    with pytest.raises(InvalidInput, match="cannot find the objective"):
        tune(lambda x: x, space, trials=1, where="process", client=client)


def test_a_failed_trial_is_tried_again_and_what_is_not_caught_ends_the_search(client: ms.Client) -> None:
    tries: dict[int, list[float]] = {}

    def fragile(x: float, trial: TrialHandle) -> float:
        tries.setdefault(trial.number, []).append(x)
        trial.report(x, 0)
        if len(tries[trial.number]) < 3:
            raise ConnectionError("away")
        return x

    found = tune(fragile, {"x": Float(0, 1)}, trials=3, retries=2, name="fragile", client=client)
    assert [trial.state for trial in found.trials] == ["finished"] * 3
    assert all(len(each) == 3 and len(set(each)) == 1 for each in tries.values())
    runs = client.lineage.runs(kind="trial", limit=100)
    assert sorted(run.status for run in runs) == ["failed"] * 6 + ["finished"] * 3

    def broken(x: float) -> float:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError):
        tune(broken, {"x": Float(0, 1)}, trials=9, catch=(KeyError,), name="broken", client=client)
    assert [trial.state for trial in client.tuning.trials("broken")] == ["failed"]
    assert client.tuning.get("broken").state == "finished"


def test_what_a_trial_logs_uses_and_makes_hangs_on_its_run(client: ms.Client) -> None:
    import polars as pl

    rows = client.data.commit("rows", pl.DataFrame({"a": [1, 2]}))
    seen: list[str] = []

    def objective(x: float, trial: TrialHandle) -> float:
        seen.append(trial.id)
        if trial.number == 1:
            ms.log(loss=0.25, step=3)
            trial.use(rows.ref, role="training")
        return x

    found = tune(objective, {"x": Float(0, 1)}, trials=2, name="tracked", client=client)
    assert [trial.id for trial in found.trials] == seen
    logged = client.tracking.get(seen[1])
    assert (logged.status, logged.metrics["loss"].value, logged.experiment) == ("finished", 0.25, "tracked")
    assert float(logged.params["x"]) == pytest.approx(found.trials[1].params["x"])
    assert rows.id in {node.id for node in client.lineage.why(f"run/{seen[1]}").nodes}
    assert client.tracking.search("", view="all").runs == [logged]  # the other trial logged nothing


def test_a_search_begins_with_what_others_found(client: ms.Client) -> None:
    first = tune(bowl, SPACE, trials=20, name="first", seed=1, client=client)
    wider = {**SPACE, "depth": Int(1, 9), "new": Choice(("a", "b"))}
    best = tune(lambda **p: bowl(p["x"], p["depth"]), wider, trials=6, warm_start="first", name="best", client=client)
    assert best.trials[0].params | {"new": None} == first.params | {"new": None}
    assert all("new" in trial.params for trial in best.trials)
    settings: dict[str, Any] = {"warm_start": ["first"], "warm": "all", "name": "all", "key": "k", "client": client}
    tune(bowl, SPACE, trials=2, **settings)
    everything = tune(bowl, SPACE, trials=5, **settings)
    assert [trial.params for trial in everything.trials[:20]] == [trial.params for trial in first.trials]
    assert len(everything.trials) == 25
    assert everything.value <= first.value
    listed = tune(bowl, SPACE, trials=3, enqueue=[{"x": 2.0, "depth": 1}, {"x": 0.5}], name="listed", client=client)
    assert (listed.trials[0].params, listed.trials[1].params["x"]) == ({"x": 2.0, "depth": 1}, 0.5)
    with pytest.raises(InvalidInput, match="lies in this space"):
        tune(bowl, {"x": Float(90, 99)}, trials=1, warm_start="first", name="far", client=client)


def test_a_study_is_asked_and_told(client: ms.Client) -> None:
    study = client.tuning.study("by-hand", space=SPACE, pruner="median", key="k")
    study.enqueue({"x": 1.5, "depth": 2})
    trials = [study.ask() for _ in range(3)]
    assert trials[0].params == {"x": 1.5, "depth": 2}
    assert study.tell(trials[1], 3.0).state == "finished"
    assert study.tell(2, state="failed").state == "failed"
    trials[0].report(1.0, 0)
    assert study.tell(trials[0], 2.5).reports == {0: 1.0}
    with pytest.raises(InvalidInput):
        study.tell(study.ask(), float("nan"))
    with pytest.raises(ms.MainspringError, match="trial 0"):
        study.tell(0, 1.0)
    assert study.best is not None
    assert study.best.number == 0
    again = client.tuning.study("by-hand", space=SPACE, pruner="median", key="k")
    assert again.ask().number == 4
    loaded = optuna.load_study(study_name="by-hand", storage=again.storage)
    assert loaded.best_value == 2.5
    assert again.finish().state == "finished"


def test_importances_say_which_parameter_matters(client: ms.Client) -> None:
    space = {"x": Float(-1, 1), "y": Float(-1, 1)}
    study = tune(lambda x, y: 10 * x**2 + 0.01 * y, space, trials=60, sampler="random", seed=1, client=client).study
    found = client.tuning.importances(study.id)
    assert list(found.parameters) == ["x", "y"]
    assert found.parameters["x"] > 0.8
    assert found.trials == 60
    with pytest.raises(InvalidInput):
        client.tuning.importances(study.id, objective=1)


_SCRIPT = """
import os, sys, time
import mainspring as ms
from mainspring.tuning import Int, tune

SPACE = {"depth": Int(0, 13)}

def tried(depth):
    with open(os.environ["ORACLE"], "a") as oracle:
        oracle.write(f"{depth}\\n")
    if os.environ.get("DIE") and depth == 6:
        time.sleep(0.2)
        os.kill(int(os.environ["DRIVER"]), 9)
        time.sleep(5)
    return float(depth)

def objective(depth):
    return tried(depth)

@ms.step(where="inline")
def measure(depth: int) -> float:
    return tried(depth)

@ms.flow
def search() -> float:
    return tune(measure, SPACE, sampler="grid", trials=14, parallel=3, name="deep").value

if __name__ == "__main__":
    os.environ["DRIVER"] = str(os.getpid())
    with ms.connect(sys.argv[1]) as client:
        if sys.argv[2] == "flow":
            runs = client.pipelines.runs()
            search.resume(client, runs[0].id) if runs else search.run(client)
        else:
            where = {"where": sys.argv[2], "parallel": 3}
            tune(objective, SPACE, sampler="grid", trials=14, key="k", name="deep", client=client, **where)
"""


@pytest.mark.parametrize("where", ["process", "flow"])
def test_a_parallel_search_that_was_killed_repeats_no_trial_that_ended(tmp_path: Path, where: str) -> None:
    script = tmp_path / "search.py"
    script.write_text(_SCRIPT)
    oracle = tmp_path / "oracle"

    def search(die: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(tmp_path / "store"), where]
        environment = {**os.environ, "DIE": die, "ORACLE": str(oracle)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert search("yes").returncode == -signal.SIGKILL
    with ms.connect(tmp_path / "store") as client:
        ended = {trial.params["depth"] for trial in client.tuning.trials("deep") if trial.state == "finished"}
    resumed = search("")
    assert resumed.returncode == 0, resumed.stderr
    tried = [int(line) for line in oracle.read_text().split()]
    assert all(tried.count(depth) == 1 for depth in ended)
    assert set(tried) == set(range(14))
    assert len(tried) <= 14 + 3
    with ms.connect(tmp_path / "store") as client:
        (study,) = client.tuning.studies()
        assert [trial.state for trial in client.tuning.trials(study.id)] == ["finished"] * 14
        runs = client.pipelines.runs()
        assert (study.parent_id, study.state) == (runs[0].id if runs else "", "finished")
        assert all(each.state == "finished" for run in runs for each in client.pipelines.steps(run.id))


def squared(x: float, trial: TrialHandle) -> float:
    trial.report(x, 0)
    return x**2


@pytest.mark.engines
def test_trials_run_on_a_ray_cluster(client: ms.Client) -> None:
    found = tune(squared, {"x": Float(-4, 4)}, trials=5, parallel=2, where="ray", seed=1, client=client)
    alone = tune(squared, {"x": Float(-4, 4)}, trials=5, sampler="tpe", seed=1, name="alone", client=client)
    assert [trial.params for trial in found.trials] == [trial.params for trial in alone.trials]
    assert [trial.value for trial in found.trials] == [trial.params["x"] ** 2 for trial in found.trials]
    assert all(trial.reports == {0: trial.params["x"]} for trial in found.trials)
