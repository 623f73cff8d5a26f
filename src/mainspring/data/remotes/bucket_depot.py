"""A bucket as a remote: a folder or an object store, without a database, that many machines push to at once.

    packs/ab/abcd...                      files and folders, as in a store (`store.packs`)
    lists/cd/cdef...                      the chunk lists of large files, as in a store (`store.chunks`)
    index/ef/ef01...                      which blob lies in which pack (`bucket_index`)
    datasets/<name>/versions/<id>.<check>.json   one version, never changed
    datasets/<name>/head.json             the order of the versions, and the aliases

Two that push to one dataset both land: a version is an object of its own, named after its id, and the head is changed
by comparing and swapping. Even where the store cannot do that, a version that the head lost is found by listing. Its
number is its place in the order of arrival. Bytes lie exactly as in a store, so a store can be mended from a remote.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from mainspring.data.remotes.bucket_index import FILES, NODES, BucketIndex
from mainspring.data.remotes.types import History, VersionRecord
from mainspring.kernel.errors import Conflict, Damaged, NotFound, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.buckets import SharedBucket
from mainspring.store.chunks import ChunkList, decode_list, encode_list, list_object
from mainspring.store.packs import Entry, build_pack, decode_payload, pack_object

__all__ = ["BucketDepot", "Head"]

_READ_AHEAD = 16 << 20
_GAP = 128 << 10
_SWAPS = 200
_READERS = 8
_FORM = 1


class Head(msgspec.Struct, frozen=True):
    """The order of a dataset's versions and where its aliases point."""

    versions: list[str] = []
    """The objects of versions, without folder and suffix, oldest first."""
    aliases: dict[str, str] = {}
    removed: list[str] = []
    """Objects of versions that are there no more: their content was forgotten, or they were removed."""
    form: int = _FORM


class BucketDepot:
    """See the module; implements `Depot`."""

    def __init__(self, bucket: SharedBucket, *, address: str, cache: Path | None = None) -> None:
        self.bucket = bucket
        self.address = address
        self._known: BucketIndex | None = None
        self._cache = cache
        self._used: set[str] = set()  # packs that somebody was told of

    @property
    def index(self) -> BucketIndex:
        """What is in the bucket, read when it is first asked for."""
        if self._known is None:
            index = BucketIndex(self.bucket, self._cache)
            index.load()
            self._known = index
        return self._known

    def names(self) -> list[str]:
        """See `Depot.names`."""
        found = (each.name.split("/") for each in self.bucket.list("datasets"))
        return sorted({parts[1].replace("%2F", "/") for parts in found if len(parts) > 2})

    def history(self, name: str) -> History:
        """See `Depot.history`."""
        head, objects = self.head(name)
        with ThreadPoolExecutor(_READERS) as pool:
            records = pool.map(lambda each: self._record(name, each), objects)
            found = [record for record in records if record is not None]
        numbered = [msgspec.structs.replace(each, number=place) for place, each in enumerate(found, 1)]
        return History(numbered, {alias: id_ for alias, id_ in head.aliases.items() if any(id_ == v.id for v in found)})

    def head(self, name: str) -> tuple[Head, list[str]]:
        """The head, and the objects of all versions in order: those that it names, then those that it lost."""
        folder = _folder(name)
        there = {each.name.rpartition("/")[2].removesuffix(".json") for each in self.bucket.list(f"{folder}/versions")}
        head = _decode_head(self._raw_head(name))
        named = [each for each in head.versions if each in there]
        return head, named + sorted(there - set(head.versions) - set(head.removed))

    def known_trees(self, digests: Sequence[str]) -> set[str]:
        """See `Depot.known_trees`."""
        return {digest for digest in digests if self._use(digest, self.index.is_node(digest))}

    def missing(self, digests: Sequence[str]) -> list[str]:
        """See `Depot.missing`; no request for each, only the index."""
        return [digest for digest in dict.fromkeys(digests) if not self._use(digest, self.index.has(digest))]

    def unknown_nodes(self, digests: Sequence[str]) -> list[str]:
        """See `Depot.unknown_nodes`: a file of the same bytes does not say that all below a folder is here."""
        known = self.known_trees(digests)
        return [digest for digest in dict.fromkeys(digests) if digest not in known]

    def arranged(self, digests: Iterable[str]) -> list[str]:
        """See `Depot.arranged`."""
        return sorted(digests, key=self.index.place)

    def read(self, blobs: Sequence[tuple[str, int]]) -> list[bytes]:
        """See `Depot.read`: neighbours in a pack with one request."""
        by_pack: dict[str, list[Entry]] = defaultdict(list)
        for digest in dict.fromkeys(digest for digest, _ in blobs):
            found = self.index.find(digest)
            if found is None:
                raise NotFound(f"{self.address} does not have blob {digest}")
            by_pack[found[0]].append(found[1])
        plain: dict[str, bytes] = {}
        for pack, entries in by_pack.items():
            for run in _runs(sorted(entries, key=lambda entry: entry.position)):
                plain.update(self._read_run(pack, run))
        return [plain[digest] for digest, _ in blobs]

    def chunk_lists(self, digests: Sequence[str]) -> list[ChunkList]:
        """See `Depot.chunk_lists`."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(lambda each: decode_list(self.bucket.get(list_object(each)), each), digests))

    def put(self, blobs: Sequence[tuple[str, bytes]], *, nodes: bool = False) -> None:
        """See `Depot.put`: one pack."""
        if blobs:
            self.put_pack(blobs, NODES if nodes else FILES)

    def put_pack(self, blobs: Sequence[tuple[str, bytes]], kind: int) -> str:
        """Keep checked blobs as one pack; its name."""
        pack = build_pack(dict(blobs).items())
        self.bucket.put(pack_object(pack.name), pack.data)
        self.index.add_pack(pack.name, pack.entries, kind=kind)
        return pack.name

    def put_list(self, chunks: ChunkList) -> None:
        """See `Depot.put_list`."""
        if lost := self.missing([digest for digest, _ in chunks.chunks]):
            raise Conflict(f"chunk {lost[0]} of blob {chunks.digest} is not in {self.address}")
        self.bucket.put(list_object(chunks.digest), encode_list(chunks))
        self.index.add_large(chunks.digest)

    def finish(self) -> None:
        """See `Depot.finish`: the packs that were relied on are still there, and an index names those that are new."""
        if not self._used and self._known is None:
            return
        self.index.write()
        there = {each.name.rpartition("/")[2] for each in self.bucket.list("packs")}
        if lost := self._used - there:
            self._known, self._used = None, set()
            raise Conflict(f"{len(lost)} packs of {self.address} were written again meanwhile", hint="push again")

    def add(self, records: Sequence[tuple[VersionRecord, bool]], *, partial: str = "") -> None:
        """See `Depot.add`: an object for each, then the head once."""
        del partial
        if not records:
            return
        with ThreadPoolExecutor(_READERS) as pool:
            stems = list(pool.map(self.put_record, (record for record, _ in records)))

        def append(head: Head) -> Head:
            return msgspec.structs.replace(head, versions=list(dict.fromkeys([*head.versions, *stems])))

        self.change_head(records[0][0].name, append)

    def put_record(self, record: VersionRecord) -> str:
        """Keep what is known of a version; the name of its object, for the head."""
        data = msgspec.json.encode(msgspec.structs.replace(record, number=0, partial=""))
        stem = f"{record.id}.{digest_bytes(data)[:16]}"
        self.bucket.put(f"{_folder(record.name)}/versions/{stem}.json", data)
        return stem

    def delete_record(self, name: str, stem: str) -> None:
        """Remove what is known of a version that the head does not name any more."""
        self.bucket.delete(f"{_folder(name)}/versions/{stem}.json")

    def set_aliases(self, name: str, aliases: Mapping[str, str]) -> None:
        """See `Depot.set_aliases`."""
        if aliases:
            self.change_head(name, lambda head: msgspec.structs.replace(head, aliases={**head.aliases, **aliases}))

    def change_head(self, name: str, change: Callable[[Head], Head]) -> None:
        """Change the head of a dataset, whatever others do to it at the same time."""
        where = f"{_folder(name)}/head.json"
        for attempt in range(_SWAPS):
            raw = self._raw_head(name)
            head = _decode_head(raw)
            changed = change(head)
            if changed == head or self.bucket.swap(where, msgspec.json.encode(changed), expected=raw):
                return
            import random

            time.sleep(random.uniform(0, min(0.5, 0.01 * (attempt + 1))))  # noqa: S311 -- spreads out who collides
        raise Conflict(f"{self.address}: too many push to {name!r} at the same time", hint="push again")

    def _raw_head(self, name: str) -> bytes | None:
        try:
            return self.bucket.get(f"{_folder(name)}/head.json")
        except NotFound:
            return None

    def _record(self, name: str, stem: str) -> VersionRecord | None:
        where = f"{_folder(name)}/versions/{stem}.json"
        try:
            data = self.bucket.get(where)
        except NotFound:
            return None  # it was removed since
        if digest_bytes(data)[:16] != stem.rpartition(".")[2]:
            raise Damaged(f"{where} of {self.address} does not match its name", hint="push the version again")
        record = msgspec.json.decode(data, type=VersionRecord)
        if record.form != _FORM:
            raise StoreTooNew(f"{where} has form {record.form}", hint="pip install --upgrade mainspring")
        return record

    def _use(self, digest: str, there: bool) -> bool:  # noqa: FBT001 -- hands it through
        if there and (pack := self.index.pack_of(digest)):
            self._used.add(pack)
        return there

    def _read_run(self, pack: str, run: Sequence[Entry]) -> Iterable[tuple[str, bytes]]:
        start, end = run[0].position, run[-1].position + run[-1].stored
        block = memoryview(self.bucket.get_range(pack_object(pack), start, end - start))
        for entry in run:
            payload = block[entry.position - start : entry.position - start + entry.stored]
            plain = bytes(decode_payload(payload, entry.codec))
            if digest_bytes(plain) != entry.digest:
                raise Damaged(
                    f"blob {entry.digest} is damaged in {pack_object(pack)} of {self.address}",
                    hint="push it again from a store that has it: `mainspring data push --verify`",
                    details={"digest": entry.digest, "object": pack_object(pack)},
                )
            yield entry.digest, plain


def _folder(name: str) -> str:
    return f"datasets/{name.replace('/', '%2F')}"  # a name holds no % of its own


def _decode_head(raw: bytes | None) -> Head:
    if raw is None:
        return Head()
    try:
        head = msgspec.json.decode(raw, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Head()  # the listing of versions still says what there is; the next push writes it again
    if head.form != _FORM:
        raise StoreTooNew(f"a head of the remote has form {head.form}", hint="pip install --upgrade mainspring")
    return head


def _runs(entries: Sequence[Entry]) -> Iterable[list[Entry]]:
    """Entries of one pack, by position, in runs that one ranged read covers; small gaps are read and passed over."""
    run: list[Entry] = []
    for entry in entries:
        if run and (
            entry.position - (run[-1].position + run[-1].stored) > _GAP
            or entry.position + entry.stored - run[0].position > _READ_AHEAD
        ):
            yield run
            run = []
        run.append(entry)
    if run:
        yield run
