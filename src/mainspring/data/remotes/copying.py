"""A transfer from one depot to another: only what is missing moves, checked at both ends, in several threads.

Killed at any moment it leaves nothing that is seen; what had arrived stays, and the next one goes on from there.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import msgspec

from mainspring.data.remotes.depot import Depot
from mainspring.data.remotes.types import History, VersionRecord
from mainspring.data.trees import decode
from mainspring.data.types import Progress
from mainspring.store.blobs import CHUNKED_FROM

__all__ = ["Copied", "Wanted", "copy_content", "copy_versions"]

BATCH_BYTES = 16 << 20
BATCH_BLOBS = 8192
WORKERS = 4


class Wanted(msgspec.Struct, frozen=True):
    """Which files of a version are to move."""

    paths: Sequence[str] = ()
    """Files and folders; all for none."""
    files: bool = True
    """False for the folders alone."""

    @property
    def whole(self) -> bool:
        """Whether everything is."""
        return self.files and not self.paths

    def takes(self, path: str) -> bool:
        """Whether the file at a path is."""
        return self.files and (not self.paths or any(path == p or path.startswith(f"{p}/") for p in self.paths))


class Copied(msgspec.Struct):
    """What was moved so far."""

    versions: list[VersionRecord] = []
    blobs: int = 0
    bytes: int = 0


class _Content(msgspec.Struct):
    """What lies below the trees of a transfer and the target may lack."""

    levels: list[dict[str, bytes]] = []
    """New folders, from the roots downward."""
    files: dict[str, int] = {}


def copy_versions(
    source: Depot,
    target: Depot,
    records: Sequence[VersionRecord],
    *,
    there: History,
    wanted: Wanted | None = None,
    remote: str = "",
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Copied:
    """Move versions that the target does not have, oldest first.

    Args:
        source: Where they are.
        target: Where they go.
        records: The versions, in the order of their history.
        there: What the target has of the dataset.
        wanted: Which of their files.
        remote: What the target is told has the rest, when not all files move.
        progress: Called as `progress(bytes done, bytes in all)`.
        workers: How many batches move at once.
    """
    wanted = wanted or Wanted()
    copied = Copied()
    moved = copy_content(source, target, [r.tree for r in records], wanted=wanted, progress=progress, workers=workers)
    copied.blobs, copied.bytes = moved
    target.finish()
    trees = {each.tree for each in there.versions if not each.partial}
    added: list[tuple[VersionRecord, bool]] = []
    for record in records:
        added.append((record, record.tree in trees))
        trees.add(record.tree)
    target.add(added, partial="" if wanted.whole else remote)
    copied.versions = list(records)
    return copied


def copy_content(
    source: Depot,
    target: Depot,
    trees: Sequence[str],
    *,
    wanted: Wanted,
    files: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> tuple[int, int]:
    """Move what is below trees, and `files` besides (digest to size), as far as the target lacks it; blobs and bytes.

    Files move before the folders that name them, and these from the bottom up.
    """
    content = _look(source, target, trees, wanted)
    content.files.update(files or {})
    absent = target.missing(list(content.files))
    large = [digest for digest in absent if content.files[digest] > CHUNKED_FROM]
    small = {digest: content.files[digest] for digest in absent if content.files[digest] <= CHUNKED_FROM}
    lists = source.chunk_lists(large) if large else []
    chunks = {digest: size for each in lists for digest, size in each.chunks}
    small |= {digest: chunks[digest] for digest in target.missing(list(chunks))}
    meter = _Meter(progress, sum(small.values()))

    def move(batch: list[tuple[str, int]]) -> None:
        blobs = source.read(batch)
        target.put([(digest, data) for (digest, _), data in zip(batch, blobs, strict=True)])
        meter.add(sum(size for _, size in batch))

    ordered = [(digest, small[digest]) for digest in source.arranged(small)]
    _in_threads(move, _batches(ordered), workers)
    _in_threads(target.put_list, lists, workers)
    nodes = _put_nodes(target, content.levels)
    return len(small) + nodes, sum(small.values())


def _look(source: Depot, target: Depot, trees: Sequence[str], wanted: Wanted) -> _Content:
    """Read the folders that the target does not have whole."""
    content = _Content(levels=[], files={})
    seen: set[tuple[str, str]] = set()
    read: dict[str, bytes] = {}
    level = {(tree, "") for tree in trees}
    while level:
        # The path matters only where not everything is wanted.
        level -= seen
        seen |= level
        digests = list(dict.fromkeys(digest for digest, _ in level))
        whole = target.known_trees(digests)
        fresh = [digest for digest in digests if digest not in whole and digest not in read]
        for batch in _batches([(digest, 1 << 10) for digest in fresh]):
            read.update(zip((d for d, _ in batch), source.read(batch), strict=True))
        content.levels.append({digest: read[digest] for digest in fresh})
        below: set[tuple[str, str]] = set()
        for digest, prefix in sorted(level):
            if digest in whole:
                continue
            node = decode(read[digest], digest)
            for entry in node.entries:
                path = "" if wanted.whole else prefix if node.parted else f"{prefix}{entry.name}"
                if entry.files:
                    below.add((entry.digest, path if node.parted or wanted.whole else f"{path}/"))
                elif wanted.whole or wanted.takes(path):
                    content.files[entry.digest] = entry.size
        level = below
    return content


def _put_nodes(target: Depot, levels: list[dict[str, bytes]]) -> int:
    """Folders, each after all that it names; how many were put."""
    put = 0
    for level in _by_height(levels):
        absent = target.unknown_nodes(list(level))
        for batch in _batches([(digest, len(level[digest])) for digest in absent]):
            target.put([(digest, level[digest]) for digest, _ in batch], nodes=True)
        put += len(absent)
    return put


def _by_height(levels: list[dict[str, bytes]]) -> list[dict[str, bytes]]:
    """The folders, those first that name no other of them."""
    known = {digest: data for level in levels for digest, data in level.items()}
    height: dict[str, int] = {}
    for level in reversed(levels):
        for digest in level:
            stack = [digest]
            while stack:
                here = stack[-1]
                named = [e.digest for e in decode(known[here], here).entries if e.files and e.digest in known]
                if waiting := [each for each in named if each not in height]:
                    stack += waiting
                    continue
                height[here] = 1 + max((height[each] for each in named), default=0)
                stack.pop()
    ordered: list[dict[str, bytes]] = [{} for _ in range(max(height.values(), default=0))]
    for digest, high in height.items():
        ordered[high - 1][digest] = known[digest]
    return ordered


def _batches(blobs: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    batch: list[tuple[str, int]] = []
    size = 0
    for blob in blobs:
        batch.append(blob)
        size += blob[1]
        if size >= BATCH_BYTES or len(batch) >= BATCH_BLOBS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _in_threads(work: Callable[..., object], items: Iterable[object], workers: int) -> None:
    """Do `work` for every item, so many at a time; the first that raises ends it."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(workers, thread_name_prefix="mainspring-transfer") as pool:
        running: set[Future[object]] = set()
        for item in items:
            running.add(pool.submit(context.copy().run, work, item))
            if len(running) >= workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in running:
            each.result()


class _Meter:
    """Adds up bytes over threads and tells how far the work is."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._done, self._total = 0, total
        self._guard = threading.Lock()

    def add(self, count: int) -> None:
        with self._guard:
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self._total)
