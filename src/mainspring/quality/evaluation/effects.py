"""How predictions move with one feature: partial dependence (Friedman 2001) and accumulated local effects (Apley 2020).

Partial dependence sets the feature of every row to a value, also where no such row could be; accumulated local effects
only move rows within a bin, so features that go together do not spoil them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.quality.evaluation.arrays import numbers_of, numpy

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Effect", "accumulated_local_effects", "partial_dependence"]

_VALUES = 20


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Mean predictions over the values of a feature; `low` and `high` hold four fifths of the single rows.

    Of accumulated local effects, `mean` is what the feature adds, 0 on average, and there is no band.
    """

    feature: str
    kind: str
    at: tuple[float | str, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def partial_dependence(
    predict: Callable[[Any], Any],
    frame: pl.DataFrame,
    feature: str,
    *,
    values: int = 20,
    rows: int = 500,
    seed: int = 0,
) -> Effect:
    """The mean prediction when the feature of all rows is set to each of some values.

    Args:
        predict: Takes a frame like `frame` and returns one score per row.
        frame: The features, as a polars DataFrame.
        feature: The column: of numbers, quantiles are the values; of anything else, its most frequent ones.
        values: How many values.
        rows: At most so many rows, drawn at random, are used.
        seed: Of the drawing.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.0, 0.0, 3.0]})
        >>> partial_dependence(lambda f: f["x"] + f["y"], frame, "x").mean
        (2.0, 3.0, 4.0)
    """
    import polars as pl

    np = numpy()
    frame = _some(frame, feature, values, rows, seed)
    column = frame.get_column(feature)
    at = _grid(column, values)
    stacked = pl.concat([frame.with_columns(pl.lit(value, dtype=column.dtype).alias(feature)) for value in at])
    answers = numbers_of(predict(stacked), what="scores").reshape(len(at), frame.height)
    low, high = np.quantile(answers, [0.1, 0.9], axis=1)
    shown = tuple(float(value) if column.dtype.is_numeric() else str(value) for value in at)
    mean = tuple(answers.mean(axis=1).tolist())
    return Effect(
        feature=feature, kind="partial dependence", at=shown, mean=mean, low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )  # fmt: skip


def accumulated_local_effects(
    predict: Callable[[Any], Any], frame: pl.DataFrame, feature: str, *, bins: int = 20, rows: int = 5000, seed: int = 0
) -> Effect:
    """What a feature of numbers adds, from the differences across the bins that the rows lie in; 0 on average.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0]})
        >>> accumulated_local_effects(lambda f: 2 * f["x"], frame, "x", bins=4).mean
        (-4.0, -2.0, 0.0, 2.0, 4.0)
    """
    import polars as pl

    np = numpy()
    frame = _some(frame, feature, bins, rows, seed).drop_nulls(feature)
    column = frame.get_column(feature)
    if not column.dtype.is_numeric():
        raise InvalidInput(f"{feature!r} is not of numbers", hint="use partial_dependence")
    held = column.cast(pl.Float64).to_numpy()
    if not held.size:
        raise InvalidInput(f"{feature!r} has no values")
    edges = np.unique(np.quantile(held, np.linspace(0, 1, bins + 1)))
    if edges.size < 2:
        return Effect(feature=feature, kind="accumulated local effects", at=(float(edges[0]),), mean=(0.0,))
    place = np.clip(np.searchsorted(edges, held, side="left") - 1, 0, edges.size - 2)
    # Columns of integers become floats here: a bin's end need not be a whole number.
    ends = [frame.with_columns(pl.Series(feature, edges[place + step])) for step in (0, 1)]
    low, high = (numbers_of(predict(each), what="scores") for each in ends)
    count = np.bincount(place, minlength=edges.size - 1)
    step = np.bincount(place, high - low, edges.size - 1) / np.maximum(count, 1)
    whole = np.append([0.0], np.cumsum(step))
    centre = np.interp(held, edges, whole).mean()
    return Effect(
        feature=feature,
        kind="accumulated local effects",
        at=tuple(edges.tolist()),
        mean=tuple((whole - centre).tolist()),
    )


def _some(frame: pl.DataFrame, feature: str, values: int, rows: int, seed: int) -> pl.DataFrame:
    if feature not in frame.columns:
        raise NotFound(f"the frame has no column {feature!r}", known=nearest(feature, frame.columns))
    if not frame.height or not 2 <= values <= 1000 or rows < 1:
        raise InvalidInput(f"{frame.height} rows cannot be looked at in {values} values")
    return frame if frame.height <= rows else frame.sample(rows, seed=seed)


def _grid(column: Any, values: int) -> list[Any]:
    known = column.drop_nulls()
    if not column.dtype.is_numeric():
        return known.value_counts(sort=True).get_column(column.name).to_list()[:values]  # type: ignore[no-any-return]
    if known.n_unique() <= _VALUES:
        return known.unique().sort().to_list()  # type: ignore[no-any-return]
    return sorted({known.quantile(at / (values - 1), "nearest") for at in range(values)})
