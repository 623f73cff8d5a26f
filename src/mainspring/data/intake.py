"""Taking files in while they are read: small ones go to the store many at a time, on a thread beside the readers'.

What was hashed on an earlier day is not read again unless the store lacks it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

from mainspring.data.bundle import bundle
from mainspring.data.local_tree import LocalTree, changed
from mainspring.data.reading import hash_pieces, read_again
from mainspring.data.types import Progress
from mainspring.kernel.operations import Download, Upload
from mainspring.store.service import Storage

__all__ = ["Intake", "Receiver", "send_rest"]

_BATCH_BYTES = 16 << 20
_BATCH = 5_000
_UNDER_WAY = 2
_ASK = 10_000


class Receiver(Protocol):
    """The operations that take files in; the data room's service has them."""

    def upload(self, body: Upload) -> list[str]:
        """Store the files of a bundle; their digests."""
        ...

    def fetch(self, digests: list[str]) -> Download:
        """A bundle of files."""
        ...

    def known_trees(self, digests: list[str]) -> list[str]:
        """Those of the folders below which everything is stored."""
        ...


class Intake:
    """Stores what it is given, and what it is given is stored when its block has ended.

    Args:
        receiver: Where small files go.
        storage: Where large ones go, and what is asked for what is missing.
        here: Whether the store is on this machine: then asking costs as much as giving, so nothing is asked.
        progress: Called as `progress(bytes done, bytes in all)`.
        total: Bytes in all.
    """

    def __init__(
        self, receiver: Receiver, storage: Storage, *, here: bool, progress: Progress | None = None, total: int = 0
    ) -> None:
        self._receiver = receiver
        self._storage = storage
        self._here = here
        self._progress = progress
        self._done, self._total = 0, total
        self._batch: dict[str, bytes] = {}
        self._batch_bytes = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-files")
        self._under_way: list[Future[None]] = []

    def small(self, digest: bytes, data: bytes) -> None:
        """The content of a small file, or a node."""
        self._batch[digest.hex()] = data
        self._batch_bytes += len(data)
        self.passed(len(data))
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH:
            self._flush()

    def large(self, location: str, pieces: Callable[[], Iterator[bytes]]) -> bytes:
        """The content of a large file, as often as it is asked for; its digest."""
        if not self._here:
            digest = hash_pieces(pieces())
            if not self._storage.missing([digest.hex()]):
                self.passed(sum(map(len, pieces())))
                return digest
        found = bytes.fromhex(self._storage.put_blob(self._counted(pieces())).digest)
        if not self._here and found != digest:
            raise changed(location)
        return found

    def passed(self, size: int) -> None:
        """So many bytes did not have to be read."""
        self._done += size
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def wait(self) -> None:
        """See to it that everything that was given is stored."""
        self._flush()
        while self._under_way:
            self._under_way.pop(0).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._writer.shutdown(cancel_futures=True)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self.passed(len(piece))

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        while len(self._under_way) >= _UNDER_WAY:
            self._under_way.pop(0).result()
        if batch:
            self._under_way.append(self._writer.submit(contextvars.copy_context().run, self._store, batch))

    def _store(self, batch: dict[str, bytes]) -> None:
        if self._here:  # hashed in this process, from these very bytes
            self._storage.store.blobs.put_hashed(batch.items())
            return
        wanted = self._storage.missing(list(batch))
        if wanted and self._receiver.upload(bundle(batch[digest] for digest in wanted)) != wanted:
            raise changed("a file")


def send_rest(receiver: Receiver, storage: Storage, tree: LocalTree, intake: Intake) -> None:
    """Take in what the store lacks of a tree and was not read now.

    Raises:
        Conflict: A file changed since it was hashed.
    """
    asked: dict[str, tuple[str, int] | bytes] = {}
    level = [tree.root]
    seen: set[str] = set()
    while level:
        below: list[str] = []
        for digest in _unknown(receiver, level):
            if digest in seen:
                continue
            seen.add(digest)
            place = tree.place(digest)
            files, folders = tree.content(place)
            below += [each.digest for each in folders]
            if digest not in tree.fresh:
                asked |= tree.nodes(digest)
                asked |= {each.digest.hex(): (f"{place}/{each.name}", each.size) for each in files}
            if len(asked) >= _ASK:
                _take_missing(storage, asked, intake)
                asked = {}
        level = below
    _take_missing(storage, asked, intake)


def _unknown(receiver: Receiver, digests: list[str]) -> Iterator[str]:
    for start in range(0, len(digests), _ASK):
        batch = digests[start : start + _ASK]
        known = set(receiver.known_trees(batch))
        yield from (digest for digest in batch if digest not in known)


def _take_missing(storage: Storage, asked: dict[str, tuple[str, int] | bytes], intake: Intake) -> None:
    digests = list(asked)
    for start in range(0, len(digests), _ASK):
        for digest in storage.missing(digests[start : start + _ASK]):
            what = asked[digest]
            if isinstance(what, bytes):
                intake.small(bytes.fromhex(digest), what)
            else:
                read_again(what[0], bytes.fromhex(digest), what[1], intake)
