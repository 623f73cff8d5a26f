"""Chunks: a large blob as a list of pieces whose borders follow its content.

Two versions of a large file that differ in a few places share all other pieces, so only what changed is stored. The
borders come from FastCDC (Xia et al., "The Design of Fast Content Defined Chunking for Data Deduplication Based
Storage Systems", IEEE TPDS 31(9), 2020): a rolling "gear" hash decides, so an insertion moves no border but its own.
The cutting is done by `pyfastcdc` (compiled; NumPy reaches a fortieth of its speed).

Borders are no part of anybody's identity: a blob's digest is that of its plain bytes, however it was cut. A later
version may cut differently and still read what was cut before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

import msgspec

from mainspring.kernel.errors import Damaged, StoreTooNew
from mainspring.kernel.hashing import Buffer, Hasher, digest_bytes

__all__ = [
    "AVERAGE",
    "MAXIMUM",
    "MINIMUM",
    "ChunkList",
    "Pieces",
    "by_bytes",
    "cut",
    "decode_list",
    "encode_list",
    "hashed",
    "list_object",
]

MINIMUM, AVERAGE, MAXIMUM = 16 << 10, 64 << 10, 256 << 10
"""Bytes of a chunk. 64 KiB as in Xet: small enough to share, large enough for an index of modest size."""

_BLOCK = 1 << 20
_FORMAT = 1
_CHECK_BYTES = 32
B = TypeVar("B", bound=Buffer)


class ChunkList(msgspec.Struct, frozen=True, array_like=True):
    """Of which chunks a blob consists, in order. Stored with its own digest in front: checked before it is believed."""

    digest: str
    """Of the whole blob."""
    size: int
    chunks: list[tuple[str, int]]
    """Digest and size of each."""
    format: int = _FORMAT


class Pieces:
    """Pieces of bytes of any sizes as a file to read from, without joining them all in memory."""

    def __init__(self, pieces: Iterable[Buffer]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        if self._rest.nbytes >= size:
            part, self._rest = self._rest[:size], self._rest[size:]
            return bytes(part)
        parts: list[memoryview] = []
        while size > 0:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece).cast("B")
                continue
            part, self._rest = self._rest[:size], self._rest[size:]
            parts.append(part)
            size -= part.nbytes
        return b"".join(parts)

    def rest(self, size: int) -> Iterator[memoryview]:
        """What is left, uncopied, in pieces of at most that many bytes."""
        for piece in chain([self._rest], self._pieces):
            view = memoryview(piece).cast("B")
            yield from (view[start : start + size] for start in range(0, view.nbytes, size))


def hashed(pieces: Iterable[Buffer], into: Hasher) -> Iterator[Buffer]:
    """The pieces as they are, each put into the hash on its way."""
    for piece in pieces:
        into.update(piece)
        yield piece


def by_bytes(chunks: Iterable[B], limit: int) -> Iterator[list[B]]:
    """Lists of chunks that are closed when they reach that many bytes."""
    batch: list[B] = []
    size = 0
    for chunk in chunks:
        batch.append(chunk)
        size += len(chunk)
        if size >= limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def cut(pieces: Iterable[Buffer]) -> Iterator[Buffer]:
    """Cut a stream at borders that its content decides; joined, the chunks are the stream.

    Example:
        >>> chunks = list(cut([bytes(100_000), b"tail"]))
        >>> b"".join(chunks) == bytes(100_000) + b"tail"
        True
    """
    from pyfastcdc import FastCDC

    chunker = FastCDC(AVERAGE, min_size=MINIMUM, max_size=MAXIMUM, normalized_chunking=1, seed=0)
    rest: Buffer = b""
    for block in by_bytes(filter(len, pieces), _BLOCK):
        *whole, last = (chunk.data for chunk in chunker.cut_buf(b"".join([rest, *block])))
        yield from whole  # views of the block: the chunks are not copied
        rest = last  # where this one ends is for the next block to say
    if rest:
        yield rest


def list_object(digest: str) -> str:
    """The object under which the chunk list of a blob lies in a bucket."""
    return f"lists/{digest[:2]}/{digest}"


def encode_list(chunk_list: ChunkList) -> bytes:
    """The stored form of a chunk list: BLAKE3 of the rest (32 bytes), then msgpack; equal lists give equal bytes."""
    body = msgspec.msgpack.encode(chunk_list)
    return bytes.fromhex(digest_bytes(body)) + body


def decode_list(data: bytes, digest: str) -> ChunkList:
    """Read the chunk list of the blob `digest`; raises `Damaged` when a byte is wrong or it is another blob's."""
    check, body = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
    if bytes.fromhex(digest_bytes(body)) != check:
        raise Damaged(f"the chunk list of blob {digest} does not match its own digest")
    try:
        chunk_list = msgspec.msgpack.decode(body, type=ChunkList)
    except msgspec.DecodeError as error:
        raise Damaged(f"the chunk list of blob {digest} cannot be read: {error}") from error
    if chunk_list.format != _FORMAT:
        hint = "pip install --upgrade mainspring"
        raise StoreTooNew(f"the chunk list of blob {digest} has format {chunk_list.format}", hint=hint)
    if chunk_list.digest != digest or sum(size for _, size in chunk_list.chunks) != chunk_list.size:
        raise Damaged(f"the object of blob {digest} holds the chunk list of another")
    return chunk_list
