"""Files of a version straight from a remote into a folder, without a store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mainspring.data.cache import write_checked
from mainspring.data.remotes.copying import Wanted
from mainspring.data.remotes.depot import Depot
from mainspring.data.sources import hash_file
from mainspring.data.trees import Read, find, walk
from mainspring.data.types import KIND, Progress
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hashing import Buffer
from mainspring.kernel.names import parse_reference
from mainspring.lineage.types import File
from mainspring.store.blobs import CHUNKED_FROM
from mainspring.store.buckets import check_object_name, translate_os_error
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
    folder = _Folder(into)
    files = folder.lacking([file for file in walk(read, root) if takes(file.path)], overwrite=overwrite)
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


class _Folder:
    """A folder that files are written into, and nothing outside of it, through a link or a name."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._real = os.path.realpath(into)
        self._inside: set[Path] = set()

    def lacking(self, files: Sequence[File], *, overwrite: bool) -> list[File]:
        """Those files that are not there with their content."""
        wanted: list[File] = []
        blocked: list[str] = []
        for file in files:
            target = self._target(file)
            try:
                plain = target.is_file() and not target.is_symlink()
                if plain and target.stat().st_size == file.size and hash_file(target)[0] == file.digest:
                    continue
            except OSError as error:
                raise translate_os_error(error, f"reading {target}") from error
            wanted.append(file)
            if os.path.lexists(target) and not (plain and overwrite):
                blocked.append(file.path)
        if blocked:
            raise Conflict(
                f"{blocked[0]} in {self._into} would be replaced ({len(blocked):,} in all); none was written",
                hint="choose another folder, or overwrite=True (which never replaces links and folders)",
                details={"paths": blocked[:100]},
            )
        return wanted

    def write(self, file: File, pieces: Iterable[Buffer]) -> Path:
        """Write one file, whole and checked; where it is."""
        target = self._target(file)
        write_checked(target, file.digest, pieces)
        return target

    def _target(self, file: File) -> Path:
        target = self._into / check_object_name(file.path)
        if target.parent not in self._inside:
            if os.path.commonpath([self._real, os.path.realpath(target.parent)]) != self._real:
                raise InvalidInput(
                    f"{file.path} would be written outside of {self._into}: a folder on its way is a link"
                )
            self._inside.add(target.parent)
        return target
