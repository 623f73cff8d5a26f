"""Removing bytes at once, because they must not stay: what nothing refers to any more of the blobs that are named.

It is a collection of garbage without grace and hold, of these blobs only. They are condemned before anything is marked,
so that who refers to one of them meanwhile revives it, and it stays; who was told that one is here and refers to it
afterwards is refused, and stores it again. What leads to them, the caller takes away before. Packs that hold one of
them are written again without it, however much of them is alive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.errors import Damaged, NotFound, StoreTooNew
from mainspring.store.blob_changes import doom, next_epoch
from mainspring.store.blob_tables import CHUNKED, LOOSE, PACKED, BlobRow, batched, find_rows, loose_object
from mainspring.store.chunks import decode_list, list_object
from mainspring.store.collect import Collection
from mainspring.store.pack_rewriting import rewrite_packs
from mainspring.store.packs import pack_object

if TYPE_CHECKING:
    from mainspring.store.store import Store

__all__ = ["Erased", "erase"]

_AT_ONCE = 500
_YOUNG = 7 * 86_400.0
"""Seconds for which a large blob that nothing refers to yet keeps its chunks: it may just be stored."""


class Erased(msgspec.Struct, frozen=True):
    """What is gone."""

    blobs: list[str]
    left: list[str]
    """Objects that still hold some of it: a blob beside it is damaged, so they could not be written again."""


def erase(store: Store, digests: Iterable[str]) -> Erased:
    """Remove those of the blobs that nothing refers to, with their chunks.

    Killed in between, it is to be called again with the same digests.
    """
    wanted = list(dict.fromkeys(digests))
    candidates = {row.digest: row for batch in batched(wanted, _AT_ONCE) for row in _rows(store, batch)}
    for row in [each for each in candidates.values() if each.place == CHUNKED]:
        for batch in batched(_chunks(store, row.digest), _AT_ONCE):
            candidates |= {each.digest: each for each in _rows(store, batch)}
    if not candidates:
        return Erased([], [])
    collection = Collection(store, _YOUNG, 0.0)
    _condemn(store, list(candidates))
    reached = collection.mark(besides=candidates)
    _pardon(store, [digest for digest in candidates if digest in reached])
    gone = [row for row in candidates.values() if row.digest not in reached]
    large = [row for row in gone if row.place == CHUNKED]
    packs: set[str] = set()
    removed: list[str] = []
    # Chunks last: a large blob that is there, or was revived, has all of its chunks.
    for rows in batched(large, _AT_ONCE):
        removed += _remove(store, rows)[0]
    left_whole = {row.digest for row in large} - set(removed)
    spared = {chunk for digest in left_whole for chunk in _chunks(store, digest)}
    _pardon(store, sorted(spared))
    others = [row for row in gone if row.place != CHUNKED and row.digest not in spared]
    for rows in batched(others, _AT_ONCE):
        blobs, held_by = _remove(store, rows)
        removed += blobs
        packs |= held_by
    collection.doom_strays(after=0)
    collection.delete_doomed()
    rewrite_packs(store.blobs.bucket, store.database, progress=_silent, also=packs)
    collection.delete_doomed()
    left = [pack_object(pack) for pack in sorted(packs) if store.blobs.bucket.head(pack_object(pack))]
    return Erased(removed, left)


def _rows(store: Store, digests: list[str]) -> list[BlobRow]:
    with store.database.read() as tx:
        return list(find_rows(tx, digests).values())


def _chunks(store: Store, digest: str) -> list[str]:
    try:
        return [each for each, _ in decode_list(store.blobs.bucket.get(list_object(digest)), digest).chunks]
    except (Damaged, NotFound, StoreTooNew):
        return []  # what nothing names goes with the next collection


def _condemn(store: Store, digests: list[str]) -> None:
    for batch in batched(digests, _AT_ONCE):
        marks = ", ".join("?" * len(batch))
        with store.database.write() as tx:
            query = f"UPDATE blob_entry SET condemned_at = ? WHERE digest IN ({marks}) AND condemned_at = 0"  # noqa: S608
            tx.execute(query, (tx.now_micros, *batch))
            next_epoch(tx)  # who looked before must look again whether what it refers to stays


def _pardon(store: Store, digests: list[str]) -> None:
    for batch in batched(digests, _AT_ONCE):
        marks = ", ".join("?" * len(batch))
        with store.database.write() as tx:
            tx.execute(f"UPDATE blob_entry SET condemned_at = 0 WHERE digest IN ({marks})", batch)  # noqa: S608


def _remove(store: Store, rows: list[BlobRow]) -> tuple[list[str], set[str]]:
    """Delete the rows that are still condemned and doom their objects: which, and the packs to be written again."""
    with store.database.write() as tx:
        now = [row for row in find_rows(tx, [row.digest for row in rows]).values() if row.condemned_at]
        if not now:
            return [], set()
        marks = ", ".join("?" * len(now))
        tx.execute(f"DELETE FROM blob_entry WHERE digest IN ({marks})", [row.digest for row in now])  # noqa: S608
        own = [loose_object(row.digest) for row in now if row.place == LOOSE]
        own += [list_object(row.digest) for row in now if row.place == CHUNKED]
        packs = {row.pack for row in now if row.place == PACKED}
        dead = [
            pack for pack in sorted(packs) if not tx.value("SELECT 1 FROM blob_entry WHERE pack = ? LIMIT 1", (pack,))
        ]
        doom(tx, [*own, *(pack_object(pack) for pack in dead)], due=tx.now_micros)
        return [row.digest for row in now], packs - set(dead)


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
