"""The append file behind the prediction log: what was answered is in it before the answer leaves.

One frame per request and arm: length, CRC-32, then MessagePack of an `Entry`, whose columns are whole numpy
buffers. A frame goes to the kernel in one `write`, so it survives the death of the process; it survives
power loss only with `fsync` for each request, which is an option and off by default. A frame that was cut off
by a crash is found by its CRC and left out; everything before it is good.

The file is locked while its process lives: another process may read it at any time, and takes it over only
when the lock is free.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now_micros
from mainspring.kernel.errors import Damaged, StorageError
from mainspring.kernel.ids import new_id

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Counted",
    "Entry",
    "Packed",
    "Spool",
    "SpoolHead",
    "count_spool",
    "is_abandoned",
    "pack",
    "read_spool",
    "unpack",
]

_MAGIC = b"MSPOOL1\n"
_FRAME = struct.Struct("<II")
SUFFIX = ".spool"


class Packed(msgspec.Struct, array_like=True, frozen=True):
    """One column: a numpy type and its bytes, or a list of texts."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes | list[str | None]


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """What one arm answered to one request."""

    request: str
    """UUIDv7 of the request; a prediction's id is `<request>-<row>`."""
    arm: str
    caller: str
    latency_us: int
    rows: int
    index: bytes
    """Row numbers inside the request, uint32; empty for all of them."""
    columns: list[Packed]
    """`at` (when what each row is about happens, microseconds), `input.*`, `feature.*` and `output.*`."""


class Counted(msgspec.Struct, array_like=True, frozen=True):
    """The first fields of an `Entry`: enough to count, read without its columns."""

    request: str
    arm: str
    caller: str
    latency_us: int
    rows: int


class SpoolHead(msgspec.Struct, frozen=True):
    """What every row of a spool has in common."""

    workspace: str
    endpoint: str
    deployment_id: str
    model_id: str
    model: str
    created: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Entry)
_COUNTER = msgspec.msgpack.Decoder(Counted)
_HEAD = msgspec.msgpack.Decoder(SpoolHead)


def pack(columns: Mapping[str, np.ndarray[Any, Any]]) -> list[Packed]:
    """Columns as they are written.

    Example:
        >>> import numpy as np
        >>> pack({"input.x": np.array([1.0])})[0].dtype
        '<f8'
    """
    packed = []
    for name, column in columns.items():
        if column.dtype.kind in "OUS":
            data: bytes | list[str | None] = [_text(each) for each in column.ravel().tolist()]
            packed.append(Packed(name, "text", column.shape, data))
        else:
            packed.append(Packed(name, column.dtype.str, column.shape, column.tobytes()))
    return packed


def unpack(column: Packed) -> np.ndarray[Any, Any]:
    """The array that was packed; text as an array of objects."""
    import numpy as np

    if isinstance(column.data, list):
        array = np.empty(len(column.data), object)
        array[:] = column.data
        return array.reshape(column.shape)
    return np.frombuffer(column.data, np.dtype(column.dtype)).reshape(column.shape)


class Spool:
    """An append file of one deployment in one process. Not thread-safe: its log holds a lock."""

    def __init__(self, folder: Path, head: SpoolHead, *, durable: bool = False) -> None:
        self.head = head
        name = new_id()
        self.path = folder / f"{name}{SUFFIX}"
        self.rows = 0
        self.size = 0
        self.opened = now_micros()
        self._durable = durable
        unseen = folder / f"{name}.new"  # nobody looks at it before it is locked and has its head
        self._file = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._write(_MAGIC + _framed(msgspec.msgpack.encode(head)))
        unseen.rename(self.path)

    def append(self, entry: Entry) -> None:
        """Write one entry; raises `StorageError` when the disk refuses, and then the answer must not leave."""
        self._write(_framed(_ENCODER.encode(entry)))
        self.rows += entry.rows

    def close(self) -> None:
        """Close the file and give up its lock; it stays until a segment has taken its rows."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
            if self._durable:
                os.fdatasync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self.size)  # a torn frame would hide what follows it
            raise StorageError(
                f"the prediction log cannot be written: {error.strerror}", hint="free disk space"
            ) from error
        self.size += len(data)


def read_spool(path: Path) -> tuple[SpoolHead, Iterator[Entry]]:
    """A spool's head and the entries that were wholly written, also while its process goes on writing.

    Raises:
        FileNotFoundError: It was rolled into a segment meanwhile.
        Damaged: It is no spool.
    """
    head, frames = _opened(path)
    return head, (_DECODER.decode(frame) for frame in frames)


def count_spool(path: Path, *, size: int) -> tuple[SpoolHead, Iterator[Counted]]:
    """`read_spool` of the first `size` bytes, leaving out what was asked and answered."""
    head, frames = _opened(path, size=size)
    return head, (_COUNTER.decode(frame) for frame in frames)


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote this spool is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _opened(path: Path, *, size: int = -1) -> tuple[SpoolHead, Iterator[memoryview]]:
    with path.open("rb") as file:
        frames = _frames(file.read(size))
    try:
        return _HEAD.decode(next(frames)), frames
    except (StopIteration, msgspec.DecodeError):
        raise Damaged(f"{path.name} is not an append file of the prediction log") from None


def _framed(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _frames(data: bytes) -> Iterator[memoryview]:
    if not data.startswith(_MAGIC):
        return
    view, at = memoryview(data), len(_MAGIC)
    while at + _FRAME.size <= len(data):
        length, check = _FRAME.unpack_from(data, at)
        payload = view[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) != length or zlib.crc32(payload) != check:
            return
        yield payload
        at += _FRAME.size + length


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
