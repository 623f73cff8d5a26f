"""What evaluation takes from its callers, turned into checked numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput, MissingDependency

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["labels_of", "numbers_of", "numpy", "same_length"]


def numpy() -> ModuleType:
    """numpy, or the error that names the extra."""
    try:
        import numpy as np
    except ImportError:
        raise MissingDependency("numpy", extra="quality") from None
    return np


def numbers_of(values: Any, *, what: str) -> Floats:
    """One-dimensional finite doubles from a list, an array or a polars column."""
    np = numpy()
    try:
        array: Floats = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} are not numbers: {error}") from None
    if array.ndim != 1:
        raise InvalidInput(f"{what} have the shape {array.shape}; one number per row is needed")
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


def same_length(**arrays: Floats) -> int:
    """How many rows all of these have; raises `InvalidInput` when they differ or there are none."""
    sizes = {name: array.size for name, array in arrays.items()}
    if len(set(sizes.values())) != 1:
        raise InvalidInput(f"these do not have the same number of rows: {sizes}")
    size = next(iter(sizes.values()))
    if not size:
        raise InvalidInput("there are no rows to evaluate")
    return size
