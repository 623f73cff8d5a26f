"""Tests of drift between two columns of numbers: scipy's, with the conventions of Evidently around them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.drift.methods_categories import category_score, counts_of, divergence

if TYPE_CHECKING:
    import polars as pl

__all__ = ["binned", "kernel_test", "number_score", "wasserstein"]

_FEW = 20  # with no more distinct values in the reference than this, each value is a bin
_KERNEL_ROWS = 1500  # of each sample in a matrix of kernels; more are thinned out evenly
_PERMUTATIONS = 100


def number_score(name: str, reference: pl.Series, current: pl.Series) -> float:
    """The score of a method for numbers; both columns are finite and not empty."""
    if name in {"psi", "kl_div", "jensenshannon"}:
        if reference.n_unique() <= _FEW:
            return category_score(name, counts_of(reference), counts_of(current))
        return divergence(name, *binned(_array(reference), _array(current)))
    return float(_SCORES[name](_array(reference), _array(current)))


def _array(column: pl.Series) -> Any:
    import polars as pl

    return column.cast(pl.Float64).to_numpy()


def binned(reference: Any, current: Any) -> tuple[Any, Any]:
    """Shares in equal bins over both samples, as many as Sturges' rule says."""
    import numpy as np

    edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
    return tuple(np.histogram(each, edges)[0] / len(each) for each in (reference, current))  # type: ignore[return-value]


def _ks(reference: Any, current: Any) -> float:
    from scipy import stats

    with warnings.catch_warnings():  # scipy says when it falls back from the exact to the asymptotic law
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ks_2samp(reference, current).pvalue)


def _mannw(reference: Any, current: Any) -> float:
    from scipy import stats

    return float(stats.mannwhitneyu(reference, current, alternative="less").pvalue)


def _es(reference: Any, current: Any) -> float:
    import numpy as np
    from scipy import stats

    if stats.iqr(np.concatenate([reference, current])) == 0:
        raise InvalidInput("Epps and Singleton's test needs values that vary in the middle half", hint="use ks")
    return float(stats.epps_singleton_2samp(reference, current).pvalue)


def _t_test(reference: Any, current: Any) -> float:
    from scipy import stats

    return float(stats.ttest_ind(reference, current).pvalue)


def _anderson(reference: Any, current: Any) -> float:
    from scipy import stats

    with warnings.catch_warnings():  # the p-value is capped to scipy's table, 0.001 to 0.25, and scipy says so
        warnings.simplefilter("ignore", UserWarning)
        return float(stats.anderson_ksamp([reference, current], variant="midrank").pvalue)


def _cramer_von_mises(reference: Any, current: Any) -> float:
    from scipy import stats

    return float(stats.cramervonmises_2samp(reference, current).pvalue)


def _energy(reference: Any, current: Any) -> float:
    from scipy import stats

    return float(stats.energy_distance(reference, current))


def _wasserstein(reference: Any, current: Any) -> float:
    import numpy as np

    return wasserstein(reference, current) / max(float(np.std(reference)), 0.001)


def wasserstein(reference: Any, current: Any) -> float:
    """The area between the two distribution functions.

    As scipy's, to rounding. Written out because both samples are sorted first here, so that the searches walk through
    memory in order, which is four times quicker on a million values.
    """
    import numpy as np

    one, two = np.sort(reference), np.sort(current)
    if len(one) == len(two):
        return float(np.abs(one - two).mean())
    every = np.concatenate([one, two])
    every.sort(kind="stable")  # merges two sorted runs
    below = [np.searchsorted(each, every[:-1], side="right") / len(each) for each in (one, two)]
    return float((np.abs(below[0] - below[1]) * np.diff(every)).sum())


def _hellinger(reference: Any, current: Any) -> float:
    import numpy as np

    edges = np.histogram_bin_edges(np.unique(np.concatenate([reference, current])), bins="sturges")
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    one, two = (np.histogram(each, bins=edges, density=True)[0] for each in (reference, current))
    overlap = float(np.clip((np.sqrt(one * two) * width).sum(), 0, 1))
    return float(np.sqrt(1 - overlap))


def _mmd(reference: Any, current: Any) -> float:
    return kernel_test(reference[:, None], current[:, None])[1]


def kernel_test(
    reference: Any, current: Any, *, permutations: int = _PERMUTATIONS, seed: int = 0
) -> tuple[float, float]:
    """Maximum mean discrepancy of two samples of vectors, unbiased, and its p-value by permutation.

    The kernel is Gaussian, its width the median distance within the reference (Gretton et al. 2012). Samples of more
    than 1,500 rows are thinned out evenly, since the matrix of kernels grows with their square.
    """
    import numpy as np

    one, two = (_thinned(each) for each in (reference, current))
    n, m = len(one), len(two)
    every = np.concatenate([one, two])
    squares = (every * every).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * every @ every.T, 0.0)
    width = float(np.percentile(distances[:n, :n], 50, method="nearest")) or 1.0
    kernel = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0.0)
    total = kernel.sum()

    def statistic(marks: Any) -> Any:
        within = (marks * (kernel @ marks)).sum(axis=0)
        sums = kernel.sum(axis=0) @ marks
        cross = sums - within
        return within / (n * (n - 1)) + (total - sums - cross) / (m * (m - 1)) - 2 * cross / (n * m)

    marks = np.zeros((n + m, 1))
    marks[:n] = 1.0
    found = float(statistic(marks)[0])
    draw = np.random.default_rng(seed)
    shuffled = draw.permuted(np.repeat(marks, permutations, axis=1), axis=0)
    return found, float((found <= statistic(shuffled)).mean())


def _thinned(values: Any) -> Any:
    step = -(-len(values) // _KERNEL_ROWS)
    return values[::step]


_SCORES: dict[str, Callable[[Any, Any], float]] = {
    "ks": _ks,
    "mannw": _mannw,
    "es": _es,
    "t_test": _t_test,
    "anderson": _anderson,
    "cramer_von_mises": _cramer_von_mises,
    "ed": _energy,
    "empirical_mmd": _mmd,
    "wasserstein": _wasserstein,
    "hellinger": _hellinger,
}
