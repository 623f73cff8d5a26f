"""Two models on the same rows: is the candidate better, and could the difference be chance?

Paired throughout: both models err on the same hard rows, so the difference is known far better than either
value. AUC by DeLong's covariance, means of row losses by their differences, accuracy by McNemar's exact test, forecasts
by Diebold and Mariano, the rest by a paired bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.quality.evaluation.arrays import (
    codes_of,
    labels_of,
    numbers_of,
    numpy,
    probabilities_of,
    same_length,
    weights_of,
)
from mainspring.quality.evaluation.losses import row_loss
from mainspring.quality.evaluation.paired import Pair, accuracy_difference, area_difference, drawn_difference
from mainspring.quality.evaluation.significance import Correction, corrected, diebold_mariano, wilcoxon
from mainspring.quality.evaluation.statements import difference_of, said
from mainspring.quality.evaluation.types import Comparison, Difference, SliceDifference

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["compare_binary", "compare_forecasts", "compare_multiclass", "compare_regression"]

_DRAWN = ("average_precision", "balanced_accuracy", "f1", "mcc", "precision", "recall", "specificity")
_BINARY = ("auc", "log_loss", "brier", "accuracy", *_DRAWN)
_REGRESSION = ("mae", "mse", "rmse")
_LEAST = 30  # rows of a slice

Margins = float | Mapping[str, float] | None


def compare_binary(
    labels: Any,
    *,
    champion: Any,
    candidate: Any,
    metrics: Sequence[str] = ("auc", "log_loss", "brier", "accuracy"),
    threshold: float = 0.5,
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    margins: Margins = None,
    correction: Correction = "none",
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the probabilities of two models for the same rows.

    Args:
        labels: 0 and 1, one per row.
        champion: Probabilities of the model in use.
        candidate: Probabilities of the model that may replace it.
        metrics: Of `auc`, `average_precision`, `log_loss`, `brier`, `accuracy`, `balanced_accuracy`, `f1`, `mcc`,
            `precision`, `recall`, `specificity`.
        threshold: From which probability on a row is called positive.
        weights: How much each row counts.
        groups: Rows of the same group are alike and count as one observation.
        slices: Compare on these parts of the rows too; as in `evaluate_binary`.
        frame: The rows, as a polars DataFrame.
        margins: How much worse the candidate may be without being called inferior, for all metrics or each.
        correction: How the p-values of many metrics are judged; those of slices always by Benjamini and Hochberg.
        confidence: Of every interval; a difference counts when its p-value is at most 1 - confidence.
        replicates: Of the bootstrap, for what has no formula.
        seed: Of the bootstrap.

    Example:
        >>> labels = [0, 1] * 50
        >>> found = compare_binary(labels, champion=[0.5] * 100, candidate=[0.2, 0.8] * 50)
        >>> found["log_loss"].better
        'candidate'
    """
    truth, old = labels_of(labels), probabilities_of(champion, what="champion's scores")
    new = probabilities_of(candidate, what="candidate's scores")
    same_length(labels=truth, champion=old, candidate=new)
    _known(metrics, _BINARY)
    pair = _pair(truth, old, new, weights, groups, confidence=confidence, replicates=replicates, seed=seed)

    def judge(part: Pair) -> list[Difference]:
        found = []
        for metric in metrics:
            if metric == "auc" and part.plain:
                found.append(area_difference(part))
            elif metric == "accuracy" and part.plain:
                found.append(accuracy_difference(part, threshold))
            elif metric == "accuracy":
                right = [((each >= threshold) == (part.truth == 1)).astype(float) for each in (part.old, part.new)]
                found.append(part.mean(metric, right[0], right[1]))
            elif metric in {"log_loss", "brier"}:
                found.append(part.mean(metric, *(row_loss(metric, part.truth, each) for each in (part.old, part.new))))
            else:
                found.append(drawn_difference(metric, part, threshold))
        return found

    return _compared(judge, pair, slices, frame, margins, correction)


def compare_regression(
    labels: Any,
    *,
    champion: Any,
    candidate: Any,
    metrics: Sequence[str] = ("mae", "mse"),
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    margins: Margins = None,
    correction: Correction = "none",
    by_ranks: bool = False,
    confidence: float = 0.95,
) -> Comparison:
    """Compare the numbers that two models predict for the same rows, by `mae`, `mse` or `rmse`.

    With `by_ranks` the p-values are those of Wilcoxon's signed-rank test, which a few wild rows cannot sway; the rest
    is as in `compare_binary`.
    """
    truth, old = numbers_of(labels, what="labels"), numbers_of(champion, what="champion's predictions")
    new = numbers_of(candidate, what="candidate's predictions")
    same_length(labels=truth, champion=old, candidate=new)
    _known(metrics, _REGRESSION)
    if by_ranks and (weights is not None or groups is not None):
        raise InvalidInput("Wilcoxon's test knows neither weights nor groups", hint="leave by_ranks out")
    pair = _pair(truth, old, new, weights, groups, confidence=confidence, replicates=1, seed=0)

    def judge(part: Pair) -> list[Difference]:
        found = []
        for metric in metrics:
            loss = "mse" if metric == "rmse" else metric
            before, after = (row_loss(loss, part.truth, each) for each in (part.old, part.new))
            rank = wilcoxon(after - before) if by_ranks else None
            found.append(part.mean(metric, before, after, p_value=rank, rooted=metric == "rmse"))
        return found

    return _compared(judge, pair, slices, frame, margins, correction)


def compare_multiclass(
    labels: Any,
    *,
    champion: Any,
    candidate: Any,
    classes: Sequence[Any] | None = None,
    metrics: Sequence[str] = ("accuracy", "log_loss", "brier"),
    weights: Any = None,
    groups: Any = None,
    slices: Sequence[str] | Mapping[str, Any] | None = None,
    frame: Any = None,
    margins: Margins = None,
    correction: Correction = "none",
    confidence: float = 0.95,
) -> Comparison:
    """Compare the probabilities of several classes that two models give for the same rows."""
    from mainspring.quality.evaluation.multiclass import class_codes

    codes, names, old = class_codes(labels, champion, classes)
    _, _, new = class_codes(labels, candidate, names)
    _known(metrics, ("accuracy", "log_loss", "brier"))
    np = numpy()
    at = np.arange(codes.size)
    right = [(each.argmax(axis=1) == codes).astype(float) for each in (old, new)]
    ones = np.eye(len(names))[codes]
    losses = {
        "log_loss": [-np.log(np.clip(each[at, codes], 1e-15, 1)) for each in (old, new)],
        "brier": [((each - ones) ** 2).sum(axis=1) for each in (old, new)],
    }
    # The pair carries the numbers of the rows, from which every loss can be looked up on any part of them.
    pair = _pair(np.ones(codes.size), right[0], right[1], weights, groups, confidence=confidence, replicates=1, seed=0)
    pair = msgspec.structs.replace(pair, rows=at)

    def judge(part: Pair) -> list[Difference]:
        found = []
        for metric in metrics:
            if metric == "accuracy":
                found.append(accuracy_difference(part, 0.5) if part.plain else part.mean(metric, part.old, part.new))
            else:
                found.append(part.mean(metric, *(each[part.rows] for each in losses[metric])))
        return found

    return _compared(judge, pair, slices, frame, margins, correction)


def compare_forecasts(
    labels: Any,
    *,
    champion: Any,
    candidate: Any,
    horizon: int = 1,
    metrics: Sequence[str] = ("mae", "mse"),
    margins: Margins = None,
    correction: Correction = "none",
    confidence: float = 0.95,
) -> Comparison:
    """Compare two forecasts of one series, in the order of time, `horizon` steps ahead (Diebold and Mariano)."""
    truth, old = numbers_of(labels, what="labels"), numbers_of(champion, what="champion's forecasts")
    new = numbers_of(candidate, what="candidate's forecasts")
    same_length(labels=truth, champion=old, candidate=new)
    _known(metrics, ("mae", "mse"))
    pair = _pair(truth, old, new, None, None, confidence=confidence, replicates=1, seed=0)

    def judge(part: Pair) -> list[Difference]:
        found = []
        for metric in metrics:
            before, after = (row_loss(metric, part.truth, each) for each in (part.old, part.new))
            statistic, p_value = diebold_mariano(before, after, horizon=horizon)
            gap = float(after.mean() - before.mean())
            error = abs(gap / statistic) if statistic else 0.0
            values = (float(before.mean()), float(after.mean()))
            found.append(difference_of(metric, values, error, confidence, "Diebold-Mariano", p_value=p_value))
        return found

    return _compared(judge, pair, None, None, margins, correction)


def _known(metrics: Sequence[str], known: Sequence[str]) -> None:
    for metric in metrics:
        if metric not in known:
            raise InvalidInput(f"two models cannot be compared by {metric!r}", known=nearest(metric, known))


def _pair(
    truth: Floats,
    old: Floats,
    new: Floats,
    weights: Any,
    groups: Any,
    *,
    confidence: float,
    replicates: int,
    seed: int,
) -> Pair:
    rows = truth.size
    clusters = None if groups is None else codes_of(groups, what="groups", rows=rows)[0]
    return Pair(
        truth=truth, old=old, new=new, weights=weights_of(weights, rows=rows), clusters=clusters,
        confidence=confidence, replicates=replicates, seed=seed, rows=numpy().arange(rows),
    )  # fmt: skip


def _compared(
    judge: Callable[[Pair], list[Difference]],
    pair: Pair,
    slices: Sequence[str] | Mapping[str, Any] | None,
    frame: Any,
    margins: Margins,
    correction: Correction,
) -> Comparison:
    from mainspring.quality.evaluation.slices import sliced_columns

    found = _judged(judge(pair), margins, correction, pair.confidence)
    parts: list[SliceDifference] = []
    if slices:
        for column, masks in sliced_columns(slices, frame, rows=pair.truth.size).items():
            for value, mask in masks.items():
                if mask.sum() >= _LEAST:
                    count = int(mask.sum())
                    parts += [
                        SliceDifference(column=column, value=value, count=count, difference=each)
                        for each in judge(pair.on(mask))
                    ]
        told = _judged([each.difference for each in parts], margins, "benjamini-hochberg", pair.confidence)
        parts = [msgspec.structs.replace(part, difference=each) for part, each in zip(parts, told, strict=True)]
    return Comparison(
        count=int(pair.truth.size), differences=tuple(found), confidence=pair.confidence, slices=tuple(parts)
    )


def _judged(
    found: Sequence[Difference], margins: Margins, correction: Correction, confidence: float
) -> list[Difference]:
    """The differences with adjusted p-values, margins, and the sentence that says it all."""
    tested = [at for at, each in enumerate(found) if each.p_value is not None]
    q_values = corrected([found[at].p_value or 0.0 for at in tested], correction)
    by_place = dict(zip(tested, q_values, strict=True))
    told = []
    for at, each in enumerate(found):
        margin = margins.get(each.metric) if isinstance(margins, Mapping) else margins
        if margin is not None and margin < 0:
            raise InvalidInput(f"a margin is how much worse is allowed; {margin} is negative")
        told.append(said(each, by_place.get(at), margin, confidence, adjusted=correction != "none"))
    return told
