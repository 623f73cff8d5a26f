"""Metrics of two classes as functions of weights, on rows pressed into cells of about equal score.

Up to two thousand rows a cell is a row. Beyond that a cell holds the rows of one label between two neighbouring
quantiles of the scores (of the positives' and of the negatives', so that a rare class keeps its detail). Values are
always computed on the rows; the cells only serve the bootstrap, whose spread they change by about one in a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.bootstrap import Measure, Units
from mainspring.quality.evaluation.losses import log_losses

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["BinaryRows", "area", "average_precision", "binary_measures", "confusion_measures", "press", "rows_of"]

_MOST = 2048  # units; see the module
_QUANTILES = 480


@dataclass(frozen=True)
class BinaryRows:
    """Rows, or cells of rows, by score from low to high. `ends` are the last places of equal scores."""

    labels: Floats
    scores: Floats
    log_losses: Floats
    squares: Floats
    units: Units
    ends: Any


def rows_of(labels: Floats, scores: Floats, weights: Floats | None = None, *, order: Any = None) -> BinaryRows:
    """The rows by score, each a unit of its own."""
    np = numpy()
    order = np.argsort(scores, kind="stable") if order is None else order
    labels, scores = labels[order], scores[order]
    weight = np.ones(labels.size) if weights is None else weights[order]
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, [True]))
    return BinaryRows(labels, scores, log_losses(labels, scores), (scores - labels) ** 2, Units(weight), ends)


def press(rows: BinaryRows, *, borders: Sequence[float] = (), clusters: Any = None) -> BinaryRows:
    """The rows as at most about two thousand units; no unit lies across a score of `borders` (from which on it counts).

    `clusters` has the number of the cluster of each row, in the order of `rows`.
    """
    np = numpy()
    if rows.labels.size <= _MOST:
        if clusters is None:
            return rows
        units = Units(rows.units.weight, clusters=clusters)
        return BinaryRows(rows.labels, rows.scores, rows.log_losses, rows.squares, units, rows.ends)
    levels = rows.scores[rows.ends]
    if levels.size > _QUANTILES * 2:
        levels = np.unique(np.concatenate([_levels(rows.scores[rows.labels == label]) for label in (0, 1)]))
    levels = np.unique(np.concatenate([levels, np.nextafter(np.asarray(borders, dtype=float), -1.0)]))
    cell = np.searchsorted(levels, rows.scores, side="left")
    unit = cell * 2 + rows.labels.astype(np.int64)
    size = 2 * (levels.size + 1)
    weight = rows.units.weight
    count, total = np.bincount(unit, minlength=size), np.bincount(unit, weight, minlength=size)
    kept = np.flatnonzero(count)
    means = [
        np.bincount(unit, weight * each, minlength=size)[kept] / np.where(total[kept] > 0, total[kept], 1)
        for each in (rows.scores, rows.log_losses, rows.squares)
    ]
    place = np.zeros(size, dtype=np.int64)
    place[kept] = np.arange(kept.size)
    parts = None if clusters is None else _shares(clusters, place[unit], weight, kept.size)
    units = Units(total[kept], count=count[kept].astype(float), clusters=parts)
    bounds = np.concatenate([[-np.inf], levels, [np.inf]])  # a mean is rounded; it must not leave its cell
    means[0] = np.clip(means[0], np.nextafter(bounds[kept // 2], 2.0), bounds[kept // 2 + 1])
    ends = np.flatnonzero(np.append(np.diff(kept // 2) != 0, [True]))
    return BinaryRows((kept % 2).astype(float), means[0], means[1], means[2], units, ends)


def _levels(scores: Floats) -> Floats:
    np = numpy()
    if not scores.size:
        return scores
    place = np.unique(np.linspace(0, scores.size - 1, _QUANTILES).astype(np.int64))
    found: Floats = scores[place]
    return found


def _shares(clusters: Any, place: Any, weight: Floats, size: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array((weight, (clusters, place)), shape=(int(clusters.max()) + 1, size))


def area(rows: BinaryRows) -> Measure:
    """The area under the ROC curve; equal scores count half."""
    np = numpy()

    def measure(weights: Any) -> Any:
        hits = _totals(weights * rows.labels, rows.ends)
        others = _totals(weights * (1 - rows.labels), rows.ends)
        below, of = np.cumsum(others, axis=-1), np.cumsum(hits, axis=-1)[..., -1]
        return ((below - others / 2) * hits).sum(axis=-1) / (of * below[..., -1])

    return measure


def average_precision(rows: BinaryRows) -> Measure:
    """The mean precision over the recalls, not interpolated."""
    np = numpy()

    def measure(weights: Any) -> Any:
        hits = _totals(weights * rows.labels, rows.ends)[..., ::-1]
        seen = _totals(weights, rows.ends)[..., ::-1]
        found, asked = np.cumsum(hits, axis=-1), np.cumsum(seen, axis=-1)
        precision = found / np.where(asked > 0, asked, 1)
        return (hits * precision).sum(axis=-1) / found[..., -1]

    return measure


def _totals(weights: Any, ends: Any) -> Any:
    """Sums over equal scores."""
    np = numpy()
    if ends.size == weights.shape[-1]:
        return weights
    return np.add.reduceat(weights, np.append([0], ends[:-1] + 1), axis=-1)


def confusion_measures(labels: Floats, called: Any) -> dict[str, Measure]:
    """What follows from the four cells of the confusion matrix; `called` has the rows that are called positive."""
    np = numpy()
    positive = labels == 1
    cells = np.stack([called & positive, called & ~positive, ~called & positive, ~called & ~positive], axis=1).astype(
        float
    )

    def given(formula: Any) -> Measure:
        return lambda weights: formula(*np.moveaxis(weights @ cells, -1, 0))

    def matthews(tp: Any, fp: Any, fn: Any, tn: Any) -> Any:
        below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return np.where(below > 0, (tp * tn - fp * fn) / np.where(below > 0, below, 1), 0.0)

    return {
        "accuracy": given(lambda tp, fp, fn, tn: (tp + tn) / (tp + fp + fn + tn)),
        "balanced_accuracy": given(lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2),
        "precision": given(lambda tp, fp, fn, tn: tp / (tp + fp)),  # noqa: ARG005 -- the four cells are always given
        "recall": given(lambda tp, fp, fn, tn: tp / (tp + fn)),  # noqa: ARG005
        "specificity": given(lambda tp, fp, fn, tn: tn / (tn + fp)),  # noqa: ARG005
        "f1": given(lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn)),  # noqa: ARG005
        "mcc": given(matthews),
        "prevalence": given(lambda tp, fp, fn, tn: (tp + fn) / (tp + fp + fn + tn)),
        "selection_rate": given(lambda tp, fp, fn, tn: (tp + fp) / (tp + fp + fn + tn)),
    }


def binary_measures(rows: BinaryRows, *, threshold: float, edges: Floats) -> dict[str, Measure]:
    """Every metric of two classes; `edges` are the bins of the calibration error (see `calibration`)."""
    np = numpy()
    called = rows.scores >= threshold
    place = np.searchsorted(edges, rows.scores, side="left")
    gaps = np.zeros((rows.labels.size, edges.size + 1))
    gaps[np.arange(rows.labels.size), place] = rows.labels - rows.scores
    return {
        "auc": area(rows),
        "average_precision": average_precision(rows),
        "log_loss": lambda weights: weights @ rows.log_losses / weights.sum(axis=-1),
        "brier": lambda weights: weights @ rows.squares / weights.sum(axis=-1),
        "ece": lambda weights: np.abs(weights @ gaps).sum(axis=-1) / weights.sum(axis=-1),
        **confusion_measures(rows.labels, called),
    }
