"""Calibration and the bootstrap: what they say holds on simulated rows."""

from __future__ import annotations

import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import (
    calibration_by_slice,
    calibration_metrics,
    evaluate_binary,
    evaluate_regression,
)
from mainspring.quality.evaluation.bootstrap import Resampling, Units, bootstrap_all
from mainspring.quality.evaluation.calibration import calibration_bins

np = pytest.importorskip("numpy")
stats = pytest.importorskip("scipy.stats")


def said(seed, size, *, slope=1.0, shift=0.0):
    random = np.random.default_rng(seed)
    logit = 1.5 * random.normal(size=size) - 0.5
    labels = (random.random(size) < 1 / (1 + np.exp(-(shift + slope * logit)))).astype(int)
    return labels, 1 / (1 + np.exp(-logit))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_parts_of_the_brier_score_add_up_and_the_errors_are_the_definitions(weighted):
    labels, scores = said(1, 3000)
    weights = np.random.default_rng(2).random(3000) if weighted else np.ones(3000)
    found = calibration_metrics(labels, scores, weights=weights if weighted else None, replicates=2)
    parts = {name: each.value for name, each in found.items()}
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert whole == pytest.approx(parts["brier"])
    assert parts["brier"] == pytest.approx(np.average((labels - scores) ** 2, weights=weights))
    place = np.ceil(scores * 10).astype(int)
    expected = (
        sum(abs(np.sum((weights * (labels - scores))[place == each])) for each in np.unique(place)) / weights.sum()
    )
    assert parts["ece"] == pytest.approx(expected)
    assert parts["mce"] >= parts["ace"]


def test_slope_and_intercept_are_those_of_a_logistic_regression():
    labels, scores = said(3, 4000, slope=0.6, shift=0.4)
    found = calibration_metrics(labels, scores, replicates=2)
    linear = pytest.importorskip("sklearn.linear_model")
    logit = np.log(scores / (1 - scores))[:, None]
    fitted = linear.LogisticRegression(C=np.inf, tol=1e-10).fit(logit, labels)
    assert found["slope"].value == pytest.approx(fitted.coef_[0, 0], abs=1e-4)
    assert found["intercept"].value == pytest.approx(fitted.intercept_[0], abs=1e-4)
    assert found["slope"].low < 0.6 < found["slope"].high < 1
    assert found["intercept"].low < 0.4 < found["intercept"].high
    assert found["calibration_in_the_large"].value != pytest.approx(found["intercept"].value, abs=1e-3)
    divided = calibration_metrics([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], replicates=2)
    assert divided["slope"].value is None


def test_the_debiased_error_of_an_honest_model_is_smaller_and_its_interval_holds():
    plain, debiased, covered = [], [], 0
    for seed in range(60):
        labels, scores = said(seed, 400)
        found = calibration_metrics(labels, scores, replicates=2)
        plain.append(found["ece"].value)
        debiased.append(found["ece_debiased"].value)
    assert np.mean(plain) > 0.03
    assert np.mean(debiased) < 0.7 * np.mean(plain)  # of an error of 0
    truth = calibration_metrics(*said(99, 200_000, slope=0.5), replicates=2)["ece"].value
    for seed in range(40):
        each = calibration_metrics(*said(seed, 500, slope=0.5), replicates=99)["ece_debiased"]
        covered += each.low <= truth <= each.high
    assert covered >= 32  # 95 % of 40 is 38, standard deviation 1.4


def test_errors_that_cancel_over_all_rows_are_seen_by_slice():
    random = np.random.default_rng(8)
    scores, half = random.uniform(0.3, 0.7, 4000), random.choice(["a", "b"], 4000)
    labels = (random.random(4000) < scores + np.where(half == "a", 0.2, -0.2)).astype(int)
    whole = calibration_metrics(labels, scores, replicates=2)
    parts = calibration_by_slice(labels, scores, {"half": half, "rare": np.arange(4000) < 50}, replicates=100)
    assert whole["ece"].value < 0.04
    assert set(parts) == {("half", "a"), ("half", "b"), ("rare", "false")}
    assert parts["half", "a"]["ece"].low > 0.15
    assert parts["half", "a"]["calibration_in_the_large"].low > 0 > parts["half", "b"]["calibration_in_the_large"].high


def test_bins_of_equal_width_with_weights():
    bins = calibration_bins([0, 1, 1, 0], [0.05, 0.06, 0.95, 0.96], weights=[1, 3, 1, 1], strategy="uniform")
    assert [(each.count, each.observed) for each in bins] == [(2, 0.75), (2, 0.5)]
    with pytest.raises(InvalidInput, match="bins"):
        calibration_bins([0, 1], [0.1, 0.9], bins=1)


def test_bca_is_that_of_scipy():
    values = np.random.default_rng(5).exponential(size=60)

    def mean(weights):
        return weights @ values / weights.sum(axis=-1)

    how = Resampling(replicates=4000, seed=1)
    ours = bootstrap_all({"mean": mean}, Units(np.ones(60)), {"mean": values.mean()}, how)["mean"]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(2))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert ours.method == "BCa bootstrap, 4000 replicates"


def test_pressing_rows_changes_no_value_and_hardly_an_interval():
    random = np.random.default_rng(6)
    labels = (random.random(20_000) < 0.1).astype(int)
    scores = 1 / (1 + np.exp(-(random.normal(size=20_000) + labels - 2)))
    drawn = evaluate_binary(labels, scores, interval="bca", replicates=600)
    known = evaluate_binary(labels, scores)
    for name in ("auc", "accuracy", "precision", "recall", "f1", "brier"):
        assert drawn[name].value == pytest.approx(known[name].value, rel=1e-12)
        width = (drawn[name].high - drawn[name].low) / (known[name].high - known[name].low)
        assert 0.88 < width < 1.12, name
    few = {"interval": "percentile", "replicates": 100}
    assert evaluate_binary(labels, scores, **few) == evaluate_binary(labels, scores, **few)
    assert evaluate_binary(labels, scores, seed=1, **few)["auc"] != evaluate_binary(labels, scores, **few)["auc"]


def test_groups_are_drawn_whole():
    random = np.random.default_rng(7)
    labels = (random.random(500) < 0.4).astype(int)
    scores = np.clip(0.4 + 0.2 * (labels - 0.4) + 0.2 * random.normal(size=500), 0, 1)
    users = np.arange(500)
    alone = evaluate_binary(labels, scores, interval="percentile")
    many = evaluate_binary(np.repeat(labels, 8), np.repeat(scores, 8), groups=np.repeat(users, 8))
    blind = evaluate_binary(np.repeat(labels, 8), np.repeat(scores, 8))
    for name in ("auc", "brier", "average_precision"):
        width, honest, narrow = (each[name].high - each[name].low for each in (many, alone, blind))
        assert 0.85 < width / honest < 1.15, name
        assert narrow < 0.5 * honest, name
    truth = random.normal(size=300)
    guess = truth + random.normal(size=300)
    days = np.arange(300) // 10
    assert set(evaluate_regression(truth, guess, groups=days).metrics["mae"].method.split(", ")) == {
        "BCa bootstrap", "1000 replicates"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": [1]}, "weights for"),
        ({"weights": [-1, 1]}, "negative"),
        ({"confidence": 1.0}, "confidence"),
        ({"replicates": 0}, "replicates"),
        ({"groups": ["a"]}, "rows"),
        ({"bins": 1}, "bins"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, words):
    with pytest.raises(InvalidInput, match=words):
        evaluate_binary([0, 1], [0.1, 0.9], **options)
