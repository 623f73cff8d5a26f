"""Evaluating predicted numbers: point predictions, quantiles, intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import matrix_of, numbers_of, numpy, same_length, weights_of
from mainspring.quality.evaluation.bootstrap import Measure, Resampling, Units, bootstrap_all
from mainspring.quality.evaluation.slices import measures_of, row_measures, slice_metrics
from mainspring.quality.evaluation.types import Curve, Estimate, Evaluation

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["evaluate_quantiles", "evaluate_regression", "pinball_losses"]

_BINS = 40
_POINTS = 400


def evaluate_regression(
    labels: Any,
    predictions: Any,
    *,
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    slice_metric: str | Sequence[str] = "mae",
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted numbers; arguments as in `evaluate_binary`. `slice_metric`: `mae`, `mse` or `bias`.

    With `groups` the intervals of the means are drawn, by whole groups; otherwise they have formulas.

    Example:
        >>> evaluate_regression([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])["mae"].value
        0.3333333333333333
    """
    truth, predicted = numbers_of(labels, what="labels"), numbers_of(predictions, what="predictions")
    count = same_length(labels=truth, predictions=predicted)
    weight = weights_of(weights, rows=count)
    metrics = _metrics(truth, predicted, weight, confidence)
    if groups is not None:
        how = Resampling(confidence=confidence, replicates=replicates, seed=seed)
        metrics |= _by_groups(truth, predicted, weight, groups, metrics, how)
    by = measures_of(slice_metric, row_measures(truth, predicted, weight, confidence=confidence))
    found = slice_metrics(by, slices, frame, rows=count)
    return Evaluation(
        task="regression", count=count, metrics=metrics, confidence=confidence,
        slice_metric=next(iter(by)) if found else "", slices=found, model=model, dataset=dataset,
        curves=_curves(truth, predicted), weighted=weight is not None,
    )  # fmt: skip


def _metrics(truth: Floats, predicted: Floats, weight: Floats | None, confidence: float) -> dict[str, Estimate]:
    np = numpy()
    error = predicted - truth
    squares = error**2
    mse = intervals.mean_estimate(squares, confidence, least=0.0, weights=weight)
    mean = np.average(truth, weights=weight)
    metrics = {
        "mae": intervals.mean_estimate(abs(error), confidence, least=0.0, weights=weight),
        "mse": mse,
        "rmse": _rooted(mse),
        "bias": intervals.mean_estimate(error, confidence, weights=weight),
        "r2": _explained(squares, (truth - mean) ** 2, confidence, weight),
        "explained_variance": _explained(
            (error - np.average(error, weights=weight)) ** 2, (truth - mean) ** 2, confidence, weight
        ),
        "median_absolute_error": _median(abs(error), weight, confidence),
        "max_error": Estimate(float(abs(error).max())),
    }
    if (truth != 0).all():
        metrics["mape"] = intervals.mean_estimate(abs(error / truth), confidence, least=0.0, weights=weight)
    if truth.min() > -1 and predicted.min() > -1:
        logs = (np.log1p(predicted) - np.log1p(truth)) ** 2
        metrics["rmsle"] = _rooted(intervals.mean_estimate(logs, confidence, least=0.0, weights=weight))
    return metrics


def _by_groups(
    truth: Floats,
    predicted: Floats,
    weight: Floats | None,
    groups: Any,
    metrics: Mapping[str, Estimate],
    how: Resampling,
) -> dict[str, Estimate]:
    from mainspring.quality.evaluation.arrays import codes_of

    np = numpy()
    error = predicted - truth
    codes = codes_of(groups, what="groups", rows=truth.size)[0]
    heavy = np.ones(truth.size) if weight is None else weight
    columns = np.stack([abs(error), error**2, error, truth, truth**2], axis=1)
    size = int(codes.max()) + 1
    sums = np.stack([np.bincount(codes, heavy * each, size) for each in columns.T], axis=1)
    total = np.bincount(codes, heavy, size)

    def mean(at: int) -> Measure:
        return lambda w: w @ sums[:, at] / (w @ total)

    def unexplained(w: Any) -> Any:
        mass = w @ total
        return 1 - (w @ sums[:, 1]) / (w @ sums[:, 4] - (w @ sums[:, 3]) ** 2 / mass)

    measures: dict[str, Measure] = {
        "mae": mean(0), "mse": mean(1), "rmse": lambda w: np.sqrt(mean(1)(w)), "bias": mean(2), "r2": unexplained,
    }  # fmt: skip
    values = {name: metrics[name].value for name in measures}
    limits = dict.fromkeys(("mae", "mse", "rmse"), (0.0, math.inf))
    return bootstrap_all(measures, Units(np.ones(size)), values, how, limits=limits)


def pinball_losses(truth: Floats, predicted: Floats, quantile: float) -> Floats:
    """The loss of each row whose least mean is at the quantile (Koenker and Bassett 1978)."""
    np = numpy()
    gap = truth - predicted
    return np.maximum(quantile * gap, (quantile - 1) * gap)  # type: ignore[no-any-return]  # numpy is loaded at run time


def evaluate_quantiles(
    labels: Any,
    predictions: Mapping[float, Any] | Any,
    *,
    quantiles: Sequence[float] | None = None,
    weights: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    confidence: float = 0.95,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate predicted quantiles, and the intervals between pairs of them.

    Gives `pinball` (the mean over the quantiles) and `pinball@q` each; `coverage@q`, the share of labels at or below;
    for each symmetric pair `interval_coverage@p`, `interval_width@p`, `interval_score@p` (Gneiting and Raftery 2007);
    and `crossing`, the share of rows whose quantiles are not in their order. The median gives `mae` too.

    Args:
        labels: Numbers, one per row.
        predictions: The predictions by quantile (`{0.1: ..., 0.5: ..., 0.9: ...}`), or rows by `quantiles`.
        quantiles: Of the columns of `predictions`, when it is not a mapping.
        weights: How much each row counts.
        slices: As in `evaluate_binary`; by the mean pinball loss.
        frame: The rows, as a polars DataFrame.
        confidence: Of every interval.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> found = evaluate_quantiles([1.0, 2.0, 3.0, 4.0], {0.1: [0.5] * 4, 0.9: [3.5] * 4})
        >>> found["interval_coverage@0.8"].value, found["interval_width@0.8"].value
        (0.75, 3.0)
    """
    np = numpy()
    truth = numbers_of(labels, what="labels")
    if isinstance(predictions, Mapping):
        asked = sorted(float(each) for each in predictions)
        table = np.stack([numbers_of(predictions[each], what=f"quantile {each}") for each in sorted(predictions)], 1)
    else:
        asked, table = [float(each) for each in quantiles or ()], matrix_of(predictions, what="predictions")
    same_length(labels=truth, predictions=table)
    if not asked or len(asked) != table.shape[1] or sorted(set(asked)) != asked or not 0 < asked[0] <= asked[-1] < 1:
        raise InvalidInput(
            f"{len(asked)} quantiles for {table.shape[1]} columns; they rise and lie between 0 and 1: {asked[:9]}"
        )
    weight = weights_of(weights, rows=truth.size)
    everyone = np.ones(truth.size, dtype=bool)
    losses = np.stack([pinball_losses(truth, table[:, at], each) for at, each in enumerate(asked)], axis=1)
    metrics = {"pinball": intervals.mean_estimate(losses.mean(axis=1), confidence, least=0.0, weights=weight)}
    for at, each in enumerate(asked):
        metrics[f"pinball@{each:g}"] = intervals.mean_estimate(losses[:, at], confidence, least=0.0, weights=weight)
        metrics[f"coverage@{each:g}"] = intervals.share_estimate(truth <= table[:, at], everyone, weight, confidence)
        if each == 0.5:
            metrics["mae"] = intervals.mean_estimate(abs(truth - table[:, at]), confidence, least=0.0, weights=weight)
    metrics |= _pairs(truth, table, asked, weight, confidence)
    crossed = (np.diff(table, axis=1) < 0).any(axis=1) if len(asked) > 1 else ~everyone
    metrics["crossing"] = intervals.share_estimate(crossed, everyone, weight, confidence)

    def mean(rows: Any) -> Estimate:
        heavy = None if weight is None else weight[rows]
        return intervals.mean_estimate(losses[rows].mean(axis=1), confidence, weights=heavy)

    found = slice_metrics({"pinball": mean}, slices, frame, rows=truth.size)
    reached = tuple(float(metrics[f"coverage@{each:g}"].value or 0.0) for each in asked)
    return Evaluation(
        task="quantile", count=truth.size, metrics=metrics, confidence=confidence, slices=found,
        slice_metric="pinball" if found else "", curves={"coverage": Curve(tuple(asked), reached)},
        weighted=weight is not None, model=model, dataset=dataset,
    )  # fmt: skip


def _pairs(
    truth: Floats, table: Floats, asked: Sequence[float], weight: Floats | None, confidence: float
) -> dict[str, Estimate]:
    np = numpy()
    found: dict[str, Estimate] = {}
    for at, low in enumerate(asked):
        other = next((place for place, high in enumerate(asked) if abs(low + high - 1) < 1e-9 and high > low), None)
        if other is None:
            continue
        lower, upper, left = table[:, at], table[:, other], 2 * low
        inside = (lower <= truth) & (truth <= upper)
        outside = 2 / left * (np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0))
        name = f"@{1 - left:g}"
        found[f"interval_coverage{name}"] = intervals.share_estimate(inside, inside | True, weight, confidence)
        found[f"interval_width{name}"] = intervals.mean_estimate(upper - lower, confidence, weights=weight)
        found[f"interval_score{name}"] = intervals.mean_estimate(upper - lower + outside, confidence, weights=weight)
    return found


def _rooted(mse: Estimate) -> Estimate:
    ends = [math.sqrt(end) if end is not None else None for end in (mse.value, mse.low, mse.high)]
    error = mse.standard_error / (2 * ends[0]) if ends[0] and mse.standard_error is not None else mse.standard_error
    return Estimate(ends[0], ends[1], ends[2], error, "square root of the interval of mse")


def _explained(squares: Floats, spread: Floats, confidence: float, weight: Floats | None) -> Estimate:
    unexplained = intervals.ratio_estimate(squares, spread, confidence, least=0.0, weights=weight)
    if unexplained.value is None or unexplained.low is None or unexplained.high is None:
        return Estimate(None if unexplained.value is None else 1 - unexplained.value)
    return Estimate(
        1 - unexplained.value, 1 - unexplained.high, 1 - unexplained.low, unexplained.standard_error, "linearised"
    )


def _median(values: Floats, weight: Floats | None, confidence: float) -> Estimate:
    """The interval between two order statistics, by the binomial law of ranks (of effective rows, with weights)."""
    np = numpy()
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    mass = np.ones(values.size) if weight is None else weight[order]
    share = np.cumsum(mass) / mass.sum()
    effective = float(mass.sum() ** 2 / (mass**2).sum())
    half = intervals.critical(confidence) / (2 * math.sqrt(effective))
    low, high = np.searchsorted(share, [max(0.5 - half, 0.0), min(0.5 + half, 1.0)], side="left")
    if weight is None:
        middle = float(np.median(ordered))
    else:
        at = int(np.searchsorted(share, 0.5 - 1e-12, side="left"))
        even = abs(share[at] - 0.5) < 1e-12 and at + 1 < ordered.size  # half of the mass lies on either side
        middle = float((ordered[at] + ordered[at + 1]) / 2 if even else ordered[at])
    ends = ordered[[max(int(low) - 1, 0), min(int(high), values.size - 1)]]
    return Estimate(middle, min(float(ends[0]), middle), max(float(ends[1]), middle), None, "order statistics")


def _curves(truth: Floats, predicted: Floats) -> dict[str, Curve]:
    """The residuals as a histogram (`x` the left ends and the last right end), and some rows to draw."""
    np = numpy()
    residuals = predicted - truth
    low, high = np.quantile(residuals, [0.001, 0.999])
    counts, edges = np.histogram(np.clip(residuals, low, high), bins=_BINS if high > low else 1)
    kept = np.linspace(0, truth.size - 1, min(_POINTS, truth.size)).astype(np.int64)
    kept = np.argsort(predicted, kind="stable")[kept]
    return {
        "residuals": Curve(tuple(edges.tolist()), tuple(counts.astype(float).tolist())),
        "predicted": Curve(tuple(predicted[kept].tolist()), tuple(truth[kept].tolist())),
    }
