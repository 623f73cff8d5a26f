"""Slices that are found: what is there, nothing where nothing is, and estimates that are not flattered."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality.evaluation import evaluate_binary, find_slices
from mainspring.quality.evaluation.slice_search import alpha_investing

np = pytest.importorskip("numpy")


def rows(seed, size=8000):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "carrier": random.choice(["AA", "DL", "MQ", "UA"], size),
            "hour": random.integers(5, 23, size),
            "distance": random.gamma(2, 400, size),
            "noise": random.normal(size=size),
        }
    ).with_columns(pl.when(pl.col("noise") > 1.5).then(None).otherwise(pl.col("noise")).alias("noise")), random


def test_a_planted_slice_of_two_conditions_is_found_and_told_in_words():
    frame, random = rows(1)
    bad = ((frame["carrier"] == "MQ") & (frame["distance"] > 900)).to_numpy()
    losses = random.exponential(1.0, frame.height) * np.where(bad, 2.0, 1.0)
    found = find_slices(losses, frame, metric="log_loss")
    assert len(found) == 1
    assert dict(found[0].conditions)["carrier"] == "MQ"
    assert dict(found[0].conditions)["distance"].startswith("above ")
    assert found[0].q_value < 1e-4
    assert found[0].estimate.low < 2.0 < found[0].estimate.high * 1.1
    assert found[0].statement.startswith("where carrier is MQ and distance is above")
    assert "worse" in found[0].statement
    assert find_slices(losses, frame, depth=1)[0].conditions == (("carrier", "MQ"),)


def test_three_conditions_and_a_missing_value():
    frame, random = rows(2, 20_000)
    losses = random.exponential(1.0, frame.height)
    deep = ((frame["carrier"] == "AA") & (frame["hour"] == 8) & (frame["distance"] > 800)).to_numpy()
    found = find_slices(losses * np.where(deep, 4.0, 1.0), frame, depth=3, least=50)
    assert {column for column, _ in found[0].conditions} == {"carrier", "hour", "distance"}
    missing = frame["noise"].is_null().to_numpy()
    assert find_slices(losses + missing, frame)[0].conditions == (("noise", "missing"),)


@pytest.mark.parametrize("control", ["benjamini-hochberg", "holm", "alpha-investing"])
def test_nothing_is_found_in_noise(control):
    finds = 0
    for seed in range(8):
        frame, random = rows(seed, 2000)
        finds += bool(find_slices(random.exponential(1.0, 2000), frame, effect=0.05, control=control))
    assert finds <= 2  # 5 % of 8 is less than one half


def test_what_cannot_be_searched():
    frame, _ = rows(1, 1000)
    with pytest.raises(NotFound, match="carrier"):
        find_slices(np.arange(1000.0), frame, columns=["carier"])
    with pytest.raises(InvalidInput, match="one to three"):
        find_slices(np.arange(1000.0), frame, depth=9)
    with pytest.raises(InvalidInput, match="losses"):
        find_slices([1.0], frame)
    assert find_slices(np.ones(1000), frame) == ()


def test_alpha_investing_earns_by_finding():
    assert alpha_investing([0.001, 0.03, 0.03], 0.05) == [True, True, True]
    assert alpha_investing([0.9, 0.03, 0.03], 0.05) == [False, False, False]


def test_slices_by_a_condition_in_sql():
    frame, random = rows(5, 2000)
    labels = (random.random(2000) < 0.4).astype(int)
    scores = np.clip(0.4 + 0.3 * (labels - 0.4) + 0.1 * random.normal(size=2000), 0.01, 0.99)
    found = evaluate_binary(
        labels, scores, frame=frame, slices=["carrier", "hour >= 17 AND carrier = 'AA'"],
        slice_metric=("brier", "accuracy"), replicates=2,
    )  # fmt: skip
    told = next(each for each in found.slices if each.column == "condition")
    assert told.count == frame.filter((pl.col("hour") >= 17) & (pl.col("carrier") == "AA")).height
    assert told.metrics["accuracy"].value == pytest.approx(
        ((scores >= 0.5) == labels)[((frame["hour"] >= 17) & (frame["carrier"] == "AA")).to_numpy()].mean()
    )
    with pytest.raises(InvalidInput, match="is not a condition"):
        evaluate_binary(labels, scores, frame=frame, slices=["hour + 1"])
    with pytest.raises(InvalidInput, match="no condition on these rows"):
        evaluate_binary(labels, scores, frame=frame, slices=["nowhere > 1"])
