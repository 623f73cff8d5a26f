"""Evaluating predicted numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import numbers_of, numpy, same_length
from mainspring.quality.evaluation.slices import slice_metrics
from mainspring.quality.evaluation.types import Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["evaluate_regression"]


def evaluate_regression(
    labels: Any,
    predictions: Any,
    *,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str = "mae",
    confidence: float = 0.95,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted numbers; arguments as in `evaluate_binary`. `slice_metric`: `mae`, `mse` or `bias`.

    Example:
        >>> evaluate_regression([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])["mae"].value
        0.3333333333333333
    """
    truth, predicted = numbers_of(labels, what="labels"), numbers_of(predictions, what="predictions")
    count = same_length(labels=truth, predictions=predicted)
    error = predicted - truth
    squares = error**2
    mse = intervals.mean_estimate(squares, confidence, least=0.0)
    metrics = {
        "mae": intervals.mean_estimate(abs(error), confidence, least=0.0),
        "mse": mse,
        "rmse": _rooted(mse),
        "bias": intervals.mean_estimate(error, confidence),
        "r2": _explained(truth, squares, confidence),
        "median_absolute_error": _median(abs(error), confidence),
    }
    if (truth != 0).all():
        metrics["mape"] = intervals.mean_estimate(abs(error / truth), confidence, least=0.0)
    found = slice_metrics(
        {"labels": truth, "scores": predicted}, slices, frame, metric=slice_metric, confidence=confidence
    )
    return Evaluation(
        task="regression", count=count, metrics=metrics, confidence=confidence,
        slice_metric=slice_metric if found else "", slices=found, model=model, dataset=dataset,
    )  # fmt: skip


def _rooted(mse: Estimate) -> Estimate:
    ends = [math.sqrt(end) if end is not None else None for end in (mse.value, mse.low, mse.high)]
    error = mse.standard_error / (2 * ends[0]) if ends[0] and mse.standard_error is not None else mse.standard_error
    return Estimate(ends[0], ends[1], ends[2], error, "square root of the interval of mse")


def _explained(truth: Floats, squares: Floats, confidence: float) -> Estimate:
    unexplained = intervals.ratio_estimate(squares, (truth - truth.mean()) ** 2, confidence, least=0.0)
    if unexplained.value is None or unexplained.low is None or unexplained.high is None:
        return Estimate(None)
    return Estimate(
        1 - unexplained.value, 1 - unexplained.high, 1 - unexplained.low, unexplained.standard_error, "linearised"
    )


def _median(values: Floats, confidence: float) -> Estimate:
    """The interval between two order statistics, by the binomial law of ranks."""
    np = numpy()
    ordered, size = np.sort(values), values.size
    half = intervals.critical(confidence) * math.sqrt(size) / 2
    low, high = max(0, math.floor(size / 2 - half)), min(size - 1, math.ceil(size / 2 + half))
    return Estimate(float(np.median(ordered)), float(ordered[low]), float(ordered[high]), None, "order statistics")
