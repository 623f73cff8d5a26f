"""Checkout: a folder becomes a version, and nobody's edits are lost by it.

What the folder holds, what it held at its last version, and what it is to hold are three trees; equal folders of them
are not even read. A file is replaced or removed only when it is what the last version said, or when that is forced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.bundle import BUNDLED_BELOW, unbundle
from mainspring.data.folder_writing import Fill, FolderWriter, sweep
from mainspring.data.linking import Link, hard_link, reflink
from mainspring.data.local_tree import LocalTree
from mainspring.data.machine import Files
from mainspring.data.scanning import scan
from mainspring.data.selecting import Selection
from mainspring.data.trees import Change, Entry, Read, Tree, build, changes, entries, find, walk
from mainspring.data.types import Progress
from mainspring.kernel.errors import Conflict, Damaged
from mainspring.kernel.hashing import Buffer, digest_bytes
from mainspring.lineage.types import File
from mainspring.store.blob_tables import batched

if TYPE_CHECKING:
    from mainspring.data.service_files import FileWork

__all__ = ["Written", "check_out"]

_FILES_AT_ONCE = 5_000
_NAMED = 100
_AHEAD = 256


class Written(msgspec.Struct, frozen=True):
    """What a checkout did."""

    written: int
    removed: int
    size: int
    """Bytes written."""
    files: int
    """Files that the folder was to hold."""


class _Folder(msgspec.Struct, frozen=True):
    """Files to be written into one folder."""

    path: str
    """With a slash at its end; empty for the top."""
    files: list[File]
    entry: Entry | None = None
    """Its own entry, when these are all of its files."""
    folders: list[Entry] = []


class _Plan:
    """What is to be removed, and what is in the way."""

    def __init__(self, into: Path, edited: set[str] | None, *, force: bool) -> None:
        self.into = str(into)
        self.edited = edited
        """The files that are not as the last version said; None where there was none."""
        self.force = force
        self.remove: dict[str, None] = {}
        self.blocked: list[str] = []

    def look(self, wanted: Iterable[Change], writer: FolderWriter) -> None:
        """Look at everything before anything is written."""
        for each in wanted:
            ours = self.edited is not None and each.path not in self.edited
            if each.after is None:
                if ours:
                    self.remove[each.path] = None
                continue
            writer.place(each.path.rpartition("/")[0])
            if self._blocks(each.path) if each.before is None else not (ours or self.force):
                self.blocked.append(each.path)
        if self.blocked:
            raise Conflict(
                f"{len(self.blocked)} files in {self.into} would be lost, as {self.blocked[0]}; nothing was written",
                hint="commit them, choose another folder, or force it (which never replaces links and folders)",
                details={"paths": self.blocked[:_NAMED]},
            )

    def _blocks(self, path: str) -> bool:
        """Whether what is no plain file lies where a file is to be, or a file on the way to it."""
        target = f"{self.into}/{path}"
        if os.path.isdir(target) and not os.path.islink(target):  # noqa: PTH112, PTH114
            start = len(self.into) + 1
            return any(
                f"{here}/{name}"[start:] not in self.remove for here, _, names in os.walk(target) for name in names
            )
        if os.path.lexists(target):
            return True
        above = path.rpartition("/")[0]
        while above:
            if os.path.isfile(f"{self.into}/{above}"):  # noqa: PTH113
                return above not in self.remove
            above = above.rpartition("/")[0]
        return False


def check_out(
    data: FileWork,
    files: Files,
    into: Path,
    *,
    tree: str,
    base: str = "",
    selection: Selection | None = None,
    force: bool = False,
    link: Link = "auto",
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Written:
    """Make a folder hold the files of a tree.

    Args:
        data: The data room's service.
        files: What is known of files on this machine.
        into: The folder.
        tree: The root of what it is to hold.
        base: The root of what it held when it was last a version; empty when it was none.
        selection: The files that are wanted; the others stay as they are.
        force: Replace files that were edited. (Links and folders in the way are never replaced.)
        link: How files come there.
        progress: Called as `progress(bytes done, bytes in all)`.
        told: Called with the path of each file that was written.

    Raises:
        Conflict: A file that was edited is in the way; nothing was written.
    """
    selection = selection or Selection()
    made = build(selection.files(data.nodes, tree)) if selection else None
    read = _reader(data.nodes, made)
    root = made.root if made else tree
    top = find(read, root, "")
    writer = FolderWriter(into, files.cache, files.clock)
    local, plan = None, _Plan(into, None, force=force)
    if into.is_dir():
        sweep(into)
        local = scan(into, files.cache, files.clock, plain=True)
        both = local.reader(read) if local else read
        if local and base:
            plan.edited = {each.path for each in changes(both, base, local.root)}
        if any(into.iterdir()):
            plan.look(_wanted(both, local, root, selection), writer)
    _remove(str(into), plan.remove)
    if local:
        coming = (each.after for each in _wanted(local.reader(read), local, root, selection) if each.after)
        groups = _by_folder(coming)
    else:
        groups = _every_folder(_Ahead(read), Entry("", top.size, root, top.files), "")
    contents = _Contents(data, link=link, meter=Meter(progress, top.size))
    try:
        written, size = contents.write(writer, groups, told)
        writer.publish()
    finally:
        writer.discard()
    contents.meter.finish()
    return Written(written, len(plan.remove), size, top.files)


class _Contents:
    """Brings the bytes of files to where they are written."""

    def __init__(self, data: FileWork, *, link: Link, meter: Meter) -> None:
        self._data = data
        self._link = link
        self._cache = data.cache()
        self._clones = link == "auto"
        self.meter = meter

    def write(
        self, writer: FolderWriter, groups: Iterator[_Folder], told: Callable[[str], None] | None
    ) -> tuple[int, int]:
        """Write every group; how many files, and bytes."""
        count = size = 0
        for batch in _batches(groups):
            self._data.bring([file for group in batch for file in group.files])
            blobs = self._small([file.digest for group in batch for file in group.files if self._is_small(file)])
            for group in batch:
                fill = self._fill(group.files)
                writer.write(
                    group.path, self._bytes_of(group.files, blobs), entry=group.entry, folders=group.folders, fill=fill
                )
                count += len(group.files)
                size += sum(file.size for file in group.files)
                if told:
                    for file in group.files:
                        told(file.path)
        return count, size

    def _small(self, digests: list[str]) -> Iterator[bytes]:
        if self._data.is_here:
            return self._data.store.blobs.get_many(digests)
        return unbundle(self._data.fetch(digests)) if digests else iter(())

    def _is_small(self, file: File) -> bool:
        return file.size < BUNDLED_BELOW and self._link != "hard"

    def _bytes_of(self, files: Sequence[File], blobs: Iterator[bytes]) -> Iterator[tuple[File, Iterable[Buffer], bool]]:
        """Files with their bytes, and whether these were checked already."""
        trusted = self._data.is_here
        for file in files:
            if self._is_small(file):
                blob = next(blobs, None)
                # What comes out of a store on this machine was checked in this process.
                if blob is None or not (trusted or digest_bytes(blob) == file.digest):
                    hint = "run `mainspring verify`"
                    raise Damaged(f"what arrived for {file.path} does not match its digest", hint=hint)
                self.meter.add(len(blob))
                yield file, (blob,), True
            else:
                yield file, self._pieces(file), False

    def _pieces(self, file: File) -> Iterator[bytes]:
        for piece in self._data.storage.get_blob(file.digest):
            yield piece
            self.meter.add(len(piece))

    def _fill(self, files: Sequence[File]) -> Fill | None:
        """In which other way files may come there than by their bytes being written."""
        if self._link == "hard":
            return self._linked(files)
        return None if all(map(self._is_small, files)) else self._cloned

    def _cloned(self, file: File, target: str) -> bool:
        """From the cache, when a checked copy is there and the file system shares its bytes."""
        if not self._clones or file.size < BUNDLED_BELOW or not self._cache.has(file.digest):
            return False
        source = self._cache.find(file.digest)
        self._clones = source is None or reflink(source, target)
        if source is None or not self._clones:
            return False
        self.meter.add(file.size)
        return True

    def _linked(self, files: Sequence[File]) -> Fill:
        """Hard links to checked files of the cache; a copy where there cannot be one."""
        copies = dict(zip((file.digest for file in files), self._data.local_copies(files), strict=True))

        def fill(file: File, target: str) -> bool:
            made = hard_link(copies[file.digest], target)
            if made:
                self.meter.add(file.size)
            return made

        return fill


class Meter:
    """Adds up bytes and tells how far the work is."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._done, self._total = 0, total

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self._done += count
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def finish(self) -> None:
        """All is done."""
        if self._progress is not None:
            self._progress(self._total, self._total)


class _Ahead:
    """Reads nodes, those of subfolders many at a time."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._ready: dict[str, Buffer] = {}

    def __call__(self, digests: Sequence[str]) -> Iterator[Buffer]:
        there = iter(self._read([digest for digest in digests if digest not in self._ready]))
        for digest in digests:
            yield self._ready.pop(digest) if digest in self._ready else next(there)

    def fetch(self, digests: Sequence[str]) -> None:
        """Have nodes ready."""
        wanted = list(dict.fromkeys(digest for digest in digests if digest not in self._ready))
        self._ready.update(zip(wanted, self._read(wanted), strict=True))


def _reader(read: Read, made: Tree | None) -> Read:
    """Reads the nodes of a selection from memory, and all others as before."""
    if made is None:
        return read
    nodes = made.nodes

    def both(digests: Sequence[str]) -> Iterator[Buffer]:
        there = iter(read([digest for digest in digests if digest not in nodes]))
        for digest in digests:
            yield nodes[digest] if digest in nodes else next(there)

    return both


def _wanted(read: Read, local: LocalTree | None, root: str, selection: Selection) -> Iterator[Change]:
    """From what the folder holds to what it is to hold."""
    if local is None:
        return (Change(each.path, None, each) for each in walk(read, root))
    return (each for each in changes(read, local.root, root) if each.after is not None or selection.has(each.path))


def _every_folder(read: _Ahead, entry: Entry, path: str) -> Iterator[_Folder]:
    members = entries(read, entry.digest)
    files = [File(f"{path}{each.name}", each.size, each.digest) for each in members if not each.files]
    folders = [each for each in members if each.files]
    if len(files) <= _FILES_AT_ONCE:
        if files:
            yield _Folder(path, files, entry, folders)
    else:
        yield from (_Folder(path, portion) for portion in batched(files, _FILES_AT_ONCE))
    for portion in batched(folders, _AHEAD):
        read.fetch([each.digest for each in portion])
        for each in portion:
            yield from _every_folder(read, each, f"{path}{each.name}/")


def _by_folder(files: Iterable[File]) -> Iterator[_Folder]:
    for parent, group in groupby(files, key=lambda file: file.path.rpartition("/")[0]):
        path = f"{parent}/" if parent else ""
        yield from (_Folder(path, portion) for portion in batched(group, _FILES_AT_ONCE))


def _batches(groups: Iterator[_Folder]) -> Iterator[list[_Folder]]:
    """Groups of so many files as one request brings."""
    batch: list[_Folder] = []
    count = 0
    for group in groups:
        if batch and count + len(group.files) > _FILES_AT_ONCE:
            yield batch
            batch, count = [], 0
        batch.append(group)
        count += len(group.files)
    if batch:
        yield batch


def _remove(into: str, paths: Iterable[str]) -> None:
    """Remove files, and the folders that they leave empty."""
    folders: set[str] = set()
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(f"{into}/{path}")  # noqa: PTH108
        folders.add(path.rpartition("/")[0])
    for folder in sorted(folders, key=len, reverse=True):
        here = folder
        with suppress(OSError):
            while here:
                os.rmdir(f"{into}/{here}")  # noqa: PTH106
                here = here.rpartition("/")[0]
