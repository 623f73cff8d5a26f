"""Assignment is proportional, sticky, independent between rollouts, and can be pinned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput
from mainspring.serving.traffic import (
    Target,
    TrafficPlan,
    check_steps,
    share_of,
    shares_of_keys,
    shares_of_rows,
)

OLD = Target(model="a", name="fraud", version=3, deployment="d1")
NEW = Target(model="b", name="fraud", version=4, deployment="d2")


def canary(weight: float, salt: str = "r") -> TrafficPlan:
    return TrafficPlan(champion=OLD, challenger=NEW, mode="canary", weight=weight, salt=salt)


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
def test_shares_are_in_proportion_by_key_and_by_row(weight: float) -> None:
    keys = [f"order-{each}" for each in range(20_000)]
    plan = canary(weight)
    by_key = np.mean([plan.arm_of(key) == "challenger" for key in keys])
    by_row = np.mean([plan.takes(shares_of_rows(key, 100, salt=plan.salt)).mean() for key in keys[:500]])
    spread = 4 * np.sqrt(weight * (1 - weight) / 20_000)
    assert abs(by_key - weight) < spread
    assert abs(by_row - weight) < spread


@settings(max_examples=100, deadline=None)
@given(key=st.text(max_size=40), small=st.floats(0, 1), large=st.floats(0, 1))
def test_a_key_that_a_small_canary_took_stays_with_a_larger_one(key: str, small: float, large: float) -> None:
    small, large = sorted((small, large))
    if canary(small).arm_of(key) == "challenger":
        assert canary(large).arm_of(key) == "challenger"
    assert canary(1.0).arm_of(key) == "challenger"
    assert canary(0.0).arm_of(key) == "champion"


def test_rollouts_are_independent_of_each_other() -> None:
    first = np.array([share_of(str(each), salt="one") for each in range(5000)])
    second = np.array([share_of(str(each), salt="two") for each in range(5000)])
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_rows_are_uniform_and_uncorrelated_with_their_number() -> None:
    shares = shares_of_rows("request", 50_000)
    assert abs(np.histogram(shares, bins=20, range=(0, 1))[0] - 2500).max() < 250
    assert abs(np.corrcoef(shares, np.arange(50_000))[0, 1]) < 0.02
    assert abs(np.corrcoef(shares[1:], shares[:-1])[0, 1]) < 0.02


def test_the_same_entity_goes_to_the_same_arm_in_every_request() -> None:
    carriers = np.array(["UA", "AA", "UA", "B6"], dtype=object)
    flights = np.array([1, 2, 1, 2])
    shares = shares_of_keys([carriers, flights], salt="r")
    assert shares[0] == shares[2]
    assert len(set(shares.tolist())) == 3
    assert (shares_of_keys([carriers[::-1], flights[::-1]], salt="r") == shares[::-1]).all()
    assert shares[0] == share_of("UA\x1f1", salt="r")


def test_a_pin_overrides_by_arm_or_by_version() -> None:
    plan = canary(0.0)
    assert plan.arm_of("x", pin="challenger") == "challenger"
    assert plan.arm_of("x", pin="4") == "challenger"
    assert plan.arm_of("x", pin="3") == "champion"
    with pytest.raises(InvalidInput, match="no arm or version 'nine'"):
        plan.arm_of("x", pin="nine")


def test_a_shadow_answers_nobody_not_even_by_pin() -> None:
    plan = TrafficPlan(champion=OLD, challenger=NEW, mode="shadow")
    assert plan.arm_of("x") == "champion"
    with pytest.raises(InvalidInput):
        plan.arm_of("x", pin="challenger")


@pytest.mark.parametrize(
    "plan",
    [
        TrafficPlan(champion=OLD, mode="canary", weight=0.1),
        TrafficPlan(champion=OLD, challenger=NEW),
        TrafficPlan(champion=OLD, challenger=NEW, mode="canary", weight=1.5),
        TrafficPlan(champion=OLD, challenger=NEW, mode="shadow", weight=0.5),
    ],
)
def test_plans_that_cannot_be_are_refused(plan: TrafficPlan) -> None:
    with pytest.raises(InvalidInput):
        plan.check()


@pytest.mark.parametrize("steps", [[], [0.0, 0.5], [0.5, 0.2], [0.5, 0.5], [0.5, 1.2]])
def test_steps_must_grow_inside_zero_and_one(steps: list[float]) -> None:
    with pytest.raises(InvalidInput):
        check_steps(steps)
