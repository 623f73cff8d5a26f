"""Sending and fetching files: only what is missing, small ones many to a request, large ones as streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from mainspring.data.bundle import BUNDLED_BELOW, bundle, unbundle
from mainspring.data.sources import LocalFile
from mainspring.data.trees import Read, Tree
from mainspring.data.types import Progress
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.operations import Download, Upload
from mainspring.lineage.types import File
from mainspring.store.service import Storage

__all__ = ["Bundles", "read_nodes", "receive", "send", "send_nodes"]

_PIECE = 1 << 20
_ASK = 10_000
_BUNDLE_FILES = 5_000


class Bundles(Protocol):
    """The two operations that move many small files; the data room's service has them."""

    def upload(self, body: Upload) -> list[str]:
        """Store the files of a bundle; their digests."""
        ...

    def fetch(self, digests: list[str]) -> Download:
        """A bundle of files."""
        ...

    def bring(self, files: Sequence[File]) -> None:
        """See to it that files are in the store that may still be at a remote."""
        ...


def send(bundles: Bundles, storage: Storage, local: Sequence[LocalFile], *, progress: Progress | None = None) -> None:
    """Store the content of those files that the store does not have.

    Raises:
        Conflict: A file changed since it was hashed.
    """
    by_digest = {each.file.digest: each for each in local}
    digests = list(by_digest)
    absent = [
        by_digest[digest]
        for start in range(0, len(digests), _ASK)
        for digest in storage.missing(digests[start : start + _ASK])
    ]
    total = sum(each.file.size for each in by_digest.values())
    meter = _Meter(progress, total)
    meter.add(total - sum(each.file.size for each in absent))
    small = [each for each in absent if each.file.size < BUNDLED_BELOW]
    for start in range(0, len(small), _BUNDLE_FILES):
        batch = small[start : start + _BUNDLE_FILES]
        _check_sent(batch, bundles.upload(bundle(meter.passing(map(_content_of, batch)))))
    for each in absent:
        if each.file.size >= BUNDLED_BELOW:
            info = storage.put_blob(meter.passing(_pieces_of(each.location)))
            _check_sent([each], [info.digest])


def send_nodes(bundles: Bundles, storage: Storage, tree: Tree) -> None:
    """Store those nodes of a tree that the store does not have."""
    digests = list(tree.nodes)
    for start in range(0, len(digests), _ASK):
        absent = storage.missing(digests[start : start + _ASK])
        for first in range(0, len(absent), _BUNDLE_FILES):
            bundles.upload(bundle(tree.nodes[digest] for digest in absent[first : first + _BUNDLE_FILES]))


def read_nodes(bundles: Bundles) -> Read:
    """Reads nodes of trees from a store, checked."""

    def read(digests: Sequence[str]) -> Iterator[bytes]:
        for start in range(0, len(digests), _BUNDLE_FILES):
            batch = digests[start : start + _BUNDLE_FILES]
            for digest, node in zip(batch, unbundle(bundles.fetch(list(batch))), strict=True):
                if digest_bytes(node) != digest:
                    raise Damaged(f"what arrived for folder {digest} does not match it", hint="run `mainspring verify`")
                yield node

    return read


def receive(
    bundles: Bundles, storage: Storage, files: Sequence[File], *, progress: Progress | None = None
) -> Iterator[tuple[File, Iterator[bytes]]]:
    """Every file with the pieces of its content, to be taken in turn.

    Raises:
        Damaged: A small file did not arrive as it should be. The pieces of a large one are for the taker to check.
    """
    meter = _Meter(progress, sum(file.size for file in files))
    bundles.bring(files)
    small = [file for file in files if file.size < BUNDLED_BELOW]
    for start in range(0, len(small), _BUNDLE_FILES):
        batch = small[start : start + _BUNDLE_FILES]
        blobs = unbundle(bundles.fetch([file.digest for file in batch]))
        for file in batch:
            blob = next(blobs, None)
            if blob is None or digest_bytes(blob) != file.digest:
                raise Damaged(f"what arrived for {file.path} does not match its digest", hint="run `mainspring verify`")
            yield file, meter.passing([blob])
    for file in files:
        if file.size >= BUNDLED_BELOW:
            yield file, meter.passing(storage.get_blob(file.digest))


class _Meter:
    """Adds up bytes and tells how far the work is."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._done, self._total = 0, total

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)

    def passing(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self.add(len(piece))


def _pieces_of(location: Path) -> Iterator[bytes]:
    try:
        with location.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise InvalidInput(f"{location} cannot be read: {error.strerror}") from error


def _content_of(each: LocalFile) -> bytes:
    return b"".join(_pieces_of(each.location))


def _check_sent(local: Sequence[LocalFile], digests: Sequence[str]) -> None:
    for each, digest in zip(local, digests, strict=True):
        if each.file.digest != digest:
            raise Conflict(f"{each.location} changed while it was read; nothing was recorded", hint="commit it again")
