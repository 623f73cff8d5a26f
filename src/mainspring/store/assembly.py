"""Large blobs from chunks that came one by one: a transfer moves only those that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.kernel.errors import Conflict, Damaged, NotFound
from mainspring.kernel.hashing import hasher
from mainspring.store.blob_changes import claim, current_epoch, keep
from mainspring.store.blob_tables import CHUNKED, BlobRow, find_rows, record_rows
from mainspring.store.chunks import ChunkList, decode_list, encode_list, list_object

if TYPE_CHECKING:
    from mainspring.store.blobs import Blobs

__all__ = ["assemble", "chunk_list"]


def chunk_list(blobs: Blobs, digest: str) -> ChunkList:
    """Of which chunks a blob consists; of itself, where it is stored whole. Raises `NotFound` or `Damaged`."""
    with blobs.database.read() as tx:
        row = find_rows(tx, [digest]).get(digest)
    if row is None:
        raise NotFound(f"there is no blob {digest}")
    if row.place != CHUNKED:
        return ChunkList(digest=digest, size=row.size, chunks=[(digest, row.size)])
    return decode_list(blobs.bucket.get(list_object(digest)), digest)


def assemble(blobs: Blobs, chunks: ChunkList) -> None:
    """Make a blob of chunks that are stored, all of which are read to see that they are it.

    Raises:
        Conflict: A chunk is not stored.
        Damaged: They make another blob.
    """
    if not blobs.missing([chunks.digest]):
        return
    parts = [digest for digest, _ in chunks.chunks]
    if lost := blobs.missing(parts):
        raise Conflict(f"chunk {lost[0]} of blob {chunks.digest} is not in the store", hint="send it first")
    whole, size = hasher(), 0
    for data in blobs.get_many(parts):
        whole.update(data)
        size += len(data)
    if whole.hexdigest() != chunks.digest or size != chunks.size:
        raise Damaged(f"the chunks that were named do not make blob {chunks.digest}", hint="send it as a whole")
    encoded = encode_list(chunks)
    name = list_object(chunks.digest)
    while True:
        with blobs.database.read() as tx:
            epoch = current_epoch(tx)
        blobs.bucket.put(name, encoded)
        with blobs.database.write() as tx:
            if claim(tx, [name], epoch=epoch):
                keep(tx, parts)
                record_rows(tx, [BlobRow(digest=chunks.digest, size=chunks.size, place=CHUNKED)])
                return
