"""Which blobs a bucket has, known from few small objects: the directories of packs, joined for each push.

    index/<blake3>    msgpack [1, [[pack(32), kind, rows], ...]]
    rows              digest(32) , size u64 , stored u64 , position u64 , codec u8         little endian, one a blob

An index object never changes, so it is fetched once and kept on this machine. A pack that no index object names was
left by a push that was killed; its own directory says what is in it, and the next push names it. Kind 1 marks packs of
folders: they are written after everything that they name, so a folder that is there is whole.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from mainspring.kernel.errors import Damaged, NotFound, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.buckets import Bucket
from mainspring.store.packs import Entry, pack_object, read_directory, scan_entries

__all__ = ["FILES", "NODES", "BucketIndex", "Packed"]

FILES, NODES = 0, 1
_FORM = 1
_ROW = struct.Struct("<32sQQQB")
_MERGED_FROM = 32
"""So many index objects are joined to one by the push that finds them."""
_READERS = 8

Packed = tuple[bytes, int, bytes]
"""Name of a pack, what it holds, and its rows."""


class BucketIndex:
    """What is in a bucket. Safe to use from several threads."""

    def __init__(self, bucket: Bucket, cache: Path | None) -> None:
        self._bucket = bucket
        self._cache = cache
        self._guard = threading.Lock()
        self._packs: list[Packed] = []
        self._where: dict[bytes, int] = {}
        self._large: set[str] = set()
        self._objects: dict[str, list[Packed]] = {}
        self._fresh: list[Packed] = []

    def load(self) -> None:
        """Read what is there now."""
        with ThreadPoolExecutor(_READERS) as pool:
            objects = pool.submit(lambda: [each.name.rpartition("/")[2] for each in self._bucket.list("index")])
            lists = pool.submit(lambda: {each.name.rpartition("/")[2] for each in self._bucket.list("lists")})
            # Packs are listed last: what an index names was there before it.
            names = objects.result()
            found = [each for each in zip(names, pool.map(self._object, names), strict=True) if each[1] is not None]
            sizes = {each.name.rpartition("/")[2]: each.size for each in self._bucket.list("packs")}
            self._objects = {name: packs for name, packs in found if packs is not None}
            self._large = lists.result()
            named: set[str] = set()
            for packs in self._objects.values():
                for pack in packs:
                    if pack[0].hex() in sizes and pack[0].hex() not in named:
                        named.add(pack[0].hex())
                        self._add(pack)
            for orphan in pool.map(lambda name: self._orphan(name, sizes[name]), sorted(sizes.keys() - named)):
                if orphan is not None:
                    self._fresh.append(orphan)
                    self._add(orphan)

    def find(self, digest: str) -> tuple[str, Entry] | None:
        """The pack that holds a blob, and its entry."""
        place = self._where.get(bytes.fromhex(digest))
        return None if place is None else self._entry(place)

    def place(self, digest: str) -> int:
        """A number that grows along the packs; -1 for what is in none."""
        return self._where.get(bytes.fromhex(digest), -1)

    def pack_of(self, digest: str) -> str:
        """The pack that holds a blob, or an empty text."""
        place = self.place(digest)
        return self._packs[place >> 32][0].hex() if place >= 0 else ""

    def has(self, digest: str) -> bool:
        """Whether a blob is here, whole or as chunks."""
        return bytes.fromhex(digest) in self._where or digest in self._large

    def is_node(self, digest: str) -> bool:
        """Whether a blob lies in a pack of folders."""
        place = self._where.get(bytes.fromhex(digest))
        return place is not None and self._packs[place >> 32][1] == NODES

    def add_pack(self, name: str, entries: Iterable[Entry], *, kind: int) -> None:
        """Note a pack that was just written."""
        pack = (bytes.fromhex(name), kind, b"".join(map(_row, entries)))
        with self._guard:
            self._fresh.append(pack)
            self._add(pack)

    def add_large(self, digest: str) -> None:
        """Note a chunk list that was just written."""
        with self._guard:
            self._large.add(digest)

    def packs(self) -> Iterator[tuple[str, int, list[Entry]]]:
        """Every pack with its kind and entries."""
        for name, kind, rows in list(self._packs):
            yield name.hex(), kind, [_decoded(rows, start) for start in range(0, len(rows), _ROW.size)]

    def large(self) -> set[str]:
        """The blobs that are here as chunks."""
        return set(self._large)

    def write(self) -> None:
        """Write down the packs that no index object names; join the objects when they have become many."""
        if self._fresh:
            self._objects[self._put(self._fresh)] = self._fresh
            self._fresh = []
        if len(self._objects) >= _MERGED_FROM:
            self.replace({pack[0].hex() for pack in self._packs})

    def replace(self, living: set[str]) -> None:
        """One index object of those packs in the place of all that were read."""
        old = list(self._objects)
        merged = {pack[0]: pack for pack in self._packs if pack[0].hex() in living}
        self._packs, self._where, self._fresh = [], {}, []
        for pack in merged.values():
            self._add(pack)
        self._objects = {self._put(self._packs): list(self._packs)} if self._packs else {}
        for name in old:
            if name not in self._objects:
                self._bucket.delete(_object(name))

    def _put(self, packs: list[Packed]) -> str:
        data = msgspec.msgpack.encode((_FORM, packs))
        name = digest_bytes(data)
        self._bucket.put(_object(name), data)
        self._keep(name, data)
        return name

    def _object(self, name: str) -> list[Packed] | None:
        """The packs that an index object names; None where it was joined with others since, or is damaged."""
        try:
            data = self._kept(name)
            if data is None:
                data = self._bucket.get(_object(name))
                if digest_bytes(data) != name:
                    return None  # the directories of the packs say the same
                self._keep(name, data)
            form, packs = msgspec.msgpack.decode(data, type=tuple[int, list[Packed]])
        except (NotFound, msgspec.DecodeError):
            return None
        if form != _FORM:
            hint = "pip install --upgrade mainspring"
            raise StoreTooNew(f"the remote's index {name} has form {form}, which this version cannot read", hint=hint)
        return packs

    def _orphan(self, name: str, size: int) -> Packed | None:
        where = pack_object(name)
        try:
            try:
                entries = read_directory(lambda start, length: self._bucket.get_range(where, start, length), size)
            except Damaged:
                entries = list(scan_entries(self._bucket.get(where)))
        except NotFound:
            return None  # it was removed since
        return bytes.fromhex(name), FILES, b"".join(map(_row, entries))

    def _add(self, pack: Packed) -> None:
        number = len(self._packs) << 32
        self._packs.append(pack)
        rows = pack[2]
        for row, start in enumerate(range(0, len(rows), _ROW.size)):
            key = rows[start : start + 32]
            if key not in self._where or pack[1] == NODES:
                self._where[key] = number | row

    def _entry(self, place: int) -> tuple[str, Entry]:
        name, _, rows = self._packs[place >> 32]
        return name.hex(), _decoded(rows, (place & 0xFFFFFFFF) * _ROW.size)

    def _kept(self, name: str) -> bytes | None:
        if self._cache is None:
            return None
        try:
            data = (self._cache / name).read_bytes()
        except OSError:
            return None
        return data if digest_bytes(data) == name else None

    def _keep(self, name: str, data: bytes) -> None:
        if self._cache is None:
            return
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            partial = self._cache / f".{name}.{threading.get_ident()}"
            partial.write_bytes(data)
            partial.replace(self._cache / name)
        except OSError:
            return  # a cache that cannot be written is none


def _object(name: str) -> str:
    return f"index/{name[:2]}/{name}"


def _row(entry: Entry) -> bytes:
    return _ROW.pack(bytes.fromhex(entry.digest), entry.size, entry.stored, entry.position, entry.codec)


def _decoded(rows: bytes, start: int) -> Entry:
    digest, size, stored, position, codec = _ROW.unpack_from(rows, start)
    return Entry(digest=digest.hex(), size=size, stored=stored, position=position, codec=codec)
