"""Signatures read off examples: the columns a model was shown and what it answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.engines.signature import DTYPES, Field, Signature
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.models.examples import as_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DTYPES", "Field", "Signature", "infer_fields", "infer_outputs", "infer_signature"]

_NAMES = {kind: dtype for dtype, kind in DTYPES.items()}


def infer_signature(
    example: Any,
    predictions: Mapping[str, NDArray[Any]] | None = None,
    *,
    nullable: Collection[str] = (),
) -> Signature:
    """The signature of a model that takes rows like those of an example.

    Args:
        example: Rows with the model's input columns, and no others, in the model's order: a frame of polars or pandas,
            columns by name, records, an array, a tensor, or texts.
        predictions: What the model answered to them, by output name.
        nullable: Columns that may lack values although this example has them all.

    Example:
        >>> import polars as pl
        >>> infer_signature(pl.DataFrame({"carrier": ["UA"], "delay": [None]}), nullable=["carrier"]).inputs[0].nullable
        True
    """
    return Signature(
        inputs=infer_fields(as_columns(example), nullable=nullable), outputs=infer_outputs(predictions or {})
    )


def infer_fields(columns: Mapping[str, NDArray[Any]], *, nullable: Collection[str] = ()) -> tuple[Field, ...]:
    """The input fields of columns as `examples.as_columns` gives them."""
    unknown = sorted(set(nullable) - set(columns))
    if unknown:
        raise InvalidInput(
            f"there is no column {unknown[0]!r} to be nullable", known=nearest(unknown[0], list(columns))
        )
    return tuple(_field(name, column, nullable=name in nullable) for name, column in columns.items())


def _field(name: str, column: NDArray[Any], *, nullable: bool) -> Field:
    import numpy as np

    shape = (-1, *column.shape[1:])
    if column.dtype == object:
        present = [each for each in column.ravel().tolist() if each is not None and each == each]  # noqa: PLR0124 -- NaN
        return Field(name, _of_objects(name, present), shape=shape, nullable=nullable or len(present) < column.size)
    dtype = _NAMES.get(column.dtype.name)
    if dtype is None:
        raise InvalidInput(
            f"column {name!r} is {column.dtype}, which no model input can be",
            hint="make it numbers, text or booleans first",
        )
    missing = column.dtype.kind == "f" and bool(np.isnan(column).any())
    return Field(name, dtype, shape=shape, nullable=nullable or missing)


def _of_objects(name: str, present: list[Any]) -> str:
    if all(isinstance(each, str | bytes) for each in present):
        return "BYTES"
    if all(isinstance(each, bool) for each in present):
        return "BOOL"
    if all(isinstance(each, int) for each in present):
        return "INT64"
    if all(isinstance(each, bool | int | float) or hasattr(each, "dtype") for each in present):
        return "FP64"
    kinds = sorted({type(each).__name__ for each in present})
    raise InvalidInput(
        f"column {name!r} holds values of type {', '.join(kinds)}, which no model input can be",
        hint="make it numbers, text or booleans first, for example the hour of a time",
    )


def infer_outputs(predictions: Mapping[str, NDArray[Any]]) -> tuple[Field, ...]:
    """The output fields of predictions, in their order."""
    outputs = []
    for name, array in predictions.items():
        dtype = "BYTES" if array.dtype.kind in "OUST" else _NAMES.get(array.dtype.name, "")
        outputs.append(Field(name, dtype, shape=(-1, *array.shape[1:])))
    return tuple(outputs)
