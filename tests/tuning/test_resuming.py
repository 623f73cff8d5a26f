"""What a search is taken up with: trials renewed by one of many, checkpoints, counts; in every store and over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.tuning import Float, NewTrial, TrialChange, tune


def test_a_lost_trial_is_renewed_by_one_of_all_who_try(any_client: Client) -> None:
    tuning = any_client.tuning
    study = tuning.create("lost", space={"x": Float(0, 1)})
    lost = tuning.begin(study.id, trial=NewTrial(params={"x": 0.5}, user_attrs={"cost": 3}, worker="gone:1"))
    tuning.change(study.id, changes=[TrialChange(0, reports={0: 9.0}, system_attrs={"constraints:c": 1.0})])
    won: list[Any] = []

    def renew() -> None:
        try:
            won.append(tuning.renew(study.id, number=0, trial_id=lost.id, error="lost", worker="here:2"))
        except Conflict:
            won.append(None)

    threads = [threading.Thread(target=renew) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (new,) = [each for each in won if each is not None]
    assert (new.number, new.state, new.params, new.worker) == (0, "running", {"x": 0.5}, "here:2")
    assert (new.reports, new.user_attrs, new.constraints, new.system_attrs) == ({}, {}, {}, {"attempts": 2})
    assert new.id != lost.id
    assert tuning.trials(study.id) == [new]
    runs = {run.id: run.status for run in any_client.lineage.runs(kind="trial", limit=10)}
    assert runs == {lost.id: "crashed", new.id: "running"}
    tuning.change(study.id, changes=[TrialChange(0, state="finished", values=[1.0])])
    with pytest.raises(Conflict):
        tuning.renew(study.id, number=0, trial_id=new.id)
    with pytest.raises(NotFound):
        tuning.renew(study.id, number=7, trial_id=new.id)
    assert tuning.states([study.id, "lost"]) == {study.id: {"finished": 1}, "lost": {"finished": 1}}


def test_two_searches_with_one_key_share_the_trials(any_client: Client) -> None:
    tried: list[int] = []

    def objective(params: dict[str, Any], trial: Any) -> float:
        tried.append(trial.number)
        return float(params["x"])

    def search() -> None:
        tune(objective, {"x": Float(0, 1)}, trials=12, sampler="random", key="k", name="shared", client=any_client)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    trials = any_client.tuning.trials("shared")
    assert 12 <= len(trials) <= 13
    assert sorted(tried) == [trial.number for trial in trials]
    assert {trial.state for trial in trials} == {"finished"}
    assert len(any_client.tuning.studies()) == 1


def test_checkpoints_are_made_by_one_trial_and_used_by_another(any_client: Client) -> None:
    import numpy as np

    study = any_client.tuning.study("grown")
    first, second = study.ask(), study.ask()
    first.save({"weights": np.arange(4.0), "raw": b"\x00" * 70_000, "epoch": 3})
    artifact = first.user_attrs["checkpoint"]
    study.enqueue({}, attrs={"checkpoint": artifact, "generation": 1})
    third = study.ask()
    loaded = third.checkpoint
    assert (loaded["weights"].tolist(), loaded["raw"], loaded["epoch"]) == ([0.0, 1.0, 2.0, 3.0], b"\x00" * 70_000, 3)
    assert (second.checkpoint, third.generation) == (None, 1)
    why = any_client.lineage.why(f"run/{third.id}")
    assert {artifact, first.id} <= {node.id for node in why.nodes}
    with pytest.raises(InvalidInput, match="give bytes"):
        second.save(object())
    study.tell(first, 1.0)
    with pytest.raises(NotFound):
        any_client.tuning.keep_checkpoint(study.id, number=first.number, value={}, files=[])
