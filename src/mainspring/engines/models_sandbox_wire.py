"""What a model in a child process and its parent say to each other: MessagePack with lengths, and never a pickle.

Numbers travel as their bytes with a type and a shape, texts as a list. Each side checks what it reads: the parent
because the child runs somebody's program, the child because a defect should be a message and not a crash.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ask", "Block", "Closed", "Failed", "Ready", "Setup", "Told", "decode", "encode", "receive", "send"]

_LENGTH = struct.Struct(">Q")
_NUMBERS = {
    "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint16", "uint32", "uint64", "uint8",
}  # fmt: skip


class Closed(Exception):
    """The other side is gone, or did not answer in time."""


class Setup(msgspec.Struct, tag=True):
    """How the child is to confine itself, and what it is to open."""

    opener: str
    """`module:callable` that is given the folder and the facts and returns a `Predictor`."""
    folder: str
    facts: bytes
    scratch: str
    sys_path: list[str]
    readable: list[str]
    memory: int
    processes: int
    open_files: int
    file_bytes: int
    cpu_seconds: int


class Ready(msgspec.Struct, tag=True):
    """The model is open."""

    runtime: str
    protections: list[str]


class Block(msgspec.Struct):
    """One array."""

    dtype: str
    shape: list[int]
    numbers: bytes = b""
    texts: list[str | None] = []


class Ask(msgspec.Struct, tag=True):
    """Rows to answer."""

    columns: dict[str, Block]


class Told(msgspec.Struct, tag=True):
    """The answer."""

    columns: dict[str, Block]


class Failed(msgspec.Struct, tag=True):
    """Why there is none: `refused` says that the model did not like the values."""

    error: str
    refused: bool = False


def send(link: socket.socket, message: msgspec.Struct) -> None:
    """Write one message; raises `Closed` when nobody reads it."""
    body = msgspec.msgpack.encode(message)
    try:
        link.sendall(_LENGTH.pack(len(body)))
        link.sendall(body)
    except OSError as error:
        raise Closed(str(error)) from error


def receive(link: socket.socket, kind: Any, *, limit: int, seconds: float | None = None) -> Any:
    """Read one message of these types; raises `Closed` at the end, past the time, or for what is no such message."""
    until = None if seconds is None else time.monotonic() + seconds
    (size,) = _LENGTH.unpack(_exactly(link, _LENGTH.size, until))
    if size > limit:
        raise TooLarge(f"the model's process answered with {size} bytes; at most {limit} are read")
    try:
        return msgspec.msgpack.decode(_exactly(link, size, until), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Closed(f"it answered with something that is no answer: {error}") from error


def _exactly(link: socket.socket, size: int, until: float | None) -> bytearray:
    found = bytearray(size)
    view, have = memoryview(found), 0
    while have < size:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise Closed("it did not answer in time")
        try:
            link.settimeout(left)
            got = link.recv_into(view[have:])
        except TimeoutError:
            raise Closed("it did not answer in time") from None
        except OSError as error:
            raise Closed(str(error)) from error
        if not got:
            raise Closed("it ended")
        have += got
    return found


def encode(columns: Mapping[str, NDArray[Any]]) -> dict[str, Block]:
    """Arrays as blocks; raises `InvalidInput` for arrays of neither numbers nor texts."""
    found = {}
    for name, array in columns.items():
        if array.dtype.name in _NUMBERS:
            found[name] = Block(array.dtype.name, list(array.shape), numbers=array.tobytes())
        elif array.dtype.kind in "OUT":
            texts = [None if each is None else str(each) for each in array.ravel().tolist()]
            found[name] = Block("text", list(array.shape), texts=texts)
        else:
            raise InvalidInput(f"{name!r} is an array of {array.dtype}, which is neither numbers nor text")
    return found


def decode(blocks: Mapping[str, Block]) -> dict[str, NDArray[Any]]:
    """Blocks as arrays; raises `InvalidInput` where sizes, types and bytes do not belong together."""
    import numpy as np

    found = {}
    for name, block in blocks.items():
        try:
            if block.dtype == "text":
                array = np.empty(len(block.texts), dtype=object)
                array[:] = block.texts
            elif block.dtype in _NUMBERS:
                array = np.frombuffer(block.numbers, dtype=block.dtype).copy()
            else:
                raise InvalidInput(f"{name!r} is of the unknown type {block.dtype!r}")
            found[name] = array.reshape(block.shape)
        except ValueError as error:
            raise InvalidInput(f"{name!r} is not what its shape says: {error}") from None
    return found
