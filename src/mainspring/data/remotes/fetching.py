"""Files of a version straight from a remote into a folder, without a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainspring.data.remotes.copying import Wanted
from mainspring.data.remotes.depot import Depot
from mainspring.data.trees import Read, find, walk
from mainspring.data.types import KIND, Progress
from mainspring.data.working_copy import Checkout
from mainspring.kernel.errors import NotFound
from mainspring.kernel.names import parse_reference
from mainspring.lineage.types import File
from mainspring.store.blobs import CHUNKED_FROM
from mainspring.store.chunks import by_bytes

__all__ = ["fetch_files", "node_reader"]

_BATCH = 16 << 20
_NODE = 1 << 10


def node_reader(depot: Depot) -> Read:
    """Reads folders of versions from a depot, checked."""
    return lambda digests: depot.read([(digest, _NODE) for digest in digests])


def fetch_files(
    depot: Depot,
    ref: str,
    *,
    into: Path,
    paths: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write files of a version into a folder; the paths that were written. What is there already is left.

    Raises:
        NotFound: There is no such version, or no such path in it.
        Conflict: A file of another content is in the way and `overwrite` is not set; nothing was written.
    """
    wanted = parse_reference(ref, kind=KIND)
    history = depot.history(wanted.name)
    versions = history.chosen(wanted.version)
    if not versions:
        known = [f"{wanted.name}@{each.number}" for each in history.versions[-5:]] or depot.names()
        raise NotFound(f"{depot.address} has no {ref}", known=known)
    read = node_reader(depot)
    root = versions[-1].tree
    for path in paths:
        find(read, root, path)  # names the nearest, where there is none
    takes = Wanted(paths=[path.strip("/") for path in paths]).takes
    folder = Checkout(into)
    files = folder.plan([file for file in walk(read, root) if takes(file.path)], overwrite=overwrite)
    written: list[Path] = []
    total, done = sum(file.size for file in files), 0
    by_digest: dict[str, list[File]] = {}
    for file in files:
        by_digest.setdefault(file.digest, []).append(file)
    small = depot.arranged(digest for digest, same in by_digest.items() if same[0].size <= CHUNKED_FROM)
    batches: list[list[tuple[str, int]]] = [[]]
    for digest in small:
        batches[-1].append((digest, by_digest[digest][0].size))
        if sum(size for _, size in batches[-1]) >= _BATCH:
            batches.append([])
    for batch in filter(None, batches):
        for (digest, size), data in zip(batch, depot.read(batch), strict=True):
            written += [folder.write(file, [data]) for file in by_digest[digest]]
            done += size
            if progress is not None:
                progress(done, total)
    for each in depot.chunk_lists([digest for digest, same in by_digest.items() if same[0].size > CHUNKED_FROM]):
        for file in by_digest[each.digest]:
            pieces = (piece for chunk in each.chunks for piece in depot.read([chunk]))
            written.append(folder.write(file, (b"".join(group) for group in by_bytes(pieces, _BATCH))))
    return written
