"""That everything below a tree is stored before a version names it, and that the collection of garbage knows it.

A node with a row in `dataset_tree` is *whole*: all that is below it is in the store, and stays, because a version names
it. So recording a version looks only at the nodes that no version had before. Rows of nodes that no version reaches any
more are taken away in the first step of a collection, before their bytes become garbage.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.tables import CONTENTS, TREES, WholeTree
from mainspring.data.trees import Entry, Node, decode
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.store.blob_changes import keep
from mainspring.store.blob_tables import batched
from mainspring.store.buckets import check_object_name
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.store.store import Store

__all__ = ["NewTree", "known_trees", "look_below", "make_whole", "reach", "release_trees"]

_BATCH = 500
_LIVING = "WHERE artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied)"
"""Versions whose bytes were not given up."""


class NewTree(msgspec.Struct, frozen=True):
    """What a version with this root would bring."""

    root: str
    files: int
    size: int
    nodes: list[WholeTree]
    """The nodes that are not known to be whole."""
    blobs: list[str]
    """The files that they name."""
    leans_on: list[str]
    """The whole nodes that they name."""


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
        Conflict: A node or a file is not in the store.
        InvalidInput: A name cannot be that of a file, or a node does not say the truth about what is below it.
    """
    nodes: dict[str, WholeTree] = {}
    blobs: dict[str, tuple[str, int]] = {}
    leans_on: dict[str, WholeTree] = {}
    told: dict[str, Entry] = {}
    level = {root: ""}
    while level:
        with store.read() as tx:
            leans_on |= known_trees(tx, level)
            moment = tx.now
        wanted = [digest for digest in level if digest not in leans_on]
        if lost := store.blobs.missing(wanted):
            raise Conflict(f"folder {lost[0]} of the version is not in the store", hint="`commit` stores it first")
        below: dict[str, str] = {}
        for digest, data in zip(wanted, store.blobs.get_many(wanted), strict=True):
            node = decode(data, digest)
            for entry in node.entries:
                path = level[digest] if node.parted else f"{level[digest]}{_checked(entry.name)}"
                if entry.files:
                    below[entry.digest] = path if node.parted else check_object_name(path) + "/"
                    told[entry.digest] = entry
                else:
                    blobs.setdefault(entry.digest, (check_object_name(path), entry.size))
            nodes[digest] = WholeTree(digest, _files(node), sum(each.size for each in node.entries), moment)
        level = {digest: path for digest, path in below.items() if digest not in nodes}
    sizes = store.blobs.sizes(blobs)
    for digest, (path, size) in blobs.items():
        if digest not in sizes:
            raise Conflict(f"the content of {path} is not in the store", hint="`commit` stores it first")
        if sizes[digest] != size:
            raise InvalidInput(f"{path} has {sizes[digest]} bytes, and its folder says {size}")
    for digest, entry in told.items():
        found = nodes.get(digest) or leans_on[digest]
        if (found.files, found.size) != (entry.files, entry.size):
            raise InvalidInput(f"folder {digest} does not hold what its parent says of it")
    top = nodes.get(root) or leans_on[root]
    return NewTree(root, top.files, top.size, list(nodes.values()), list(blobs), list(leans_on))


def make_whole(tx: Transaction, new: NewTree) -> bool:
    """Write down that the nodes are whole; False when a node they lean on is not whole any more: look again.

    Raises:
        StorageError: A blob was removed since; it must be stored again.
    """
    if len(known_trees(tx, new.leans_on)) < len(new.leans_on):
        return False
    keep(tx, [*(node.digest for node in new.nodes), *new.blobs])
    tx.many(f"{TREES.insert_sql} ON CONFLICT DO NOTHING", [TREES.to_row(node) for node in new.nodes])
    return True


def reach(store: Store) -> Iterator[str]:
    """Every blob that a version of a dataset needs: its nodes and its files."""
    with store.read() as tx:
        roots = [str(tree) for (tree,) in tx.rows(f"SELECT DISTINCT tree FROM dataset_content {_LIVING}")]  # noqa: S608 -- ours
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


def release_trees(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- called as the hooks page says
    """Where the bytes of versions were given up, forget which nodes are whole; a node in use is looked at anew."""
    del before
    emptied = "WHERE artifact_id IN (SELECT artifact_id FROM artifact_emptied)"
    roots = tx.rows(f"SELECT DISTINCT tree FROM dataset_content {emptied}")  # noqa: S608 -- ours
    if not roots:
        return 0
    gone = tx.fetch(CONTENTS, emptied)
    if write:
        # What is below a root only its nodes know. Forgetting too much costs a look, forgetting too little a file.
        tx.execute("DELETE FROM dataset_tree")
        tx.execute(f"DELETE FROM dataset_content {emptied}")  # noqa: S608 -- ours
    return len(gone)


def _files(node: Node) -> int:
    return sum(each.files or 1 for each in node.entries)


def _checked(name: str) -> str:
    if "/" in name or unicodedata.normalize("NFC", check_object_name(name)) != name:
        raise InvalidInput(f"{name!r} cannot be the name of a file or folder in a dataset")
    return name
