"""Checking and mending blobs: read everything, name what is wrong, fetch it from a copy, rebuild the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mainspring.kernel.errors import Damaged, MainspringError, NotFound, StorageError, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.blob_tables import (
    BLOB,
    CHUNKED,
    LOOSE,
    PACKED,
    BlobRow,
    IndexDatabase,
    batched,
    find_rows,
    loose_object,
    mark_damaged,
    record_rows,
)
from mainspring.store.buckets import Bucket
from mainspring.store.chunks import decode_list, list_object
from mainspring.store.packs import (
    Entry,
    decode_payload,
    entry_is_sound,
    pack_object,
    read_directory,
    scan_entries,
)

__all__ = ["Finding", "HealReport", "VerifyReport", "heal", "rebuild_index", "verify"]

Progress = Callable[[int, int], None]
_PAGE = 1000


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    digest: str
    """The blob that cannot be read; empty when every blob can, and only a pack's own directory is damaged."""
    object: str
    """The object of the bucket to look at."""
    reason: str
    missing: bool = False
    """Whether the bytes are gone rather than changed."""


class VerifyReport(msgspec.Struct, frozen=True):
    """What a reading of everything found."""

    blobs: int
    """How many blobs were checked, chunks included."""
    bytes: int
    """How many bytes were read."""
    findings: list[Finding]
    unnamed: int
    """Objects of the bucket that no row names: left by a crash, harmless."""

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class HealReport(msgspec.Struct, frozen=True):
    """What could be fetched from a copy."""

    healed: list[str]
    """Digests that are sound again."""
    remaining: list[str]
    """Digests that the copy does not have sound either."""


def verify(bucket: Bucket, database: IndexDatabase, *, progress: Progress | None = None) -> VerifyReport:
    """See `Blobs.verify`."""
    return _Verifier(bucket, database, progress or _silent).run()


class _Verifier:
    """One reading of everything."""

    def __init__(self, bucket: Bucket, database: IndexDatabase, progress: Progress) -> None:
        self._bucket = bucket
        self._database = database
        self._progress = progress
        self._findings: list[Finding] = []
        self._sound: list[str] = []
        self._blobs = self._bytes = 0
        with database.read() as tx:
            self._total = int(tx.value("SELECT COALESCE(SUM(stored), 0) FROM blob_entry") or 0)

    def run(self) -> VerifyReport:
        unnamed = self._check_packs()
        for row in self._rows(LOOSE):
            self._check_loose(row)
        bad = {finding.digest for finding in self._findings}
        for row in self._rows(CHUNKED):
            self._check_chunked(row, bad)
        unnamed += self._count_unnamed()
        self._mark()
        self._progress(self._total, self._total)
        return VerifyReport(blobs=self._blobs, bytes=self._bytes, findings=self._findings, unnamed=unnamed)

    def _rows(self, place: str) -> Iterator[BlobRow]:
        last = ""
        while True:
            with self._database.read() as tx:
                page = tx.fetch(BLOB, "WHERE digest > ? AND place = ? ORDER BY digest LIMIT ?", (last, place, _PAGE))
            if not page:
                return
            yield from page
            last = page[-1].digest

    def _check_packs(self) -> int:
        """Check every pack of the bucket, and every row that says it lies in one; how many packs no row names."""
        with self._database.read() as tx:
            rows = tx.rows("SELECT DISTINCT pack FROM blob_entry WHERE place = ?", (PACKED,))
        named = {str(name) for (name,) in rows}
        unnamed = 0
        for stored in self._bucket.list("packs"):
            name = stored.name.rpartition("/")[2]
            if name in named:
                named.discard(name)
                self._check_pack(name)
            else:
                unnamed += 1
        for name in sorted(named):
            for row in self._rows_of_pack(name):
                self._count(row)
                self._report(row, pack_object(name), "its pack is missing", missing=True)
        return unnamed

    def _rows_of_pack(self, name: str) -> list[BlobRow]:
        with self._database.read() as tx:
            return tx.fetch(BLOB, "WHERE pack = ? ORDER BY position", (name,))

    def _check_pack(self, name: str) -> None:
        try:
            data = self._bucket.get(pack_object(name))
        except MainspringError as error:
            data, unreadable = b"", error.message
            if not self._rows_of_pack(name):
                return  # it was rewritten since the bucket was listed
        else:
            unreadable = ""
        whole = digest_bytes(data) == name
        view = memoryview(data)
        broken = 0
        for row in self._rows_of_pack(name):
            self._count(row)
            entry = Entry(digest=row.digest, size=row.size, stored=row.stored, position=row.position, codec=row.codec)
            if entry_is_sound(entry, view):
                self._sound += [row.digest] if row.damaged else []
            else:
                broken += 1
                self._report(row, pack_object(name), unreadable or "its bytes in the pack do not match the digest")
        if not whole and not broken:
            reason = "the pack's headers or directory are damaged; its blobs are sound"
            self._findings.append(Finding(digest="", object=pack_object(name), reason=reason))

    def _check_loose(self, row: BlobRow) -> None:
        name = loose_object(row.digest)
        self._count(row)
        try:
            sound = digest_bytes(decode_payload(self._bucket.get(name), row.codec)) == row.digest
        except NotFound:
            self._report(row, name, "its bytes are missing from the bucket", missing=True)
        except MainspringError as error:
            self._report(row, name, error.message)
        else:
            if not sound:
                self._report(row, name, "its bytes do not match the digest")
            elif row.damaged:
                self._sound.append(row.digest)

    def _check_chunked(self, row: BlobRow, bad: set[str]) -> None:
        name = list_object(row.digest)
        self._count(row)
        try:
            chunks = [digest for digest, _ in decode_list(self._bucket.get(name), row.digest).chunks]
        except NotFound:
            self._report(row, name, "its chunk list is missing from the bucket", missing=True)
            return
        except MainspringError as error:
            self._report(row, name, error.message)
            return
        with self._database.read() as tx:
            known = find_rows(tx, chunks)
        lost = next((chunk for chunk in chunks if chunk in bad or chunk not in known), None)
        if lost:
            self._report(row, name, f"its chunk {lost} is damaged or missing")
        elif row.damaged:
            self._sound.append(row.digest)

    def _count(self, row: BlobRow) -> None:
        self._blobs += 1
        self._bytes += row.stored
        self._progress(min(self._bytes, self._total), self._total)

    def _report(self, row: BlobRow, name: str, reason: str, *, missing: bool = False) -> None:
        with self._database.read() as tx:
            now = find_rows(tx, [row.digest]).get(row.digest)
        if now is None or (now.place, now.pack, now.position) != (row.place, row.pack, row.position):
            return  # a collection of garbage removed or moved it meanwhile
        self._findings.append(Finding(digest=row.digest, object=name, reason=reason, missing=missing))

    def _count_unnamed(self) -> int:
        unnamed = 0
        for prefix in ("loose", "lists"):
            for page in batched(self._bucket.list(prefix), _PAGE):
                digests = [stored.name.rpartition("/")[2] for stored in page]
                with self._database.read() as tx:
                    unnamed += len(digests) - len(find_rows(tx, digests))
        return unnamed

    def _mark(self) -> None:
        """Let what is damaged count as absent, and what is sound again as present."""
        bad = [finding.digest for finding in self._findings if finding.digest]
        if not bad and not self._sound:
            return
        try:
            with self._database.write() as tx:
                mark_damaged(tx, bad)
                for digest in self._sound:
                    tx.execute("UPDATE blob_entry SET damaged = 0 WHERE digest = ?", (digest,))
        except StorageError:
            return  # a store that cannot be written can still be checked


def heal(bucket: Bucket, database: IndexDatabase, source: Bucket, *, report: VerifyReport | None = None) -> HealReport:
    """See `Blobs.heal`."""
    _heal_packs(bucket, source, report)
    healed: list[str] = []
    remaining: list[str] = []
    elsewhere: dict[str, tuple[str, Entry]] | None = None
    with database.read() as tx:
        rows = tx.fetch(BLOB, "WHERE damaged = 1 ORDER BY CASE place WHEN 'chunked' THEN 1 ELSE 0 END, digest")
    for row in rows:
        if row.place == CHUNKED:
            done = _heal_chunked(bucket, database, source, row)
        else:
            data = _fetch_same_place(source, row)
            if data is None:
                elsewhere = _directories(source) if elsewhere is None else elsewhere
                data = _fetch_elsewhere(source, row.digest, elsewhere)
            done = data is not None
            if data is not None:
                bucket.put(loose_object(row.digest), data)
                _record(database, BlobRow.loose(row.digest, len(data)))
        (healed if done else remaining).append(row.digest)
    return HealReport(healed=healed, remaining=remaining)


def _heal_packs(bucket: Bucket, source: Bucket, report: VerifyReport | None) -> None:
    """Replace packs that are only damaged outside of their blobs; a pack's name says what its bytes must be."""
    for name in {finding.object for finding in (report.findings if report else ()) if not finding.digest}:
        try:
            data = source.get(name)
        except NotFound:
            continue
        if digest_bytes(data) == name.rpartition("/")[2]:
            bucket.put(name, data)


def _heal_chunked(bucket: Bucket, database: IndexDatabase, source: Bucket, row: BlobRow) -> bool:
    """Restore the list of a large blob whose chunks were restored before it."""
    name = list_object(row.digest)
    for origin in (bucket, source):
        try:
            data = origin.get(name)
            chunks = [digest for digest, _ in decode_list(data, row.digest).chunks]
        except (NotFound, Damaged, StoreTooNew):
            continue
        with database.read() as tx:
            known = find_rows(tx, chunks)
        if any(chunk not in known or known[chunk].damaged for chunk in chunks):
            continue
        if origin is source:
            bucket.put(name, data)
        _record(database, BlobRow(digest=row.digest, size=row.size, place=CHUNKED))
        return True
    return False


def _fetch_same_place(source: Bucket, row: BlobRow) -> bytes | None:
    try:
        if row.place == PACKED:
            data = source.get_range(pack_object(row.pack), row.position, row.stored)
        else:
            data = source.get(loose_object(row.digest))
        plain = bytes(decode_payload(data, row.codec))
    except (NotFound, StoreTooNew):
        return None
    return plain if digest_bytes(plain) == row.digest else None


def _fetch_elsewhere(source: Bucket, digest: str, packs: dict[str, tuple[str, Entry]]) -> bytes | None:
    found = packs.get(digest)
    row = BlobRow.packed(found[1], found[0]) if found else BlobRow.loose(digest, 0)
    return _fetch_same_place(source, row)


def _directories(bucket: Bucket) -> dict[str, tuple[str, Entry]]:
    """Which blob lies in which pack, from the packs themselves."""
    return {entry.digest: (name, entry) for name, entries in _packs(bucket) for entry in entries}


def _packs(bucket: Bucket) -> Iterator[tuple[str, list[Entry]]]:
    for stored in bucket.list("packs"):
        object_name = stored.name
        try:
            entries = read_directory(lambda start, length: bucket.get_range(object_name, start, length), stored.size)  # noqa: B023 -- used at once
        except Damaged:
            entries = list(scan_entries(bucket.get(object_name)))
        yield object_name.rpartition("/")[2], entries


def rebuild_index(bucket: Bucket, database: IndexDatabase) -> int:
    """See `Blobs.rebuild_index`. Names and directories are believed; run `verify` to read the bytes as well."""
    added = 0
    for name, entries in _packs(bucket):
        added += _adopt(database, [BlobRow.packed(entry, name) for entry in entries])
    for page in batched(bucket.list("loose"), _PAGE):
        added += _adopt(database, [BlobRow.loose(stored.name.rpartition("/")[2], stored.size) for stored in page])
    for stored in bucket.list("lists"):
        digest = stored.name.rpartition("/")[2]
        try:
            size = decode_list(bucket.get(stored.name), digest).size
        except Damaged:
            continue  # a broken list makes nothing readable
        added += _adopt(database, [BlobRow(digest=digest, size=size, place=CHUNKED)])
    return added


def _adopt(database: IndexDatabase, rows: list[BlobRow]) -> int:
    """Name what has no row yet; a row that is there stays, above all one that says that its bytes are damaged."""
    with database.write() as tx:
        known = find_rows(tx, [row.digest for row in rows])
        new = {row.digest: row for row in rows if row.digest not in known}
        record_rows(tx, list(new.values()))
    return len(new)


def _record(database: IndexDatabase, *rows: BlobRow) -> None:
    with database.write() as tx:
        record_rows(tx, rows)


def _silent(done: int, total: int) -> None:
    del done, total
