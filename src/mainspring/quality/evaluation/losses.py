"""The loss of each row: what means, slices and paired comparisons are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.quality.evaluation.arrays import numpy

if TYPE_CHECKING:
    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["ROW_LOSSES", "log_losses", "row_loss"]

_TINY = 1e-15  # a probability of exactly 0 or 1 is read as this far from it, so that one row cannot cost infinity


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """The logarithmic loss of each row, in nats."""
    np = numpy()
    safe = np.clip(scores, _TINY, 1 - _TINY)
    return -(labels * np.log(safe) + (1 - labels) * np.log1p(-safe))  # type: ignore[no-any-return]  # numpy is loaded at run time


def _squares(labels: Floats, scores: Floats) -> Floats:
    return (scores - labels) ** 2


def _distances(labels: Floats, scores: Floats) -> Floats:
    return abs(scores - labels)


ROW_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "brier": _squares,
    "log_loss": log_losses,
    "mae": _distances,
    "mse": _squares,
}
"""Metrics that are the mean of one number per row; less is better."""


def row_loss(metric: str, labels: Floats, scores: Floats) -> Floats:
    """The loss of each row under a metric."""
    if metric not in ROW_LOSSES:
        raise InvalidInput(f"{metric!r} is not the mean of a loss of each row", known=nearest(metric, ROW_LOSSES))
    return ROW_LOSSES[metric](labels, scores)
