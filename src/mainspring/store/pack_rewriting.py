"""Writing packs again without what is dead in them.

The rows move to the new pack in one transaction, which dooms the old one; a reader who still has the old address finds
the row moved. What cannot be read soundly stays where it is, for `verify` to name.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from mainspring.kernel.errors import Damaged, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.blob_changes import claim, current_epoch, doom
from mainspring.store.blob_tables import BLOB, PACKED, BlobRow, IndexDatabase
from mainspring.store.buckets import Bucket
from mainspring.store.packs import HEADER_BYTES, PACK_BYTES, build_pack, decode_payload, pack_object

__all__ = ["rewrite_packs"]

Progress = Callable[[str, int, int], None]
_LIVE = 0.5
"""A pack is written again when less of it than this is alive."""


def rewrite_packs(
    bucket: Bucket, database: IndexDatabase, *, progress: Progress, also: Container[str] = ()
) -> tuple[int, int]:
    """Rewrite the packs that are mostly dead; how many, and the bytes of the new ones.

    Args:
        bucket: Where the packs are.
        database: Where the index is.
        progress: Called as `progress("packs", done, in all)`.
        also: Packs that are rewritten however much of them is alive.
    """
    sparse = _sparse(bucket, database, also)
    rewritten = written = 0
    for group in _groups(sparse):
        progress("packs", rewritten, len(sparse))
        done, size = _rewrite(bucket, database, group)
        rewritten += done
        written += size
    return rewritten, written


def _sparse(bucket: Bucket, database: IndexDatabase, also: Container[str]) -> dict[str, int]:
    """Those packs, and others of which little is alive, with the bytes that are, headers included."""
    query = "SELECT pack, sum(stored) + count(*) * ? FROM blob_entry WHERE place = ? AND damaged = 0 GROUP BY pack"
    with database.read() as tx:
        alive = {str(pack): int(size) for pack, size in tx.rows(query, (2 * HEADER_BYTES, PACKED))}
    sizes = ((stored.name.rpartition("/")[2], stored.size) for stored in bucket.list("packs"))
    return {
        name: alive[name] for name, size in sizes if name in alive and (name in also or alive[name] < size * _LIVE)
    }


def _groups(sparse: dict[str, int]) -> Iterator[list[str]]:
    """Packs that together make one."""
    group: list[str] = []
    size = 0
    for name, alive in sorted(sparse.items()):
        group.append(name)
        size += alive
        if size >= PACK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _rewrite(bucket: Bucket, database: IndexDatabase, names: list[str]) -> tuple[int, int]:
    while True:
        with database.read() as tx:
            epoch = current_epoch(tx)
            marks = ", ".join("?" * len(names))
            rows = tx.fetch(BLOB, f"WHERE pack IN ({marks}) AND damaged = 0 ORDER BY digest", names)
        sound = [(row, data) for row in rows if (data := _read(bucket, row)) is not None]
        if not sound:
            return 0, 0
        pack = build_pack((row.digest, data) for row, data in sound)
        bucket.put(pack_object(pack.name), pack.data)
        with database.write() as tx:
            if not claim(tx, [pack_object(pack.name)], epoch=epoch):
                continue
            tx.many(
                "UPDATE blob_entry SET pack = ?, position = ?, stored = ?, codec = ?"
                " WHERE digest = ? AND place = ? AND pack = ? AND position = ?",
                [
                    (pack.name, entry.position, entry.stored, entry.codec, row.digest, PACKED, row.pack, row.position)
                    for entry, (row, _) in zip(pack.entries, sound, strict=True)
                ],
            )
            dead = [
                name for name in names if not tx.value("SELECT 1 FROM blob_entry WHERE pack = ? LIMIT 1", (name,))
            ]
            doom(tx, [pack_object(name) for name in dead if name != pack.name], due=tx.now_micros)
        return len(dead), len(pack.data)


def _read(bucket: Bucket, row: BlobRow) -> bytes | None:
    """The plain bytes of an entry; None where they are not sound, or not there."""
    try:
        plain = bytes(decode_payload(bucket.get_range(pack_object(row.pack), row.position, row.stored), row.codec))
    except (Damaged, NotFound):
        return None
    return plain if digest_bytes(plain) == row.digest else None
