"""MLflow's signatures and ours, both ways.

MLflow knows columns of named types (`integer`, `long`, `float`, `double`, `string`, `boolean`, `binary`, `datetime`,
and arrays, objects and maps of them) and tensors of numpy types. Ours are columns of fixed shapes. What has no fixed
shape (an object, a map, an array of any length) is a column of text here that holds JSON, and becomes what it was
before the model sees it; dates and times are text in ISO form. A name that MLflow leaves out is made up by position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.engines.signature import DTYPES, Field, Signature
from mainspring.kernel.errors import InvalidInput

__all__ = ["from_mlflow", "json_columns", "nameless", "to_mlflow"]

_TO_OURS = {
    "binary": "BYTES",
    "boolean": "BOOL",
    "datetime": "BYTES",
    "double": "FP64",
    "float": "FP32",
    "integer": "INT32",
    "long": "INT64",
    "string": "BYTES",
}
_TO_THEIRS = {
    "BOOL": "boolean",
    "BYTES": "string",
    "FP16": "float",
    "FP32": "float",
    "FP64": "double",
    "INT16": "integer",
    "INT32": "integer",
    "INT64": "long",
    "INT8": "integer",
    "UINT16": "integer",
    "UINT32": "long",
    "UINT64": "long",
    "UINT8": "integer",
}
_NUMPY = {kind: dtype for dtype, kind in DTYPES.items() if kind != "object"} | {"str": "BYTES", "object": "BYTES"}


def from_mlflow(signature: Mapping[str, Any] | None) -> Signature:
    """The signature that an `MLmodel` describes; an empty one where it describes none.

    Args:
        signature: The value of `signature` there: `inputs`, `outputs`, each JSON in a text, or None.

    Example:
        >>> from_mlflow({"inputs": '[{"name": "x", "type": "double", "required": true}]'}).inputs
        (Field(name='x', dtype='FP64', shape=(-1,), nullable=True, optional=False),)
    """
    told = signature or {}
    return Signature(
        inputs=tuple(_field(each, place, "input") for place, each in enumerate(_columns(told.get("inputs")))),
        outputs=tuple(_field(each, place, "output") for place, each in enumerate(_columns(told.get("outputs")))),
    )


def to_mlflow(signature: Signature) -> dict[str, str | None] | None:
    """What an `MLmodel` says of a signature; None for one without inputs.

    Outputs are left to MLflow's own wrappers, which answer with labels where ours answer with labels and
    probabilities: of several outputs the first is named.
    """
    if not signature.inputs:
        return None
    outputs = list(signature.outputs)[:1]
    tensors = all(len(each.shape) > 1 for each in signature.inputs)  # MLflow has the one kind or the other
    return {
        "inputs": _text([_tensor(each) if tensors else _column(each) for each in signature.inputs]),
        "outputs": _text([_anonymous(each) for each in outputs]) if outputs else None,
        "params": None,
    }


def json_columns(signature: Mapping[str, Any] | None) -> set[str]:
    """The inputs that are JSON in a text here, and something else to the model."""
    columns = _columns((signature or {}).get("inputs"))
    return {_name(each, place, "input") for place, each in enumerate(columns) if _shape(each) is None}


def nameless(signature: Mapping[str, Any] | None) -> bool:
    """Whether no input has a name: then MLflow is given columns by number."""
    columns = _columns((signature or {}).get("inputs"))
    return bool(columns) and not any(each.get("name") for each in columns)


def _columns(text: Any) -> list[dict[str, Any]]:
    if not text:
        return []
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]]) if isinstance(text, str) else list(text)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"the signature of the MLmodel cannot be read: {error}") from None


def _name(column: Mapping[str, Any], place: int, side: str) -> str:
    return str(column.get("name") or (side if place == 0 else f"{side}_{place}"))


def _field(column: Mapping[str, Any], place: int, side: str) -> Field:
    name = _name(column, place, side)
    shape = _shape(column)
    optional = side == "input" and column.get("required") is False
    if shape is None:
        return Field(name, "BYTES", nullable=optional, optional=optional)
    dtype = _dtype(column, name)
    # MLflow asks for the column, and lets a float in it be NaN.
    nullable = optional or (side == "input" and dtype.startswith("FP") and len(shape) == 1)
    return Field(name, dtype, shape=shape, nullable=nullable, optional=optional)


def _dtype(column: Mapping[str, Any], name: str) -> str:
    if column.get("type") == "tensor":
        kind = str(column.get("tensor-spec", {}).get("dtype", ""))
        found = _NUMPY.get(kind)
        if found is None:
            raise InvalidInput(f"the tensor {name!r} of the MLmodel is of {kind!r}, which no input can be")
        return found
    return _TO_OURS[str(column["type"])]


def _shape(column: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of a column of plain values or of a tensor; None where values have no fixed shape."""
    if column.get("type") == "tensor":
        sizes = [int(size) for size in column.get("tensor-spec", {}).get("shape", [])]
        return (-1, *sizes[1:]) if sizes and all(size >= 1 for size in sizes[1:]) else None
    return (-1,) if column.get("type") in _TO_OURS else None


def _column(field: Field) -> dict[str, Any]:
    return {
        "type": _type(field, len(field.shape)),
        "name": field.name,
        "required": not (field.nullable or field.optional),
    } | ({"items": _items(field, len(field.shape) - 1)} if len(field.shape) > 1 else {})


def _type(field: Field, rank: int) -> str:
    return "array" if rank > 1 else _TO_THEIRS[field.dtype]


def _items(field: Field, rank: int) -> dict[str, Any]:
    return {"type": "array", "items": _items(field, rank - 1)} if rank > 1 else {"type": _TO_THEIRS[field.dtype]}


def _anonymous(field: Field) -> dict[str, Any]:
    if len(field.shape) > 1:
        return {"type": "tensor", "tensor-spec": _spec(field)}
    return {"type": _TO_THEIRS[field.dtype], "required": True}


def _tensor(field: Field) -> dict[str, Any]:
    return {"type": "tensor", "name": field.name, "tensor-spec": _spec(field)}


def _spec(field: Field) -> dict[str, Any]:
    return {"dtype": DTYPES[field.dtype].replace("object", "str"), "shape": list(field.shape)}


def _text(columns: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(columns).decode()
