"""What a model leans on: how much worse it gets when one feature is shuffled (Breiman 2001).

It is measured on the rows that are given, so on held-out rows it tells what helps, not what was memorised. Features
that carry the same information share their importance, and each alone may look unimportant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.evaluation import ranking
from mainspring.quality.evaluation.arrays import numbers_of, numpy
from mainspring.quality.evaluation.losses import ROW_LOSSES, row_loss
from mainspring.quality.evaluation.types import Importance

__all__ = ["permutation_importance"]


def permutation_importance(
    predict: Callable[[Any], Any],
    frame: Any,
    labels: Any,
    *,
    metric: str = "auc",
    features: Sequence[str] | None = None,
    repeats: int = 3,
    rows: int = 10_000,
    seed: int = 0,
) -> list[Importance]:
    """The features by importance, greatest first.

    Args:
        predict: Takes a frame like `frame` and returns one score per row.
        frame: The features, as a polars DataFrame.
        labels: One per row.
        metric: `auc` or a metric that is the mean of a loss (`log_loss`, `brier`, `mae`, `mse`).
        features: Only these columns; all by default.
        repeats: How often each is shuffled; two or more give a standard error.
        rows: At most so many rows, drawn at random, are used.
        seed: Of the shuffling.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"x": [i / 100 for i in range(100)], "noise": [0.0] * 100})
        >>> found = permutation_importance(lambda f: f["x"], frame, [int(i >= 50) for i in range(100)])
        >>> found[0].feature, found[1].importance
        ('x', 0.0)
    """
    np = numpy()
    truth = numbers_of(labels, what="labels")
    if frame.height != truth.size:
        raise InvalidInput(f"the frame has {frame.height} rows and there are {truth.size} labels")
    names = list(frame.columns) if features is None else list(features)
    for name in names:
        if name not in frame.columns:
            raise NotFound(f"the frame has no column {name!r}", known=nearest(name, frame.columns))
    random = np.random.default_rng(seed)
    if truth.size > rows:
        kept = np.sort(random.choice(truth.size, rows, replace=False))
        frame, truth = frame[kept], truth[kept]

    def loss(scores: Any) -> float:
        given = numbers_of(scores, what="scores")
        if given.size != truth.size:
            raise InvalidInput(f"predict returned {given.size} scores for {truth.size} rows")
        if metric in ROW_LOSSES:
            return float(row_loss(metric, truth, given).mean())
        parts = ranking.auc_components(truth, given)
        if metric != "auc" or parts is None:
            raise InvalidInput(f"{metric!r} cannot be measured on these rows", known=["auc", *ROW_LOSSES])
        return 1.0 - parts[0]

    whole = loss(predict(frame))
    found = []
    for name in names:
        drops = []
        for _ in range(repeats):
            shuffled = frame.with_columns(frame.get_column(name)[random.permutation(truth.size)])
            drops.append(loss(predict(shuffled)) - whole)
        error = float(np.std(drops, ddof=1)) / math.sqrt(repeats) if repeats > 1 else None
        found.append(Importance(name, float(np.mean(drops)), error))
    return sorted(found, key=lambda each: each.importance, reverse=True)
