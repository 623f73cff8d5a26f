"""What several storages on one store see of each other, and what a storage keeps to itself for a moment."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import TrialState

from mainspring.client.client import Client, connect
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from mainspring.tuning import Choice, Float, NewTrial, TrialChange
from mainspring.tuning.storage import MainspringStorage

X = FloatDistribution(0, 1)


@pytest.fixture
def two(store_folder: Path) -> Iterator[tuple[MainspringStorage, MainspringStorage]]:
    with MainspringStorage(store_folder) as one, MainspringStorage(store_folder) as other:
        yield one, other


def _soon(check: Any) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline, "it was not seen"
        time.sleep(0.005)


def test_others_see_a_beginning_at_once_what_is_said_soon_and_an_end_at_once(two) -> None:
    one, other = two
    study = one.create_new_study([StudyDirection.MINIMIZE], "s")
    trial = one.create_new_trial(study)
    assert other.get_trial(trial).state == TrialState.RUNNING
    one.set_trial_param(trial, "x", 0.5, X)
    one.set_trial_intermediate_value(trial, 3, math.inf)
    one.set_trial_user_attr(trial, "why", {"so": [1, math.nan]})
    assert one.get_trial(trial).params == {"x": 0.5}
    _soon(lambda: other.get_trial(trial).user_attrs)
    seen = other.get_trial(trial)
    assert (seen.params, seen.distributions, seen.intermediate_values) == ({"x": 0.5}, {"x": X}, {3: math.inf})
    assert math.isnan(seen.user_attrs["why"]["so"][1])
    one.set_trial_user_attr(trial, "why", "not")
    one.set_trial_param(trial, "y", 2, IntDistribution(1, 4))
    one.set_trial_state_values(trial, TrialState.COMPLETE, [-math.inf])
    assert other.get_trial(trial) == one.get_trial(trial)
    assert other.get_trial(trial).params == {"x": 0.5, "y": 2}
    assert other.get_best_trial(study).value == -math.inf


@pytest.mark.databases("sqlite")
def test_what_another_said_just_before_the_end_is_seen(two) -> None:
    one, other = two
    study = one.create_new_study([StudyDirection.MINIMIZE], "s")
    trial = one.create_new_trial(study)
    other.set_trial_user_attr(trial, "theirs", 1)
    other.remove_session()
    one.set_trial_user_attr(trial, "mine", 2)
    one.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert one.get_trial(trial).user_attrs == {"theirs": 1, "mine": 2}
    assert one.get_all_trials(study) == other.get_all_trials(study)


def test_a_trial_that_another_ended_takes_nothing_more(two) -> None:
    one, other = two
    study = one.create_new_study([StudyDirection.MINIMIZE], "s")
    trial, well = one.create_new_trial(study), one.create_new_trial(study)
    one.set_trial_param(trial, "x", 0.5, X)
    one.set_trial_param(well, "x", 0.25, X)
    other.set_trial_state_values(trial, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        one.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert one.get_trial(trial).state == TrialState.FAIL
    with pytest.raises(UpdateFinishedTrialError):
        one.set_trial_param(trial, "y", 0.5, X)
    one.remove_session()
    assert other.get_trial(well).params == {"x": 0.25}


def test_each_waiting_trial_goes_to_one_and_each_number_is_given_once(two) -> None:
    study = optuna.create_study(storage=two[0], study_name="s")
    for place in range(12):
        study.enqueue_trial({"x": place / 12})

    def work(storage: MainspringStorage) -> list[float]:
        mine = optuna.load_study(study_name="s", storage=storage)
        found = []
        for _ in range(6):
            trial = mine.ask()
            found.append(trial.suggest_float("x", 0, 1))
            mine.tell(trial, found[-1])
        return found

    with ThreadPoolExecutor(4) as pool:
        tried = [x for some in pool.map(work, [*two, *two]) for x in some]
    trials = study.get_trials()
    assert [each.number for each in trials] == list(range(24))
    assert {each.state for each in trials} == {TrialState.COMPLETE}
    assert sorted(each.params["x"] for each in trials) == sorted(tried)
    assert [each.params["x"] for each in trials[:12]] == [place / 12 for place in range(12)]


@pytest.mark.databases("sqlite")
def test_a_study_of_tune_is_one_of_optuna_and_the_other_way_round(client: Client) -> None:
    made = [client.tuning.create("s", space={"x": Float(0, 1), "kind": Choice((None, "a"))}) for _ in range(2)]
    client.tuning.begin(made[1].id, trial=NewTrial(state="finished", params={"x": 0.5, "kind": None}, values=[1.0]))
    with MainspringStorage(client) as storage:
        names = optuna.get_all_study_names(storage)
        assert names == [each.unique_name for each in made]
        assert len(set(names)) == 2
        study = optuna.load_study(study_name=names[1], storage=storage)
        assert study.best_params == {"x": 0.5, "kind": None}
        assert study.best_trial.distributions["kind"] == CategoricalDistribution((None, "a"))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        storage.set_study_system_attr(study._study_id, "study:metric_names", ["loss"])
        optuna.delete_study(study_name=names[0], storage=storage)
    assert [trial.state for trial in client.tuning.trials(made[1].id)] == ["finished"] * 4
    assert client.tuning.get(made[1].id).metric_names == ["loss"]
    with pytest.raises(NotFound):
        client.tuning.get(made[0].id)
    again = client.tuning.create("s")
    assert again.number > made[1].number, "a number is never given twice"


def test_trials_are_begun_changed_and_ended_by_operations(any_client: Client) -> None:
    tuning = any_client.tuning
    study = tuning.create("s", directions=["minimize", "maximize"])
    first = tuning.begin(study.id, trial=NewTrial(worker="me", heartbeat=True))
    waiting = tuning.begin(study.id, trial=NewTrial(state="waiting", params={"x": 1}))
    assert [first.number, waiting.number, waiting.started_at] == [0, 1, None]
    seen = tuning.changes(study.id)
    assert [trial.number for trial in seen.trials] == [0, 1]
    assert tuning.changes(study.id, since=seen.revision).trials == []
    taken = tuning.claim(study.id, number=1, worker="you")
    assert (taken.state, taken.worker, taken.params) == ("running", "you", {"x": 1})
    assert tuning.claim(study.id, number=1) is None
    end = TrialChange(0, state="finished", values=[1.0, "Infinity"], reports={7: 0.5}, params={"y": "a"})
    for bad in (
        [TrialChange(1, state="pruned"), TrialChange(0, state="finished", values=[1.0])],
        [TrialChange(1, state="pruned"), TrialChange(0, state="finished", values=[1.0, "NaN"])],
        [TrialChange(1, state="waiting")],
    ):
        with pytest.raises(InvalidInput):
            tuning.change(study.id, changes=bad)
    assert [trial.number for trial in tuning.silent(study.id, seconds=0)] == [0]
    tuning.change(study.id, changes=[end, TrialChange(1, state="pruned")])
    assert tuning.silent(study.id, seconds=0) == []
    with pytest.raises(Conflict) as over:
        tuning.change(study.id, changes=[TrialChange(1, user_attrs={"too": "late"})])
    assert over.value.details["ended"] == 1
    with pytest.raises(InvalidInput):
        tuning.begin_many(study.id, trials=[NewTrial(), NewTrial(state="finished", values=[1.0])])
    more = tuning.begin_many(study.id, trials=[NewTrial(), NewTrial(state="waiting"), NewTrial(state="failed")])
    assert [(trial.number, trial.state) for trial in more] == [(2, "running"), (3, "waiting"), (4, "failed")]
    one, two, *_ = tuning.trials(study.id)
    assert (one.values, one.reports, one.params, two.state) == ([1.0, "Infinity"], {7: 0.5}, {"y": "a"}, "pruned")
    assert [trial.number for trial in tuning.changes(study.id, since=taken.revision, limit=1).trials] == [0, 1]
    for said in ({"error": "late"}, {"values": [2.0, 3.0]}, {"reports": {1: 0.5}}, {"user_attrs": {"a": 1}}):
        before = tuning.begin(study.id)
        tuning.change(study.id, changes=[TrialChange(before.number, **said)])
        tuning.change(study.id, changes=[TrialChange(before.number, state="failed")])
        (after,) = tuning.trials(study.id, after=before.number - 1)
        assert {name: getattr(after, name) for name in said} == said, "what was said before the end stays"
    runs = {run.id: run for run in any_client.lineage.runs(kind="trial", limit=20)}
    assert (runs[one.id].metadata["values"], runs[one.id].parent_id) == ([1.0, "Infinity"], study.id)


@pytest.mark.databases("sqlite")
def test_what_cannot_be_kept_is_refused_where_it_is_said(store_folder: Path) -> None:
    with MainspringStorage(store_folder) as storage:
        trial = optuna.create_study(storage=storage).ask()
        deep: list[Any] = []
        for _ in range(10_000):
            deep = [deep]
        for wrong in (object(), {1, 2}, {"a": [object()]}, "\ud800", {("a",): 1}, deep):
            with pytest.raises((TypeError, ValueError, RecursionError)):
                trial.set_user_attr("x", wrong)
        trial.set_user_attr("big", [2**70, {"$float": "mine"}, (1, 2), {3: None}])
        storage.remove_session()
        with MainspringStorage(store_folder) as other:
            kept = other.get_trial(trial._trial_id).user_attrs
        assert kept == {"big": [2**70, {"$float": "mine"}, [1, 2], {"3": None}]}


@pytest.mark.databases("sqlite")
def test_what_is_said_while_the_store_is_away_waits_for_it(store_folder: Path, monkeypatch) -> None:
    with MainspringStorage(store_folder) as storage, MainspringStorage(store_folder) as other:
        study = optuna.create_study(storage=storage, study_name="s")
        trial = study.ask()
        invoke = storage.client.backend.invoke

        def away(service: Any, operation: Any, arguments: Any) -> Any:
            if operation.verb == "change":
                raise Unavailable("the store is away")
            return invoke(service, operation, arguments)

        with monkeypatch.context() as patched:
            patched.setattr(storage.client.backend, "invoke", away)
            x = trial.suggest_float("x", 0, 1)
            with pytest.raises(Unavailable):
                study.tell(trial, x)
        study.tell(trial, x)
        assert other.get_trial(trial._trial_id).params == {"x": x}


@pytest.mark.databases("sqlite")
def test_what_need_not_wait_for_the_disk_is_there_when_another_looks(store_folder: Path) -> None:
    with MainspringStorage(store_folder, sync=False) as storage:
        study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler())
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=50, n_jobs=4)
        with connect(store_folder) as client:
            kept = client.tuning.trials("s")
        assert [trial.state for trial in kept] == ["finished"] * 50
        assert [trial.value for trial in kept] == [trial.params["x"] for trial in kept]
