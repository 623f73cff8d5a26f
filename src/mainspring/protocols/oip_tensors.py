"""Tensors of the Open Inference Protocol: datatypes, and their JSON and binary forms, to and from numpy.

Nothing is allocated on the word of a client: a shape is checked against the bytes, or the JSON, that
really came. Binary tensors are read in place, without a copy. Shared by REST and gRPC.

Sources: KServe open-inference-protocol `inference_rest.md`, and Triton's `extension_binary_data.md`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from mainspring.kernel.errors import InvalidInput, TooLarge, UnsupportedFormat, nearest

__all__ = ["DATATYPES", "Array", "datatype_of", "from_binary", "from_json", "rows_of", "to_binary", "to_json"]

Array = np.ndarray[Any, Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),  # on the wire; numpy has no bfloat16, so it is widened to float32 when read
    "BYTES": np.dtype(object),
}
"""Each datatype and the little-endian form of one element on the wire."""

MAX_RANK = 16

_NAMES = {wire.str.lstrip("<|"): name for name, wire in DATATYPES.items() if name not in ("BF16", "BYTES")}


def rows_of(shape: Sequence[int], *, name: str) -> int:
    """The number of elements of a shape; raises `InvalidInput` for one that cannot be."""
    if len(shape) > MAX_RANK:
        raise TooLarge(f"tensor {name!r} has {len(shape)} dimensions; the limit is {MAX_RANK}")
    if any(size < 0 for size in shape):
        raise InvalidInput(f"tensor {name!r} has a negative dimension in its shape {list(shape)}")
    return math.prod(shape)


def datatype_of(array: Array) -> str:
    """The protocol's name for an array's type; raises `UnsupportedFormat` where it has none."""
    if array.dtype.kind in "OUS":
        return "BYTES"
    name = _NAMES.get(array.dtype.newbyteorder("<").str.lstrip("<|"))
    if name is None:
        raise UnsupportedFormat(f"the Open Inference Protocol has no datatype for {array.dtype}")
    return name


def from_binary(data: memoryview, *, name: str, datatype: str, shape: Sequence[int]) -> Array:
    """A tensor from its raw little-endian bytes, in place; BYTES are read as text where they are UTF-8."""
    wire, count = _wire(datatype, name), rows_of(shape, name=name)
    if datatype == "BYTES":
        return _text(_split(data, count, name)).reshape(shape)
    if len(data) != count * wire.itemsize:
        size = count * wire.itemsize
        raise InvalidInput(f"tensor {name!r} of {datatype} and shape {list(shape)} takes {size} bytes; got {len(data)}")
    array = np.frombuffer(data, wire)
    if datatype == "BF16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif datatype == "BOOL":
        array = array.view(np.uint8) != 0  # a byte of 2 would be a bool that is neither true nor false
    return array.reshape(shape)


def from_json(data: bytes | memoryview, *, name: str, datatype: str, shape: Sequence[int]) -> Array:
    """A tensor from its JSON text: nested as the shape says, or flat in row-major order.

    `null` stands for NaN in a floating tensor, because JSON has no other word for it.
    """
    wire, count = _wire(datatype, name), rows_of(shape, name=name)
    depth = _depth(data, name=name, rank=len(shape))
    values = _decode(data, datatype=datatype, depth=depth, name=name)
    if depth > 1:
        _check_nested(values, shape, name=name)
        values = _flatten(values, depth)
    if len(values) != count:
        raise InvalidInput(f"tensor {name!r} of shape {list(shape)} takes {count} values; got {len(values)}")
    if datatype == "BYTES":
        array = np.empty(count, object)
        array[:] = values
        return array.reshape(shape)
    try:
        return np.array(values, np.float32 if datatype == "BF16" else wire).reshape(shape)
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidInput(f"tensor {name!r} holds a value that is no {datatype}: {error}") from None


def to_binary(array: Array) -> bytes:
    """An array as raw little-endian bytes; text and bytes as BYTES."""
    if array.dtype.kind in "OUS":
        pieces = [each if isinstance(each, bytes) else str(each).encode() for each in array.ravel().tolist()]
        return b"".join(part for piece in pieces for part in (struct.pack("<I", len(piece)), piece))
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def to_json(array: Array, *, name: str) -> list[Any]:
    """An array as a flat list, row-major; raises `UnsupportedFormat` for bytes that are not text."""
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind in "OS":
        try:
            return [each.decode() if isinstance(each, bytes) else each for each in values]
        except UnicodeDecodeError:
            raise UnsupportedFormat(
                f"output {name!r} holds bytes that are not UTF-8", hint="ask for it with binary_data: true"
            ) from None
    return values


def _wire(datatype: str, name: str) -> np.dtype[Any]:
    wire = DATATYPES.get(datatype)
    if wire is None:
        raise InvalidInput(
            f"tensor {name!r} has the unknown datatype {datatype[:40]!r}", known=nearest(datatype[:40], DATATYPES)
        )
    return wire


def _split(data: memoryview, count: int, name: str) -> list[bytes]:
    """Elements of a BYTES tensor: each a 4-byte length and that many bytes."""
    if count * 4 > len(data):
        raise InvalidInput(f"tensor {name!r} has {count} elements; {len(data)} bytes cannot hold them")
    pieces, at, end = [], 0, len(data)
    raw = bytes(data)
    for _ in range(count):
        if at + 4 > end:
            raise InvalidInput(f"tensor {name!r} ends inside the length of an element")
        start = at + 4
        at = start + int.from_bytes(raw[at:start], "little")
        if at > end:
            raise InvalidInput(f"tensor {name!r} ends inside an element")
        pieces.append(raw[start:at])
    if at != end:
        raise InvalidInput(f"tensor {name!r} has {end - at} bytes after its last element")
    return pieces


def _text(pieces: list[bytes]) -> Array:
    array = np.empty(len(pieces), object)
    try:
        array[:] = [each.decode() for each in pieces]
    except UnicodeDecodeError:
        array[:] = pieces
    return array


def _depth(data: bytes | memoryview, *, name: str, rank: int) -> int:
    """How many lists deep the data is, from its opening brackets; 1 or the rank, nothing else."""
    depth = 0
    for byte in bytes(data[: 64 + 8 * MAX_RANK]):
        if byte == 0x5B:
            depth += 1
        elif byte not in b" \t\r\n":
            break
    if depth == 0:
        raise InvalidInput(f"tensor {name!r}: data must be a list")
    if depth not in (1, rank) and bytes(data).strip(b" \t\r\n[]"):
        raise InvalidInput(f"tensor {name!r}: data is {depth} lists deep; its shape has {rank} dimensions")
    return depth if depth in (1, rank) else max(rank, 1)


_ELEMENTS: dict[str, Any] = {"BOOL": bool | int, "BYTES": str}
_DECODERS: dict[tuple[Any, int], Callable[[Any], Any]] = {}


def _decode(data: bytes | memoryview, *, datatype: str, depth: int, name: str) -> Any:
    floating = datatype in ("FP16", "FP32", "FP64", "BF16")
    element = _ELEMENTS.get(datatype, float if floating else int)
    try:
        try:
            return _decoder(element, depth)(data)
        except msgspec.ValidationError:
            if not floating:
                raise
            return _decoder(float | None, depth)(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"tensor {name!r} of {datatype}: {error}") from None


def _decoder(element: Any, depth: int) -> Callable[[Any], Any]:
    decode = _DECODERS.get((element, depth))
    if decode is None:
        form: Any = element
        for _ in range(depth):
            form = list[form]
        decode = _DECODERS[element, depth] = msgspec.json.Decoder(form).decode
    return decode


def _check_nested(values: Any, shape: Sequence[int], *, name: str) -> None:
    level = [values]
    for size in shape:
        if any(len(each) != size for each in level):
            raise InvalidInput(f"tensor {name!r}: nested data does not have the shape {list(shape)}")
        level = [item for each in level for item in each] if size and isinstance(level[0][0], list) else []


def _flatten(values: list[Any], depth: int) -> list[Any]:
    for _ in range(depth - 1):
        values = [item for each in values for item in each]
    return values
