"""Removing bytes at once, because they must not stay: what nothing refers to any more of the blobs that are named.

It is a collection of garbage without grace and hold, of these blobs only. Who was told a moment ago that one of them is
here is refused when it refers to it, and stores it again. Packs that hold one of them are written again without it,
however much of them is alive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.errors import Damaged, NotFound, StoreTooNew
from mainspring.store.blob_changes import doom
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
    reached = collection.mark(besides=candidates)
    # Chunks last: a large blob that is there has all of its chunks.
    gone = sorted(
        (row for row in candidates.values() if row.digest not in reached), key=lambda row: row.place != CHUNKED
    )
    packs: set[str] = set()
    for rows in batched(gone, _AT_ONCE):
        packs |= _remove(store, rows)
    collection.doom_strays(after=0)
    collection.delete_doomed()
    rewrite_packs(store.blobs.bucket, store.database, progress=_silent, also=packs)
    collection.delete_doomed()
    left = [pack_object(pack) for pack in sorted(packs) if store.blobs.bucket.head(pack_object(pack))]
    return Erased([row.digest for row in gone], left)


def _rows(store: Store, digests: list[str]) -> list[BlobRow]:
    with store.database.read() as tx:
        return list(find_rows(tx, digests).values())


def _chunks(store: Store, digest: str) -> list[str]:
    try:
        return [each for each, _ in decode_list(store.blobs.bucket.get(list_object(digest)), digest).chunks]
    except (Damaged, NotFound, StoreTooNew):
        return []  # what nothing names goes with the next collection


def _remove(store: Store, rows: list[BlobRow]) -> set[str]:
    """Delete rows and doom their objects; the packs that are to be written again."""
    with store.database.write() as tx:
        now = find_rows(tx, [row.digest for row in rows]).values()
        marks = ", ".join("?" * len(rows))
        tx.execute(f"DELETE FROM blob_entry WHERE digest IN ({marks})", [row.digest for row in rows])  # noqa: S608
        own = [loose_object(row.digest) for row in now if row.place == LOOSE]
        own += [list_object(row.digest) for row in now if row.place == CHUNKED]
        packs = {row.pack for row in now if row.place == PACKED}
        dead = [
            pack for pack in sorted(packs) if not tx.value("SELECT 1 FROM blob_entry WHERE pack = ? LIMIT 1", (pack,))
        ]
        doom(tx, [*own, *(pack_object(pack) for pack in dead)], due=tx.now_micros)
        return packs - set(dead)


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
