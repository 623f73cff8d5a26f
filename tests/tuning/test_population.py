"""Population-based training: the poor take over from the good, checkpoints are artifacts, a killed one goes on."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mainspring as ms
from mainspring.kernel.errors import InvalidInput
from mainspring.tuning import Choice, Float, Int, TrialHandle, tune
from mainspring.tuning.population import Population, varied
from mainspring.tuning.warm_start import fits

pytestmark = pytest.mark.databases("sqlite")

SPACE = {"rate": Float(0.001, 1.0, log=True)}
OPTIONS = {"population": 4, "generations": 5}


def descend(params: dict[str, Any], trial: TrialHandle) -> float:
    """Ten steps down a parabola from where the forerunner stood: what was learned is the place."""
    place = trial.checkpoint["place"] if trial.checkpoint else 10.0
    for _ in range(10):
        place -= params["rate"] * 2 * place * 0.1
    trial.save({"place": place, "trained": [*(trial.checkpoint or {"trained": []})["trained"], trial.number]})
    return place * place


def train(client: ms.Client, objective: Any = descend, **settings: Any) -> Any:
    return tune(
        objective, SPACE, method="population", method_options=OPTIONS, seed=4, name="pbt", client=client, **settings
    )


def test_a_population_learns_on_from_its_best(client: ms.Client) -> None:
    found = train(client)
    assert [trial.state for trial in found.trials] == ["finished"] * 20
    of = [[trial.value for trial in found.trials[4 * n : 4 * n + 4]] for n in range(5)]
    assert [min(each) for each in of] == sorted((min(each) for each in of), reverse=True)
    assert min(of[4]) < min(of[0]) / 100  # no member alone gets there in one generation
    by_id = {trial.id: trial for trial in found.trials}
    exploited = 0
    for trial in found.trials[4:]:
        parent = by_id[trial.system_attrs["forerunner"]]
        assert parent.number // 4 == trial.number // 4 - 1
        if parent.number % 4 != trial.number % 4:
            exploited += 1
            mates = found.trials[4 * (parent.number // 4) :][:4]
            assert parent.value == min(mate.value for mate in mates)  # a quarter of four is the best one
            assert trial.params != parent.params or trial.params["rate"] in (0.001, 1.0)  # at the edge
        else:
            assert trial.params == parent.params
    assert exploited >= 4
    nodes = client.lineage.why(f"run/{found.trials[-1].id}").nodes
    assert len([each for each in nodes if each.kind == "checkpoint"]) >= 4


def test_an_interrupted_population_becomes_what_it_would_have_become(client: ms.Client) -> None:
    whole = train(client)

    def interrupted(params: dict[str, Any], trial: TrialHandle) -> float:
        if trial.number == 9:
            raise KeyboardInterrupt
        return descend(params, trial)

    with pytest.raises(KeyboardInterrupt):
        train(client, interrupted, key="k")
    again = train(client, key="k")
    assert [(t.params, t.value) for t in again.trials] == [(t.params, t.value) for t in whole.trials]
    assert again.trials[9].system_attrs["attempts"] == 2


def test_a_member_that_fails_is_replaced_and_members_may_run_beside_each_other(client: ms.Client) -> None:
    def fragile(params: dict[str, Any], trial: TrialHandle) -> float:
        if trial.number == 1:
            raise ValueError("diverged")
        return descend(params, trial)

    found = train(client, fragile, parallel=2)
    assert [trial.state for trial in found.trials].count("failed") == 1
    assert found.trials[5].system_attrs["forerunner"] != found.trials[1].id
    assert found.trials[5].state == "finished"


@given(
    st.fixed_dictionaries(
        {
            "rate": st.floats(0.001, 1.0),
            "depth": st.integers(1, 9),
            "kind": st.sampled_from(["a", "b", "c"]),
            "even": st.integers(0, 10).map(lambda each: each * 2),
            "share": st.integers(0, 4).map(lambda each: each * 0.25),
        }
    ),
    st.integers(),
)
def test_what_is_varied_stays_in_its_space(params: dict[str, Any], seed: int) -> None:
    space = {
        "rate": Float(0.001, 1.0, log=True),
        "depth": Int(1, 9),
        "kind": Choice(("a", "b", "c")),
        "even": Int(0, 20, step=2),
        "share": Float(0, 1, step=0.25),
    }
    made = varied(params, space, random.Random(seed), Population())
    assert all(fits(space[name], value) for name, value in made.items())
    assert set(made) == set(space)


@pytest.mark.parametrize(
    "bad",
    [{"population": 1}, {"poor": 0.9}, {"factors": [1.1, 1.2]}, {"members": 4}, {"generations": "many"}],
)
def test_a_population_that_cannot_be_is_refused(client: ms.Client, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        tune(descend, SPACE, method="population", method_options=bad, client=client)
