"""Exact quantiles of a column, of all that are asked of it together.

Polars sorts a column for a list of quantiles. Here a sample says between which values each of them should lie;
how many values are below, and a sort of the few between, give the value at its place: a third of the time.
Where the sample was wrong, which the counts tell, the column is sorted after all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import polars as pl

from mainspring.engines.metrics import Metric, Quantile
from mainspring.engines.tables_polars_values import Scope, number
from mainspring.engines.tables_values import check_number, interpolate
from mainspring.kernel.errors import InvalidInput

__all__ = ["Quantiles"]

_FEW = 50_000
"""Values that are sorted at once."""
_SAMPLE = 4_000
_MARGIN = 128
"""How many values of the sample on either side of where a quantile should be: four standard deviations of it."""


class Quantiles:
    """All quantiles of one select, those of a column in one expression."""

    def __init__(self, metrics: Sequence[Metric], scope: Scope) -> None:
        self.scope = scope
        self.asked: dict[str, list[Quantile]] = {}
        for metric in metrics:
            if isinstance(metric, Quantile):
                if not 0 <= metric.q <= 1:
                    raise InvalidInput(f"{metric.q!r} is not a share between 0 and 1")
                check_number(metric.column, scope)
                self.asked.setdefault(metric.column, []).append(metric)

    def expressions(self) -> list[pl.Expr]:
        """One list for each column, as `answers` reads it."""
        found = []
        for column, metrics in self.asked.items():
            find = functools.partial(_quantiles, metrics)
            values = number(column, self.scope)
            found.append(
                values.map_batches(find, return_dtype=pl.List(pl.Float64), returns_scalar=True).alias(_name(column))
            )
        return found

    def answers(self, row: dict[str, list[float | None]]) -> dict[Metric, float | None]:
        """Each quantile, from the one row of the select."""
        return {
            metric: value
            for column, metrics in self.asked.items()
            for metric, value in zip(metrics, row[_name(column)], strict=True)
        }


def _name(column: str) -> str:
    return f"quantiles of {column}"


def _quantiles(metrics: Sequence[Quantile], column: pl.Series) -> pl.Series:
    values = column.drop_nulls()
    count = len(values)
    ordered = values.sort() if count <= _FEW else None
    sample = None if ordered is not None else values.gather_every(count // _SAMPLE).sort()
    found: list[float | None] = []
    for metric in metrics:
        if not count:
            found.append(None)
            continue
        low, high = _places(metric, count)
        pair = None if sample is None else _around(values, sample, low, high)
        if pair is None:
            ordered = values.sort() if ordered is None else ordered
            pair = ordered[low], ordered[high]
        found.append(interpolate(*pair, metric.q * (count - 1) - low))
    return pl.Series([found], dtype=pl.List(pl.Float64))


def _places(metric: Quantile, count: int) -> tuple[int, int]:
    """The places of the values between which a quantile lies, in the order of the values, from 0."""
    position = metric.q * (count - 1)
    low, high = math.floor(position), math.ceil(position)
    if metric.interpolation == "linear":
        return low, high
    place = {"lower": low, "higher": high, "nearest": round(position)}[metric.interpolation]
    return place, place


def _around(values: pl.Series, sample: pl.Series, low: int, high: int) -> tuple[float, float] | None:
    """The values at two neighbouring places; None when they are not where the sample has them."""
    middle = low * len(sample) // len(values)
    first, last = middle - _MARGIN, middle + _MARGIN
    inside, below = values, 0
    if first >= 0:
        above = values >= sample[first]
        below = len(values) - int(above.sum())
        inside = inside.filter(above & (values <= sample[last])) if last < len(sample) else inside.filter(above)
    elif last < len(sample):
        inside = inside.filter(values <= sample[last])
    if not below <= low <= high < below + len(inside):
        return None
    found = inside.sort()
    return found[low - below], found[high - below]
