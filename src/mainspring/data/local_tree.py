"""The tree of a folder on this machine: its root now, its nodes when somebody asks for them.

A node is made again from the stat cache, so the tree of a million files does not lie in memory.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from mainspring.data.stat_cache import Seen, StatCache
from mainspring.data.trees import Entry, Read, folder
from mainspring.kernel.errors import Conflict
from mainspring.lineage.types import File

__all__ = ["Found", "LocalFile", "LocalTree", "changed", "entries_of", "stored_name"]

_FOLDERS_KEPT = 4


class LocalFile(msgspec.Struct, frozen=True):
    """A file on this machine, and what it is called in the dataset."""

    file: File
    location: Path


class Found:
    """What a scan noted of folders, by their digests."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        """Where each is."""
        self.fresh: set[str] = set()
        """Those whose every file was read now, and so taken in."""


class LocalTree:
    """What a folder holds now, as `scanning.scan` found it. Lives as long as the stat cache that it reads.

    Args:
        top: The folder, absolute.
        root: Its entry.
        found: Where its folders are.
        cache: What is known of its files.
    """

    def __init__(self, top: str, root: Entry, found: Found, cache: StatCache) -> None:
        self.top = top
        self.root = root.digest
        self.files = root.files
        self.size = root.size
        self.fresh = found.fresh
        self._places = found.places
        self._cache = cache
        self._made: dict[str, dict[str, bytes]] = {}

    def nodes(self, digest: str) -> dict[str, bytes]:
        """The nodes of the folder with a digest, its own last; empty when no folder here has it.

        Raises:
            Conflict: The folder was looked at anew since, and is another now.
        """
        for made in self._made.values():
            if digest in made:
                return made if digest == next(reversed(made)) else {digest: made[digest]}
        place = self._places.get(digest)
        if place is None:
            return {}
        files, folders = self.content(place)
        top, made = folder([*entries_of(files), *folders])
        if top.digest != digest:
            raise changed(place)
        while len(self._made) >= _FOLDERS_KEPT:
            self._made.pop(next(iter(self._made)))
        self._made[digest] = made
        return made

    def place(self, digest: str) -> str:
        """Where the folder with a digest is."""
        return self._places[digest]

    def content(self, place: str) -> tuple[list[Seen], list[Entry]]:
        """The files and subfolders of a folder as they were seen."""
        content = self._cache.content(place)
        if content is None:
            raise changed(place)
        return content

    def reader(self, other: Read) -> Read:
        """Reads nodes of this tree, and those that it does not have from elsewhere."""

        def read(digests: Sequence[str]) -> Iterator[bytes]:
            here = {digest: made[digest] for digest in digests if (made := self.nodes(digest))}
            there = iter(other([digest for digest in digests if digest not in here]))
            for digest in digests:
                yield here[digest] if digest in here else bytes(next(there))

        return read

    def walk(self, place: str = "", prefix: str = "") -> Iterator[LocalFile]:
        """Every file, in the order of the tree, with its place on the disk."""
        place = place or self.top
        files, folders = self.content(place)
        named: list[tuple[str, Seen | Entry]] = [(stored_name(seen.name), seen) for seen in files]
        named += [(each.name, each) for each in folders]
        for name, each in sorted(named, key=_first):
            if isinstance(each, Entry):
                yield from self.walk(self._places[each.digest], f"{prefix}{name}/")
            else:
                file = File(f"{prefix}{name}", each.size, each.digest.hex())
                yield LocalFile(file, Path(place, each.name))


def entries_of(files: Sequence[Seen]) -> list[Entry]:
    """The entries that files make in their folder."""
    return [Entry(stored_name(each.name), each.size, each.digest.hex()) for each in files]


def stored_name(name: str) -> str:
    """A name in Unicode's NFC form, so that a dataset is the same on every system."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def changed(what: str) -> Conflict:
    """The error for a file or folder that changed while it was read."""
    return Conflict(f"{what} changed while it was read; nothing was recorded", hint="run it again when it is at rest")


def _first(pair: tuple[str, Seen | Entry]) -> str:
    return pair[0]
