"""Exact promises for rates: error rates under continuous peeking, power, symmetry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput
from mainspring.serving.rates import TwoRates, rate_sequence

STREAMS = 2000


def test_the_beta_mixture_is_exact_at_every_sample_size() -> None:
    rate, length = 0.03, 300
    draws = np.random.default_rng(2).random((STREAMS, length)) < rate
    hits = draws.cumsum(axis=1)
    covers = np.ones((length + 1, length + 1), bool)
    for n in range(1, length + 1):
        for k in range(min(n, 40) + 1):
            bounds = rate_sequence(k, n, alpha=0.05) if n % 10 == 0 else None
            covers[k, n] = bounds is None or bounds.lower <= rate <= bounds.upper
    wrong = ~covers[hits, np.arange(1, length + 1)]
    assert wrong.any(axis=1).mean() <= 0.05


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 10**6), share=st.floats(0, 1), alpha=st.floats(0.001, 0.3))
def test_rate_bounds_hold_the_observed_rate_and_stay_rates(n: int, share: float, alpha: float) -> None:
    hits = round(share * n)
    bounds = rate_sequence(hits, n, alpha=alpha)
    assert 0 <= bounds.lower <= hits / n <= bounds.upper <= 1
    mirrored = rate_sequence(n - hits, n, alpha=alpha)
    assert mirrored.lower == pytest.approx(1 - bounds.upper, abs=1e-9)


def test_two_rates_keep_the_error_rate_for_a_rate_that_moves() -> None:
    random = np.random.default_rng(4)
    refuted = 0
    for _ in range(1000):
        test = TwoRates()
        for block in range(60):
            common = 0.3 + 0.25 * math.sin(block / 5)
            if test.update(champion=(random.binomial(9, common), 9), challenger=(random.binomial(3, common), 3)) >= 20:
                refuted += 1
                break
    assert refuted / 1000 <= 0.05


def test_two_rates_find_a_difference() -> None:
    random = np.random.default_rng(6)
    found = 0
    for _ in range(200):
        test = TwoRates()
        for _block in range(100):
            if test.update(champion=(random.binomial(9, 0.2), 9), challenger=(random.binomial(9, 0.35), 9)) >= 20:
                found += 1
                break
    assert found > 180


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(InvalidInput):
        rate_sequence(3, 2)
    with pytest.raises(InvalidInput):
        TwoRates().update(champion=(3, 2), challenger=(0, 1))
