"""Reading the transaction log of a W&B run: `run-<id>.wandb`, written by its client online and offline alike.

The file is a log in LevelDB's record format (32 KiB blocks; each record with a CRC-32, a length and a type) under a
header of seven bytes; each record is a protocol buffer. Both are public and small. They are read here by field number,
because the generated classes come only with W&B's own package, in the version that happens to be installed, and a log
must stay readable without it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, UnsupportedFormat

__all__ = ["Message", "read_log"]

_HEADER = 7
_BLOCK = 32 << 10
_RECORD = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Message:
    r"""A protocol buffer by field number; what is not there is empty.

    Example:
        >>> Message(b"\x08\x96\x01\x12\x02hi").number(1), Message(b"\x12\x02hi").text(2)
        (150, 'hi')
    """

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[Any]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def number(self, field: int) -> int:
        """The last whole number of a field."""
        return int(self._last(field, 0))

    def text(self, field: int) -> str:
        """The last text of a field."""
        found: bytes = self._last(field, b"")
        return found.decode(errors="replace")

    def texts(self, field: int) -> list[str]:
        """Every text of a field."""
        return [each.decode(errors="replace") for each in self._fields.get(field, [])]

    def message(self, field: int) -> Message:
        """The message in a field."""
        return Message(self._last(field, b""))

    def messages(self, field: int) -> list[Message]:
        """Every message of a field."""
        return [Message(each) for each in self._fields.get(field, [])]

    def _last(self, field: int, default: Any) -> Any:
        found = self._fields.get(field)
        return found[-1] if found else default


def read_log(path: Path) -> Iterator[Message]:
    """Every whole record of a log. A torn end, as a killed process leaves it, ends it.

    Raises:
        UnsupportedFormat: It is no such log.
        Damaged: A record in the middle is not what was written.
    """
    data = path.read_bytes()
    if data[:4] != b":W&B":
        raise UnsupportedFormat(f"{path.name} is not a log of W&B", hint="the file is called run-<id>.wandb")
    position, parts = _HEADER, b""
    while position + _RECORD.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _RECORD.size:
            position += left
            continue
        checksum, length, kind = _RECORD.unpack_from(data, position)
        payload = data[position + _RECORD.size : position + _RECORD.size + length]
        if len(payload) < length or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            return
        position += _RECORD.size + length
        if zlib.crc32(payload, zlib.crc32(bytes([kind]))) != checksum:
            if position >= len(data):
                return
            raise Damaged(f"{path.name}: the record that ends at byte {position} is not what was written")
        parts = payload if kind in (_FULL, _FIRST) else parts + payload
        if kind in (_FULL, _LAST):
            yield Message(parts)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value - (1 << 64) if value >> 63 else value
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, struct.unpack_from("<d" if wire == 1 else "<f", data, position)[0]
            position += size
        elif wire == 2:
            size, position = _varint(data, position)
            yield number, data[position : position + size]
            position += size
        else:
            raise Damaged(f"a protocol buffer has the wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise Damaged("a protocol buffer ends in the middle of a number")
