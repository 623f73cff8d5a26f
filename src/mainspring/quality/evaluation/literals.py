"""The conditions that a search for slices combines: a value of a column, a range between its quantiles, missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.quality.evaluation.arrays import numpy

__all__ = ["Literals", "literals_of"]

_VALUES = 30  # of a column that become conditions
_FINE, _COARSE = 10, 4  # parts of a column of numbers, when there are few columns and when there are many
_COLUMNS = 10
_FEW = 8  # numbers of a column; beyond it ranges of them are tried beside the single ones
_MOST = 300  # conditions; their pairs are a matrix of this size
_OTHERS = "missing"

Condition = Callable[[Any], Any]
"""From a polars column to which of its values meet it."""


@dataclass(frozen=True)
class Literals:
    """Conditions, and which of the searched rows meet each.

    `owners` is the number of the column of each condition; `masks` has rows by conditions, as 0 and 1.
    """

    names: list[tuple[str, str]]
    owners: list[int]
    holds: list[Condition]
    masks: Any

    def rows(self, frame: Any, places: Sequence[int], rows: Any) -> Any:
        """Which of some rows meet all conditions at `places`."""
        np = numpy()
        met = np.ones(rows.size, dtype=bool)
        for place in places:
            column = frame.get_column(self.names[place][0])[rows]
            met &= self.holds[place](column).fill_null(value=False).to_numpy()
        return met


def literals_of(frame: Any, rows: Any, *, columns: Sequence[str] | None, least: int) -> Literals:
    """The conditions that at least so many of the rows meet, and not nearly all of them."""
    np = numpy()
    names: list[tuple[str, str]] = []
    owners: list[int] = []
    holds: list[Condition] = []
    masks: list[Any] = []
    asked = list(columns if columns is not None else frame.columns)
    parts = _FINE if len(asked) <= _COLUMNS else _COARSE
    for owner, name in enumerate(asked):
        column = frame.get_column(name)[rows]
        for value, condition in _conditions(column, parts):
            mask = condition(column).fill_null(value=False).to_numpy()
            if least <= mask.sum() <= rows.size - least and len(names) < _MOST:
                names.append((name, value))
                owners.append(owner)
                holds.append(condition)
                masks.append(mask)
    table = np.stack(masks, axis=1).astype(np.float32) if masks else np.zeros((rows.size, 0), dtype=np.float32)
    return Literals(names, owners, holds, table)


def _conditions(column: Any, parts: int) -> list[tuple[str, Condition]]:
    import polars as pl

    if column.dtype.is_nested() or column.dtype == pl.Object:
        return []
    found: list[tuple[str, Condition]] = []
    if column.null_count():
        found.append((_OTHERS, lambda each: each.is_null()))
    distinct = column.n_unique()
    if (column.dtype.is_numeric() or column.dtype.is_temporal()) and distinct > _VALUES:
        return found + _ranges(column, parts)
    if distinct > column.len() // 2:
        return found
    if column.dtype.is_numeric() and distinct > _FEW:
        found += _ranges(column, parts)
    counted = column.drop_nulls().value_counts(sort=True).get_column(column.name).to_list()[:_VALUES]
    return found + [(str(value), _equal(value)) for value in counted]


def _equal(value: Any) -> Condition:
    return lambda column: column == value


def _between(low: Any, high: Any) -> Condition:
    """Above `low` and at most `high`; None leaves an end open."""
    if low is None:
        return lambda column: column <= high
    if high is None:
        return lambda column: column > low
    return lambda column: (column > low) & (column <= high)


def _ranges(column: Any, parts: int) -> list[tuple[str, Condition]]:
    known = column.drop_nulls()
    if known.dtype.is_float():
        known = known.drop_nans()
    ordered = known.sort()
    places = sorted({(ordered.len() - 1) * part // parts for part in range(1, parts)}) if ordered.len() else []
    edges = sorted({ordered[place] for place in places})
    found: list[tuple[str, Condition]] = []
    for edge in edges:
        found.append((f"at most {_text(edge)}", _between(None, edge)))
        found.append((f"above {_text(edge)}", _between(edge, None)))
    for low, high in itertools.pairwise(edges):
        found.append((f"above {_text(low)}, at most {_text(high)}", _between(low, high)))
    return found


def _text(edge: Any) -> str:
    return f"{edge:.6g}" if isinstance(edge, float) else str(edge)
