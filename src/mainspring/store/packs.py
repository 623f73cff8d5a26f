"""Packs: many small blobs in one object, written with one request and one fsync.

    pack    = entry* , directory
    entry   = header(64) , payload(stored)
    header  = "MSE1" , codec u8 , 0 (3) , digest(32) , size u64 , stored u64 , position u64      little endian
    directory = the headers of all entries again , BLAKE3 of them (32) , count u64 , "MSPACK01"

`digest` is the BLAKE3 of the plain bytes, `position` is where the payload begins. The name of a pack is the BLAKE3 of
the whole file, so any changed byte of it shows. The directory at the end gives the whole index with one ranged read;
where it is damaged, the headers in front of each payload give it again. There is no time and no host in a pack: the
same blobs give the same pack.

By hand, because tar and zip have neither digests nor a checked directory, and both leave room for ambiguity.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec

from mainspring.kernel.errors import Damaged, StoreTooNew
from mainspring.kernel.hashing import Buffer, digest_bytes

__all__ = [
    "HEADER_BYTES",
    "PACK_BYTES",
    "PLAIN",
    "Entry",
    "Pack",
    "build_pack",
    "decode_payload",
    "entry_is_sound",
    "pack_object",
    "read_directory",
    "scan_entries",
]

PACK_BYTES = 16 << 20
"""A pack is closed when its payloads reach this: large enough for few requests, small enough for memory."""
PLAIN = 0
"""Codec: the payload is the blob. 1 is kept for zstd."""

_HEADER = struct.Struct("<4sB3x32sQQQ")
_TRAILER = struct.Struct("<32sQ8s")
_ENTRY_MAGIC = b"MSE1"
_PACK_MAGIC = b"MSPACK01"
HEADER_BYTES = _HEADER.size


class Entry(msgspec.Struct, frozen=True):
    """One payload of a pack."""

    digest: str
    size: int
    stored: int
    position: int
    codec: int = PLAIN


class Pack(msgspec.Struct, frozen=True):
    """A finished pack, in memory."""

    name: str
    """BLAKE3 of `data`."""
    data: bytes
    entries: list[Entry]


def pack_object(name: str) -> str:
    """The object under which a pack lies in a bucket."""
    return f"packs/{name[:2]}/{name}"


def build_pack(blobs: Iterable[tuple[str, Buffer]]) -> Pack:
    """Join `(digest, payload)` pairs into a pack; payloads are stored plain.

    Example:
        >>> pack = build_pack([(digest_bytes(b"abc"), b"abc")])
        >>> [(entry.size, pack.data[entry.position : entry.position + entry.stored]) for entry in pack.entries]
        [(3, b'abc')]
    """
    pieces: list[Buffer] = []
    entries: list[Entry] = []
    headers: list[bytes] = []
    position = 0
    for digest, payload in blobs:
        size = memoryview(payload).nbytes
        entry = Entry(digest=digest, size=size, stored=size, position=position + HEADER_BYTES)
        entries.append(entry)
        header = _encode(entry)
        headers.append(header)
        pieces += (header, payload)
        position = entry.position + size
    directory = b"".join(headers)
    pieces += (directory, _TRAILER.pack(bytes.fromhex(digest_bytes(directory)), len(entries), _PACK_MAGIC))
    data = b"".join(pieces)
    return Pack(name=digest_bytes(data), data=data, entries=entries)


def read_directory(read: Callable[[int, int], bytes], size: int) -> list[Entry]:
    """The entries of a pack of `size` bytes, from its directory alone.

    Args:
        read: `read(start, length)` gives bytes of the pack.
        size: Bytes of the pack.

    Raises:
        Damaged: The directory is cut off or does not match its own digest; `scan_entries` may still help.
    """
    if size < _TRAILER.size:
        raise Damaged(f"a pack of {size} bytes is cut off")
    trailer = read(size - _TRAILER.size, _TRAILER.size)
    if len(trailer) != _TRAILER.size:
        raise Damaged("a pack is shorter than the bucket says")
    check, count, magic = _TRAILER.unpack(trailer)
    length = count * HEADER_BYTES
    if magic != _PACK_MAGIC or length > size - _TRAILER.size:
        raise Damaged("a pack has no directory at its end")
    directory = read(size - _TRAILER.size - length, length)
    if bytes.fromhex(digest_bytes(directory)) != check:
        raise Damaged("the directory of a pack does not match its digest")
    return [_decode(directory[start : start + HEADER_BYTES]) for start in range(0, length, HEADER_BYTES)]


def scan_entries(data: Buffer) -> Iterator[Entry]:
    """The entries of a pack whose directory is lost, from the headers; only those whose payload matches its digest.

    After a damaged header it looks for the next one byte by byte, so one bad byte costs one entry.
    """
    view = memoryview(data).cast("B")
    whole = bytes(view)
    start = whole.find(_ENTRY_MAGIC)
    while start >= 0:
        entry = _decode_or_none(whole[start : start + HEADER_BYTES])
        end = start + HEADER_BYTES + (entry.stored if entry else 0)
        if entry and entry.position == start + HEADER_BYTES and end <= len(whole) and entry_is_sound(entry, view):
            yield entry
            start = whole.find(_ENTRY_MAGIC, end)
        else:
            start = whole.find(_ENTRY_MAGIC, start + 1)


def entry_is_sound(entry: Entry, pack: memoryview) -> bool:
    """Whether the payload of an entry matches its size and digest."""
    payload = pack[entry.position : entry.position + entry.stored]
    try:
        plain = decode_payload(payload, entry.codec)
    except StoreTooNew:
        return False
    return memoryview(plain).nbytes == entry.size and digest_bytes(plain) == entry.digest


def decode_payload(payload: Buffer, codec: int) -> Buffer:
    """The plain bytes of a stored payload; raises `StoreTooNew` for a codec that this version does not know."""
    if codec != PLAIN:
        hint = "pip install --upgrade mainspring"
        raise StoreTooNew(f"a blob is stored with codec {codec}, which this version cannot read", hint=hint)
    return payload


def _encode(entry: Entry) -> bytes:
    digest = bytes.fromhex(entry.digest)
    return _HEADER.pack(_ENTRY_MAGIC, entry.codec, digest, entry.size, entry.stored, entry.position)


def _decode(header: bytes) -> Entry:
    magic, codec, digest, size, stored, position = _HEADER.unpack(header)
    if magic != _ENTRY_MAGIC:
        raise Damaged("an entry of a pack does not begin with its mark")
    return Entry(digest=digest.hex(), size=size, stored=stored, position=position, codec=codec)


def _decode_or_none(header: bytes) -> Entry | None:
    return _decode(header) if len(header) == HEADER_BYTES else None
