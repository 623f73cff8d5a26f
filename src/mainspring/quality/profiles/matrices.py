"""Working out the states of `vectors.py` from columns, a stretch of rows at a time, as matrices of doubles."""

from __future__ import annotations

import itertools
from typing import Any

import polars as pl

from mainspring.quality.profiles.columns import counted_numbers
from mainspring.quality.profiles.vectors import Pair, Vectors, finite, merge_vectors

__all__ = ["CORRELATED", "pairs_of", "vectors_of"]

CORRELATED = 32
"""Of the numeric columns of a table, how many of the first are correlated with each other: 496 pairs, 60 kB."""
_ROWS = 65_536  # taken at a time into a matrix of doubles


def vectors_of(column: pl.Series) -> Vectors | None:
    """The state of a column of lists of numbers; None when it holds none of more than one number.

    The dimension is the most frequent one, the greatest of equally frequent ones.
    """
    import numpy as np

    present = column.drop_nulls()
    is_list = isinstance(column.dtype, pl.List)
    sizes = present.list.len() if is_list else None
    if sizes is None:
        dimension = int(column.dtype.shape[0])  # type: ignore[attr-defined]  # an array has a shape
    else:
        counts = sizes.alias("size").value_counts().sort(["count", "size"], descending=True)
        dimension = counts.item(0, 0) if counts.height else 0
        present = present.filter(sizes == dimension)
    if dimension < 2 or not present.len():
        return None
    state = Vectors(other=column.len() - column.null_count() - present.len())
    flat = pl.Array(pl.Float64, dimension)
    for start in range(0, present.len(), _ROWS):
        part = present.slice(start, _ROWS).cast(flat)
        values = part.explode().fill_null(float("nan")).to_numpy().reshape(part.len(), dimension)
        whole = np.isfinite(values).all(axis=1)
        values = values[whole]
        other = int(part.len() - values.shape[0])
        if not values.shape[0]:
            state = merge_vectors(state, Vectors(other=other))
            continue
        with np.errstate(over="ignore"):
            centroid = values.mean(axis=0)
            m2 = ((values - centroid) ** 2).sum(axis=0)
            norms = np.sqrt((values * values).sum(axis=1))
        state = merge_vectors(state, _vectors(values.shape[0], centroid, m2, norms, other))
    return state if state.n else None


def _vectors(n: int, centroid: Any, m2: Any, norms: Any, other: int) -> Vectors:
    sketch = counted_numbers(pl.Series("norm", norms[norms < float("inf")]))[0]
    return Vectors(n, tuple(map(finite, centroid.tolist())), tuple(map(finite, m2.tolist())), sketch, other)


def pairs_of(frame: pl.DataFrame, means: dict[str, float]) -> tuple[Pair, ...]:
    """How the columns in `means` go together, two by two, over the rows in which both hold finite numbers.

    Deviations are taken from the means given, so that the products are of small numbers.
    """
    import numpy as np

    names = list(means)
    if len(names) < 2 or not frame.height:
        return ()
    centre = np.array([means[name] for name in names])
    sums = [np.zeros((len(names), len(names))) for _ in range(4)]
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, frame.height, _ROWS):
            part = frame.slice(start, _ROWS).select(pl.col(name).cast(pl.Float64) for name in names)
            values = part.to_numpy() - centre
            there = np.isfinite(values)
            if there.all():
                whole = np.ones_like(values[:, :1])
                totals, squares = values.T @ whole, (values * values).T @ whole
                sums[0] += len(values)
                sums[1] += totals
                sums[2] += squares
            else:
                values = np.where(there, values, 0.0)
                mask = there.astype(np.float64)
                sums[0] += mask.T @ mask
                sums[1] += values.T @ mask
                sums[2] += (values * values).T @ mask
            sums[3] += values.T @ values
        return tuple(_pair(names, means, sums, i, j) for i, j in itertools.combinations(range(len(names)), 2))


def _pair(names: list[str], means: dict[str, float], sums: list[Any], i: int, j: int) -> Pair:
    a, b = names[i], names[j]
    n = int(sums[0][i, j])
    if not n:
        return Pair(a, b, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    da, db = float(sums[1][i, j]) / n, float(sums[1][j, i]) / n  # of the means over these rows from the given ones
    m2 = (max(float(sums[2][i, j]) - n * da * da, 0.0), max(float(sums[2][j, i]) - n * db * db, 0.0))
    product = float(sums[3][i, j]) - n * da * db
    return Pair(a, b, n, *map(finite, (means[a] + da, means[b] + db, *m2, product)))
