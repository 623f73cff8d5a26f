"""Evaluation: values as scikit-learn has them, intervals that hold, comparisons, gates, importances."""

from __future__ import annotations

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.kernel.errors import CheckFailed, InvalidInput, NotFound
from mainspring.quality import (
    Condition,
    Gate,
    compare_binary,
    compare_regression,
    evaluate_binary,
    evaluate_regression,
    permutation_importance,
)
from mainspring.quality.evaluation import require_passed
from mainspring.quality.evaluation.intervals import wilson
from mainspring.quality.evaluation.significance import mcnemar

np = pytest.importorskip("numpy")
metrics = pytest.importorskip("sklearn.metrics")

scored = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=2, max_size=60)


def sample(seed, size, *, lift=1.0, noise=0.0):
    random = np.random.default_rng(seed)
    labels = (random.random(size) < 0.25).astype(int)
    logit = random.normal(size=size) + lift * labels - 1.5
    return labels, 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-(logit + noise * random.normal(size=size))))


@settings(max_examples=80, deadline=None)
@given(rows=scored)
def test_values_are_those_of_scikit_learn(rows):
    labels, scores = (list(part) for part in zip(*rows, strict=True))
    found = evaluate_binary(labels, scores, replicates=2)
    called = [score >= 0.5 for score in scores]
    expected = {
        "log_loss": metrics.log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15), labels=[False, True]),
        "brier": metrics.brier_score_loss(labels, scores),
        "accuracy": metrics.accuracy_score(labels, called),
        "prevalence": sum(labels) / len(labels),
    }
    if any(called):
        expected["precision"] = metrics.precision_score(labels, called)
    if any(labels):
        expected["recall"] = metrics.recall_score(labels, called)
        expected["f1"] = metrics.f1_score(labels, called)
    if 0 < sum(labels) < len(labels):
        expected["auc"] = metrics.roc_auc_score(labels, scores)
        expected["average_precision"] = metrics.average_precision_score(labels, scores)
    else:
        assert found["auc"].value is None
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-9), name
        low, high = found[name].low, found[name].high
        assert low is None or high is None or low - 1e-9 <= value <= high + 1e-9
    assert sum(found.confusion.values()) == found.count == len(rows)
    assert sum(each.count for each in found.calibration) == len(rows)


def test_delong_is_the_bootstrap_and_its_interval_holds():
    labels, scores, _ = sample(1, 600)
    found = evaluate_binary(labels, scores)["auc"]
    random = np.random.default_rng(0)
    draws = []
    for _ in range(250):
        rows = random.integers(0, labels.size, labels.size)
        draws.append(metrics.roc_auc_score(labels[rows], scores[rows]))
    assert found.standard_error == pytest.approx(np.std(draws), rel=0.12)
    truth = evaluate_binary(*sample(99, 200_000)[:2], replicates=2)["auc"].value
    covered = 0
    for seed in range(150):
        each = evaluate_binary(*sample(seed, 300)[:2], replicates=2)["auc"]
        covered += each.low <= truth <= each.high
    assert 132 <= covered <= 150  # 95 % of 150, within four standard deviations


@pytest.mark.parametrize("name", ["log_loss", "brier", "accuracy", "f1", "recall", "precision", "average_precision"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(name):
    truth = evaluate_binary(*sample(99, 200_000)[:2], replicates=2)[name].value
    covered = 0
    for seed in range(60):
        each = evaluate_binary(*sample(seed, 400)[:2], replicates=40)[name]
        covered += each.low <= truth <= each.high
    assert covered >= 50  # 95 % of 60 is 57; four standard deviations of 1.7 below


def test_wilson_is_right_at_the_ends():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10)[1] == 1.0
    assert wilson(10, 10)[0] == pytest.approx(0.7225, abs=1e-4)


def test_calibration_says_what_was_said_and_what_came():
    random = np.random.default_rng(3)
    scores = random.random(20_000)
    honest = evaluate_binary(random.random(20_000) < scores, scores)
    boastful = evaluate_binary(random.random(20_000) < scores**2, scores)
    assert honest["ece"].value < 0.02
    assert boastful["ece"].value > 0.1
    assert all(each.observed_low <= each.predicted + 0.02 for each in honest.calibration)
    assert len(honest.calibration) == 10
    top = boastful.calibration[5]
    assert top.observed_high < top.predicted


def test_slices_put_the_worst_first_and_allow_for_chance():
    labels, scores, _ = sample(4, 6000)
    random = np.random.default_rng(40)
    group = np.where(random.random(6000) < 0.2, "bad", "good")
    broken = np.where(group == "bad", random.random(6000), scores)
    frame = pl.DataFrame({"group": group, "noise": random.integers(0, 5, 6000), "age": random.normal(size=6000)})
    found = evaluate_binary(labels, broken, frame=frame)
    worst = found.slices[0]
    assert (worst.column, worst.value) == ("group", "bad")
    assert worst.q_value < 1e-6
    assert worst.gap > 0.1
    assert {each.column for each in found.slices} == {"group", "noise", "age"}
    assert sum(each.count for each in found.slices if each.column == "age") == 6000
    assert all(each.q_value > 0.001 for each in found.slices if each.column != "group")
    named = evaluate_binary(labels, broken, slices={"g": group}, slice_metric="log_loss")
    assert [(each.column, each.value) for each in named.slices] == [("g", "bad"), ("g", "good")]
    inside = group == "bad"
    assert named.slices[0].estimate.value == pytest.approx(metrics.log_loss(labels[inside], broken[inside]))


def test_slices_that_cannot_be_are_refused():
    frame = pl.DataFrame({"group": ["a", "b"] * 50})
    labels, scores = [0, 1] * 50, [0.2, 0.8] * 50
    with pytest.raises(NotFound, match="known: group"):
        evaluate_binary(labels, scores, frame=frame, slices=["grop"])
    with pytest.raises(InvalidInput, match="need the rows"):
        evaluate_binary(labels, scores, slices=["group"])
    with pytest.raises(InvalidInput, match="cannot be measured"):
        evaluate_binary(labels, scores, frame=frame, slice_metric="beauty")
    with pytest.raises(InvalidInput, match="rows"):
        evaluate_binary(labels, scores, slices={"group": ["a"]})


def test_numbers_of_a_regression():
    random = np.random.default_rng(5)
    truth = random.normal(5, 1, 500)
    guess = truth + random.normal(0.1, 0.5, 500)
    found = evaluate_regression(truth, guess, frame=pl.DataFrame({"half": [0, 1] * 250}))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truth, guess))
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truth, guess))
    assert found["r2"].value == pytest.approx(metrics.r2_score(truth, guess))
    assert found["median_absolute_error"].value == pytest.approx(metrics.median_absolute_error(truth, guess))
    assert found["mape"].value == pytest.approx(metrics.mean_absolute_percentage_error(truth, guess))
    assert found["bias"].low < 0.1 < found["bias"].high
    assert all(each.low <= each.value <= each.high for name, each in found.metrics.items() if name != "max_error")
    assert {each.value for each in found.slices} == {"0", "1"}
    better = compare_regression(truth, champion=guess, candidate=truth)
    assert better["mae"].better == "candidate"


def test_a_paired_comparison_sees_what_two_intervals_do_not():
    labels, good, noisy = sample(6, 3000, noise=0.3)
    alone = [evaluate_binary(labels, each, replicates=2)["auc"] for each in (noisy, good)]
    assert alone[0].high > alone[1].low  # the intervals overlap
    found = compare_binary(
        labels, champion=noisy, candidate=good, metrics=("auc", "average_precision", "log_loss", "brier", "accuracy")
    )
    assert found["auc"].better == "candidate"
    assert "the candidate is better" in found["auc"].statement
    assert found["log_loss"].difference == pytest.approx(
        metrics.log_loss(labels, good) - metrics.log_loss(labels, noisy)
    )
    same = compare_binary(labels, champion=good, candidate=good, metrics=("auc", "brier", "accuracy"))
    assert all(each.better is None and each.difference == 0 and each.p_value == 1 for each in same.differences)


def test_two_equal_models_are_told_apart_as_rarely_as_promised():
    wrong = 0
    for seed in range(150):
        labels, one, _ = sample(seed, 300)
        random = np.random.default_rng(seed + 1000)
        logit = np.log(one / (1 - one))
        first, second = (1 / (1 + np.exp(-(logit + random.normal(size=300)))) for _ in range(2))
        wrong += compare_binary(labels, champion=first, candidate=second, metrics=("auc",))["auc"].better is not None
    assert wrong <= 18  # 5 % of 150 is 7.5, standard deviation 2.7


def test_paired_delong_is_the_paired_bootstrap():
    labels, good, noisy = sample(7, 500, noise=1.0)
    found = compare_binary(labels, champion=noisy, candidate=good, metrics=("auc",))["auc"]
    random = np.random.default_rng(0)
    gaps = []
    for _ in range(150):
        rows = random.integers(0, 500, 500)
        scores = [metrics.roc_auc_score(labels[rows], each[rows]) for each in (good, noisy)]
        gaps.append(scores[0] - scores[1])
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(gaps), rel=0.2)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (3, 9), (20, 20), (700, 600)])
def test_mcnemar_is_the_binomial_test(gained, lost):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=0.02)


def test_a_gate_decides_from_the_near_end_and_says_why():
    labels, good, noisy = sample(8, 2000, noise=2.0)
    frame = pl.DataFrame({"half": ["a", "b"] * 1000})
    candidate = evaluate_binary(labels, good, frame=frame, model="model/m@2")
    champion = evaluate_binary(labels, noisy, model="model/m@1")
    auc = candidate["auc"]
    between = (auc.low + auc.value) / 2
    cases = [
        (Condition(metric="auc", at_least=auc.low - 0.01), True),
        (Condition(metric="auc", at_least=between), False),
        (Condition(metric="auc", at_least=between, confident=False), True),
        (Condition(metric="log_loss", at_most=candidate["log_loss"].high + 0.01), True),
        (Condition(metric="log_loss", at_most=candidate["log_loss"].value), False),
        (Condition(metric="auc", better_by=0.0), True),
        (Condition(metric="auc", better_by=0.5), False),
        (Condition(metric="log_loss", better_by=0.0), True),
        (Condition(metric="brier", not_worse_by=0.001), True),
        (Condition(metric="auc", at_least=0.5, slice_column="half"), True),
        (Condition(metric="auc", at_least=0.99, slice_column="half"), False),
        (Condition(metric="auc", at_least=0.5, slice_column="nowhere"), False),
    ]
    paired = compare_binary(labels, champion=noisy, candidate=good)
    for condition, passed in cases:
        decision = Gate(name="g", conditions=(condition,)).decide(candidate, baseline=champion, comparison=paired)
        assert decision.passed is passed, decision.evidence[0].statement
        assert decision.evidence[0].statement
    whole = Gate(name="all", conditions=tuple(condition for condition, _ in cases))
    decision = whole.decide(candidate, baseline=champion)
    assert (decision.candidate, decision.baseline) == ("model/m@2", "model/m@1")
    assert decision.to_dict()["passed"] is False
    with pytest.raises(CheckFailed, match="says no to model/m@2"):
        require_passed(decision)


def test_a_worse_candidate_and_a_metric_without_value_do_not_pass():
    labels, good, noisy = sample(9, 2000, noise=2.0)
    paired = compare_binary(labels, champion=good, candidate=noisy)
    gate = Gate(name="g", conditions=(Condition(metric="auc", not_worse_by=0.01),))
    assert not gate.decide(evaluate_binary(labels, noisy), comparison=paired).passed
    nothing = evaluate_binary([1, 1], [0.5, 0.6])
    assert not Gate(name="g", conditions=(Condition(metric="auc", at_least=0.0),)).decide(nothing).passed
    with pytest.raises(InvalidInput, match="none was given"):
        gate.decide(nothing)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ((), "no conditions"),
        ((Condition(metric="auc"),), "exactly one bound"),
        ((Condition(metric="auc", at_least=0.5, at_most=0.9),), "exactly one bound"),
        ((Condition(metric="prevalence", better_by=0.1),), "no better end"),
    ],
)
def test_a_gate_that_means_nothing_is_refused(conditions, words):
    with pytest.raises(InvalidInput, match=words):
        Gate(name="g", conditions=conditions)


def test_importance_finds_what_the_model_uses():
    random = np.random.default_rng(10)
    frame = pl.DataFrame(
        {"used": random.normal(size=2000), "little": random.normal(size=2000), "not": random.normal(size=2000)}
    )
    logit = 2 * frame["used"].to_numpy() + 0.5 * frame["little"].to_numpy()
    labels = (random.random(2000) < 1 / (1 + np.exp(-logit))).astype(int)
    found = permutation_importance(lambda f: 2 * f["used"] + 0.5 * f["little"], frame, labels, rows=1500)
    assert [each.feature for each in found] == ["used", "little", "not"]
    assert found[0].importance > 0.2 > found[1].importance > 0.005
    assert found[2].importance == 0
    assert found[0].standard_error < 0.05
    by_loss = permutation_importance(
        lambda f: 1 / (1 + np.exp(-f["used"].to_numpy())),
        frame,
        labels,
        metric="log_loss",
        features=["used"],
        repeats=1,
    )
    assert by_loss[0].standard_error is None
    with pytest.raises(NotFound):
        permutation_importance(lambda f: f["used"], frame, labels, features=["uses"])
    with pytest.raises(InvalidInput, match="returned 1 scores"):
        permutation_importance(lambda f: [0.5], frame, labels)


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([0, 1], [0.1], "same number of rows"),
        ([], [], "no rows"),
        ([0, 2], [0.1, 0.2], "0 and 1"),
        ([0, 1], [0.1, 1.2], "not between 0 and 1"),
        ([0, 1], [0.1, float("nan")], "missing or infinite"),
        ([0, 1], ["a", "b"], "not numbers"),
        ([0, 1], [[0.1], [0.2]], "shape"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(labels, scores, words):
    with pytest.raises(InvalidInput, match=words):
        evaluate_binary(labels, scores)


def test_an_unknown_metric_names_the_nearest():
    found = evaluate_binary([0, 1], [0.1, 0.9])
    with pytest.raises(NotFound, match="log_loss"):
        found["logloss"]
    with pytest.raises(NotFound):
        compare_binary([0, 1], champion=[0.1, 0.2], candidate=[0.1, 0.2])["f1"]
    with pytest.raises(InvalidInput):
        compare_binary([0, 1], champion=[0.1, 0.2], candidate=[0.1, 0.2], metrics=("beauty",))
    assert found.to_dict()["metrics"]["auc"]["value"] == 1.0
