"""Whether a number is what its history would have: each strategy, in words, as an expectation and over versions."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality import Expectation, expect, validate_table
from mainspring.quality.anomalies import (
    BatchNormal,
    Change,
    HoltWinters,
    OnlineNormal,
    RelativeChange,
    Robust,
    Threshold,
    judge,
    judge_each,
    strategy_of,
)
from mainspring.quality.anomalies_seasonal import fitted, smoothed

STEADY = [100.0, 104.0, 98.0, 101.0, 97.0, 103.0, 99.0, 102.0]


@pytest.mark.parametrize(
    ("strategy", "history", "value", "normal"),
    [
        (Robust(), STEADY, 106, True),
        (Robust(), STEADY, 250, False),
        (Robust(), [*STEADY[:-1], 9000.0], 9000, False),  # one bad day does not bend it
        (Robust(), [1000.0] * 10, 1005, True),  # within one per cent
        (Robust(), [1000.0] * 10, 1020, False),
        (Robust(), STEADY[:4], 9000, True),  # too few
        (Robust(order=1), [100.0 * k for k in range(1, 12)], 1200, True),
        (Robust(order=1), [100.0 * k for k in range(1, 12)], 2200, False),
        (Threshold(low=0, high=10), [], 10, True),
        (Threshold(low=0), [], -0.1, False),
        (Change(max_increase=5), [10.0], 15, True),
        (Change(max_increase=5, max_decrease=-5), [10.0], 4.9, False),
        (Change(max_increase=0.5, max_decrease=-0.5, order=2), [1.0, 3.0], 5, True),  # grows as it grew
        (Change(max_increase=0.5, max_decrease=-0.5, order=2), [1.0, 3.0], 6, False),
        (RelativeChange(max_decrease=0.5, max_increase=2), [10.0], 20, True),
        (RelativeChange(max_decrease=0.5, max_increase=2), [10.0], 4, False),
        (RelativeChange(max_increase=1.1, order=2), [10.0, 1000.0], 11, True),
        (RelativeChange(max_decrease=0.5, max_increase=2), [-10.0], -15, True),
        (OnlineNormal(), STEADY, 101, True),
        (OnlineNormal(lower=1.0, upper=1.0), STEADY, 130, False),
        (BatchNormal(), STEADY, 107, True),
        (BatchNormal(), STEADY, 109, False),
        (BatchNormal(lower=None), STEADY, -1e9, True),
    ],
)
def test_a_value_is_judged_by_its_history(strategy, history, value, normal):
    found = judge(value, history, strategy)
    assert found.normal is normal
    assert f"{value:g}" in found.reason or "too few" in found.reason
    if found.low is not None and found.high is not None:
        assert (found.low <= value <= found.high) is normal


def test_batch_normal_is_three_deviations_around_the_mean():
    found = judge(0, [1.0, 2.0, 3.0, 4.0, 5.0], BatchNormal())
    assert (found.low, found.high) == pytest.approx((3 - 3 * math.sqrt(2.5), 3 + 3 * math.sqrt(2.5)))


def test_online_normal_leaves_anomalies_out_of_the_running_mean():
    values = [1.0, -1.0] * 25
    values[25] = 1000.0
    verdicts = judge_each(values, OnlineNormal(lower=3.5, upper=3.5, ignore_start=0.2))
    assert [place for place, each in enumerate(verdicts) if not each.normal] == [25]
    kept = judge(1.0, values, OnlineNormal(lower=3.5, upper=3.5, ignore_start=0.2, ignore_anomalies=False))
    assert kept.high > verdicts[-1].high * 5


def test_holt_winters_knows_the_day_of_the_week():
    draw = random.Random(3)
    week = [100, 110, 120, 130, 140, 40, 20]
    series = [week[k % 7] + k * 0.5 + draw.gauss(0, 1) for k in range(70)]
    expected = week[0] + 35
    assert judge(expected, series, HoltWinters(period=7)).normal
    assert not judge(week[5] + 35, series, HoltWinters(period=7)).normal  # a Saturday's figure on a Monday
    assert judge(week[5] + 35, series, Robust()).normal  # which says nothing without the season
    assert judge(1, series[:13], HoltWinters(period=7)).reason.startswith("13 earlier values are too few")


def test_the_smoothing_is_that_of_statsmodels():
    # Facts of statsmodels 0.15: ExponentialSmoothing of the values after the first season, additive, its start known
    # (level, trend and season of the first two seasons), smoothing 0.5, 0.2 and 0.3 * (1 - 0.5), which is what its form
    # of the season calls ours; `resid` and `forecast(1)`.
    values = [30.0, 21.0, 29.0, 31.0, 40.0, 48.0, 53.0, 47.0, 37.0, 39.0, 31.0, 29.0]
    errors, forecast = smoothed(values, 4, (0.5, 0.2, 0.3))
    known = [5.1875, 14.2625, -2.62625, -15.808, -22.5962, -4.313805, -17.8466645, -11.3844778]
    assert errors == pytest.approx(known, rel=1e-9)
    assert forecast == pytest.approx(32.75209417, rel=1e-9)
    _, spread = fitted(values, 4)
    assert math.fsum(error * error for error in errors) >= spread**2 * (len(errors) - 1)


def test_words_and_objects_become_strategies():
    assert strategy_of(None) == Robust()
    assert strategy_of("batch-normal") == BatchNormal()
    assert strategy_of({"strategy": "robust", "factor": "3"}) == Robust(factor=3.0)
    for wrong in (
        "clever",
        {"strategy": "change"},
        {"strategy": "robust", "factor": 0},
        {"strategy": "robust", "x": 1},
    ):
        with pytest.raises(InvalidInput, match="not a strategy"):
            strategy_of(wrong)
    assert not judge(math.nan, STEADY).normal


def test_as_an_expectation_with_a_history_of_its_own():
    frame = pl.DataFrame({"x": [1.0, 2.0, None]})
    lines = [
        Expectation(kind="column_metric_to_be_normal", column="x", arguments={"metric": metric, "history": [value] * 6})
        for metric, value in (("mean", 1.5), ("missing", 0.3), ("max", 2), ("distinct", 5), ("median", 1.5))
    ]
    lines.append(Expectation(kind="table_row_count_to_be_normal", arguments={"history": [3] * 5}))
    report = validate_table(frame, lines)
    assert [each.verdict for each in report.results] == ["passed", "failed", "passed", "failed", "passed", "passed"]
    assert "is above" in report.results[1].message
    assert "expected" not in report.results[0].expected
    with pytest.raises(InvalidInput, match="table_row_count_to_be_normal"):
        validate_table(
            frame, [Expectation(kind="column_metric_to_be_normal", column="x", arguments={"metric": "row_count"})]
        )


@pytest.mark.databases("sqlite")
def test_over_the_versions_of_a_dataset(client):
    for version in range(8):
        client.data.commit("t", pl.DataFrame({"x": [float(k + version % 3) for k in range(100 + version)]}))
    assert [each.value for each in client.quality.series("t", metric="row_count")] == [100 + k for k in range(8)]
    assert client.quality.series("t", metric="freshness")[0].value is None
    assert {each.source for each in client.quality.series("t", metric="size")} == {"version"}
    for version in range(1, 9):
        client.quality.profile(f"t@{version}")
    means = [each.value for each in client.quality.series("t", metric="mean", column="x")]
    assert means == pytest.approx([(99 + v) / 2 + v % 3 for v in range(8)])
    suite = expect("t").add(Expectation(kind="column_metric_to_be_normal", column="x", arguments={"metric": "mean"}))
    fine = client.quality.validate("t", suite)
    assert fine.verdict == "passed"
    assert len(fine.results[0].expectation.arguments["history"]) == 7
    assert client.quality.anomaly("t", metric="mean", column="x").normal
    client.data.commit("t", pl.DataFrame({"x": [9000.0] * 100}))
    broken = client.quality.validate("t", suite)
    assert (broken.verdict, "is above" in broken.results[0].message) == ("failed", True)
    assert client.quality.suite("t").expectations[0].arguments == {"metric": "mean"}  # the history is of the report
    assert not client.quality.anomaly("t", metric="mean", column="x", strategy="batch-normal").normal
    held = expect("held").column("x").between(0, 200)
    for version in range(1, 10):
        client.quality.validate(f"t@{version}", held)
    shares = client.quality.series("t", metric="outcome:column_values_to_be_between", column="x")
    assert [each.value for each in shares] == [1.0] * 8 + [0.0]
    found = client.quality.anomaly("t", metric="outcome:column_values_to_be_between", column="x")
    assert (found.normal, found.reason.startswith("0 is below 0.99")) == (False, True)
    newest = client.quality.series("t", metric="mean", column="x", limit=1)
    assert [(each.version, each.value, each.source) for each in newest] == [(9, 9000.0, "state")]
    with pytest.raises(InvalidInput, match="not a number"):
        client.quality.series("t", metric="colour")
    with pytest.raises(NotFound):
        client.quality.anomaly("nothing", metric="row_count")
    with pytest.raises(NotFound, match="nothing is known"):
        client.quality.anomaly("t", metric="mean", column="gone")
