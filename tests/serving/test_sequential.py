"""The promises of the sequential tests: error rates under continuous peeking, power, exactness, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput
from mainspring.serving.sequential import (
    Evidence,
    Moments,
    Rule,
    Stratum,
    confidence_sequence,
    decide,
    mixture_e_value,
)

STREAMS = 2000


def _unit_reach(ns: np.ndarray, *, alpha: float, sides: int) -> np.ndarray:
    """The radius at unit variance for each n: what `confidence_sequence` gives, times the standard deviation."""
    reach = [
        confidence_sequence(Evidence.paired(Moments(int(n), 0.0, float(n - 1))), alpha=alpha, sides=sides).upper
        for n in ns
    ]
    return np.array(reach)


def _running(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, running means and running standard deviations along axis 1."""
    n = np.arange(1, draws.shape[1] + 1)
    mean = draws.cumsum(axis=1) / n
    variance = (np.square(draws).cumsum(axis=1) - n * mean**2) / np.maximum(n - 1, 1)
    return n, mean, np.sqrt(np.maximum(variance, 0))


@pytest.mark.parametrize("shape", ["normal", "binary", "skewed"])
def test_peeking_after_every_observation_keeps_the_error_rate(shape: str) -> None:
    random = np.random.default_rng(7)
    size = (STREAMS, 1500)
    draws = {
        "normal": lambda: random.normal(size=size),
        "binary": lambda: (random.random(size) < 0.2) - 0.2,
        "skewed": lambda: random.exponential(size=size) - 1,
    }[shape]()
    n, mean, deviation = _running(draws)
    looks = n >= 100
    reach = _unit_reach(n[looks], alpha=0.05, sides=2) * deviation[:, looks]
    wrong = (np.abs(mean[:, looks]) > reach).any(axis=1).mean()
    naive = (np.abs(mean[:, looks]) > 1.96 * deviation[:, looks] / np.sqrt(n[looks])).any(axis=1).mean()
    assert wrong <= 0.05
    assert naive > 0.2  # the same looks with a fixed-sample test: why this file exists


def test_one_sided_bounds_keep_their_error_rate_each() -> None:
    n, mean, deviation = _running(np.random.default_rng(8).normal(size=(STREAMS, 1500)))
    looks = n >= 50
    reach = _unit_reach(n[looks], alpha=0.05, sides=1) * deviation[:, looks]
    assert (mean[:, looks] > reach).any(axis=1).mean() <= 0.05
    assert (mean[:, looks] < -reach).any(axis=1).mean() <= 0.05


def test_a_real_effect_is_found_well_before_the_end() -> None:
    n, mean, deviation = _running(np.random.default_rng(9).normal(0.15, 1, size=(500, 2500)))
    looks = n >= 100
    found = mean[:, looks] > _unit_reach(n[looks], alpha=0.05, sides=1) * deviation[:, looks]
    assert found.any(axis=1).mean() > 0.97
    assert np.median(n[looks][found.argmax(axis=1)]) < 900


def test_the_bounds_are_the_published_formula() -> None:
    n, s, alpha, planned = 400, 2.0, 0.05, 1000
    r2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned
    radius = s * math.sqrt(2 * (n * r2 + 1) / (n * n * r2) * math.log(math.sqrt(n * r2 + 1) / alpha))
    seen = Evidence.paired(Moments(n, 0.3, s * s * (n - 1)))
    bounds = confidence_sequence(seen, alpha=alpha, planned_n=planned)
    assert bounds.lower == pytest.approx(0.3 - radius, rel=1e-12)
    assert bounds.upper == pytest.approx(0.3 + radius, rel=1e-12)


def test_the_e_value_and_the_bounds_say_the_same() -> None:
    for mean in np.linspace(-0.3, 0.3, 31):
        seen = Evidence.paired(Moments(1000, float(mean), 999.0))
        bounds = confidence_sequence(seen, alpha=0.05)
        assert (mixture_e_value(seen) >= 20) == (not bounds.lower <= 0 <= bounds.upper)


def test_a_growing_canary_on_worsening_days_is_not_blamed_for_them() -> None:
    """Simpson's paradox: more of the challenger's traffic falls on the bad days."""
    random = np.random.default_rng(3)
    strata, pooled = [], ([], [])
    for share, rate in ((0.05, 0.1), (0.2, 0.2), (0.5, 0.4)):
        size = 4000
        bad = random.random(size) < rate
        arm = random.random(size) < share
        strata.append(Stratum(Moments.of(bad[~arm].astype(float)), Moments.of(bad[arm].astype(float))))
        pooled[0].append(bad[~arm])
        pooled[1].append(bad[arm])
    naive = np.concatenate(pooled[1]).mean() - np.concatenate(pooled[0]).mean()
    evidence = Evidence.two_arms(strata)
    assert naive > 0.08
    assert abs(evidence.estimate) < 0.03
    assert decide(evidence).verdict == "continue"


def test_canary_decisions_keep_their_error_rate_over_days() -> None:
    """The whole of `decide`, looked at after each of 30 days, the canary growing and the days drifting."""
    random = np.random.default_rng(11)
    promoted = rolled_back = 0
    trials = 400
    for _ in range(trials):
        strata: list[Stratum] = []
        for day in range(30):
            share = 0.1 if day < 10 else 0.5
            n2 = int(random.binomial(300, share))
            rate = 0.2 + 0.2 * math.sin(day)
            arms = []
            for n in (300 - n2, n2):
                hits = int(random.binomial(n, abs(rate)))
                arms.append(Moments(n, hits / n if n else 0.0, hits * (n - hits) / n if n else 0.0))
            strata.append(Stratum(*arms))
            verdict = decide(Evidence.two_arms(strata)).verdict
            promoted += verdict == "promote"
            rolled_back += verdict == "rollback"
            if verdict != "continue":
                break
    assert promoted / trials <= 0.05
    assert rolled_back / trials <= 0.05


def test_a_harmed_challenger_is_rolled_back_quickly_and_a_better_one_promoted() -> None:
    random = np.random.default_rng(5)
    for shift, verdict in ((0.1, "rollback"), (-0.1, "promote")):
        strata: list[Stratum] = []
        for _day in range(40):
            loss = random.normal(0.5, 0.3, size=900)
            arm = random.random(900) < 0.2
            loss[arm] += shift
            strata.append(Stratum(Moments.of(loss[~arm]), Moments.of(loss[arm])))
            decision = decide(Evidence.two_arms(strata))
            if decision.verdict != "continue":
                break
        assert decision.verdict == verdict
        assert len(strata) < 7
        assert decision.lower is not None
        assert decision.upper is not None
        assert decision.lower < shift < decision.upper


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-100, 100), min_size=3, max_size=50),
    scale=st.floats(0.01, 1000),
)
def test_bounds_scale_with_the_unit_and_mirror_with_the_sign(values: list[float], scale: float) -> None:
    if max(values) - min(values) < 1e-3:
        values = [*values, min(values) + 1]
    plain = confidence_sequence(Evidence.paired(Moments.of(values)))
    scaled = confidence_sequence(Evidence.paired(Moments.of([scale * each for each in values])))
    mirrored = confidence_sequence(Evidence.paired(Moments.of([-each for each in values])))
    assert scaled.lower == pytest.approx(scale * plain.lower, rel=1e-6)
    assert mirrored.upper == pytest.approx(-plain.lower, rel=1e-6)


def test_decisions_wait_for_enough_and_give_up_when_asked() -> None:
    few = Evidence.paired(Moments(50, -5.0, 50.0))
    assert decide(few).verdict == "continue"
    assert "50 of the 100" in decide(few).reason
    nothing = Evidence.paired(Moments(5000, 0.0, 5000.0))
    assert decide(nothing).verdict == "continue"
    assert decide(nothing, rule=Rule(max_n=5000)).verdict == "rollback"
    assert decide(nothing, rule=Rule(margin=0.2)).verdict == "promote"
    assert decide(Evidence.two_arms([])).estimate is None


def test_identical_answers_never_decide() -> None:
    same = Evidence.paired(Moments(100_000, 0.0, 0.0))
    decision = decide(same)
    assert (decision.verdict, decision.lower, decision.upper) == ("continue", None, None)


@pytest.mark.parametrize(
    "rule", [Rule(alpha=0), Rule(guard_alpha=1), Rule(margin=-1), Rule(planned_n=0), Rule(max_n=5)]
)
def test_a_rule_that_cannot_be_is_refused(rule: Rule) -> None:
    with pytest.raises(InvalidInput):
        decide(Evidence.two_arms([]), rule=rule)
