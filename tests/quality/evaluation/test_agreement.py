"""Every value of every task is scikit-learn's, with and without weights."""

from __future__ import annotations

import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import (
    evaluate_binary,
    evaluate_multiclass,
    evaluate_multilabel,
    evaluate_quantiles,
    evaluate_regression,
)

np = pytest.importorskip("numpy")
sk = pytest.importorskip("sklearn.metrics")

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.fixture(params=[None, "weights"])
def heavy(request):
    return (lambda size: None) if request.param is None else (lambda size: np.random.default_rng(9).random(size) * 3)


@pytest.mark.parametrize("size", [60, 5000])
def test_two_classes(size, heavy):
    random = np.random.default_rng(size)
    labels = (random.random(size) < 0.3).astype(int)
    scores = np.round(1 / (1 + np.exp(-(random.normal(size=size) + labels - 0.5))), 3)
    weights = heavy(size)
    called = scores >= 0.4
    found = evaluate_binary(labels, scores, threshold=0.4, weights=weights, replicates=2)
    w = {"sample_weight": weights}
    expected = {
        "auc": sk.roc_auc_score(labels, scores, **w),
        "average_precision": sk.average_precision_score(labels, scores, **w),
        "log_loss": sk.log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15), **w),
        "brier": sk.brier_score_loss(labels, scores, **w),
        "accuracy": sk.accuracy_score(labels, called, **w),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called, **w),
        "precision": sk.precision_score(labels, called, **w),
        "recall": sk.recall_score(labels, called, **w),
        "specificity": sk.recall_score(labels, called, pos_label=0, **w),
        "f1": sk.f1_score(labels, called, **w),
        "mcc": sk.matthews_corrcoef(labels, called, **w),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, **CLOSE), name
        assert found[name].low <= value + 1e-12, name
        assert found[name].high >= value - 1e-12, name
    x, y, _ = sk.roc_curve(labels, scores, **w)
    curve = found.curves["roc"]
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(expected["auc"], abs=2e-3)
    assert np.interp(0.2, curve.x, curve.y) == pytest.approx(np.interp(0.2, x, y), abs=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_several_classes(seed, heavy):
    random = np.random.default_rng(seed)
    size, classes = 300, ["b", "a", "d", "c"]
    codes = random.integers(0, 4, size)
    scores = np.exp(random.normal(size=(size, 4)) + np.eye(4)[codes])
    scores = scores / scores.sum(axis=1, keepdims=True)
    weights = heavy(size)
    labels = [classes[code] for code in codes]
    found = evaluate_multiclass(labels, scores, classes=classes, weights=weights, replicates=2)
    called, w = scores.argmax(axis=1), {"sample_weight": weights}
    expected = {
        "accuracy": sk.accuracy_score(codes, called, **w),
        "balanced_accuracy": sk.balanced_accuracy_score(codes, called, **w),
        "mcc": sk.matthews_corrcoef(codes, called, **w),
        "cohen_kappa": sk.cohen_kappa_score(codes, called, **w),
        "log_loss": sk.log_loss(codes, scores, **w),
        "brier": sk.brier_score_loss(codes, scores, **w),
        "top_k_accuracy@2": sk.top_k_accuracy_score(codes, scores, k=2, **w),
        "top_k_accuracy@3": sk.top_k_accuracy_score(codes, scores, k=3, **w),
    }
    for average in ("macro", "micro", "weighted"):
        for name in ("precision", "recall", "f1"):
            expected[f"{name}_{average}"] = getattr(sk, f"{name}_score")(codes, called, average=average, **w)
    for average in ("macro", "weighted"):
        expected[f"auc_ovr_{average}"] = sk.roc_auc_score(codes, scores, multi_class="ovr", average=average, **w)
        if weights is None:
            expected[f"auc_ovo_{average}"] = sk.roc_auc_score(codes, scores, multi_class="ovo", average=average)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, **CLOSE), name
    precision = sk.precision_score(codes, called, average=None, **w)
    recall = sk.recall_score(codes, called, average=None, **w)
    for at, name in enumerate(classes):
        assert found.by_class[name]["precision"].value == pytest.approx(precision[at], **CLOSE)
        assert found.by_class[name]["recall"].value == pytest.approx(recall[at], **CLOSE)
    assert np.allclose(found.matrix, sk.confusion_matrix(codes, called, **w))


def test_a_class_that_nobody_predicts_or_has():
    scores = [[0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]]
    labels = [0, 0, 1, 1]
    found = evaluate_multiclass(labels, scores, classes=[0, 1, 2], replicates=2)
    called = np.argmax(scores, axis=1)
    assert found["f1_macro"].value == pytest.approx(sk.f1_score(labels, called, average="macro"))
    assert found["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(labels, called))
    assert found.by_class["2"]["recall"].value is None
    assert found["auc_ovr_macro"].value is None


def test_the_interval_of_an_average_of_areas_is_that_of_the_bootstrap():
    random = np.random.default_rng(3)
    codes = random.integers(0, 3, 400)
    scores = np.exp(random.normal(size=(400, 3)) + np.eye(3)[codes])
    scores = scores / scores.sum(axis=1, keepdims=True)
    found = evaluate_multiclass(codes, scores, replicates=2)
    for name, kind in (("auc_ovr_macro", "ovr"), ("auc_ovo_macro", "ovo")):
        draws = []
        for _ in range(100):
            rows = random.integers(0, 400, 400)
            draws.append(sk.roc_auc_score(codes[rows], scores[rows], multi_class=kind))
        assert found[name].standard_error == pytest.approx(np.std(draws), rel=0.25)


def test_several_labels(heavy):
    random = np.random.default_rng(7)
    labels = (random.random((400, 3)) < [0.2, 0.5, 0.7]).astype(int)
    scores = 1 / (1 + np.exp(-(random.normal(size=(400, 3)) + 2 * labels - 1)))
    weights = heavy(400)
    found = evaluate_multilabel(labels, scores, weights=weights, replicates=2)
    called, w = (scores >= 0.5).astype(int), {"sample_weight": weights}
    expected = {
        "subset_accuracy": sk.accuracy_score(labels, called, **w),
        "hamming_loss": sk.hamming_loss(labels, called, **w),
        "jaccard_samples": sk.jaccard_score(labels, called, average="samples", zero_division=0, **w),
        "f1_samples": sk.f1_score(labels, called, average="samples", zero_division=0, **w),
        "f1_micro": sk.f1_score(labels, called, average="micro", **w),
        "f1_macro": sk.f1_score(labels, called, average="macro", **w),
        "precision_micro": sk.precision_score(labels, called, average="micro", **w),
        "recall_micro": sk.recall_score(labels, called, average="micro", **w),
        "auc_macro": sk.roc_auc_score(labels, scores, average="macro", **w),
        "auc_micro": sk.roc_auc_score(labels, scores, average="micro", **w),
        "average_precision_macro": sk.average_precision_score(labels, scores, average="macro", **w),
        "average_precision_micro": sk.average_precision_score(labels, scores, average="micro", **w),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, **CLOSE), name


def test_numbers(heavy):
    random = np.random.default_rng(5)
    truth = random.gamma(2, 2, 501)
    guess = np.abs(truth + random.normal(0.1, 0.5, 501))
    weights = heavy(501)
    found, w = evaluate_regression(truth, guess, weights=weights), {"sample_weight": weights}
    expected = {
        "mae": sk.mean_absolute_error(truth, guess, **w),
        "mse": sk.mean_squared_error(truth, guess, **w),
        "rmse": sk.root_mean_squared_error(truth, guess, **w),
        "r2": sk.r2_score(truth, guess, **w),
        "explained_variance": sk.explained_variance_score(truth, guess, **w),
        "median_absolute_error": sk.median_absolute_error(truth, guess, **w),
        "mape": sk.mean_absolute_percentage_error(truth, guess, **w),
        "rmsle": sk.root_mean_squared_log_error(truth, guess, **w),
        "max_error": sk.max_error(truth, guess),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, **CLOSE), name


def test_quantiles(heavy):
    random = np.random.default_rng(6)
    truth = random.normal(size=4000)
    bounds = {0.1: np.full(4000, -1.2815515655), 0.5: np.zeros(4000), 0.9: np.full(4000, 1.2815515655)}
    weights = heavy(4000)
    found = evaluate_quantiles(truth, bounds, weights=weights)
    for each, column in bounds.items():
        expected = sk.mean_pinball_loss(truth, column, alpha=each, sample_weight=weights)
        assert found[f"pinball@{each:g}"].value == pytest.approx(expected, **CLOSE)
        assert found[f"coverage@{each:g}"].low <= each <= found[f"coverage@{each:g}"].high
    assert found["interval_coverage@0.8"].low < 0.8 < found["interval_coverage@0.8"].high
    assert found["interval_width@0.8"].value == pytest.approx(2 * 1.2815515655)
    assert found["crossing"].value == 0
    assert found["mae"].value == pytest.approx(2 * found["pinball@0.5"].value)
    wide = evaluate_quantiles(truth, np.stack([np.full(4000, -3.0), np.full(4000, 3.0)], 1), quantiles=[0.1, 0.9])
    assert wide["interval_score@0.8"].value > found["interval_score@0.8"].value
    crossed = evaluate_quantiles(truth, {0.1: bounds[0.9], 0.9: bounds[0.1]})
    assert crossed["crossing"].value == 1
    with pytest.raises(InvalidInput, match="quantiles for"):
        evaluate_quantiles(truth, np.zeros((4000, 2)), quantiles=[0.9, 0.1])


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([0, 1], [[0.5, 0.5]], "rows"),
        ([0, 1], [[0.5, 0.4], [0.5, 0.5]], "sum to 1"),
        ([0, 3], [[0.5, 0.5], [0.5, 0.5]], "none of the classes"),
        (["a", None], [[0.5, 0.5], [0.5, 0.5]], "missing"),
        (["a", "b", "c"], [[0.5, 0.5]] * 3, "classes for 2 columns"),
    ],
)
def test_what_is_no_task_of_several_classes_is_refused(labels, scores, words):
    with pytest.raises(InvalidInput, match=words):
        evaluate_multiclass(labels, scores, classes=[0, 1] if labels == [0, 3] else None)
