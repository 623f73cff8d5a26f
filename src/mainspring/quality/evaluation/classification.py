"""Evaluating predictions of two classes: ranking, probabilities, decisions, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals, ranking
from mainspring.quality.evaluation.arrays import labels_of, numbers_of, numpy, same_length
from mainspring.quality.evaluation.losses import log_losses
from mainspring.quality.evaluation.slices import slice_metrics
from mainspring.quality.evaluation.types import CalibrationBin, Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["calibration_bins", "evaluate_binary"]


def evaluate_binary(
    labels: Any,
    scores: Any,
    *,
    threshold: float = 0.5,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str = "auc",
    confidence: float = 0.95,
    bins: int = 10,
    replicates: int = 200,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted probabilities of the positive class.

    Args:
        labels: 0 and 1, or false and true, one per row.
        scores: Probabilities between 0 and 1, one per row.
        threshold: From which probability on a row is called positive.
        slices: Columns of `frame`, or arrays by name, on whose values the metric is taken apart. With a `frame`
            and no `slices`, the columns that divide it sensibly are chosen.
        frame: The rows, as a polars DataFrame.
        slice_metric: `auc`, `log_loss`, `brier` or `accuracy`.
        confidence: Of every interval.
        bins: Of the calibration table and the calibration error.
        replicates: Of the bootstrap, for what has no formula.
        seed: Of the bootstrap.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> found = evaluate_binary([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> found["auc"].value, found["accuracy"].value
        (0.75, 0.75)
    """
    truth, probability = labels_of(labels), numbers_of(scores, what="scores")
    count = same_length(labels=truth, scores=probability)
    if probability.min() < 0 or probability.max() > 1:
        raise InvalidInput(
            f"scores lie between {probability.min():.4g} and {probability.max():.4g}, not between 0 and 1",
            hint="pass probabilities of the positive class",
        )
    calibration = calibration_bins(truth, probability, bins=bins, confidence=confidence)
    metrics: dict[str, Estimate] = {
        "auc": ranking.auc_estimate(truth, probability, confidence),
        "average_precision": ranking.average_precision_estimate(
            truth, probability, confidence, replicates=replicates, seed=seed
        ),
        "log_loss": intervals.mean_estimate(log_losses(truth, probability), confidence, least=0.0),
        "brier": intervals.mean_estimate((probability - truth) ** 2, confidence, least=0.0),
        "ece": _calibration_error(
            truth, probability, bins=bins, confidence=confidence, replicates=replicates, seed=seed
        ),
    }
    decisions, confusion = _decisions(truth, probability >= threshold, confidence)
    found = slice_metrics(
        {"labels": truth, "scores": probability}, slices, frame, metric=slice_metric, confidence=confidence,
        threshold=threshold,
    )  # fmt: skip
    return Evaluation(
        task="binary",
        count=count,
        positives=int(truth.sum()),
        metrics=metrics | decisions,
        threshold=threshold,
        confidence=confidence,
        calibration=calibration,
        confusion=confusion,
        slice_metric=slice_metric if found else "",
        slices=found,
        model=model,
        dataset=dataset,
    )


def calibration_bins(
    labels: Floats, scores: Floats, *, bins: int = 10, confidence: float = 0.95
) -> tuple[CalibrationBin, ...]:
    """Rows in bins of equal count by score: the mean score beside the share of positives."""
    np = numpy()
    found = []
    for rows in _equal_bins(scores, bins):
        hits, count = int(labels[rows].sum()), int(rows.size)
        low, high = intervals.wilson(hits, count, confidence)
        inside = scores[rows]
        ends = float(inside.min()), float(inside.max())
        found.append(CalibrationBin(*ends, count, float(np.mean(inside)), hits / count, low, high))
    return tuple(found)


def _equal_bins(scores: Floats, bins: int) -> list[Any]:
    """Row numbers of each bin; equal scores are never divided, so that bins do not depend on the order of rows."""
    np = numpy()
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, scores, side="left")
    return [rows for number in range(edges.size + 1) if (rows := np.flatnonzero(place == number)).size]


def _calibration_error(
    labels: Floats, scores: Floats, *, bins: int, confidence: float, replicates: int, seed: int
) -> Estimate:
    """Expected calibration error over bins of equal count; the bootstrap keeps the bins."""
    np = numpy()
    place = np.empty(labels.size, dtype=np.int64)
    for number, rows in enumerate(_equal_bins(scores, bins)):
        place[rows] = number
    gap = labels - scores

    def statistic(weights: Floats) -> float:
        return float(np.abs(np.bincount(place, weights=weights * gap)).sum() / weights.sum())

    value = statistic(np.ones(labels.size))
    return intervals.bootstrap(
        statistic,
        labels.size,
        confidence=confidence,
        value=value,
        replicates=replicates,
        seed=seed,
        least=0.0,
        most=1.0,
    )


def _decisions(labels: Floats, called: Any, confidence: float) -> tuple[dict[str, Estimate], dict[str, int]]:
    positive = labels == 1
    hit, missed = int((called & positive).sum()), int((~called & positive).sum())
    false, clear = int((called & ~positive).sum()), int((~called & ~positive).sum())
    over, under = 2.0 * (called & positive), called.astype(float) + positive
    estimates = {
        "accuracy": intervals.wilson_estimate(hit + clear, labels.size, confidence),
        "precision": intervals.wilson_estimate(hit, hit + false, confidence),
        "recall": intervals.wilson_estimate(hit, hit + missed, confidence),
        "specificity": intervals.wilson_estimate(clear, clear + false, confidence),
        "f1": intervals.ratio_estimate(over, under, confidence, least=0.0, most=1.0),
        "prevalence": intervals.wilson_estimate(int(positive.sum()), labels.size, confidence),
    }
    confusion = {"true_positive": hit, "false_negative": missed, "false_positive": false, "true_negative": clear}
    return estimates, confusion
