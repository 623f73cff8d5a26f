"""Signatures: what a model takes and gives, as named, typed columns; and the conversion of data to it.

The datatypes are those of the Open Inference Protocol (`BOOL`, `INT64`, `FP32`, `FP64`, `BYTES`, ...), so that
a signature is also the model's metadata on the wire. Converted data is a mapping from column name to one numpy
array per column: numbers in the column's own type, text as objects (`str`, or `None` where it is missing).
A nullable number that is missing is NaN, and a nullable column of integers or booleans therefore becomes FP64.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DTYPES", "Field", "Signature"]

DTYPES: dict[str, str] = {
    "BOOL": "bool",
    "BYTES": "object",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "INT8": "int8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "UINT8": "uint8",
}
"""Open Inference Protocol datatype -> numpy's name of it."""

_EXACT_INTEGERS = 2**53


class Field(msgspec.Struct, frozen=True):
    """One named column of a signature.

    Example:
        >>> Field("distance", "FP64").shape
        (-1,)
    """

    name: str
    dtype: str
    """One of `DTYPES`."""
    shape: tuple[int, ...] = (-1,)
    """-1 is the number of rows; what follows is the shape of one value."""
    nullable: bool = False
    """Whether a value may be missing (null, NaN)."""
    optional: bool = False
    """Whether the whole column may be left out; then every value is missing."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InvalidInput(f"column {self.name!r} has the unknown datatype {self.dtype!r}", known=sorted(DTYPES))
        if not self.name or not self.shape or self.shape[0] != -1 or any(size < 1 for size in self.shape[1:]):
            raise InvalidInput(f"column {self.name!r} has the shape {list(self.shape)}; the first size must be -1")

    @property
    def text(self) -> bool:
        """Whether the values are text."""
        return self.dtype == "BYTES"

    @property
    def stored(self) -> str:
        """The numpy type of a converted column: FP64 when integers or booleans may be missing."""
        if self.nullable and not self.text and not self.dtype.startswith("FP"):
            return "float64"
        return DTYPES[self.dtype]


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and gives: ordered named columns.

    Example:
        >>> signature = Signature(inputs=(Field("x", "FP64"),), outputs=(Field("value", "FP64"),))
        >>> signature.convert({"x": [1, 2]})
        {'x': array([1., 2.])}
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        for side, fields in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [field.name for field in fields]
            if len(set(names)) != len(names):
                twice = sorted({name for name in names if names.count(name) > 1})
                raise InvalidInput(f"the {side} of the signature name {twice[0]!r} twice")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(field.name for field in self.inputs)

    def convert(self, data: Any) -> dict[str, NDArray[Any]]:
        """Check `data` against the inputs and convert it; columns that the signature does not name are left out.

        Args:
            data: A mapping of columns, a polars frame, or a sequence of records (mappings), one per row.

        Raises:
            InvalidInput: A column is missing, has a value that its type cannot hold, or a length of its own.
        """
        _need_numpy()
        columns = _columns(data, self.names, shaped=any(len(field.shape) > 1 for field in self.inputs))
        rows = _rows(columns, self.names)
        return {field.name: _convert(field, columns.get(field.name), rows, columns) for field in self.inputs}


@functools.cache
def _need_numpy() -> None:
    if importlib.util.find_spec("numpy") is None:
        raise MissingDependency("numpy", extra="serve")


def _columns(data: Any, names: Sequence[str], *, shaped: bool = False) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return data
    if hasattr(data, "collect") and not hasattr(data, "to_dicts"):
        data = data.collect()
    if hasattr(data, "get_columns"):
        return {series.name: series for series in data.get_columns()}
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # a frame of pandas
        return {str(name): data[name] for name in data.columns}
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return _of_array(data, names, shaped=shaped)
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        wrong = next((index for index, record in enumerate(data) if not isinstance(record, Mapping)), None)
        if wrong is None:
            return {
                name: [row.get(name) for row in data] for name in names if not data or any(name in row for row in data)
            }
        raise InvalidInput(f"row {wrong} is {type(data[wrong]).__name__}, not a record of named values")
    raise InvalidInput(
        f"rows of type {type(data).__name__} cannot be read",
        hint="give columns by name, a polars frame or a list of records",
    )


def _of_array(data: Any, names: Sequence[str], *, shaped: bool) -> Mapping[str, Any]:
    """A matrix or a tensor as columns in the order of the signature; as its one input, where it has only one."""
    import numpy as np

    array = np.asarray(data.detach().cpu() if hasattr(data, "detach") else data)
    if len(names) == 1 and array.ndim >= 1:
        plain = not shaped and array.ndim == 2 and array.shape[1] == 1
        return {names[0]: array[:, 0] if plain else array}
    if array.ndim != 2 or array.shape[1] != len(names):
        raise InvalidInput(f"an array of the shape {list(array.shape)} cannot be {len(names)} columns")
    return {name: array[:, place] for place, name in enumerate(names)}


def _rows(columns: Mapping[str, Any], names: Sequence[str]) -> int:
    lengths: dict[str, int] = {}
    for name in names:
        if name in columns:
            try:
                lengths[name] = len(columns[name])
            except TypeError:
                raise InvalidInput(
                    f"column {name!r} is one value, not a sequence of values", hint="write [value]"
                ) from None
    if len(set(lengths.values())) > 1:
        first, rows = next(iter(lengths.items()))
        other = next(name for name, length in lengths.items() if length != rows)
        raise InvalidInput(f"column {other!r} has {lengths[other]} values and column {first!r} has {rows}")
    return next(iter(lengths.values()), 0)


def _convert(field: Field, values: Any, rows: int, columns: Mapping[str, Any]) -> NDArray[Any]:
    import numpy as np

    if values is None:
        if not field.optional:
            raise InvalidInput(f"column {field.name!r} is missing", known=nearest(field.name, map(str, columns)))
        shape = (rows, *field.shape[1:])
        return np.full(shape, None, dtype=object) if field.text else np.full(shape, np.nan, dtype=_with_nan(field))
    if isinstance(values, np.ndarray) and values.dtype == field.stored and not field.text:
        found = values
    else:
        found = _text(field, values) if field.text else _numbers(field, values)
    if found.shape[1:] != field.shape[1:]:
        raise InvalidInput(f"column {field.name!r} has the shape {list(found.shape)}; its shape is {list(field.shape)}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        _check_finite(field, found)
    return found


def _check_finite(field: Field, found: NDArray[Any]) -> None:
    """Refuse what is missing where it may not be, and infinity, which libraries disagree about, everywhere."""
    import numpy as np

    missing, endless = np.isnan(found), np.isinf(found)
    if endless.any():
        raise InvalidInput(f"column {field.name!r} has an infinite value in row {int(np.argwhere(endless)[0][0])}")
    if missing.any() and not field.nullable:
        row = int(np.argwhere(missing)[0][0])
        raise InvalidInput(f"column {field.name!r} has no value in row {row}, and may not be missing")


def _with_nan(field: Field) -> str:
    return DTYPES[field.dtype] if field.dtype.startswith("FP") else "float64"


def _text(field: Field, values: Any) -> NDArray[np.object_]:
    import numpy as np

    found = np.empty(len(values), dtype=object)
    if len(field.shape) > 1:
        found = np.empty((len(values), *field.shape[1:]), dtype=object)
    found[...] = values.to_list() if hasattr(values, "to_list") else list(values)
    for place, value in enumerate(found.flat):
        if isinstance(value, str):
            continue
        if isinstance(value, bytes):
            try:
                found.flat[place] = value.decode()
            except UnicodeDecodeError:
                raise InvalidInput(f"column {field.name!r} has bytes that are not UTF-8 at {place}") from None
        elif value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 -- NaN
            if not field.nullable:
                raise InvalidInput(f"column {field.name!r} has no value in row {place}, and may not be missing")
            found.flat[place] = None
        else:
            raise InvalidInput(f"column {field.name!r} takes text and has {value!r} in row {place}")
    return found


def _numbers(field: Field, values: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(values, "to_numpy"):  # a polars series: nulls become NaN
        values = values.to_numpy()
    try:
        found = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"column {field.name!r} is not a block of numbers: {error}") from None
    if found.dtype == DTYPES[field.dtype] == field.stored:
        return found
    if found.dtype == object:
        found = _from_objects(field, found)
    if found.size == 0:
        return found.reshape((0, *field.shape[1:])).astype(field.stored)
    if found.dtype.kind not in "biuf":
        raise InvalidInput(f"column {field.name!r} takes {field.dtype} and has {found.flat[0].item()!r} in row 0")
    _check_range(field, found)
    return found.astype(field.stored)


def _from_objects(field: Field, found: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    for row, value in enumerate(found.flat):
        if value is None:
            if not field.nullable:
                raise InvalidInput(f"column {field.name!r} has no value in row {row}, and may not be missing")
        elif not isinstance(value, bool | int | float | np.number | np.bool_):
            raise InvalidInput(f"column {field.name!r} takes {field.dtype} and has {value!r} in row {row}")
    if any(value is None for value in found.flat):
        return np.array([np.nan if value is None else value for value in found.flat], dtype="float64").reshape(
            found.shape
        )
    plain = np.array(found.tolist())
    if plain.dtype == object:
        raise InvalidInput(f"column {field.name!r} has a number too large for {field.dtype}")
    return plain


def _check_range(field: Field, found: NDArray[Any]) -> None:
    """Refuse what the column's type cannot hold: fractions for integers, numbers out of range, 2 for a boolean."""
    import numpy as np

    if field.dtype.startswith("FP"):
        return
    present = found[~np.isnan(found)] if found.dtype.kind == "f" else found
    if not field.nullable and present.size != found.size:
        row = int(np.argwhere(np.isnan(found))[0][0])
        raise InvalidInput(f"column {field.name!r} has no value in row {row}, and may not be missing")
    low, high = _limits(field.dtype)
    if field.stored == "float64":
        low, high = max(low, -_EXACT_INTEGERS), min(high, _EXACT_INTEGERS)
    wrong = (present < low) | (present > high)
    if found.dtype.kind == "f":
        wrong |= present != np.floor(present)
    if wrong.any():
        raise InvalidInput(f"column {field.name!r} takes {field.dtype} and has {present[wrong][0].item()!r}")


@functools.cache
def _limits(dtype: str) -> tuple[int, int]:
    if dtype == "BOOL":
        return 0, 1
    import numpy as np

    limits = np.iinfo(DTYPES[dtype])
    return int(limits.min), int(limits.max)
