"""Two models on the same rows: is the candidate better, and could the difference be chance?

Paired throughout: both models err on the same hard rows, so the difference is known far better than either
value. AUC by DeLong's covariance, means of row losses by their differences, accuracy by McNemar's exact test,
the rest by a paired bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.quality.evaluation import intervals, ranking
from mainspring.quality.evaluation.arrays import labels_of, numbers_of, numpy, same_length
from mainspring.quality.evaluation.losses import row_loss
from mainspring.quality.evaluation.types import HIGHER_IS_BETTER, Comparison, Difference

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["compare_binary", "compare_regression"]

_BINARY = ("auc", "average_precision", "log_loss", "brier", "accuracy")
_REGRESSION = ("mae", "mse")


def compare_binary(
    labels: Any,
    *,
    champion: Any,
    candidate: Any,
    metrics: Sequence[str] = ("auc", "log_loss", "brier", "accuracy"),
    threshold: float = 0.5,
    confidence: float = 0.95,
    replicates: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare the probabilities of two models for the same rows.

    Args:
        labels: 0 and 1, one per row.
        champion: Probabilities of the model in use.
        candidate: Probabilities of the model that may replace it.
        metrics: Of `auc`, `average_precision`, `log_loss`, `brier`, `accuracy`.
        threshold: From which probability on a row is called positive, for the accuracy.
        confidence: Of every interval; a difference counts when its p-value is at most 1 - confidence.
        replicates: Of the bootstrap, for average precision.
        seed: Of the bootstrap.

    Example:
        >>> labels = [0, 1] * 50
        >>> found = compare_binary(labels, champion=[0.5] * 100, candidate=[0.2, 0.8] * 50)
        >>> found["log_loss"].better
        'candidate'
    """
    truth, old = labels_of(labels), numbers_of(champion, what="champion's scores")
    new = numbers_of(candidate, what="candidate's scores")
    count = same_length(labels=truth, champion=old, candidate=new)
    found = []
    for metric in metrics:
        if metric not in _BINARY:
            raise InvalidInput(f"two models cannot be compared by {metric!r}", known=nearest(metric, _BINARY))
        if metric == "auc":
            found.append(_auc(truth, old, new, confidence))
        elif metric == "accuracy":
            found.append(_accuracy(truth, old >= threshold, new >= threshold, confidence))
        elif metric == "average_precision":
            found.append(_precision(truth, old, new, confidence=confidence, replicates=replicates, seed=seed))
        else:
            found.append(_loss(metric, truth, old, new, confidence))
    return Comparison(count=count, differences=tuple(found), confidence=confidence)


def compare_regression(
    labels: Any, *, champion: Any, candidate: Any, metrics: Sequence[str] = _REGRESSION, confidence: float = 0.95
) -> Comparison:
    """Compare the numbers that two models predict for the same rows."""
    truth, old = numbers_of(labels, what="labels"), numbers_of(champion, what="champion's predictions")
    new = numbers_of(candidate, what="candidate's predictions")
    count = same_length(labels=truth, champion=old, candidate=new)
    for metric in metrics:
        if metric not in _REGRESSION:
            raise InvalidInput(f"two models cannot be compared by {metric!r}", known=nearest(metric, _REGRESSION))
    found = tuple(_loss(metric, truth, old, new, confidence) for metric in metrics)
    return Comparison(count=count, differences=found, confidence=confidence)


def _auc(truth: Floats, old: Floats, new: Floats, confidence: float) -> Difference:
    pair = ranking.paired_auc(truth, old, new)
    if pair is None:
        return _undefined("auc")
    return _difference("auc", (pair[0], pair[1]), pair[2], confidence, "paired DeLong")


def _loss(metric: str, truth: Floats, old: Floats, new: Floats, confidence: float) -> Difference:
    before, after = row_loss(metric, truth, old), row_loss(metric, truth, new)
    gap = after - before
    error = float(gap.std(ddof=1)) / math.sqrt(gap.size) if gap.size > 1 else math.inf
    return _difference(metric, (float(before.mean()), float(after.mean())), error, confidence, "paired differences")


def _accuracy(truth: Floats, old: Any, new: Any, confidence: float) -> Difference:
    right_before, right_after = old == (truth == 1), new == (truth == 1)
    gained, lost = int((right_after & ~right_before).sum()), int((right_before & ~right_after).sum())
    size = truth.size
    error = math.sqrt(max(gained + lost - (gained - lost) ** 2 / size, 0.0)) / size
    return _difference(
        "accuracy", (float(right_before.mean()), float(right_after.mean())), error, confidence, "McNemar",
        p_value=_mcnemar(gained, lost),
    )  # fmt: skip


def _mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided binomial test of discordant pairs; by the normal law with a correction when they are many."""
    total = gained + lost
    if not total:
        return 1.0
    if total > 1000:
        return intervals.tail(max(abs(gained - lost) - 1, 0) / math.sqrt(total))
    fewer = min(gained, lost)
    ways = sum(math.comb(total, k) for k in range(fewer + 1))
    doubled: float = 2 * ways / 2**total
    return min(1.0, doubled)


def _undefined(metric: str) -> Difference:
    return Difference(metric=metric, champion=None, candidate=None, difference=None, statement="all labels are equal")


def _precision(truth: Floats, old: Floats, new: Floats, *, confidence: float, replicates: int, seed: int) -> Difference:
    if truth.min() == truth.max():
        return _undefined("average_precision")
    np = numpy()
    parts = [ranking.average_precision_of(truth, scores) for scores in (old, new)]
    before, after = (part(np.ones(truth.size)) for part in parts)
    random = np.random.default_rng(seed)
    gaps = []
    for _ in range(replicates):
        weights = np.bincount(random.integers(0, truth.size, truth.size), minlength=truth.size)
        gaps.append(parts[1](weights) - parts[0](weights))
    error = float(np.nanstd(gaps, ddof=1))
    method = f"paired bootstrap, {replicates} replicates"
    return _difference("average_precision", (before, after), error, confidence, method)


def _difference(
    metric: str,
    values: tuple[float, float],
    error: float,
    confidence: float,
    method: str,
    *,
    p_value: float | None = None,
) -> Difference:
    champion, candidate = values
    gap = candidate - champion
    half = intervals.critical(confidence) * error
    if p_value is None:
        p_value = intervals.tail(gap / error) if error else 1.0 if gap == 0 else 0.0
    better: Literal["candidate", "champion"] | None = None
    if p_value <= 1 - confidence:
        better = "candidate" if (gap > 0) == HIGHER_IS_BETTER[metric] else "champion"
    said = f"the {better} is better" if better else "the difference could be chance"
    statement = (
        f"{metric} {champion:.5g} to {candidate:.5g} ({gap:+.5g}, {confidence:.0%} interval "
        f"{gap - half:+.5g} to {gap + half:+.5g}, p {p_value:.3g}): {said}"
    )
    return Difference(
        metric=metric, champion=champion, candidate=candidate, difference=gap, low=gap - half, high=gap + half,
        p_value=p_value, better=better, method=method, statement=statement,
    )  # fmt: skip
