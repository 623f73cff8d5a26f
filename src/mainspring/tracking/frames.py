"""How records lie in a spool and travel to the server: length, CRC-32, bytes, one after the other.

The checksum finds the torn end that a power loss leaves. Records are msgpack, which keeps every float64 as it is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.types import Record

__all__ = ["MAX_RECORD", "checked_frame", "decode_records", "encode_frame", "split_frames"]

MAX_RECORD = 16 << 20
"""Bytes of the longest record."""

_HEAD = struct.Struct("<II")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_frame(record: msgspec.Struct) -> bytes:
    """One record with its length and checksum."""
    data = _encoder.encode(record)
    if len(data) > MAX_RECORD:
        raise InvalidInput(f"{len(data)} bytes are too many for one record", hint=f"at most {MAX_RECORD}; log a file")
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def checked_frame(record: msgspec.Struct) -> bytes:
    """`encode_frame` of what a program gave: refused here, since one wrong record holds up all that follow it.

    Raises:
        InvalidInput: A value has another type than its place, or is text that UTF-8 cannot hold.
    """
    try:
        frame = encode_frame(record)
        _decoder.decode(memoryview(frame)[_HEAD.size :])
    except (msgspec.MsgspecError, UnicodeError, TypeError, OverflowError) as error:
        raise InvalidInput(f"this cannot be recorded: {error}", hint="nothing of it was; the run goes on") from error
    return frame


def split_frames(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """The whole records in `data` from `start` on, each with the position after it; stops before a torn one."""
    while start + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, start)
        stop = start + _HEAD.size + length
        payload = data[start + _HEAD.size : stop]
        if stop > len(data) or length > MAX_RECORD or zlib.crc32(payload) != checksum:
            return
        yield payload, stop
        start = stop


def decode_records(data: bytes) -> list[Record]:
    """Every record of a batch; raises `InvalidInput` when anything is left over."""
    records: list[Record] = []
    end = 0
    try:
        for payload, stop in split_frames(data):
            records.append(_decoder.decode(payload))
            end = stop
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"record {len(records)} of the batch is not one: {error}") from error
    if end != len(data):
        raise InvalidInput(f"the batch is torn after record {len(records)}, at byte {end} of {len(data)}")
    return records
