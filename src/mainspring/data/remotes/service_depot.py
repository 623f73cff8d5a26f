"""A Mainspring as one end of a transfer: the store here, or another one over HTTP; over its operations only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.bundle import BUNDLED_BELOW, bundle, unbundle
from mainspring.data.remotes.types import History, VersionRecord
from mainspring.data.service_labels import Labels
from mainspring.data.types import Birth, Commit, LogEntry
from mainspring.kernel.errors import Damaged, NotFound
from mainspring.kernel.hashing import digest_bytes

if TYPE_CHECKING:
    from mainspring.data.erasures import Rewritten
    from mainspring.data.service import Data
    from mainspring.store.chunks import ChunkList
    from mainspring.store.service import Storage

__all__ = ["ServiceDepot", "record_of"]

_PAGE = 1000
_ASK = 10_000
_LISTS = 100
_TRIES = 5


class ServiceDepot:
    """Implements `Depot` over the data room's service."""

    def __init__(self, data: Data, storage: Storage, *, address: str) -> None:
        self._data = data
        self._storage = storage
        self.address = address

    def names(self) -> list[str]:
        """See `Depot.names`."""
        return [each.name for each in self._data.datasets()]

    def history(self, name: str) -> History:
        """See `Depot.history`."""
        for attempt in range(_TRIES):
            try:
                return self._history(name)
            except NotFound:
                if attempt == _TRIES - 1:
                    raise  # a version that was deleted while its history was read
        raise NotFound(f"there is no dataset {name!r}")

    def _history(self, name: str) -> History:
        found: list[LogEntry] = []
        try:
            while page := self._data.log(name, limit=_PAGE, before=found[-1].version.version if found else 0):
                found += page
        except NotFound:
            if not found:
                return History([], {})
            raise
        partial = self._data.partial_versions(name)
        said: list[Labels] = []
        for start in range(0, len(found), _PAGE):
            said += self._data.labels([entry.version.id for entry in found[start : start + _PAGE]])
        records = [
            record_of(entry, labels, partial.get(entry.version.id, ""))
            for entry, labels in zip(reversed(found), reversed(said), strict=True)
        ]
        aliases = {
            alias: record.id for entry, record in zip(reversed(found), records, strict=True) for alias in entry.aliases
        }
        return History(records, aliases)

    def known_trees(self, digests: Sequence[str]) -> set[str]:
        """See `Depot.known_trees`."""
        return {digest for batch in _batches(digests) for digest in self._data.known_trees(batch)}

    def missing(self, digests: Sequence[str]) -> list[str]:
        """See `Depot.missing`."""
        return [digest for batch in _batches(list(dict.fromkeys(digests))) for digest in self._storage.missing(batch)]

    def unknown_nodes(self, digests: Sequence[str]) -> list[str]:
        """See `Depot.unknown_nodes`."""
        return self.missing(digests)

    def arranged(self, digests: Iterable[str]) -> list[str]:
        """See `Depot.arranged`: as they were committed."""
        return list(digests)

    def read(self, blobs: Sequence[tuple[str, int]]) -> list[bytes]:
        """See `Depot.read`: small ones in one bundle; a store in this process checks what it reads."""
        if self._data.is_here:
            return [bytes(blob) for blob in self._data.store.blobs.get_many(digest for digest, _ in blobs)]
        small = [digest for digest, size in blobs if size < BUNDLED_BELOW]
        bundled = unbundle(self._data.fetch(small)) if small else iter(())
        return [self._checked(digest, size, bundled) for digest, size in blobs]

    def _checked(self, digest: str, size: int, bundled: Iterator[bytes]) -> bytes:
        blob = next(bundled, b"") if size < BUNDLED_BELOW else b"".join(self._storage.get_blob(digest))
        if digest_bytes(blob) != digest:
            hint = "run `mainspring verify` there"
            raise Damaged(f"what came of blob {digest} from {self.address} does not match it", hint=hint)
        return blob

    def chunk_lists(self, digests: Sequence[str]) -> list[ChunkList]:
        """See `Depot.chunk_lists`."""
        return [each for batch in _batches(digests, _LISTS) for each in self._data.chunks(batch)]

    def put(self, blobs: Sequence[tuple[str, bytes]], *, nodes: bool = False) -> None:
        """See `Depot.put`; the store hashes what arrives."""
        del nodes
        if self._data.is_here:
            small = [each for each in blobs if len(each[1]) < BUNDLED_BELOW]
            self._data.store.blobs.put_hashed(small)  # `read` of the other end saw that these are their digests
            large = [each for each in blobs if len(each[1]) >= BUNDLED_BELOW]
            self._check_arrived(large, self._data.store.blobs.put_many(data for _, data in large))
            return
        bundled = [each for each in blobs if len(each[1]) < BUNDLED_BELOW]
        arrived = self._data.upload(bundle(data for _, data in bundled)) if bundled else []
        alone = [each for each in blobs if len(each[1]) >= BUNDLED_BELOW]
        arrived += [self._storage.put_blob([data]).digest for _, data in alone]
        self._check_arrived([*bundled, *alone], arrived)

    def _check_arrived(self, blobs: Sequence[tuple[str, bytes]], arrived: Sequence[str]) -> None:
        for (digest, _), there in zip(blobs, arrived, strict=True):
            if digest != there:
                raise Damaged(f"blob {digest} changed on its way to {self.address}", hint="repeat it")

    def put_list(self, chunks: ChunkList) -> None:
        """See `Depot.put_list`; the store reads all chunks and compares what they make."""
        self._data.assemble(chunks)

    def finish(self) -> None:
        """See `Depot.finish`: `record` looks at everything below the tree."""

    def add(self, records: Sequence[tuple[VersionRecord, bool]], *, partial: str = "") -> None:
        """See `Depot.add`: who, when and from what stay as they were told.

        References to what it was derived from stay a text, for their numbers are those of another place.
        """
        for record, again in records:
            born = Birth(record.id, record.created_at, record.created_by, record.uses, record.erased)
            commit = Commit(
                message=record.message,
                origin=record.origin,
                rows=record.rows,
                schema=record.schema,
                metadata=record.metadata,
                new_version=again,
                born=born,
                partial=partial,
            )
            made = self._data.record(record.name, tree=record.tree, commit=commit)
            if record.tags:
                self._data.tag(made.id, tags=record.tags)
            if record.note:
                self._data.note(made.id, text=record.note)

    def rewrite(self, changes: Sequence[tuple[VersionRecord, Rewritten]], *, reason: str, seal: str) -> None:
        """Give versions the content without what must be forgotten, which is stored there already."""
        known = {each.digest: each.id for name in self.names() for each in self._data.kept_versions(name, limit=10_000)}
        there = [msgspec.structs.replace(change, id=known[record.tree]) for record, change in changes]
        self._data.rewrite(there, reason=reason, seal=seal, files=[])

    def set_aliases(self, name: str, aliases: Mapping[str, str]) -> None:
        """See `Depot.set_aliases`."""
        numbers = {each.id: each.number for each in self.history(name).versions} if aliases else {}
        for alias, version_id in aliases.items():
            if version_id in numbers:
                self._data.set_alias(name, alias=alias, version=numbers[version_id])


def record_of(entry: LogEntry, labels: Labels, partial: str) -> VersionRecord:
    """A version of a store as it travels."""
    version, born = entry.version, entry.version.born
    return VersionRecord(
        id=born.id if born else version.id,
        name=version.name,
        number=version.version,
        tree=version.digest,
        files=version.files,
        size=version.size,
        created_at=version.created_at,
        created_by=version.created_by,
        rows=version.rows,
        schema=version.schema,
        message=version.message,
        origin=version.origin,
        uses=[*(born.uses if born else []), *(use for use in entry.uses if born is None or use not in born.uses)],
        metadata=version.metadata,
        tags=labels.tags,
        note=labels.note,
        partial=partial,
        erased=born.erased if born else "",
    )


def _batches(digests: Sequence[str], size: int = _ASK) -> Iterator[list[str]]:
    for start in range(0, len(digests), size):
        yield list(digests[start : start + size])
