"""Blobs: bytes addressed by their content, whole or not there, checked whenever they are read.

What is small lies in an object of its own (`put`) or with others in a pack (`put_many`); what is large is cut into
chunks that versions share. The order of writing is always the same: the bytes are durable in the bucket, then the row
that names them commits. So a crash at any moment leaves nothing, or bytes without a row, which `rebuild_index` adopts
and a later put of the same content simply writes again. The layout of the bucket:

    loose/ab/abcd...    one blob, byte for byte
    packs/cd/cdef...    a pack (see `packs`)
    lists/ef/ef01...    the chunk list of a large blob (see `chunks`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from mainspring.kernel.errors import Damaged, InvalidInput, NotFound, StorageError
from mainspring.kernel.hashing import Buffer, digest_bytes, hasher
from mainspring.store.behind import behind
from mainspring.store.blob_changes import claim, current_epoch, keep
from mainspring.store.blob_check import HealReport, VerifyReport, heal, rebuild_index, verify
from mainspring.store.blob_tables import (
    CHUNKED,
    LOOSE,
    BlobRow,
    IndexDatabase,
    batched,
    find_rows,
    find_sizes,
    loose_object,
    mark_damaged,
    record_rows,
    runs_of,
)
from mainspring.store.buckets import Bucket
from mainspring.store.chunks import (
    ChunkList,
    Pieces,
    by_bytes,
    cut,
    decode_list,
    encode_list,
    hashed,
    list_object,
)
from mainspring.store.packs import PACK_BYTES, build_pack, decode_payload, pack_object

__all__ = ["CHUNKED_FROM", "Blobs"]

CHUNKED_FROM = 4 << 20
"""Blobs of more bytes than this are stored as chunks."""

_FILE_PIECE = 1 << 20
_PACK_ENTRIES = 8192
_LOOKUP = 5000


class Blobs:
    """Content-addressed bytes over a bucket and the index in the database. Safe from many threads and processes.

    Args:
        bucket: Where the bytes are.
        database: Where the index is. No method may be called inside an open transaction of the same thread.
    """

    def __init__(self, bucket: Bucket, database: IndexDatabase) -> None:
        self.bucket = bucket
        self.database = database

    def put(self, data: Buffer) -> str:
        """Keep `data`; its digest, once it is durable.

        Raises:
            StorageFull, ReadOnlyStore, StorageError: Nothing was kept.
        """
        view = memoryview(data).cast("B")
        if view.nbytes > CHUNKED_FROM:
            return self.put_stream([view])[0]
        digest = digest_bytes(view)
        self._put_small([(digest, view)])
        return digest

    def put_many(self, blobs: Iterable[Buffer]) -> list[str]:
        """Keep many blobs in few objects: one write and one fsync for up to 16 MiB. Their digests, in order.

        Each blob is whole or not there; when this raises, some may be there.
        """
        digests: list[str] = []

        def small() -> Iterator[tuple[str, Buffer]]:
            for blob in blobs:
                view = memoryview(blob).cast("B")
                if view.nbytes > CHUNKED_FROM:
                    digests.append(self.put_stream([view])[0])
                else:
                    digests.append(digest_bytes(view))
                    yield digests[-1], view

        self.put_hashed(small())
        return digests

    def put_hashed(self, blobs: Iterable[tuple[str, Buffer]]) -> None:
        """`put_many` of small blobs whose digests the caller took from these very bytes, in this process."""
        pending: list[tuple[str, Buffer]] = []
        size = 0
        for digest, blob in blobs:
            pending.append((digest, blob))
            size += memoryview(blob).nbytes
            if size >= PACK_BYTES or len(pending) >= _PACK_ENTRIES:
                self._put_small(pending)
                pending, size = [], 0
        self._put_small(pending)

    def put_stream(self, pieces: Iterable[Buffer]) -> tuple[str, int]:
        """Keep a stream of any length in constant memory; its digest and its size.

        When the stream raises, no blob appears. Chunks that had arrived stay, so that sending it again is cheap.
        """
        source = Pieces(pieces)
        head = source.read(CHUNKED_FROM + 1)
        if len(head) <= CHUNKED_FROM:
            return self.put(head), len(head)
        whole = hasher()
        chunks: list[tuple[str, int]] = []
        batches = by_bytes(cut(hashed(chain([head], source.rest(_FILE_PIECE)), whole)), PACK_BYTES)
        for stored in behind(batches, self._put_chunks):
            chunks += stored
        digest, size = whole.hexdigest(), sum(length for _, length in chunks)
        encoded = encode_list(ChunkList(digest=digest, size=size, chunks=chunks))
        row = BlobRow(digest=digest, size=size, place=CHUNKED)
        self._put_new([digest], lambda _: (list_object(digest), encoded, [row]), parts=[each for each, _ in chunks])
        return digest, size

    def put_file(self, path: str | Path) -> tuple[str, int]:
        """Keep the content of a file, as it was while it was read; its digest and its size."""
        try:
            with Path(path).open("rb", buffering=0) as file:
                return self.put_stream(iter(lambda: file.read(_FILE_PIECE), b""))
        except FileNotFoundError:
            raise NotFound(f"there is no file {path}") from None
        except (IsADirectoryError, PermissionError) as error:
            raise InvalidInput(f"{path} cannot be read as a file: {error.strerror}") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from error

    def get(self, digest: str) -> bytes:
        """The whole blob, checked; raises `NotFound`, or `Damaged` rather than return a wrong byte."""
        pieces = list(self.open(digest))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def open(self, digest: str) -> Iterator[bytes]:
        """The blob in pieces, each checked before it leaves; raises `NotFound` at once, `Damaged` where it is."""
        row = self._row(digest)
        if row.place == CHUNKED:
            return self._open_chunked(row)
        return iter([self._read_alone(row)])

    def get_many(self, digests: Iterable[str]) -> Iterator[bytes]:
        """Whole blobs in the order of their digests, each checked. Neighbours in a pack are read with one request."""
        for batch in batched(digests, _LOOKUP):
            with self.database.read() as tx:
                rows = find_rows(tx, batch)
            lost = [digest for digest in batch if digest not in rows]
            if lost:
                raise NotFound(f"there is no blob {lost[0]!r}")
            for run in runs_of([rows[digest] for digest in batch]):
                if run[0].place == CHUNKED:
                    yield b"".join(self._open_chunked(run[0]))
                    continue
                try:
                    yield from self._read_run(run)
                except Damaged as error:
                    self._mark([error.details["digest"]])
                    raise

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        """Bytes `start` to `start + length` of a blob, fewer at its end; every chunk they lie in is checked whole."""
        if start < 0 or length < 0:
            raise InvalidInput(f"a range cannot begin at {start} with {length} bytes")
        row = self._row(digest)
        if row.place != CHUNKED:
            return self._read_alone(row)[start : start + length]
        wanted: list[tuple[str, int]] = []
        skipped = position = 0
        for chunk, size in self._chunk_list(row).chunks:
            if position + size <= start:
                skipped = position + size
            elif position < start + length:
                wanted.append((chunk, size))
            position += size
        data = b"".join(self._read_chunks(row, wanted))
        return data[start - skipped : start - skipped + length]

    def size(self, digest: str) -> int:
        """Bytes of the blob; raises `NotFound`."""
        return self._row(digest).size

    def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Bytes of those blobs that are here and not known to be damaged; what is to go soon is still here."""
        with self.database.read() as tx:
            return {digest: size for digest, size, damaged, _ in find_sizes(tx, digests) if not damaged}

    def exists(self, digest: str) -> bool:
        """Whether the blob is here and not known to be damaged."""
        return not self.missing([digest])

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those digests, each once and in order, whose bytes are not here, are damaged, or will soon be garbage."""
        return self._absent(digests)[0]

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Read everything and name what is damaged or missing; what is named counts as absent until it is stored again.

        Args:
            progress: Called as `progress(bytes done, bytes in all)`.
        """
        return verify(self.bucket, self.database, progress=progress)

    def heal(self, source: Bucket, *, report: VerifyReport | None = None) -> HealReport:
        """Fetch what `verify` found damaged or missing from another bucket that holds it: a mirror or a backup.

        Args:
            source: The other bucket.
            report: What `verify` said; with it, packs whose blobs are sound and whose directory is not are mended too.
        """
        return heal(self.bucket, self.database, source, report=report)

    def rebuild_index(self) -> int:
        """Write the index again from what the bucket holds; how many blobs it names now that it did not name before."""
        return rebuild_index(self.bucket, self.database)

    def _put_chunks(self, chunks: Sequence[Buffer]) -> list[tuple[str, int]]:
        """Store chunks; the digest and size of each."""
        named = [(digest_bytes(each), each) for each in chunks]
        self._put_small(named)
        return [(digest, len(each)) for digest, each in named]

    def _put_small(self, blobs: Sequence[tuple[str, Buffer]]) -> None:
        """Store those of `blobs` that are not here: one alone as a loose object, several as a pack."""
        distinct = dict(blobs)

        def pack_up(new: list[str]) -> tuple[str, Buffer, list[BlobRow]]:
            if len(new) == 1:
                data = distinct[new[0]]
                return loose_object(new[0]), data, [BlobRow.loose(new[0], memoryview(data).nbytes)]
            pack = build_pack((digest, distinct[digest]) for digest in new)
            return pack_object(pack.name), pack.data, [BlobRow.packed(entry, pack.name) for entry in pack.entries]

        self._put_new(distinct, pack_up)

    def _put_new(
        self,
        digests: Iterable[str],
        make: Callable[[list[str]], tuple[str, Buffer, list[BlobRow]]],
        *,
        parts: Sequence[str] = (),
    ) -> None:
        """Make those blobs durable and then known that are not here; again where a collection of garbage came between.

        `make` gives the object that holds the absent ones: its name, its bytes, the rows that name them; `parts` are
        blobs that these consist of, which must be here when they become known.
        """
        wanted = list(digests)
        while True:
            absent, epoch = self._absent(wanted)
            if not absent:
                return
            name, data, rows = make(absent)
            self.bucket.put(name, data)
            with self.database.write() as tx:
                if claim(tx, [name], epoch=epoch):
                    keep(tx, parts)
                    record_rows(tx, rows)
                    return

    def _absent(self, digests: Iterable[str]) -> tuple[list[str], int]:
        """Which of these must be stored, and the epoch at that moment."""
        wanted = list(dict.fromkeys(digests))
        with self.database.read() as tx:
            found = find_sizes(tx, wanted)
            present = {digest for digest, _, damaged, condemned in found if not (damaged or condemned)}
            absent = [digest for digest in wanted if digest not in present]
            return absent, current_epoch(tx) if absent else 0

    def _row(self, digest: str) -> BlobRow:
        with self.database.read() as tx:
            row = find_rows(tx, [digest]).get(digest)
        if row is None:
            raise NotFound(f"there is no blob {digest}")
        return row

    def _open_chunked(self, row: BlobRow) -> Iterator[bytes]:
        whole = hasher()
        for chunk in self._read_chunks(row, self._chunk_list(row).chunks):
            whole.update(chunk)
            yield chunk
        if whole.hexdigest() != row.digest:
            self._mark([row.digest])
            raise _damaged(row, "its chunks are sound and do not make the whole")

    def _chunk_list(self, row: BlobRow) -> ChunkList:
        try:
            return decode_list(self.bucket.get(list_object(row.digest)), row.digest)
        except (Damaged, NotFound) as error:
            self._mark([row.digest])
            raise _damaged(row, error.message) from error

    def _read_chunks(self, whole: BlobRow, chunks: Sequence[tuple[str, int]]) -> Iterator[bytes]:
        """The chunks in order. Neighbours in a pack are read with one request."""
        for batch in batched(chunks, _LOOKUP):
            try:
                for run in runs_of(self._chunk_rows(batch)):
                    yield from self._read_run(run)
            except Damaged as error:
                self._mark([whole.digest, *self._unsound(self._chunk_list(whole).chunks)])
                raise _damaged(whole, error.message) from error

    def _chunk_rows(self, chunks: Sequence[tuple[str, int]]) -> list[BlobRow]:
        with self.database.read() as tx:
            rows = find_rows(tx, [digest for digest, _ in chunks])
        if lost := next((digest for digest, _ in chunks if digest not in rows), None):
            raise Damaged(f"its chunk {lost} is not in the index")
        return [rows[digest] for digest, _ in chunks]

    def _unsound(self, chunks: Sequence[tuple[str, int]]) -> Iterator[str]:
        """Those of the chunks that cannot be read: all of them, so that storing the blob once more mends it."""
        for batch in batched(dict.fromkeys(digest for digest, _ in chunks), _LOOKUP):
            with self.database.read() as tx:
                rows = find_rows(tx, batch)
            for row in rows.values():
                try:
                    self._read_small(row)
                except Damaged:
                    yield row.digest

    def _read_run(self, run: list[BlobRow]) -> Iterator[bytes]:
        """Blobs that lie one behind the other in a pack, or a single one."""
        if len(run) == 1:
            yield self._read_small(run[0])
            return
        start, end = run[0].position, run[-1].position + run[-1].stored
        try:
            block = memoryview(self.bucket.get_range(pack_object(run[0].pack), start, end - start))
        except NotFound:  # it was rewritten since, or it is lost
            yield from (self._read_small(row) for row in run)
            return
        for row in run:
            yield _checked(row, block[row.position - start : row.position - start + row.stored])

    def _read_alone(self, row: BlobRow) -> bytes:
        try:
            return self._read_small(row)
        except Damaged:
            self._mark([row.digest])
            raise

    def _read_small(self, row: BlobRow) -> bytes:
        try:
            if row.place == LOOSE:
                return _checked(row, self.bucket.get(loose_object(row.digest)))
            return _checked(row, self.bucket.get_range(pack_object(row.pack), row.position, row.stored))
        except NotFound as error:
            moved = self._row(row.digest)
            if (moved.place, moved.pack, moved.position) != (row.place, row.pack, row.position):
                return self._read_small(moved)
            raise _damaged(row, "its bytes are missing from the bucket") from error

    def _mark(self, digests: Iterable[str]) -> None:
        """Let what is damaged count as absent from now on."""
        bad = list(digests)
        # A store that cannot be written now is still read; that the bytes are wrong is what the caller must hear.
        with suppress(StorageError), self.database.write() as tx:
            mark_damaged(tx, bad)


def _checked(row: BlobRow, payload: Buffer) -> bytes:
    """The plain bytes of a payload; raises `Damaged` when they are not those of the digest."""
    plain = bytes(decode_payload(payload, row.codec))
    if digest_bytes(plain) != row.digest:
        raise _damaged(row, f"{len(plain)} bytes were read and they do not match the digest")
    return plain


def _damaged(row: BlobRow, reason: str) -> Damaged:
    return Damaged(
        f"blob {row.digest} is damaged: {reason}",
        hint="run `mainspring verify`; storing the same content again mends it",
        details={"digest": row.digest},
    )
