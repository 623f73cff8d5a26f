"""Evaluating predictions of two classes: ranking, probabilities, decisions, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals, ranking
from mainspring.quality.evaluation.arrays import labels_of, numpy, probabilities_of, same_length, weights_of
from mainspring.quality.evaluation.binary_measures import BinaryRows, binary_measures, press, rows_of
from mainspring.quality.evaluation.bootstrap import Resampling, bootstrap_all
from mainspring.quality.evaluation.calibration import calibration_bins, recalibration, width_edges
from mainspring.quality.evaluation.slices import measures_of, row_measures, slice_metrics
from mainspring.quality.evaluation.types import Curve, Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["evaluate_binary", "precision_recall_curve", "roc_curve"]

_POINTS = 200  # of a curve; more cannot be seen


def evaluate_binary(
    labels: Any,
    scores: Any,
    *,
    threshold: float = 0.5,
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str | Sequence[str] = "auc",
    confidence: float = 0.95,
    interval: Literal["auto", "bca", "percentile"] = "auto",
    bins: int = 10,
    replicates: int = 1000,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted probabilities of the positive class.

    Args:
        labels: 0 and 1, or false and true, one per row.
        scores: Probabilities between 0 and 1, one per row.
        threshold: From which probability on a row is called positive.
        weights: How much each row counts.
        groups: Rows of the same group (a user, a day) are alike; they are drawn together in every bootstrap, and all
            intervals are then drawn.
        slices: Columns of `frame`, or arrays by name, on whose values the metric is taken apart; a text with a
            condition in SQL (`"age > 60 and carrier = 'AA'"`) is a slice too. With a `frame` and no `slices`, the
            columns that divide it sensibly are chosen.
        frame: The rows, as a polars DataFrame.
        slice_metric: `auc`, `log_loss`, `brier`, `accuracy`, `precision`, `recall`, `specificity` or
            `selection_rate`; of several the first orders the slices.
        confidence: Of every interval.
        interval: `auto` takes the cheapest that is right (Wilson, DeLong, normal, BCa), the others draw all.
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
    truth, said = labels_of(labels), probabilities_of(scores)
    count = same_length(labels=truth, scores=said)
    weight = weights_of(weights, rows=count)
    if not 2 <= bins <= 1000:
        raise InvalidInput(f"bins are between 2 and 1,000, not {bins}")
    method: Literal["bca", "percentile"] = "bca" if interval == "auto" else interval
    how = Resampling(confidence=confidence, replicates=replicates, seed=seed, method=method)
    order = numpy().argsort(said, kind="stable")
    rows = rows_of(truth, said, weight, order=order)
    exact = {} if interval != "auto" or groups is not None else _formulas(truth, said, weight, threshold, confidence)
    metrics, confusion = _metrics(rows, exact, how, threshold=threshold, bins=bins, groups=groups, order=order)
    make = row_measures(truth, said, weight, confidence=confidence, threshold=threshold)
    if weight is not None and slice_metric == "auc":
        slice_metric = "log_loss"  # DeLong's interval knows no weights, and slices must not take minutes
    by = measures_of(slice_metric, make)
    found = slice_metrics(by, slices, frame, rows=count, positives=truth == 1)
    return Evaluation(
        task="binary",
        count=count,
        positives=int(truth.sum()),
        metrics=metrics,
        threshold=threshold,
        confidence=confidence,
        calibration=calibration_bins(truth, said, weights=weight, bins=bins, confidence=confidence),
        calibration_metrics=recalibration(truth, said, weight, confidence),
        confusion=confusion,
        slice_metric=next(iter(by)) if found else "",
        slices=found,
        curves={"roc": roc_curve(rows), "precision_recall": precision_recall_curve(rows)},
        weighted=weight is not None,
        model=model,
        dataset=dataset,
    )


def _metrics(
    rows: BinaryRows,
    exact: Mapping[str, Estimate],
    how: Resampling,
    *,
    threshold: float,
    bins: int,
    groups: Any,
    order: Any,
) -> tuple[dict[str, Estimate], dict[str, int]]:
    """Every metric, with an interval from `exact` or drawn; and the counts of the confusion matrix."""
    from mainspring.quality.evaluation.arrays import codes_of

    np = numpy()
    edges, one = width_edges(bins), rows.units.weight
    clusters = None if groups is None else codes_of(groups, what="groups", rows=one.size)[0][order]
    cells = press(rows, borders=[threshold, *np.nextafter(edges, 2.0)], clusters=clusters)
    measures = binary_measures(rows, threshold=threshold, edges=edges)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = {name: float(measure(one)) for name, measure in measures.items() if name not in exact}
    values = {name: value if np.isfinite(value) else None for name, value in seen.items()}
    drawn = binary_measures(cells, threshold=threshold, edges=edges)
    limits = {name: (-1.0 if name == "mcc" else 0.0, np.inf if name == "log_loss" else 1.0) for name in drawn}
    drawn = {name: measure for name, measure in drawn.items() if name in values}
    found = bootstrap_all(drawn, cells.units, values, how, limits=limits)
    called, positive = rows.scores >= threshold, rows.labels == 1
    confusion = {
        "true_positive": int((called & positive).sum()),
        "false_negative": int((~called & positive).sum()),
        "false_positive": int((called & ~positive).sum()),
        "true_negative": int((~called & ~positive).sum()),
    }
    return {name: exact.get(name) or found[name] for name in measures}, confusion


def _formulas(
    truth: Floats, said: Floats, weight: Floats | None, threshold: float, confidence: float
) -> dict[str, Estimate]:
    """The metrics whose interval has a formula."""
    from mainspring.quality.evaluation.losses import log_losses

    called, positive = said >= threshold, truth == 1
    everyone = numpy().ones(truth.size, dtype=bool)
    over, under = 2.0 * (called & positive), called.astype(float) + positive
    found = {
        "log_loss": intervals.mean_estimate(log_losses(truth, said), confidence, least=0.0, weights=weight),
        "brier": intervals.mean_estimate((said - truth) ** 2, confidence, least=0.0, weights=weight),
        "accuracy": intervals.share_estimate(called == positive, everyone, weight, confidence),
        "precision": intervals.share_estimate(positive, called, weight, confidence),
        "recall": intervals.share_estimate(called, positive, weight, confidence),
        "specificity": intervals.share_estimate(~called, ~positive, weight, confidence),
        "f1": intervals.ratio_estimate(over, under, confidence, least=0.0, most=1.0, weights=weight),
        "prevalence": intervals.share_estimate(positive, everyone, weight, confidence),
        "selection_rate": intervals.share_estimate(called, everyone, weight, confidence),
    }
    if weight is None:
        found["auc"] = ranking.auc_estimate(truth, said, confidence)
    return found


def roc_curve(rows: BinaryRows) -> Curve:
    """False and true positive rates at every threshold, thinned to what can be seen; empty with one class only."""
    np = numpy()
    positive, negative, at = _cumulated(rows)
    if not positive[-1] or not negative[-1]:
        return Curve((), ())
    x, y = negative / negative[-1], positive / positive[-1]
    return _thinned(np.append([0.0], x), np.append([0.0], y), np.append([np.nextafter(at[0], 2.0)], at))


def precision_recall_curve(rows: BinaryRows) -> Curve:
    """Recall and precision at every threshold, thinned to what can be seen; empty without positives."""
    positive, negative, at = _cumulated(rows)
    if not positive[-1]:
        return Curve((), ())
    seen = positive + negative
    kept = seen > 0
    return _thinned(positive[kept] / positive[-1], positive[kept] / seen[kept], at[kept])


def _cumulated(rows: BinaryRows) -> tuple[Floats, Floats, Floats]:
    """Weights of positives and negatives at or above each distinct score, from the highest down."""
    np = numpy()
    starts = np.append([0], rows.ends[:-1] + 1)
    weight = rows.units.weight
    parts = [np.add.reduceat(weight * each, starts)[::-1] for each in (rows.labels, 1 - rows.labels)]
    return np.cumsum(parts[0]), np.cumsum(parts[1]), rows.scores[starts][::-1]


def _thinned(x: Floats, y: Floats, at: Floats) -> Curve:
    np = numpy()
    if x.size > _POINTS:
        way = np.append([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        kept = np.searchsorted(way, np.linspace(0, way[-1], _POINTS))
        kept = np.unique(np.append(np.minimum(kept, x.size - 1), [0, x.size - 1]))
        x, y, at = x[kept], y[kept], at[kept]
    return Curve(*(tuple(np.round(each, 6).tolist()) for each in (x, y, at)))
