"""What a prediction cost, given its label: one loss per row, from the logged outputs. Lower is better.

Outputs are those of the model port: `label` and `probability` of a classifier, `value` of a regressor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["METRICS", "output_columns", "with_loss"]

_PROBABILITY = "output.probability"


def _chosen() -> pl.Expr:
    """The probability that was given to what turned out to be true."""
    return pl.col(_PROBABILITY).list.get(pl.col("class"), null_on_oob=True)


def _log_loss() -> pl.Expr:
    # A probability of exactly 0 would make one row outweigh all others: bounded as scikit-learn does for 32 bits.
    return -_chosen().clip(1.2e-7, 1.0).log()


def _brier() -> pl.Expr:
    squares = pl.col(_PROBABILITY).list.eval(pl.element() ** 2).list.sum()
    # Sum over classes, halved: for two classes the familiar (p - y)^2.
    return (squares - 2 * _chosen() + 1) / 2


def _error() -> pl.Expr:
    return (_text("output.label") != _text("label")).cast(pl.Float64)


def _text(name: str) -> pl.Expr:
    """A label as text, the same for 1, 1.0 and true."""
    return pl.col(name).cast(pl.String).str.strip_suffix(".0")


def _difference() -> pl.Expr:
    return pl.col("output.value").cast(pl.Float64) - pl.col("label")


METRICS: dict[str, tuple[str, Callable[[], pl.Expr]]] = {
    "absolute_error": ("output.value", lambda: _difference().abs()),
    "brier": (_PROBABILITY, _brier),
    "error": ("output.label", _error),
    "log_loss": (_PROBABILITY, _log_loss),
    "squared_error": ("output.value", lambda: _difference() ** 2),
}
"""Each metric: the logged column that it needs, and the loss of a row."""


def output_columns(metric: str) -> list[str]:
    """The logged columns that a metric needs; raises `InvalidInput` for a metric that is not there."""
    if metric not in METRICS:
        raise InvalidInput(f"there is no metric {metric!r} of a single prediction", known=nearest(metric, METRICS))
    return [METRICS[metric][0]]


def with_loss(frame: pl.DataFrame, metric: str, *, classes: Sequence[Any] = ()) -> pl.DataFrame:
    """Add the column `loss`, and leave out rows that have none.

    Args:
        frame: Logged outputs with the column `label`.
        metric: One of `METRICS`.
        classes: What the classifier's probabilities are of, in order; 0, 1, 2, ... when left out.

    Raises:
        InvalidInput: The outputs or the labels do not fit the metric.
    """
    (needed,) = output_columns(metric)
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("loss"))
    if needed not in frame.columns:
        raise InvalidInput(
            f"the metric {metric!r} needs the output {needed.removeprefix('output.')!r}; the model has none"
        )
    if needed == _PROBABILITY:
        frame = _numbered(frame.with_columns(pl.col(_PROBABILITY).cast(pl.List(pl.Float64))), classes)
    elif frame.schema[needed] == pl.Boolean:
        frame = frame.with_columns(pl.col(needed).cast(pl.Int8))
    return frame.with_columns(METRICS[metric][1]().alias("loss")).filter(pl.col("loss").is_not_null())


def _numbered(frame: pl.DataFrame, classes: Sequence[Any]) -> pl.DataFrame:
    """Add the column `class`: the place of the label among the model's classes."""
    known = list(classes) or list(range(len(frame[_PROBABILITY][0])))
    places = {str(int(each) if isinstance(each, bool | float) else each): place for place, each in enumerate(known)}
    frame = frame.with_columns(
        _text("label").replace_strict(places, default=None, return_dtype=pl.Int64).alias("class")
    )
    strange = frame.filter(pl.col("class").is_null() & pl.col("label").is_not_null())
    if strange.height:
        raise InvalidInput(
            f"the label {strange['label'][0]!r} is none of the model's classes",
            known=[str(each) for each in known[:20]],
        )
    return frame
