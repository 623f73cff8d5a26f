"""What evaluation takes from its callers, turned into checked numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput, MissingDependency

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "codes_of",
    "labels_of",
    "matrix_of",
    "numbers_of",
    "numpy",
    "probabilities_of",
    "same_length",
    "series_of",
    "weights_of",
]


def numpy() -> ModuleType:
    """numpy, or the error that names the extra."""
    try:
        import numpy as np
    except ImportError:
        raise MissingDependency("numpy", extra="quality") from None
    return np


def numbers_of(values: Any, *, what: str) -> Floats:
    """One-dimensional finite doubles from a list, an array or a polars column."""
    array = _doubles(values, what=what)
    if array.ndim != 1:
        raise InvalidInput(f"{what} have the shape {array.shape}; one number per row is needed")
    return array


def matrix_of(values: Any, *, what: str) -> Floats:
    """Two-dimensional finite doubles, a row each, from an array, a list of lists or a polars frame."""
    array = _doubles(values, what=what)
    if array.ndim != 2:
        raise InvalidInput(f"{what} have the shape {array.shape}; a row of numbers for each row is needed")
    return array


def _doubles(values: Any, *, what: str) -> Floats:
    np = numpy()
    try:
        array: Floats = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} are not numbers: {error}") from None
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise InvalidInput(f"{bad} of {array.size} {what} are missing or infinite", hint="leave those rows out")
    return array


def labels_of(values: Any) -> Floats:
    """Labels of a binary task as 0.0 and 1.0."""
    array = numbers_of(values, what="labels")
    if ((array != 0) & (array != 1)).any():
        strange = sorted(set(array[(array != 0) & (array != 1)].tolist()))[:5]
        raise InvalidInput(f"labels of a binary task are 0 and 1 (or false and true), not {strange}")
    return array


def probabilities_of(values: Any, *, what: str = "scores") -> Floats:
    """Probabilities of the positive class, one per row."""
    array = numbers_of(values, what=what)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise InvalidInput(
            f"{what} lie between {array.min():.4g} and {array.max():.4g}, not between 0 and 1",
            hint="pass probabilities of the positive class",
        )
    return array


def weights_of(values: Any, *, rows: int) -> Floats | None:
    """How much each row counts, or nothing when all count the same."""
    if values is None:
        return None
    array = numbers_of(values, what="weights")
    if array.size != rows:
        raise InvalidInput(f"there are {array.size} weights for {rows} rows")
    if (array < 0).any() or not array.sum() > 0:
        raise InvalidInput("weights must not be negative, and one must be above 0")
    return array


def series_of(values: Any, *, what: str, rows: int) -> Any:
    """A polars column of whatever names groups: text, numbers, booleans, dates."""
    import polars as pl

    try:
        column = values if isinstance(values, pl.Series) else pl.Series(what, numpy().asarray(values).tolist())
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(f"{what} cannot be read: {error}") from None
    if column.len() != rows:
        raise InvalidInput(f"{what} has {column.len()} rows, the labels have {rows}")
    return column


def codes_of(values: Any, *, what: str, rows: int) -> tuple[Any, list[Any]]:
    """The number of each row's value among the distinct ones in their order, and these; `None` comes last."""
    column = series_of(values, what=what, rows=rows)
    known = column.drop_nulls().unique().sort()
    codes = column.rank("dense").fill_null(known.len() + 1).cast(int).to_numpy() - 1
    return codes, [*known.to_list(), *([None] if column.null_count() else [])]


def same_length(**arrays: Floats) -> int:
    """How many rows all of these have; raises `InvalidInput` when they differ or there are none."""
    sizes = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(sizes.values())) != 1:
        raise InvalidInput(f"these do not have the same number of rows: {sizes}")
    size: int = next(iter(sizes.values()))
    if not size:
        raise InvalidInput("there are no rows to evaluate")
    return size
