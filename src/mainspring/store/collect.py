"""Collecting garbage: removing the bytes that nothing refers to any more, beside others who write.

1. What was deleted so long ago that it cannot be restored is given up by its room.
2. Everything that rows refer to is marked, in one snapshot; large blobs mark their chunks.
3. A blob that is not marked, and is older than the grace, is *condemned*: it counts as absent for whoever wants to
   store it again, which then revives it. One that is marked again is pardoned.
4. What has been condemned for longer than the hold, and is still not marked, loses its row. So between the last moment
   at which anybody was told that the blob is here, and its end, lies at least the hold: whoever was told has had so
   long to commit a row that refers to it.
5. Objects of the bucket that no row names any more are written down as doomed and deleted; see `blob_changes` for why
   a writer of the same bytes at the same moment loses nothing.
6. Packs of which most is dead are written again without it.

Every step is whole or not there, and a later collection goes on where one was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.hooks import ROOMS, load
from mainspring.store.blob_changes import doom, next_epoch
from mainspring.store.blob_tables import BLOB, CHUNKED, LOOSE, PACKED, BlobRow, batched, find_rows, loose_object
from mainspring.store.chunks import decode_list, list_object
from mainspring.store.pack_rewriting import rewrite_packs
from mainspring.store.packs import pack_object
from mainspring.store.reachable import Marks, blob_columns, digests_in
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.store.store import Store

__all__ = ["Collection", "GarbageReport", "collect_garbage", "watching"]

Progress = Callable[[str, int, int], None]
_PAGE = 2000
_REMOVED_AT_ONCE = 500
_DELETED_AT_ONCE = 32
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_LONGEST = 1000 * 366 * 86_400.0


class GarbageReport(msgspec.Struct, frozen=True):
    """What a collection found and did; of a dry run, what it would have done."""

    blobs: int
    """In the store, chunks included."""
    bytes: int
    expired: int
    """Deleted things whose time to be restored is over."""
    unreachable: int
    """Blobs that nothing refers to and that are older than the grace."""
    unreachable_bytes: int
    waiting: int
    """Of these, blobs that are held for a while, in case somebody is about to refer to them."""
    waiting_bytes: int
    pardoned: int
    """Blobs that were condemned and are referred to again."""
    removed: int
    """Blobs that are gone."""
    removed_bytes: int
    deleted_objects: int
    freed_bytes: int
    """Bytes of the objects that were deleted, less those that were written to replace them."""
    rewritten_packs: int
    dry_run: bool


class _Found(msgspec.Struct):
    """What a look at all blobs says."""

    blobs: int = 0
    bytes: int = 0
    condemn: list[str] = []
    condemn_bytes: int = 0
    now: int = 0
    remove: list[BlobRow] = []
    pardon: list[str] = []
    waiting: int = 0
    waiting_bytes: int = 0
    marks: Marks = msgspec.field(default_factory=Marks)


_watcher: ContextVar[Progress | None] = ContextVar("mainspring.collect.progress", default=None)


@contextmanager
def watching(progress: Progress | None) -> Iterator[None]:
    """Let collections of this process that run inside the block tell how far they are."""
    token = _watcher.set(progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def collect_garbage(
    store: Store, *, grace: float, hold: float, dry_run: bool = False, progress: Progress | None = None
) -> GarbageReport:
    """Remove what nothing refers to.

    Args:
        store: The store; others may write to it meanwhile, in this process and in others.
        grace: Seconds for which what was stored and is not referred to yet is left alone: longer than any upload takes.
        hold: Seconds between finding that nothing refers to a blob and removing it, so between two collections:
            longer than any commit takes. With 0, what is found now is removed now: only when nobody writes.
        dry_run: Change nothing.
        progress: Called as `progress(what is done, done, in all)`.
    """
    if not (0 <= grace <= _LONGEST and 0 <= hold <= _LONGEST):
        raise InvalidInput("a grace and a hold are durations of at most a thousand years")
    return Collection(store, grace, hold, progress or _watcher.get() or _silent).run(dry_run=dry_run)


class Collection:
    """One collection."""

    def __init__(self, store: Store, grace: float, hold: float, progress: Progress | None = None) -> None:
        self._store = store
        self._database = store.database
        self._bucket = store.blobs.bucket
        self._grace, self._hold = round(grace * _SECOND), round(hold * _SECOND)
        self._progress = progress or _silent
        self._deleted = self._freed = 0

    def run(self, *, dry_run: bool) -> GarbageReport:
        expired = self._expire(write=not dry_run)
        if not dry_run:
            self.delete_doomed()
        found = self._look()
        unreachable = len(found.condemn) + found.waiting + len(found.remove)
        unreachable_bytes = found.condemn_bytes + found.waiting_bytes + sum(row.stored for row in found.remove)
        rewritten = 0
        if dry_run:
            removed = self._would_remove(found)
        else:
            self._release(found)
            self._condemn(found)
            removed = self._remove(found.remove if self._hold else self._look().remove)
            self.doom_strays(after=max(self._grace, self._hold))
            self.delete_doomed()
            rewritten, written = rewrite_packs(self._bucket, self._database, progress=self._progress)
            self._freed -= written
            self.delete_doomed()
        removed_bytes = sum(row.stored for row in removed)
        return GarbageReport(
            blobs=found.blobs,
            bytes=found.bytes,
            expired=expired,
            unreachable=unreachable,
            unreachable_bytes=unreachable_bytes,
            waiting=unreachable - len(removed),
            waiting_bytes=unreachable_bytes - removed_bytes,
            pardoned=len(found.pardon),
            removed=len(removed),
            removed_bytes=removed_bytes,
            deleted_objects=self._deleted,
            freed_bytes=self._freed,
            rewritten_packs=rewritten,
            dry_run=dry_run,
        )

    def _expire(self, *, write: bool) -> int:
        """Let every room give up what was deleted too long ago to be restored."""
        rooms = [room for room in ROOMS if room.expire]
        expired = 0
        for done, room in enumerate(rooms):
            self._progress("deleted things", done, len(rooms))
            give_up: Callable[..., int] = load(room.expire)
            with self._store.write("storage.collect_garbage") if write else self._store.read() as tx:
                expired += give_up(tx, tx.now_micros - self._store.settings.undo_days * _DAY, write)
        return expired

    def _look(self) -> _Found:
        """Mark what is referred to, and say of every blob what is to become of it."""
        with self._database.read() as tx:
            now = tx.now_micros
            total = int(tx.value("SELECT count(*) FROM blob_entry") or 0)
        found = _Found(now=now, marks=self.mark())
        marks = found.marks
        for row in self._rows():
            found.blobs += 1
            found.bytes += row.stored
            self._progress("blobs", found.blobs, max(total, found.blobs))
            self._judge(row, found, reached=row.digest in marks, now=now)
        return found

    def mark(self, *, besides: Container[str] = ()) -> Marks:
        """Everything that is referred to, and the chunks of large blobs that are or that are younger than the grace.

        Args:
            besides: Blobs that do not keep their chunks by being young.
        """
        marks, columns = Marks(), blob_columns()
        with self._database.read() as tx:
            now = tx.now_micros
            for done, column in enumerate(columns):
                self._progress("references", done, len(columns))
                for digest in digests_in(tx, column):
                    marks.add(digest)
        for room in ROOMS:
            if room.reach:
                self._progress("folders", 0, 1)
                for digest in load(room.reach)(self._store):
                    marks.add(digest)
        for row in self._rows(CHUNKED):
            young = row.created_at > now - self._grace and row.digest not in besides
            if row.digest in marks or young:
                self._mark_chunks(row, marks)
        return marks

    def _release(self, found: _Found) -> None:
        """Let the rooms let go of what leads to blobs that nothing refers to, before these count as absent."""
        for room in ROOMS:
            if room.release:
                load(room.release)(self._store, found.marks)

    def _judge(self, row: BlobRow, found: _Found, *, reached: bool, now: int) -> None:
        if reached:
            if row.condemned_at:
                found.pardon.append(row.digest)
        elif not row.condemned_at:
            if row.created_at <= now - self._grace:
                found.condemn.append(row.digest)
                found.condemn_bytes += row.stored
        elif row.condemned_at <= now - self._hold:
            found.remove.append(row)
        else:
            found.waiting += 1
            found.waiting_bytes += row.stored

    def _mark_chunks(self, row: BlobRow, marks: Marks) -> None:
        try:
            chunks = decode_list(self._bucket.get(list_object(row.digest)), row.digest).chunks
        except (Damaged, NotFound) as error:
            with self._database.read() as tx:
                if not find_rows(tx, [row.digest]):
                    return  # another collection removed it since
            raise Damaged(
                f"blob {row.digest} is needed and it cannot be read of which chunks it consists: {error.message}",
                hint="run `mainspring verify`; nothing was removed",
                details={"digest": row.digest},
            ) from error
        for digest, _ in chunks:
            marks.add(digest)

    def _rows(self, place: str = "") -> Iterator[BlobRow]:
        last, among = "", " AND place = ?" if place else ""
        while True:
            with self._database.read() as tx:
                where = f"WHERE digest > ?{among} ORDER BY digest LIMIT ?"
                page = tx.fetch(BLOB, where, (last, *([place] if place else []), _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].digest

    def _condemn(self, found: _Found) -> None:
        for digests, condemn in ((found.pardon, False), (found.condemn, True)):
            for batch in batched(digests, _REMOVED_AT_ONCE):
                marks = ", ".join("?" * len(batch))
                with self._database.write() as tx:
                    moment = tx.now_micros if condemn else 0
                    # One that was stored again since it was looked at is young, and is left alone.
                    young = "AND condemned_at = 0 AND created_at <= ?" if condemn else "AND condemned_at > ?"
                    tx.execute(
                        f"UPDATE blob_entry SET condemned_at = ? WHERE digest IN ({marks}) {young}",  # noqa: S608 -- ours
                        (moment, *batch, found.now - self._grace if condemn else 0),
                    )
                    if condemn:
                        next_epoch(tx)  # who looked before must look again whether what it refers to stays

    def _would_remove(self, found: _Found) -> list[BlobRow]:
        if self._hold:
            return found.remove
        rows: list[BlobRow] = list(found.remove)
        for batch in batched(found.condemn, _REMOVED_AT_ONCE):
            with self._database.read() as tx:
                rows += find_rows(tx, batch).values()
        return rows

    def _remove(self, rows: Sequence[BlobRow]) -> list[BlobRow]:
        """Delete rows, those of large blobs before those of their chunks; their objects are doomed with them."""
        removed: list[BlobRow] = []
        spared = Marks()  # chunks of large blobs that were referred to since, and revived
        large = [row for row in rows if row.place == CHUNKED]
        others = (row for row in rows if row.place != CHUNKED and row.digest not in spared)
        for batch in chain(batched(large, _REMOVED_AT_ONCE), batched(others, _REMOVED_AT_ONCE)):
            self._progress("removal", len(removed), len(rows))
            with self._database.write() as tx:
                condemned = [
                    row
                    for row in find_rows(tx, [row.digest for row in batch]).values()
                    if row.condemned_at and row.condemned_at <= tx.now_micros - self._hold
                ]
                left = {row.digest for row in batch} - {row.digest for row in condemned}
                for row in batch:
                    if row.place == CHUNKED and row.digest in left and find_rows(tx, [row.digest]):
                        self._mark_chunks(row, spared)
                if not condemned:
                    continue
                marks = ", ".join("?" * len(condemned))
                tx.execute(
                    f"DELETE FROM blob_entry WHERE digest IN ({marks})",  # noqa: S608 -- marks only
                    [row.digest for row in condemned],
                )
                doom(tx, _own_objects(condemned), due=tx.now_micros)
                dead = _packs_without_rows(tx, {row.pack for row in condemned if row.place == PACKED})
                doom(tx, [pack_object(name) for name in dead], due=tx.now_micros)
            removed += condemned
        return removed

    def doom_strays(self, *, after: int) -> None:
        """Write down the objects that no row names: a crash left them. They go when none names them after a while.

        Args:
            after: Microseconds; with 0, who writes one of them at this moment writes it again.
        """
        for prefix in ("loose", "lists", "packs"):
            for page in batched(self._bucket.list(prefix), _PAGE):
                names = {stored.name.rpartition("/")[2]: stored.name for stored in page}
                with self._database.read() as tx:
                    known = _named(tx, prefix, list(names))
                strays = [name for digest, name in names.items() if digest not in known]
                if strays:
                    with self._database.write() as tx:
                        doom(tx, strays, due=tx.now_micros + after)

    def delete_doomed(self) -> None:
        """Delete the doomed objects that are due, in transactions in which nobody else can name one of them."""
        while True:
            with self._database.read() as tx:
                due = tx.rows(
                    "SELECT object FROM blob_doomed WHERE due <= ? ORDER BY object LIMIT ?",
                    (tx.now_micros, _DELETED_AT_ONCE),
                )
            if not due:
                return
            with self._database.write() as tx:
                for (name,) in due:
                    self._delete_unless_named(tx, str(name))
                next_epoch(tx)
            self._progress("objects", self._deleted, self._deleted)

    def _delete_unless_named(self, tx: Transaction, name: str) -> None:
        if tx.execute("DELETE FROM blob_doomed WHERE object = ?", (name,)) == 0:
            return  # whoever wrote it again struck it out
        prefix, _, rest = name.partition("/")
        if _named(tx, prefix, [rest.rpartition("/")[2]]):
            return
        stored = self._bucket.head(name)
        self._bucket.delete(name)
        self._deleted += stored is not None
        self._freed += stored.size if stored else 0


def _own_objects(rows: Sequence[BlobRow]) -> list[str]:
    """The objects that hold one blob each."""
    found = [loose_object(row.digest) for row in rows if row.place == LOOSE]
    return found + [list_object(row.digest) for row in rows if row.place == CHUNKED]


def _packs_without_rows(tx: Transaction, packs: set[str]) -> list[str]:
    return [pack for pack in sorted(packs) if not tx.value("SELECT 1 FROM blob_entry WHERE pack = ? LIMIT 1", (pack,))]


def _named(tx: Transaction, prefix: str, names: Sequence[str]) -> set[str]:
    """Those objects under a prefix of the bucket, by the last part of their names, that a row names."""
    found: set[str] = set()
    for batch in batched(names, _REMOVED_AT_ONCE):
        marks = ", ".join("?" * len(batch))
        if prefix == "packs":
            rows = tx.rows(f"SELECT DISTINCT pack FROM blob_entry WHERE pack IN ({marks})", batch)  # noqa: S608
        else:
            place = LOOSE if prefix == "loose" else CHUNKED
            query = f"SELECT digest FROM blob_entry WHERE place = ? AND digest IN ({marks})"  # noqa: S608
            rows = tx.rows(query, [place, *batch])
        found.update(str(name) for (name,) in rows)
    return found


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
