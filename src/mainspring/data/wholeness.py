"""That everything below a tree is stored before a version names it, and that the collection of garbage knows it.

A node with a row in `dataset_tree` is *whole*: all that is below it is in the store, and stays, because a version names
it. So recording a version looks only at the nodes that no version had before. A collection of garbage takes away the
rows of nodes that no version reaches, before it condemns what is below them; see `store.collect`.

Looking takes as long as there are new files, so it is done outside of the transaction that records. Inside, the epoch
of removals says in one row whether what was seen still holds; see `store.blob_changes`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.tables import TREES, WholeTree
from mainspring.data.trees import Entry, Node, decode
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, NotFound
from mainspring.store.blob_changes import current_epoch, keep
from mainspring.store.blob_tables import batched
from mainspring.store.buckets import check_object_name
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.store.reachable import Marks
    from mainspring.store.store import Store

__all__ = [
    "NewTree",
    "Presence",
    "known_trees",
    "look_at",
    "look_below",
    "make_whole",
    "reach",
    "release_trees",
    "unmake_whole",
]

_BATCH = 500
_LONGEST = 1000
_CUT = 2
"""A path has at most 900 bytes, and each time that a folder is cut counts as two: no tree is too deep to be walked."""
_MOST_FILES = 1_000_000_000
"""Folders that are named many times hold more files than any that were written."""
_LIVING = "WHERE artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied)"
"""Versions whose bytes were not given up."""

_Lengths = tuple[int, dict[str, int]]


class NewTree(msgspec.Struct, frozen=True):
    """What a version with this root would bring."""

    root: str
    files: int
    size: int
    nodes: list[WholeTree]
    """The nodes that are not known to be whole."""
    blobs: dict[str, int]
    """The files that they name, with their sizes."""
    leans_on: list[str]
    """The whole nodes that they name."""


class Presence(msgspec.Struct, frozen=True):
    """What was seen of the blobs of a new tree, and when: a later epoch says that something was removed since."""

    epoch: int
    condemned: list[str]
    """Those that a collection of garbage would remove, if nothing referred to them."""


def known_trees(tx: Transaction, digests: Iterable[str]) -> dict[str, WholeTree]:
    """Those of the nodes below which everything is in the store."""
    found: dict[str, WholeTree] = {}
    for batch in batched(dict.fromkeys(digests), _BATCH):
        where = f"WHERE digest IN ({', '.join('?' * len(batch))})"
        found.update((each.digest, each) for each in tx.fetch(TREES, where, batch))
    return found


def look_below(store: Store, root: str) -> NewTree:
    """Read every new node below a root, and check the names and sums in it.

    Raises:
        Conflict: A node is not in the store.
        InvalidInput: A name cannot be that of a file, or a node does not say the truth about what is below it.
    """
    nodes: dict[str, WholeTree] = {}
    blobs: dict[str, int] = {}
    leans_on: dict[str, WholeTree] = {}
    told: dict[str, Entry] = {}
    lengths: dict[str, _Lengths] = {}
    level = {root: ""}
    while level:
        with store.read() as tx:
            leans_on |= known_trees(tx, level)
            moment = tx.now
        wanted = [digest for digest in level if digest not in leans_on]
        there = store.blobs.sizes(wanted)  # what a collection has condemned, `look_at` sees, and recording revives
        if lost := [digest for digest in wanted if digest not in there]:
            raise Conflict(f"folder {lost[0]} of the version is not in the store", hint="`commit` stores it first")
        below: dict[str, str] = {}
        for digest, data in zip(wanted, store.blobs.get_many(wanted), strict=True):
            node = decode(data, digest)
            _check_order(node, digest)
            for entry in node.entries:
                path = f"{level[digest]}{'' if node.parted else entry.name}"
                if entry.files:
                    below[entry.digest] = path if node.parted else check_object_name(path) + "/"
                    if _said(told.setdefault(entry.digest, entry)) != _said(entry):
                        raise InvalidInput(f"two folders do not agree on what is in folder {entry.digest}")
                elif blobs.setdefault(entry.digest, entry.size) != entry.size:
                    raise InvalidInput(f"two folders do not agree on how large {check_object_name(path)} is")
                else:
                    check_object_name(path)
            nodes[digest] = WholeTree(digest, _files(node), sum(each.size for each in node.entries), 0, moment)
            lengths[digest] = _lengths(node)
        level = {digest: path for digest, path in below.items() if digest not in nodes}
    for digest, entry in told.items():
        found = nodes.get(digest) or leans_on[digest]
        if (found.files, found.size) != _said(entry):
            raise InvalidInput(f"folder {digest} does not hold what its parent says of it")
    longest = _longest(lengths, {digest: each.longest for digest, each in leans_on.items()})
    top = nodes.get(root) or leans_on[root]
    if longest[root] > _LONGEST or not 0 < top.files <= _MOST_FILES:
        hint = f"paths have at most 900 bytes, and a version has at most {_MOST_FILES:,} files"
        raise InvalidInput(f"tree {root} is too deep, has too many files or none", hint=hint)
    whole = [msgspec.structs.replace(each, longest=longest[each.digest]) for each in nodes.values()]
    return NewTree(root, top.files, top.size, whole, blobs, list(leans_on))


def look_at(store: Store, new: NewTree, *, partial: bool = False) -> Presence:
    """See that what a new tree names is in the store; with `partial`, its folders, and of its files what there is.

    Raises:
        Conflict: Something is not.
        InvalidInput: A folder does not say the truth about the size of a file.
    """
    with store.read() as tx:
        epoch = current_epoch(tx)
    condemned: list[str] = []
    for batch in batched(chain((node.digest for node in new.nodes), new.blobs), _BATCH):
        query = f"SELECT digest, size, damaged, condemned_at FROM blob_entry WHERE digest IN ({_marks(batch)})"  # noqa: S608
        with store.read() as tx:
            found = {str(digest): rest for digest, *rest in tx.rows(query, batch)}
        for digest in batch:
            size, damaged, condemned_at = found.get(digest, (0, True, 0))
            if damaged:
                if partial and digest in new.blobs:
                    continue
                raise Conflict(f"blob {digest} of the version is not in the store", hint="`commit` stores it first")
            if new.blobs.get(digest, size) != size:
                raise InvalidInput(f"file {digest} has {size} bytes, and its folder says {new.blobs[digest]}")
            if condemned_at:
                condemned.append(digest)
    return Presence(epoch, condemned)


def make_whole(tx: Transaction, new: NewTree, seen: Presence, *, partial: bool = False, surely: bool = False) -> bool:
    """Write down that the nodes are whole; False when what was seen may not hold any more: look again.

    Args:
        tx: The transaction that records the version.
        new: What `look_below` read.
        seen: What `look_at` saw.
        partial: Some of its files are not in the store, so its nodes are not whole.
        surely: Look at every blob in this transaction, however long that takes.

    Raises:
        StorageError: A blob was removed since; it must be stored again.
    """
    if len(known_trees(tx, new.leans_on)) < len(new.leans_on):
        return False
    if surely and not partial:
        keep(tx, chain((node.digest for node in new.nodes), new.blobs))
    elif current_epoch(tx) != seen.epoch:
        return False
    for batch in batched(seen.condemned, _BATCH):
        tx.execute(f"UPDATE blob_entry SET condemned_at = 0 WHERE digest IN ({_marks(batch)})", batch)  # noqa: S608
    if new.nodes and not partial:
        tx.many(f"{TREES.insert_sql} ON CONFLICT DO NOTHING", [TREES.to_row(node) for node in new.nodes])
    return True


def unmake_whole(tx: Transaction, nodes: Iterable[str]) -> None:
    """Forget that nodes are whole, before what is below them goes: a commit that names one looks below it again."""
    for batch in batched(nodes, _BATCH):
        tx.execute(f"DELETE FROM dataset_tree WHERE digest IN ({_marks(batch)})", batch)  # noqa: S608


def reach(store: Store) -> Iterator[str]:
    """Every blob that a version of a dataset needs: its nodes and its files; some of them more than once."""
    roots = _roots(store)
    while True:
        try:
            yield from _below(store, roots)
        except NotFound as error:
            before, roots = roots, _roots(store)
            if set(before) <= set(roots):
                hint = "run `mainspring verify`; nothing was removed"
                raise Damaged(f"a folder of a dataset is not in the store: {error.message}", hint=hint) from error
            continue  # another collection removed what was given up since
        return


def _below(store: Store, roots: list[str]) -> Iterator[str]:
    seen: set[bytes] = set()
    level = roots
    while level:
        fresh = [digest for digest in dict.fromkeys(level) if bytes.fromhex(digest) not in seen]
        seen.update(bytes.fromhex(digest) for digest in fresh)
        yield from fresh
        level = []
        for batch in batched(fresh, _BATCH):
            for digest, data in zip(batch, store.blobs.get_many(batch), strict=True):
                for entry in decode(data, digest).entries:
                    if entry.files:
                        level.append(entry.digest)
                    else:
                        yield entry.digest


def _roots(store: Store) -> list[str]:
    with store.read() as tx:
        rows = tx.rows(f"SELECT DISTINCT tree FROM dataset_content {_LIVING} ORDER BY tree")  # noqa: S608 -- ours
    return [str(tree) for (tree,) in rows]


def release_trees(store: Store, reached: Marks) -> None:
    """Forget that nodes are whole which no version reaches: what is below them may become garbage."""
    with store.read() as tx:
        known = [str(digest) for (digest,) in tx.rows("SELECT digest FROM dataset_tree ORDER BY digest")]
    for batch in batched((digest for digest in known if digest not in reached), _BATCH):
        with store.bookkeeping() as tx:
            unmake_whole(tx, batch)


def _marks(batch: list[str]) -> str:
    return ", ".join("?" * len(batch))


def _files(node: Node) -> int:
    return sum(each.files or 1 for each in node.entries)


def _said(entry: Entry) -> tuple[int, int]:
    return entry.files, entry.size


def _check_order(node: Node, digest: str) -> None:
    """Refuse names that cannot be those of files, that are there twice, or that are not in their order."""
    last = ""
    for entry in node.entries:
        name = entry.name
        if "/" in name or unicodedata.normalize("NFC", check_object_name(name)) != name:
            raise InvalidInput(f"{name!r} cannot be the name of a file or folder in a dataset")
        if name <= last or entry.size < 0:
            raise InvalidInput(f"folder {digest} has {name!r} twice, out of order, or with less than no bytes")
        last = name


def _lengths(node: Node) -> _Lengths:
    """The bytes of the longest name of a file, and what each folder adds to what is below it."""
    files = max((len(each.name.encode()) for each in node.entries if not each.files), default=0)
    below: dict[str, int] = {}
    for each in node.entries:
        if each.files:
            adds = _CUT if node.parted else len(each.name.encode()) + 1
            below[each.digest] = max(adds, below.get(each.digest, 0))
    return files, below


def _longest(lengths: Mapping[str, _Lengths], known: dict[str, int]) -> dict[str, int]:
    """The bytes of the longest path below each node, and what its cuts count."""
    found = dict(known)
    stack = list(lengths)
    while stack:
        here = stack[-1]
        files, below = lengths[here]
        if waiting := [digest for digest in below if digest not in found]:
            stack += waiting
            continue
        found[here] = max(files, max((adds + found[digest] for digest, adds in below.items()), default=0))
        stack.pop()
    return found
