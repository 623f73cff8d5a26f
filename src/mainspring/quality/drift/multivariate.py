"""Drift of whole rows, which no column shows by itself: a domain classifier, reconstruction by PCA, and kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.methods_numbers import kernel_test
from mainspring.quality.drift.methods_texts import need_sklearn

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "HeldOut",
    "Reconstruction",
    "classify_domain",
    "discrepancy",
    "held_out_test",
    "matrix_of",
    "reconstruct",
]

_ROWS = 20_000  # of each sample, thinned out evenly beyond
_FOLDS = 5


class HeldOut(msgspec.Struct, frozen=True):
    """How well two samples are told apart by a model that has not seen the rows it scores."""

    auc: float
    p_value: float
    rows: tuple[int, int]


class Reconstruction(msgspec.Struct, frozen=True, kw_only=True):
    """The mean error of reconstruction of each chunk, and the band that the chunks of the reference keep within."""

    components: int
    reference: tuple[float, ...]
    current: tuple[float, ...]
    sampling_error: float
    lower: float
    upper: float

    @property
    def alerts(self) -> tuple[bool, ...]:
        """Of each current chunk, whether it lies outside of the band."""
        return tuple(not self.lower <= value <= self.upper for value in self.current)


def held_out_test(features: Any, marks: Any, model: Callable[[], Any], *, seed: int = 0) -> HeldOut:
    """Whether a classifier tells rows marked 0 from rows marked 1, with a p-value that holds at every size.

    Rows are dealt into five folds with equal shares of both samples. The model for a fold learns from the folds before
    it, so that, were the samples alike, the marks within a fold would be a random order whatever the model says: the
    rank sums are those of Mann and Whitney, their deviations add up without correlation, and the sum is normal. Plain
    cross-validation lacks this: there each fold is scored by models that have learned from the others in turn.

    Args:
        features: A matrix (dense or sparse by rows), one row for each mark.
        marks: 0 for the reference, 1 for the current sample.
        model: Makes a classifier with `fit` and `predict_proba`.
        seed: Of the dealing.
    """
    import numpy as np
    from scipy import stats

    sizes = (int((marks == 0).sum()), int((marks == 1).sum()))
    if min(sizes) < 2 * _FOLDS:
        raise InvalidInput(f"a classifier needs at least {2 * _FOLDS} rows of each sample, and there are {sizes}")
    draw = np.random.default_rng(seed)
    folds = np.empty(len(marks), dtype=int)
    for mark in (0, 1):
        places = draw.permutation(np.flatnonzero(marks == mark))
        folds[places] = np.arange(len(places)) * _FOLDS // len(places)
    deviation = variance = weight = 0.0
    for fold in range(1, _FOLDS):
        # Threads that wait for each other by spinning make small models slower, and a busy machine's a hundred times.
        with _threads().limit(limits=1):
            learned = model().fit(features[np.flatnonzero(folds < fold)], marks[folds < fold])
            scores = learned.predict_proba(features[np.flatnonzero(folds == fold)])[:, 1]
        test = marks[folds == fold]
        m = int(test.sum())
        n = len(test) - m
        ranks = stats.rankdata(scores)
        deviation += float(ranks[test == 1].sum()) - m * (n + m + 1) / 2
        ties = np.unique(scores, return_counts=True)[1].astype(float)
        variance += n * m / 12 * (n + m + 1 - float((ties**3 - ties).sum()) / ((n + m) * (n + m - 1)))
        weight += n * m
    p_value = float(stats.norm.sf(deviation / variance**0.5)) if variance > 0 else 1.0
    return HeldOut(0.5 + deviation / weight, p_value, sizes)


@functools.cache
def _threads() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def classify_domain(
    reference: pl.DataFrame, current: pl.DataFrame, *, columns: Sequence[str] | None = None, seed: int = 0
) -> HeldOut:
    """Whether boosted trees can tell from which of two tables a row is: drift in anything, interactions included."""
    need_sklearn()
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    one, two = matrix_of(_thinned(reference), _thinned(current), columns=columns, missing=True)
    marks = np.array([0] * len(one) + [1] * len(two))

    def model() -> Any:
        return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed)

    return held_out_test(np.concatenate([one, two]), marks, model, seed=seed)


def discrepancy(
    reference: pl.DataFrame, current: pl.DataFrame, *, columns: Sequence[str] | None = None, permutations: int = 500
) -> tuple[float, float]:
    """Maximum mean discrepancy of the rows, every column scaled to the reference, and its p-value by permutation."""
    one, two = matrix_of(reference, current, columns=columns)
    return kernel_test(one, two, permutations=permutations)


def reconstruct(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    variance: float = 0.65,
    chunk: int = 0,
    deviations: float = 3.0,
) -> Reconstruction:
    """How far rows are from the plane of the reference's principal components, chunk by chunk.

    Missing numbers become the mean, categories their share in the reference, everything is standardised; the
    components that explain the given share of variance span the plane (as NannyML does it).

    Args:
        reference: Rows known to be good.
        current: Rows to judge.
        columns: Only these; all that both have by default.
        variance: The share of variance that the components explain.
        chunk: Rows in a chunk; a tenth of the reference by default.
        deviations: Half the width of the band, in standard deviations of the reference's chunks.
    """
    import numpy as np

    if not 0 < variance < 1:
        raise InvalidInput(f"the share of variance must lie between 0 and 1, and not at {variance}")
    one, two = matrix_of(reference, current, columns=columns)
    size = chunk or max(len(one) // 10, 1)
    if len(one) < 2 * size:
        raise InvalidInput(f"{len(one)} rows make no two chunks of {size}", hint="pass smaller chunks")
    values, vectors = np.linalg.eigh(np.cov(one, rowvar=False).reshape(one.shape[1], -1))
    order = np.argsort(values)[::-1]
    explained = np.cumsum(values[order]) / values.sum()
    count = int(np.searchsorted(explained, variance) + 1)
    plane = vectors[:, order[:count]]
    errors = [np.linalg.norm(each - each @ plane @ plane.T, axis=1) for each in (one, two)]
    chunks = [[float(each[start : start + size].mean()) for start in _starts(len(each), size)] for each in errors]
    middle, spread = float(np.mean(chunks[0])), float(np.std(chunks[0]))
    return Reconstruction(
        components=count,
        reference=tuple(chunks[0]),
        current=tuple(chunks[1]),
        sampling_error=float(errors[0].std() / size**0.5),
        lower=max(middle - deviations * spread, 0.0),
        upper=middle + deviations * spread,
    )


def _starts(rows: int, size: int) -> range:
    """Where chunks begin; what is left over makes a chunk of its own when it is at least half of one."""
    return range(0, max(rows - size // 2, 1), size)


def _thinned(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.gather_every(max(1, -(-frame.height // _ROWS)))


def matrix_of(
    reference: pl.DataFrame, current: pl.DataFrame, *, columns: Sequence[str] | None = None, missing: bool = False
) -> tuple[Any, Any]:
    """Two tables as matrices of doubles over the columns they share, standardised by the reference.

    Categories and texts become their share among the reference's rows; with `missing`, what is missing stays NaN and
    nothing is standardised, otherwise it becomes the reference's mean.
    """
    import numpy as np
    import polars as pl

    shared = [name for name in reference.columns if name in current.columns]
    names = shared if columns is None else list(columns)
    pairs = []
    for name in names:
        one, two = reference.get_column(name), current.get_column(name)
        if one.dtype.is_numeric() or one.dtype == pl.Boolean:
            pairs.append([each.cast(pl.Float64).fill_null(float("nan")).to_numpy() for each in (one, two)])
        elif one.dtype.is_temporal():
            pairs.append(
                [each.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy() for each in (one, two)]
            )
        elif one.dtype in {pl.String, pl.Categorical, pl.Enum}:
            shares = one.cast(pl.String).drop_nulls().alias("value").value_counts(normalize=True, name="share")
            table = dict(shares.iter_rows())
            cast = (each.cast(pl.String) for each in (one, two))
            pairs.append(
                [each.replace_strict(table, default=None, return_dtype=pl.Float64).to_numpy() for each in cast]
            )
    if not pairs:
        raise InvalidInput("the tables share no column of numbers, moments or categories")
    left, right = (np.column_stack([pair[side] for pair in pairs]).astype(float) for side in (0, 1))
    for each in (left, right):
        each[~np.isfinite(each)] = np.nan
    if missing:
        return left, right
    known = np.where(np.isnan(left).all(axis=0), 0.0, left)
    mean, spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    spread[spread == 0] = 1.0
    return tuple((np.where(np.isnan(each), mean, each) - mean) / spread for each in (left, right))
