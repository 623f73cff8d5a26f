"""The index of blobs: which digest lies where. It can be rebuilt from the bucket alone; it is never the only copy.

A row is written after its bytes are durable, and says that they are. Reachability is the sum of what other rooms name
(the files of artifacts) and of what chunk lists name; `created_at` gives a collector the age it needs to leave young,
not yet referenced bytes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from mainspring.store.packs import HEADER_BYTES, Entry
from mainspring.store.records import Table
from mainspring.store.transaction import Transaction

__all__ = [
    "BLOB",
    "BLOB_MIGRATION",
    "CHUNKED",
    "LOOSE",
    "PACKED",
    "BlobRow",
    "IndexDatabase",
    "batched",
    "find_rows",
    "find_sizes",
    "loose_object",
    "mark_damaged",
    "record_rows",
    "runs_of",
]

T = TypeVar("T")

_READ_AHEAD = 8 << 20

BLOB_MIGRATION = """
CREATE TABLE blob_entry (
  digest TEXT PRIMARY KEY,
  size BIGINT NOT NULL,
  place TEXT NOT NULL,
  pack TEXT NOT NULL,
  position BIGINT NOT NULL,
  stored BIGINT NOT NULL,
  codec BIGINT NOT NULL,
  damaged BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  condemned_at BIGINT NOT NULL
);
CREATE INDEX blob_entry_by_pack ON blob_entry (pack, position);
CREATE INDEX blob_entry_condemned ON blob_entry (condemned_at) WHERE condemned_at > 0;
CREATE TABLE blob_doomed (
  object TEXT PRIMARY KEY,
  due BIGINT NOT NULL
);
CREATE TABLE blob_epoch (
  id BIGINT PRIMARY KEY,
  epoch BIGINT NOT NULL
);
"""

LOOSE = "loose"
"""An object of its own in the bucket, byte for byte the blob."""
PACKED = "packed"
"""An entry of a pack."""
CHUNKED = "chunked"
"""A list of chunks, each of them a small blob; the list is an object of its own in the bucket."""

_BATCH = 500


class BlobRow(msgspec.Struct, frozen=True):
    """Where one blob lies."""

    digest: str
    size: int
    place: str
    pack: str = ""
    position: int = 0
    """Where the payload begins in its pack."""
    stored: int = 0
    """Bytes of the payload as stored, that is after the codec."""
    codec: int = 0
    damaged: bool = False
    """Found damaged or missing; it counts as absent until its bytes are stored again."""
    created_at: int = 0
    """Microseconds since 1970."""
    condemned_at: int = 0
    """When the collection of garbage first found that nothing refers to it; it then counts as absent to writers."""

    @classmethod
    def loose(cls, digest: str, size: int) -> BlobRow:
        """The row of an object of its own."""
        return cls(digest=digest, size=size, place=LOOSE, stored=size)

    @classmethod
    def packed(cls, entry: Entry, pack: str) -> BlobRow:
        """The row of an entry of a pack."""
        return cls(
            digest=entry.digest,
            size=entry.size,
            place=PACKED,
            pack=pack,
            position=entry.position,
            stored=entry.stored,
            codec=entry.codec,
        )


BLOB: Table[BlobRow] = Table("blob_entry", BlobRow)

_UPSERT = BLOB.insert_sql + (
    " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, place = excluded.place, pack = excluded.pack,"
    " position = excluded.position, stored = excluded.stored, codec = excluded.codec,"
    " damaged = 0, created_at = excluded.created_at, condemned_at = 0"
    " WHERE blob_entry.damaged = 1 OR blob_entry.condemned_at > 0"
)


class IndexDatabase(Protocol):
    """What blobs need of a database; `mainspring.store.database.Database` is one."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent snapshot."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """A serial transaction, durable when the block has ended."""
        ...


def loose_object(digest: str) -> str:
    """The object under which a blob of its own lies in a bucket."""
    return f"loose/{digest[:2]}/{digest}"


def find_rows(tx: Transaction, digests: Iterable[str]) -> dict[str, BlobRow]:
    """The rows of those digests that the index has, damaged ones included."""
    found: dict[str, BlobRow] = {}
    for batch in batched(dict.fromkeys(digests), _BATCH):
        marks = ", ".join("?" * len(batch))
        found.update((row.digest, row) for row in tx.fetch(BLOB, f"WHERE digest IN ({marks})", batch))
    return found


def find_sizes(tx: Transaction, digests: Iterable[str]) -> Iterator[tuple[str, int, bool, bool]]:
    """Digest, bytes, damaged and condemned of those digests that the index has; cheaper than whole rows."""
    for batch in batched(dict.fromkeys(digests), _BATCH):
        marks = ", ".join("?" * len(batch))
        query = f"SELECT digest, size, damaged, condemned_at FROM blob_entry WHERE digest IN ({marks})"  # noqa: S608 -- marks only
        for digest, size, damaged, condemned_at in tx.rows(query, batch):
            yield str(digest), int(size), bool(damaged), bool(condemned_at)


def record_rows(tx: Transaction, rows: Sequence[BlobRow]) -> None:
    """Name bytes that are durable. A row that is there stays, unless it is damaged or condemned: then this one counts.

    Rows go in by digest, so that concurrent writers on PostgreSQL lock in one order.
    """
    if rows:
        now = tx.now_micros
        tx.many(
            _UPSERT,
            [
                (
                    row.digest,
                    row.size,
                    row.place,
                    row.pack,
                    row.position,
                    row.stored,
                    row.codec,
                    int(row.damaged),
                    now,
                    row.condemned_at,
                )
                for row in sorted(rows, key=_by_digest)
            ],
        )


def mark_damaged(tx: Transaction, digests: Iterable[str]) -> None:
    """Make those blobs count as absent, so that whoever has them stores them again."""
    for batch in batched(sorted(set(digests)), _BATCH):
        marks = ", ".join("?" * len(batch))
        tx.execute(f"UPDATE blob_entry SET damaged = 1 WHERE digest IN ({marks})", batch)  # noqa: S608 -- marks only


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` items; `itertools.batched` comes with Python 3.12.

    Example:
        >>> list(batched("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def _by_digest(row: BlobRow) -> str:
    return row.digest


def runs_of(rows: Sequence[BlobRow]) -> Iterator[list[BlobRow]]:
    """Divide rows, in their order, into runs that one ranged read covers."""
    run: list[BlobRow] = []
    for row in rows:
        last = run[-1] if run else None
        if last and not (
            row.place == last.place == PACKED
            and row.pack == last.pack
            and row.position == last.position + last.stored + HEADER_BYTES
            and row.position + row.stored - run[0].position <= _READ_AHEAD
        ):
            yield run
            run = []
        run.append(row)
    if run:
        yield run
