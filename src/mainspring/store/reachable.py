"""What refers to which blobs: the columns that the rooms name on the hooks page, read as one snapshot.

A column is read for everything that looks like a digest. What only looks like one keeps a blob too long and never
loses one, so that rooms may keep digests inside of JSON as they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from mainspring.kernel.errors import InternalError
from mainspring.kernel.hooks import ROOMS, Room
from mainspring.store.transaction import Transaction

__all__ = ["BlobColumn", "Marks", "blob_columns", "digests_in"]

_ENTRY = re.compile(r"(\w+)\.(\w+)(?: BY (\w+))?(?: WHERE (.+))?")
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_DIGEST_CHARS = 64
_PAGE = 20_000


class BlobColumn(msgspec.Struct, frozen=True):
    """A column that names blobs."""

    table: str
    column: str
    key: str
    where: str


class Marks:
    """A set of digests, 16 bytes of each: a false match among 2**64 keeps a blob too long and never loses one."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, digest: str) -> bool:
        return bytes.fromhex(digest[:32]) in self._seen

    def add(self, digest: str) -> None:
        """Mark one."""
        self._seen.add(bytes.fromhex(digest[:32]))


def blob_columns(rooms: Sequence[Room] = ROOMS) -> list[BlobColumn]:
    """The columns of all rooms."""
    found: list[BlobColumn] = []
    for entry in (entry for room in rooms for entry in room.blobs):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise InternalError(f"{entry!r} on the hooks page is not `table.column`")
        table, column, key, where = match.groups()
        found.append(BlobColumn(table, column, key or (column if column.endswith("digest") else "id"), where or ""))
    return found


def digests_in(tx: Transaction, column: BlobColumn) -> Iterator[str]:
    """Every digest in a column, some of them more than once; in constant memory."""
    table, name, key = column.table, column.column, column.key
    also = f"({column.where}) AND " if column.where else ""
    distinct = "DISTINCT " if key == name else ""
    query = f"SELECT {distinct}{key}, {name} FROM {table} WHERE {also}{key} > ? ORDER BY {key} LIMIT ?"  # noqa: S608 -- names of our own
    last = ""
    while rows := tx.rows(query, (last, _PAGE)):
        for _, text in rows:
            if text is None:
                continue
            if len(text) == _DIGEST_CHARS and _DIGEST.fullmatch(text):
                yield text
            else:
                yield from _DIGEST.findall(text)
        last = rows[-1][0]
        if len(rows) < _PAGE:
            return
