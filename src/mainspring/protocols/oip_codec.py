"""The Open Inference Protocol over REST: inference requests and answers, JSON with binary tensors.

A body is JSON, followed by raw tensors in the order of the inputs when the header
`Inference-Header-Content-Length` says how long the JSON is. The envelope is decoded once, by type; the
data of a tensor stays raw text until its datatype and shape are known.

Written by hand: the reference servers answer their own clients wrongly (no Content-Type, binary data),
and the envelope is five structs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.signature import Field
from mainspring.kernel.errors import InvalidInput, TooLarge, UnsupportedFormat, nearest

if TYPE_CHECKING:
    from mainspring.protocols.oip_tensors import Array

__all__ = [
    "MAX_BODY",
    "MAX_TENSORS",
    "InferCall",
    "Output",
    "columns_of",
    "decode_request",
    "decompress",
    "encode_response",
    "raw_request",
]

MAX_BODY = 64 * 1024 * 1024
MAX_TENSORS = 4096

Parameters = dict[str, str | int | float | bool | None]


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: msgspec.Raw = msgspec.Raw()


class Output(msgspec.Struct):
    """An output that the caller asked for."""

    name: str
    parameters: Parameters | None = None


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[Output] | None = None


class InferCall(msgspec.Struct):
    """An inference request: what was asked, whatever way it came."""

    id: str
    tensors: dict[str, Any]
    """Input name to numpy array of the shape that the caller stated."""
    outputs: list[Output]
    parameters: Parameters


_DECODER = msgspec.json.Decoder(_Request)


def decompress(body: bytes, *, encoding: str, limit: int = MAX_BODY) -> bytes:
    """Undo a Content-Encoding of gzip or deflate, never beyond `limit` bytes."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedFormat(f"the content encoding {encoding[:40]!r} is not spoken here", known=["gzip", "deflate"])
    reader = zlib.decompressobj(wbits=47)  # both headers, told apart by the first bytes
    try:
        plain = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body is not {encoding}: {error}") from None
    if len(plain) > limit:
        raise TooLarge(f"the body unpacks to more than {limit} bytes")
    if not reader.eof:
        raise InvalidInput(f"the {encoding} body is cut off")
    return plain


def decode_request(body: bytes, *, header_length: int | None = None) -> InferCall:
    """Read an inference request.

    Args:
        body: The whole body, decompressed.
        header_length: The value of `Inference-Header-Content-Length`; None when the body is JSON alone.

    Raises:
        InvalidInput: The first thing that is wrong, with the name of the tensor.
    """
    if header_length is not None and not 0 < header_length <= len(body):
        raise InvalidInput(f"Inference-Header-Content-Length is {header_length}; the body has {len(body)} bytes")
    view = memoryview(body)
    end = len(body) if header_length is None else header_length
    try:
        request = _DECODER.decode(view[:end])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"not an inference request: {error}") from None
    if len(request.inputs) > MAX_TENSORS:
        raise TooLarge(f"{len(request.inputs)} inputs; the limit is {MAX_TENSORS}")
    tensors, rest = _tensors(request.inputs, view[end:])
    if len(rest):
        raise InvalidInput(f"{len(rest)} bytes follow the last binary tensor")
    return InferCall(request.id or "", tensors, request.outputs or [], request.parameters or {})


def raw_request(body: bytes, inputs: Sequence[Field]) -> InferCall:
    """A body that is one raw tensor and no JSON (header length 0): the model's only input, all outputs binary."""
    from mainspring.protocols.oip_tensors import DATATYPES, from_binary

    if len(inputs) != 1:
        raise InvalidInput(f"a raw binary request needs a model with one input; this one has {len(inputs)}")
    (field,) = inputs
    tail = math.prod(field.shape[1:])
    # Batch 1 for BYTES, as the protocol says: the elements do not tell their number.
    rows = 1 if field.dtype == "BYTES" else len(body) // (DATATYPES[field.dtype].itemsize * tail)
    shape = [rows, *field.shape[1:]]
    array = from_binary(memoryview(body), name=field.name, datatype=field.dtype, shape=shape)
    return InferCall("", {field.name: array}, [], {"binary_data_output": True})


def _tensors(inputs: Sequence[_Input], rest: memoryview) -> tuple[dict[str, Array], memoryview]:
    from mainspring.protocols.oip_tensors import from_binary, from_json

    found: dict[str, Array] = {}
    for each in inputs:
        if each.name in found:
            raise InvalidInput(f"input {each.name!r} is given twice")
        size = (each.parameters or {}).get("binary_data_size")
        if size is None:
            if not bytes(each.data):
                raise InvalidInput(f"input {each.name!r} has neither data nor parameters.binary_data_size")
            found[each.name] = from_json(bytes(each.data), name=each.name, datatype=each.datatype, shape=each.shape)
            continue
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest):
            raise InvalidInput(f"input {each.name!r}: binary_data_size is {size}; {len(rest)} bytes are left")
        if bytes(each.data):
            raise InvalidInput(f"input {each.name!r} has both data and binary_data_size")
        found[each.name] = from_binary(rest[:size], name=each.name, datatype=each.datatype, shape=each.shape)
        rest = rest[size:]
    return found, rest


def columns_of(tensors: Mapping[str, Array], names: Sequence[str]) -> tuple[dict[str, Array], int]:
    """A request's tensors as columns of a table: one array per name, all with the same number of rows.

    Tensors are columns by name, of shape [rows], [rows, 1] or [rows, ...]. One lone matrix whose name is no
    input of the model is taken apart, column by column, in the order of `names`: what clients of
    scikit-learn servers send.

    Example:
        >>> import numpy as np
        >>> columns, rows = columns_of({"input-0": np.ones((3, 2))}, ["age", "income"])
        >>> sorted(columns), rows
        (['age', 'income'], 3)
    """
    if len(tensors) == 1:
        ((name, matrix),) = tensors.items()
        if name not in names and matrix.ndim == 2 and matrix.shape[1] == len(names) > 1:
            return {each: matrix[:, index] for index, each in enumerate(names)}, matrix.shape[0]
    if not tensors:
        raise InvalidInput("a request without inputs", known=list(names))
    columns = {
        name: array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array for name, array in tensors.items()
    }
    counts = {name: array.shape[0] if array.ndim else -1 for name, array in columns.items()}
    if len(set(counts.values())) != 1 or -1 in counts.values():
        raise InvalidInput(f"inputs must have the same number of rows, their first dimension; got {counts}")
    return columns, next(iter(counts.values()))


class _OutputTensor(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class _Response(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[_OutputTensor]
    id: str = ""
    parameters: dict[str, Any] | None = None


def encode_response(
    call: InferCall, outputs: Mapping[str, Array], *, model: str, version: str, parameters: Mapping[str, Any]
) -> tuple[bytes, int | None]:
    """An answer's body, and the length of its JSON when binary tensors follow (None otherwise)."""
    from mainspring.protocols.oip_tensors import datatype_of, to_binary, to_json

    wanted = call.outputs or [Output(name) for name in outputs]
    described: list[_OutputTensor] = []
    pieces: list[bytes] = []
    for each in wanted:
        array = outputs.get(each.name)
        if array is None:
            raise InvalidInput(f"this model has no output {each.name!r}", known=nearest(each.name, outputs))
        asked = each.parameters or {}
        array = _classify(array, asked.get("classification"))
        binary = asked.get("binary_data", call.parameters.get("binary_data_output", False))
        tensor = _OutputTensor(each.name, datatype_of(array), list(array.shape))
        if binary:
            pieces.append(to_binary(array))
            tensor.parameters = {"binary_data_size": len(pieces[-1])}
        else:
            tensor.data = to_json(array, name=each.name)
        described.append(tensor)
    head = msgspec.json.encode(_Response(model, version, described, call.id, dict(parameters) or None))
    if not pieces:
        return head, None
    return b"".join([head, *pieces]), len(head)


def _classify(array: Array, top: Any) -> Array:
    """The `classification` extension: the `top` largest per row, each as "value:index"."""
    if top is None or top is False:
        return array
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"classification must be a number of classes, 1 or more, not {top!r}")
    if array.dtype.kind not in "fiu" or not array.ndim:
        raise InvalidInput("classification is asked of an output that is not numeric")
    import numpy as np

    flat = array.reshape(array.shape[0], -1) if math.prod(array.shape) else array.reshape(array.shape[0], 0)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :top]
    text = [[f"{row[index]:f}:{index}" for index in chosen] for row, chosen in zip(flat, order, strict=True)]
    return np.array(text, dtype=object).reshape(order.shape)
