"""Merkle trees of folders: what a dataset version consists of, as blobs that name each other.

    node = msgpack [1, [[name, size, digest(32), files], ...]]            a folder; files is 0 for a file
         | msgpack [2, [[first name, size, digest(32), files], ...]]      a folder of many entries, cut into parts
    part = a node again, of either form

Entries are sorted by name, as code points. Equal folders have equal bytes, so equal digests, on any machine; a
version's digest is the address of its root. An edit makes new nodes for the folders on its way to the root, and for
nothing else: comparing two versions skips whatever is equal, and storing one writes what is new. A folder of more
than `WHOLE` entries is cut behind names whose checksum says so, never by position, so that an added name changes one
part and the list of parts.

By hand, because this is the identity of data: Git's trees hash with SHA-1 and grow with the folder, and DVC lists
every file of a dataset in one document.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import msgspec

from mainspring.kernel.errors import Damaged, InvalidInput, NotFound, StoreTooNew, nearest
from mainspring.kernel.hashing import Buffer, digest_bytes
from mainspring.lineage.types import File

__all__ = ["Change", "Entry", "Node", "Read", "Tree", "build", "changes", "decode", "entries", "find", "folder", "walk"]

WHOLE = 2048
"""Entries up to which a folder is one node."""
_PART_FEWEST, _PART_MOST = 128, 3000  # a node stays below a mebibyte with names of any length, and travels in a bundle
_CUT = 512  # on average so many entries in a part, beside the fewest

_FOLDER, _PARTED = 1, 2

Read = Callable[[Sequence[str]], Iterable[Buffer]]
"""Reads blobs by digest, in order; each checked."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file or a folder inside of a folder."""

    name: str
    size: int
    """Bytes, over all files below it."""
    digest: str
    """Of the file's bytes, or of the folder's node."""
    files: int = 0
    """How many files lie below a folder; 0 for a file, for there are no empty folders."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.files > 0


class Node(msgspec.Struct, frozen=True):
    """What one blob of a tree says."""

    parted: bool
    """Whether `entries` are the parts of one folder, and not what is in it."""
    entries: list[Entry]


class Tree(msgspec.Struct, frozen=True):
    """A tree in memory: its root, and the nodes that a store may not have yet."""

    root: str
    files: int
    size: int
    nodes: dict[str, bytes]
    """By digest; children before their parents."""


class Change(msgspec.Struct, frozen=True):
    """A file that differs between two trees."""

    path: str
    before: File | None
    after: File | None


def folder(members: Iterable[Entry]) -> tuple[Entry, dict[str, bytes]]:
    """The nodes of one folder: its own entry, without a name, and its nodes by digest.

    Raises:
        InvalidInput: It is empty, or two entries have one name.

    Example:
        >>> entry, nodes = folder([Entry("a.txt", 3, "0" * 64)])
        >>> entry.files, entry.size, list(nodes) == [entry.digest]
        (1, 3, True)
    """
    listed = sorted(members, key=_name)
    if not listed:
        raise InvalidInput("a folder without files has no content")
    for one, other in pairwise(listed):
        if one.name == other.name:
            raise InvalidInput(f"two entries of a folder are called {one.name!r}")
    if len(listed) <= WHOLE:
        node = _encode(_FOLDER, listed)
        top = _entry("", listed, digest_bytes(node))
        return top, {top.digest: node}
    nodes: dict[str, bytes] = {}
    form = _FOLDER
    while len(listed) > WHOLE:
        parts: list[Entry] = []
        for part in _parts(listed, form):
            node = _encode(form, part)
            parts.append(_entry(part[0].name, part, digest_bytes(node)))
            nodes[parts[-1].digest] = node
        listed, form = parts, _PARTED
    node = _encode(_PARTED, listed)
    top = _entry("", listed, digest_bytes(node))
    nodes[top.digest] = node
    return top, nodes


def build(files: Iterable[File]) -> Tree:
    """The tree of files, in any order.

    Raises:
        InvalidInput: There is no file, a path occurs twice, or a file lies where a folder does.

    Example:
        >>> tree = build([File("a/b.txt", 1, "1" * 64), File("c.txt", 2, "2" * 64)])
        >>> tree.files, tree.size, len(tree.nodes)
        (2, 3, 2)
    """
    nodes: dict[str, bytes] = {}

    def make(inside: list[tuple[list[str], File]], depth: int) -> Entry:
        members: list[Entry] = []
        for name, group in groupby(inside, key=lambda each: each[0][depth]):
            below = list(group)
            parts, file = below[0]
            if len(parts) == depth + 1:
                if len(below) > 1:
                    what = "twice" if len(below[1][0]) == depth + 1 else "as a file and as a folder"
                    raise InvalidInput(f"{file.path!r} is there {what}")
                members.append(Entry(name, file.size, file.digest))
            else:
                top = make(below, depth + 1)
                members.append(Entry(name, top.size, top.digest, top.files))
        top, made = folder(members)
        nodes.update(made)
        return top

    listed = sorted(((file.path.split("/"), file) for file in files), key=lambda each: each[0])
    if not listed:
        raise InvalidInput("a dataset version needs at least one file")
    top = make(listed, 0)
    return Tree(root=top.digest, files=top.files, size=top.size, nodes=nodes)


def entries(read: Read, digest: str) -> list[Entry]:
    """The entries of a folder, its parts put together; raises `Damaged` for bytes that are no node."""
    (data,) = read([digest])
    node = decode(data, digest)
    while node.parted:
        node = _joined(read, [part.digest for part in node.entries])
    return node.entries


def decode(data: Buffer, digest: str) -> Node:
    """Read a node; `digest` is its address.

    Raises:
        Damaged: The bytes are no node.
        StoreTooNew: They are one of a form that this version does not know.
    """
    try:
        form, rows = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"blob {digest} is not a folder of a dataset: {error}", details={"digest": digest}) from error
    if form not in (_FOLDER, _PARTED):
        hint = "pip install --upgrade mainspring"
        raise StoreTooNew(f"folder {digest} has form {form}, which this version cannot read", hint=hint)
    return Node(form == _PARTED, [Entry(name, size, key.hex(), files) for name, size, key, files in rows])


def walk(read: Read, root: str, *, prefix: str = "") -> Iterator[File]:
    """Every file below a node, in the order of the tree: by the parts of its path."""
    for entry in entries(read, root):
        path = f"{prefix}{entry.name}"
        if entry.files:
            yield from walk(read, entry.digest, prefix=f"{path}/")
        else:
            yield File(path, entry.size, entry.digest)


def find(read: Read, root: str, path: str) -> Entry:
    """The file or folder at a path; raises `NotFound` naming the nearest in its folder."""
    here = root
    parts = [part for part in path.split("/") if part]
    for depth, part in enumerate(parts):
        members: Mapping[str, Entry] = {entry.name: entry for entry in entries(read, here)}
        if part not in members:
            above = "/".join(parts[:depth])
            near = [f"{above}/{name}".lstrip("/") for name in nearest(part, members)]
            raise NotFound(f"there is no file or folder {path!r} in it", known=near)
        entry = members[part]
        if depth == len(parts) - 1:
            return entry
        if not entry.files:
            raise NotFound(f"{'/'.join(parts[: depth + 1])!r} is a file, so there is no {path!r} in it")
        here = entry.digest
    listed = entries(read, here)
    return _entry("", listed, here)


def changes(read: Read, before: str, after: str, *, prefix: str = "") -> Iterator[Change]:
    """The files that differ between two trees, in order of their paths; equal folders and parts are not even read."""
    if before == after:
        return
    old, new = _differing(read, before, after)
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        path = f"{prefix}{name}"
        if was is not None and now is not None and was.files and now.files:
            yield from changes(read, was.digest, now.digest, prefix=f"{path}/")
        elif was is not None and now is not None and not was.files and not now.files:
            yield Change(path, File(path, was.size, was.digest), File(path, now.size, now.digest))
        else:
            if was is not None:
                yield from (Change(each.path, each, None) for each in _files(read, path, was))
            if now is not None:
                yield from (Change(each.path, None, each) for each in _files(read, path, now))


def _files(read: Read, path: str, entry: Entry) -> Iterator[File]:
    if entry.files:
        yield from walk(read, entry.digest, prefix=f"{path}/")
    else:
        yield File(path, entry.size, entry.digest)


def _differing(read: Read, before: str, after: str) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """The entries of two folders by name, those of parts that both have left out."""
    old, new = (decode(data, digest) for digest, data in zip((before, after), read([before, after]), strict=True))
    while old.parted or new.parted:
        same = old.parted == new.parted
        common = {each.digest for each in old.entries} & {each.digest for each in new.entries} if same else set()
        old, new = (
            _joined(read, [part.digest for part in node.entries if part.digest not in common]) if node.parted else node
            for node in (old, new)
        )
    return {entry.name: entry for entry in old.entries}, {entry.name: entry for entry in new.entries}


def _joined(read: Read, parts: Sequence[str]) -> Node:
    """What the parts of a folder consist of, together; raises `Damaged` when they are not of one form."""
    forms, found = set(), []
    for digest, data in zip(parts, read(parts), strict=True):
        node = decode(data, digest)
        forms.add(node.parted)
        if len(forms) > 1:  # or names that only say where a part begins would become those of files
            raise Damaged(f"folder {digest} is a part of a folder whose parts are of two forms")
        found += node.entries
    return Node(forms == {True}, found)


def _parts(listed: Sequence[Entry], form: int) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    for entry in listed:
        part.append(entry)
        ends = zlib.crc32(entry.name.encode(), form) % _CUT == 0
        if (ends and len(part) >= _PART_FEWEST) or len(part) >= _PART_MOST:
            yield part
            part = []
    if part:
        yield part


def _entry(name: str, members: Sequence[Entry], digest: str) -> Entry:
    size = files = 0
    for each in members:
        size += each.size
        files += each.files or 1
    return Entry(name, size, digest, files)


def _name(entry: Entry) -> str:
    return entry.name


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(type=tuple[int, list[tuple[str, int, bytes, int]]])


def _encode(form: int, members: Sequence[Entry]) -> bytes:
    rows: list[Any] = [(each.name, each.size, bytes.fromhex(each.digest), each.files) for each in members]
    return _encoder.encode((form, rows))
