"""Examples as users have them, as columns: polars, pandas, numpy, dictionaries, records, tensors, plain texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_columns"]

_INPUT, _TEXT = "input", "text"


def as_columns(example: Any, *, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """An example as arrays by name, each in its own type; missing values are None or NaN.

    Args:
        example: Rows.
        names: What to call the columns of an array, where there are as many; `x0`, `x1`, ... otherwise.

    Raises:
        InvalidInput: It is nothing that rows can be read from.

    Example:
        >>> as_columns([{"x": 1.0}, {"x": 2.0}])
        {'x': array([1., 2.])}
    """
    if hasattr(example, "collect") and not hasattr(example, "get_columns"):
        example = example.collect()
    if hasattr(example, "get_columns"):
        return {series.name: _of_polars(series) for series in example.get_columns()}
    if hasattr(example, "iloc") and hasattr(example, "columns"):
        return {str(name): _of_pandas(example[name]) for name in example.columns}
    if hasattr(example, "iloc"):  # one column of pandas
        return {str(example.name or "x0"): _of_pandas(example)}
    if isinstance(example, Mapping):
        return _of_mapping(example)
    if isinstance(example, str):
        return as_columns([example])
    if hasattr(example, "shape") and hasattr(example, "dtype"):
        return _of_array(_array(example), names)
    if isinstance(example, Sequence) and example:
        return _of_sequence(example, names)
    raise InvalidInput(
        f"an example of type {type(example).__name__} cannot be read",
        hint="give a frame of polars or pandas, columns by name, a list of records, an array, or texts",
    )


def _of_mapping(example: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Columns by name; or, where every value is one, a single row."""
    single = bool(example) and not any(
        hasattr(value, "__len__") and not isinstance(value, str) for value in example.values()
    )
    found = {str(name): _array([value] if single else value) for name, value in example.items()}
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInput(f"the columns of the example have different lengths: {lengths}")
    return found


def _of_sequence(example: Sequence[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    if all(isinstance(each, Mapping) for each in example):
        keys = list(dict.fromkeys(key for row in example for key in row))
        return {str(key): _array([row.get(key) for row in example]) for key in keys}
    if all(isinstance(each, str) for each in example):
        return {names[0] if len(names) == 1 else _TEXT: _array(list(example))}
    return _of_array(_array(example), names)


def _of_array(array: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """A matrix as columns; anything of more dimensions, or of one row's plain values, as one input."""
    if array.ndim == 1:
        return {names[0] if len(names) == 1 else "x0": array}
    if array.ndim != 2:
        return {names[0] if len(names) == 1 else _INPUT: array}
    called = list(names) if len(names) == array.shape[1] else [f"x{place}" for place in range(array.shape[1])]
    return {name: array[:, place] for place, name in enumerate(called)}


def _of_polars(series: Any) -> NDArray[Any]:
    import numpy as np

    if series.dtype.is_numeric() or type(series.dtype).__name__ in ("Boolean", "Array"):
        if series.null_count():
            # without this an integer beyond 2**53 would be another one
            return series.to_numpy() if series.dtype.is_float() else np.array(series.to_list(), dtype=object)
        found: NDArray[Any] = series.to_numpy()
        return found
    if type(series.dtype).__name__ == "List":
        return _array(series.to_list())
    if type(series.dtype).__name__ not in ("String", "Categorical", "Enum", "Null"):
        raise InvalidInput(
            f"column {series.name!r} is {series.dtype}, which no model input can be",
            hint="make it numbers, text or booleans first, for example dt.epoch() or dt.hour() of a time",
        )
    if type(series.dtype).__name__ == "Null":
        return np.full(len(series), np.nan)
    made = np.empty(len(series), dtype=object)
    made[:] = series.to_list()
    return made


def _of_pandas(series: Any) -> NDArray[Any]:
    import numpy as np

    if series.dtype.kind == "M":
        raise InvalidInput(
            f"column {series.name!r} is {series.dtype}, which no model input can be",
            hint="make it numbers, text or booleans first, for example .dt.hour of a time",
        )
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        found: NDArray[Any] = series.to_numpy()
        return found
    missing = series.isna().to_numpy()
    made = np.empty(len(series), dtype=object)
    made[:] = series.astype(object).tolist()
    made[missing] = None
    return _tidy(made)


def _array(values: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(values, "detach"):  # a tensor of PyTorch, wherever it is
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
        return np.asarray(values.numpy())
    if hasattr(values, "get_columns") or hasattr(values, "null_count"):
        return _of_polars(values)
    try:
        found = np.asarray(values)
    except ValueError:
        raise InvalidInput("the rows of the example have different shapes", hint="pad them to one shape") from None
    if found.dtype.kind in "US":
        return found.astype(object)
    return _tidy(found) if found.dtype == object else found


def _tidy(found: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers as numbers."""
    import numpy as np

    present = [each for each in found.ravel().tolist() if each is not None and each == each]  # noqa: PLR0124 -- NaN
    if not present or any(not isinstance(each, bool | int | float | np.number) for each in present):
        return found
    if len(present) == found.size:
        return np.array(found.tolist())
    kinds = {type(each) for each in present}
    if kinds <= {float, np.float64, np.float32}:
        return np.array([np.nan if each is None else each for each in found.ravel()], dtype=np.float64).reshape(
            found.shape
        )
    return found
