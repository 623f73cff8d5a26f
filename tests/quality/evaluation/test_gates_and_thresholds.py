"""Gates say passed, failed or undecided, slice by slice too; thresholds are the best ones by brute force."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import (
    Condition,
    Costs,
    Gate,
    choose_threshold,
    compare_binary,
    compare_multiclass,
    compare_regression,
    evaluate_binary,
)

np = pytest.importorskip("numpy")
sk = pytest.importorskip("sklearn.metrics")


def sample(seed, size=4000):
    random = np.random.default_rng(seed)
    labels = (random.random(size) < 0.3).astype(int)
    logit = random.normal(size=size) + 1.2 * labels - 1
    noisy = logit + random.normal(size=size)
    groups = random.choice(["a", "b"], size)
    return labels, 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-noisy)), groups


def one(condition, found, **more):
    return Gate(name="g", conditions=(condition,)).decide(found, **more)


def test_three_verdicts():
    labels, scores, _, _ = sample(1)
    found = evaluate_binary(labels, scores, replicates=2)
    auc = found["auc"]
    for bound, verdict in ((auc.low - 0.01, "passed"), (auc.value, "undecided"), (auc.high + 0.01, "failed")):
        decision = one(Condition(metric="auc", at_least=bound), found)
        assert decision.verdict == decision.evidence[0].verdict == decision.to_dict()["verdict"] == verdict
        assert decision.passed is (verdict == "passed")
        assert ("cannot tell" in decision.evidence[0].statement) is (verdict == "undecided")
    assert one(Condition(metric="auc", at_least=auc.value + 1e-9, confident=False), found).verdict == "failed"
    both = Gate(
        name="g", conditions=(Condition(metric="auc", at_least=auc.value), Condition(metric="brier", at_most=0.0))
    )
    assert both.decide(found).verdict == "failed"


def test_change_thresholds_slice_by_slice():
    labels, scores, noisy, groups = sample(2)
    mixed = np.where(groups == "a", scores, noisy)  # better than the champion on a, the same on b
    frame = pl.DataFrame({"group": groups})
    comparison = compare_binary(labels, champion=noisy, candidate=mixed, slices=["group"], frame=frame)
    found = evaluate_binary(labels, mixed, frame=frame, slices=["group"], slice_metric="brier", replicates=2)
    kept = one(Condition(metric="brier", not_worse_by=0.001, slice_column="*"), found, comparison=comparison)
    assert kept.passed, kept.reasons
    better = one(Condition(metric="brier", better_by=0.0, slice_column="group"), found, comparison=comparison)
    assert not better.passed
    assert "where group = b" in better.reasons[0]
    base = evaluate_binary(labels, noisy, frame=frame, slices=["group"], slice_metric="brier", replicates=2)
    alone = one(Condition(metric="brier", better_by=0.0, slice_column="group"), found, baseline=base)
    assert not alone.passed
    with pytest.raises(InvalidInput, match="nothing to compare with"):
        one(Condition(metric="brier", better_by=0.0, slice_column="group"), found)
    a, b = (each for each in comparison.slices if each.difference.metric == "brier")
    assert {a.value: a.difference.better, b.value: b.difference.better} == {"a": "candidate", "b": None}
    assert a.difference.q_value is not None


def test_a_second_metric_of_a_slice_can_be_a_condition():
    labels, scores, _, groups = sample(3)
    found = evaluate_binary(labels, scores, slices={"g": groups}, slice_metric=["auc", "recall"], replicates=2)
    assert one(Condition(metric="recall", at_least=0.1, slice_column="g"), found).passed
    assert one(Condition(metric="recall", at_least=0.99, slice_column="g"), found).verdict == "failed"


def test_margins_groups_weights_and_corrections_of_a_comparison():
    labels, scores, noisy, _ = sample(4)
    close = np.clip(scores + 0.001, 0, 1)
    found = compare_binary(labels, champion=scores, candidate=close, margins={"auc": 0.01, "brier": 0.01})
    assert found["auc"].not_inferior is True
    assert "no more than 0.01 worse" in found["auc"].statement
    assert found["log_loss"].not_inferior is None
    worse = compare_binary(labels, champion=scores, candidate=noisy, margins=0.0, correction="holm")
    assert worse["auc"].not_inferior is False
    assert worse["auc"].q_value >= worse["auc"].p_value
    assert worse["auc"].better == "champion"
    twice = np.concatenate([labels, labels]), np.concatenate([scores, scores]), np.concatenate([noisy, noisy])
    ids = np.tile(np.arange(labels.size), 2)
    one_each = compare_binary(labels, champion=noisy, candidate=scores, metrics=("brier", "f1", "auc"))
    doubled = compare_binary(
        twice[0], champion=twice[2], candidate=twice[1], groups=ids, metrics=("brier", "f1", "auc")
    )
    for name in ("brier", "f1", "auc"):
        assert doubled[name].difference == pytest.approx(one_each[name].difference)
        width = (doubled[name].high - doubled[name].low) / (one_each[name].high - one_each[name].low)
        assert 0.85 < width < 1.15  # copies of rows are no news
    weighted = compare_binary(labels, champion=noisy, candidate=scores, weights=np.full(labels.size, 2.0))
    plain = compare_binary(labels, champion=noisy, candidate=scores)
    assert weighted["log_loss"].low == pytest.approx(plain["log_loss"].low)
    with pytest.raises(InvalidInput, match="negative"):
        compare_binary(labels, champion=noisy, candidate=scores, margins=-1.0)


def test_regression_by_ranks_and_several_classes():
    random = np.random.default_rng(5)
    truth = random.normal(size=400)
    old, new = truth + random.normal(size=400), truth + 0.7 * random.normal(size=400)
    new[0] = 1e4  # one wild row
    mean = compare_regression(truth, champion=old, candidate=new, metrics=("mae", "rmse"))
    assert mean["mae"].better is None
    rank = compare_regression(truth, champion=old, candidate=new, by_ranks=True)["mae"]
    assert (rank.p_value < 0.001) is True
    assert rank.method == "Wilcoxon signed rank"
    codes = random.integers(0, 3, 400)
    good = np.eye(3)[codes] * 0.5 + 0.5 / 3
    poor = np.full((400, 3), 1 / 3)
    found = compare_multiclass(codes, champion=poor, candidate=good, slices={"half": np.arange(400) % 2})
    assert {each.better for each in found.differences} == {"candidate"}
    assert len(found.slices) == 6


@pytest.mark.parametrize("rule", ["costs", "f1", "mcc", "balanced_accuracy", "accuracy", "precision", "recall", "rate"])
def test_a_threshold_is_the_best_there_is(rule):
    labels, scores, _, _ = sample(6, 120)
    options = {
        "costs": {"costs": Costs(false_positive=1.0, false_negative=5.0)},
        "precision": {"precision_at_least": 0.7},
        "recall": {"recall_at_least": 0.8},
        "rate": {"selection_rate_at_most": 0.2},
    }.get(rule, {"maximize": rule})
    found = choose_threshold(labels, scores, **options)
    kept = []
    for threshold in np.unique(scores):
        called = scores >= threshold
        hit = (called & (labels == 1)).sum()
        precision, recall = hit / called.sum(), hit / labels.sum()
        wrong = [(called & (labels == 0)).sum(), (~called & (labels == 1)).sum()]
        if rule in {"f1", "mcc", "balanced_accuracy", "accuracy"}:
            named = {"f1": sk.f1_score, "mcc": sk.matthews_corrcoef}
            value = named.get(rule, getattr(sk, f"{rule}_score", None))(labels, called)
        else:
            value = {
                "costs": -(wrong[0] + 5 * wrong[1]) / labels.size,
                "precision": recall if precision >= 0.7 else -1,
                "recall": precision if recall >= 0.8 else -1,
                "rate": recall if called.mean() <= 0.2 else -1,
            }[rule]
        kept.append((value, threshold))
    best = max(value for value, _ in kept)
    assert {threshold: value for value, threshold in kept}[found.threshold] == pytest.approx(best)
    assert found.low <= found.threshold <= found.high
    assert found.rule in found.statement
    if rule == "costs":
        assert found.cost == pytest.approx(-best)


def test_a_rule_that_nothing_keeps_is_refused():
    with pytest.raises(InvalidInput, match="no threshold keeps"):
        choose_threshold([1, 0, 1, 0], [0.1, 0.9, 0.2, 0.8], precision_at_least=0.9)
    with pytest.raises(InvalidInput, match="one is needed"):
        choose_threshold([0, 1], [0.1, 0.9])
    with pytest.raises(InvalidInput, match="all labels are equal"):
        choose_threshold([1, 1], [0.1, 0.9], maximize="f1")
