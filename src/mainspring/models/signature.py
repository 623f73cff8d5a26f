"""Signatures read off examples: the columns a model was shown and what it answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.engines.signature import DTYPES, Field, Signature
from mainspring.kernel.errors import InvalidInput, nearest

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["DTYPES", "Field", "Signature", "infer_outputs", "infer_signature"]

_POLARS = {
    "Boolean": "BOOL",
    "Categorical": "BYTES",
    "Enum": "BYTES",
    "Float32": "FP32",
    "Float64": "FP64",
    "Int16": "INT16",
    "Int32": "INT32",
    "Int64": "INT64",
    "Int8": "INT8",
    "Null": "FP64",
    "String": "BYTES",
    "UInt16": "UINT16",
    "UInt32": "UINT32",
    "UInt64": "UINT64",
    "UInt8": "UINT8",
}


def infer_signature(
    frame: pl.DataFrame,
    predictions: Mapping[str, NDArray[Any]] | None = None,
    *,
    nullable: Collection[str] = (),
) -> Signature:
    """The signature of a model that takes rows like those of `frame`.

    Args:
        frame: Rows with the model's input columns, and no others, in the model's order.
        predictions: What the model answered to them, by output name.
        nullable: Columns that may lack values although this example has them all.

    Example:
        >>> import polars as pl
        >>> infer_signature(pl.DataFrame({"carrier": ["UA"], "delay": [None]}), nullable=["carrier"]).inputs[0].nullable
        True
    """
    unknown = sorted(set(nullable) - set(frame.columns))
    if unknown:
        raise InvalidInput(
            f"there is no column {unknown[0]!r} to be nullable", known=nearest(unknown[0], frame.columns)
        )
    inputs = []
    for series in frame.get_columns():
        dtype = _POLARS.get(type(series.dtype).__name__)
        if dtype is None:
            raise InvalidInput(
                f"column {series.name!r} is {series.dtype}, which no model input can be",
                hint="make it numbers, text or booleans first, for example dt.epoch() or dt.hour() of a time",
            )
        missing = series.null_count() > 0 or (series.dtype.is_float() and bool(series.is_nan().any()))
        inputs.append(Field(series.name, dtype, nullable=missing or series.name in nullable))
    return Signature(inputs=tuple(inputs), outputs=infer_outputs(predictions or {}))


def infer_outputs(predictions: Mapping[str, NDArray[Any]]) -> tuple[Field, ...]:
    """The output fields of predictions, in their order."""
    names = {kind: dtype for dtype, kind in DTYPES.items()}
    outputs = []
    for name, array in predictions.items():
        dtype = "BYTES" if array.dtype.kind in "OUS" else names.get(array.dtype.name, "")
        outputs.append(Field(name, dtype, shape=(-1, *array.shape[1:])))
    return tuple(outputs)
