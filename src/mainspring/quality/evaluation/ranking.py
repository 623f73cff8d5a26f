"""How well scores rank: AUC with DeLong's variance, alone and paired.

Midranks make DeLong's estimate cost one sort (Sun and Xu, IEEE Signal Processing Letters 21(11), 2014):
thirty thousand rows take milliseconds, where the definition compares every pair.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mainspring.quality.evaluation import intervals
from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.types import Estimate

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["auc_components", "auc_estimate", "paired_auc"]


def auc_components(labels: Floats, scores: Floats) -> tuple[float, Floats, Floats] | None:
    """AUC and its structural components: of each positive, the share of negatives below it, and the reverse.

    None when all labels are equal. Ties count half.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = positive.size, negative.size
    if not m or not n:
        return None
    np = numpy()
    together = _midranks(np.concatenate([positive, negative]))
    above = (together[:m] - _midranks(positive)) / n
    below = 1.0 - (together[m:] - _midranks(negative)) / m
    return float(above.mean()), above, below


def auc_estimate(labels: Floats, scores: Floats, confidence: float = 0.95) -> Estimate:
    """AUC with an interval on the logit scale, which stays inside 0..1 and is right near 1."""
    parts = auc_components(labels, scores)
    if parts is None:
        return Estimate(None)
    value, above, below = parts
    error = math.sqrt(_variance(above) + _variance(below))
    if not math.isfinite(error):
        return Estimate(value, 0.0, 1.0, None, "DeLong")
    if not 0 < value < 1 or not error:
        return Estimate(value, value, value, error, "DeLong")
    logit, spread = math.log(value / (1 - value)), error / (value * (1 - value))
    half = intervals.critical(confidence) * spread
    low, high = (1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))
    return Estimate(value, low, high, error, "DeLong")


def paired_auc(labels: Floats, champion: Floats, candidate: Floats) -> tuple[float, float, float] | None:
    """Both AUCs on the same rows, and the standard error of their difference, with their covariance counted."""
    first, second = auc_components(labels, champion), auc_components(labels, candidate)
    if first is None or second is None:
        return None
    error = math.sqrt(_variance(second[1] - first[1]) + _variance(second[2] - first[2]))
    return first[0], second[0], error


def _variance(components: Floats) -> float:
    return float(components.var(ddof=1)) / components.size if components.size > 1 else math.inf


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the middle of theirs."""
    np = numpy()
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append([True], np.diff(ordered) != 0))
    ends = np.append(starts[1:], values.size)
    ranks = np.empty(values.size)
    ranks[order] = np.repeat((starts + 1 + ends) / 2.0, ends - starts)
    return ranks  # type: ignore[no-any-return]  # numpy is loaded at run time
