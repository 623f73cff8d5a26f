"""Metrics of a classifier as expectations over calibrated probabilities, and as what labels say; one class at a time.

Where `c` is the probability that a row is of the class, a predicted row adds `c` to the true positives and `1 - c` to
the false ones. So every entry of the confusion matrix has an expectation without a label, and every metric follows.
"""

from __future__ import annotations

from typing import Any

__all__ = ["METRICS", "estimated", "realized", "sampling"]

METRICS = (
    "roc_auc",
    "average_precision",
    "f1",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "true_positive",
    "true_negative",
    "false_positive",
    "false_negative",
)
"""By name; the last four are the confusion matrix, as shares of the rows."""

_RANKED = {"roc_auc", "average_precision"}
_RESAMPLES = 50


def estimated(metric: str, calibrated: Any, scores: Any, predicted: Any) -> float:
    """The expectation of a metric.

    Args:
        metric: One of `METRICS`.
        calibrated: The probability of the class, row by row.
        scores: What the model said, by which rows are ranked.
        predicted: Whether the class was predicted; not asked for metrics of the ranking.
    """
    if metric in _RANKED:
        return _ranked(metric, calibrated, scores)
    yes = predicted.astype(bool)
    counts = {
        "true_positive": float(calibrated[yes].sum()),
        "false_positive": float((1 - calibrated[yes]).sum()),
        "false_negative": float(calibrated[~yes].sum()),
        "true_negative": float((1 - calibrated[~yes]).sum()),
    }
    return _of_counts(metric, counts)


def realized(metric: str, truth: Any, scores: Any, predicted: Any) -> float:
    """The metric from labels; NaN where it is not defined."""
    from sklearn import metrics

    if metric == "roc_auc":
        return float(metrics.roc_auc_score(truth, scores)) if 0 < truth.sum() < len(truth) else float("nan")
    if metric == "average_precision":
        return float(metrics.average_precision_score(truth, scores)) if truth.sum() else float("nan")
    return estimated(metric, truth.astype(float), scores, predicted)


def _of_counts(metric: str, counts: dict[str, float]) -> float:
    tp, fp = counts["true_positive"], counts["false_positive"]
    fn, tn = counts["false_negative"], counts["true_negative"]
    if metric in counts:
        return counts[metric] / (tp + fp + fn + tn)
    parts = {
        "f1": (2 * tp, 2 * tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, tp + fp + fn + tn),
    }
    above, below = parts[metric]
    return above / below if below else 0.0


def _ranked(metric: str, calibrated: Any, scores: Any) -> float:
    """The areas under the curves that expected positives make, from the highest score down."""
    import numpy as np

    order = np.argsort(scores)[::-1]
    positives = np.cumsum(calibrated[order])
    places = np.arange(1, len(order) + 1)
    negatives = places - positives
    if positives[-1] <= 0 or negatives[-1] <= 0:
        return float("nan")
    if metric == "average_precision":
        return float((np.diff(positives, prepend=0.0) * positives / places).sum() / positives[-1])
    return float(np.trapezoid(np.r_[0, positives], np.r_[0, negatives]) / (positives[-1] * negatives[-1]))


def sampling(metric: str, truth: Any, scores: Any, predicted: Any, *, seed: int = 0) -> float:
    """What is the standard error of a metric, when divided by the root of the rows; from the reference's labels."""
    import numpy as np

    if metric == "roc_auc":
        return _area_spread(truth.astype(bool), scores)
    if metric == "average_precision":
        draw = np.random.default_rng(seed)
        size = min(len(truth) // 2, 50_000)
        picks = (draw.integers(0, len(truth), size) for _ in range(_RESAMPLES))
        values = [realized(metric, truth[pick], scores[pick], predicted) for pick in picks]
        return float(np.nanstd(values) * np.sqrt(size))
    if metric == "accuracy":
        right = float((truth.astype(bool) == predicted.astype(bool)).mean())
        return float(np.sqrt(right * (1 - right)))
    yes, real = predicted.astype(bool), truth.astype(bool)
    tp, fp = float((yes & real).mean()), float((yes & ~real).mean())
    fn, tn = float((~yes & real).mean()), float((~yes & ~real).mean())
    relevant = {"f1": (tp, tp + fp + fn), "precision": (tp, tp + fp), "recall": (tp, tp + fn),
                "specificity": (tn, tn + fp), "true_positive": (tp, 1.0), "true_negative": (tn, 1.0),
                "false_positive": (fp, 1.0), "false_negative": (fn, 1.0)}  # fmt: skip
    held, whole = relevant[metric]
    if not whole:
        return float("nan")
    share = held / whole
    scale = whole / (tp + (fp + fn) / 2) if metric == "f1" and tp + fp + fn else 1.0
    return float(scale * np.sqrt(share * (1 - share) / whole))


def _area_spread(real: Any, scores: Any) -> float:
    """Of the area as a mean over the rarer class: of each of its rows, the share of the other that ranks below."""
    import numpy as np

    if real.mean() > 0.5:
        real, scores = ~real, -scores
    places = np.flatnonzero(real[np.argsort(scores)])
    if not len(places):
        return float("nan")
    below = (places - np.arange(len(places))) / max(len(real) - len(places), 1)
    return float(below.std() / np.sqrt(len(places) / len(real)))
