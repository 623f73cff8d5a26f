"""What the two models of a comparison did on the same rows, and the differences that follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.quality.evaluation import ranking
from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.binary_measures import BinaryRows, binary_measures, press, rows_of
from mainspring.quality.evaluation.bootstrap import Resampling, replicate_values
from mainspring.quality.evaluation.significance import mcnemar, mean_error
from mainspring.quality.evaluation.statements import difference_of, undefined
from mainspring.quality.evaluation.types import Difference

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["Pair", "accuracy_difference", "area_difference", "drawn_difference"]

_BLOCKS = 2000  # things that a paired bootstrap draws; more rows are put into so many blocks by chance


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Labels and the predictions of both models, in the same order; `rows` are the places in what was given."""

    truth: Any
    old: Any
    new: Any
    rows: Any
    weights: Any = None
    clusters: Any = None
    confidence: float = 0.95
    replicates: int = 1000
    seed: int = 0

    @property
    def plain(self) -> bool:
        """Whether all rows count the same, each on its own."""
        return self.weights is None and self.clusters is None

    def on(self, mask: Any) -> Pair:
        """The same on some of the rows."""
        names = [name for name in ("truth", "old", "new", "rows", "weights") if getattr(self, name) is not None]
        kept = {name: getattr(self, name)[mask] for name in names}
        if self.clusters is not None:
            kept["clusters"] = numpy().unique(self.clusters[mask], return_inverse=True)[1]
        return msgspec.structs.replace(self, **kept)

    def mean(
        self, metric: str, before: Floats, after: Floats, *, p_value: float | None = None, rooted: bool = False
    ) -> Difference:
        """The difference of two means of one number per row, or of the roots of the means (linearised)."""
        values = [float(numpy().average(each, weights=self.weights)) for each in (before, after)]
        if rooted:
            values = [math.sqrt(value) for value in values]
            before, after = (
                each / (2 * value) if value else each for each, value in zip((before, after), values, strict=True)
            )
        _, error = mean_error(after - before, self.weights, self.clusters)
        method = "Wilcoxon signed rank" if p_value is not None else "paired differences"
        if self.clusters is not None:
            method += " by group"
        return difference_of(metric, (values[0], values[1]), error, self.confidence, method, p_value=p_value)


def area_difference(pair: Pair) -> Difference:
    """The difference of the areas under the ROC curve, by DeLong's covariance."""
    found = ranking.paired_auc(pair.truth, pair.old, pair.new)
    if found is None:
        return undefined("auc")
    return difference_of("auc", (found[0], found[1]), found[2], pair.confidence, "paired DeLong")


def accuracy_difference(pair: Pair, threshold: float) -> Difference:
    """The difference of the accuracies, by McNemar's exact test."""
    right = [(each >= threshold) == (pair.truth == 1) for each in (pair.old, pair.new)]
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    size = pair.truth.size
    error = math.sqrt(max(gained + lost - (gained - lost) ** 2 / size, 0.0)) / size
    values = (float(right[0].mean()), float(right[1].mean()))
    return difference_of("accuracy", values, error, pair.confidence, "McNemar", p_value=mcnemar(gained, lost))


def drawn_difference(metric: str, pair: Pair, threshold: float) -> Difference:
    """The difference of any metric of two classes, by drawing the same rows (or groups) for both models."""
    np = numpy()
    if pair.truth.min() == pair.truth.max():
        return undefined(metric)
    blocks = _blocks(pair)
    how = Resampling(
        confidence=pair.confidence, replicates=max(pair.replicates, 2), seed=pair.seed, method="percentile"
    )
    values, drawn = [], []
    for scores in (pair.old, pair.new):
        order = np.argsort(scores, kind="stable")
        rows = rows_of(pair.truth, scores, pair.weights, order=order)
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(float(_measure(metric, rows, threshold)(rows.units.weight)))
        cells = press(rows, borders=[threshold], clusters=blocks[order])
        drawn.append(replicate_values({metric: _measure(metric, cells, threshold)}, cells.units, how)[metric])
    gaps = drawn[1] - drawn[0]
    gaps = gaps[np.isfinite(gaps)]
    if not all(math.isfinite(value) for value in values) or gaps.size < 2:
        return undefined(metric, "the metric has no value for one of the models")
    method = f"paired bootstrap, {pair.replicates} replicates"
    return difference_of(metric, (values[0], values[1]), float(gaps.std(ddof=1)), pair.confidence, method)


def _measure(metric: str, rows: BinaryRows, threshold: float) -> Any:
    return binary_measures(rows, threshold=threshold, edges=numpy().zeros(0))[metric]


def _blocks(pair: Pair) -> Any:
    """For each row what it is drawn with: itself, its group, or one of many blocks of either, made by chance."""
    np = numpy()
    codes = np.arange(pair.truth.size) if pair.clusters is None else pair.clusters
    size = int(codes.max()) + 1
    if size <= _BLOCKS:
        return codes
    return (np.random.default_rng(pair.seed).permutation(size) % _BLOCKS)[codes]
