"""Merging two trees that came from a third: folder by folder, reading only where both sides changed something."""

from __future__ import annotations

import msgspec

from mainspring.data.trees import Entry, Read, entries, folder

__all__ = ["Merge", "merge_trees"]


class Merge(msgspec.Struct, frozen=True):
    """What came of a merge."""

    root: str
    """The tree; empty when there are collisions, or when nothing is left."""
    nodes: dict[str, bytes]
    """Its nodes that neither side had."""
    collisions: list[str]
    """The paths that both sides changed, each in its own way."""


def merge_trees(read: Read, base: str, ours: str, theirs: str) -> Merge:
    """Merge two trees: what one side changed is taken; both sides may make the same change.

    Args:
        read: Reads nodes of all three.
        base: The tree that both came from; empty when there is none.
        ours: One tree.
        theirs: The other.

    Example:
        >>> from mainspring.data.trees import build
        >>> from mainspring.lineage.types import File
        >>> a, b, c = (File(name, 1, name * 64) for name in "abc")
        >>> trees = [build(files) for files in ([a], [a, b], [a, c])]
        >>> nodes = {digest: node for tree in trees for digest, node in tree.nodes.items()}
        >>> merged = merge_trees(lambda digests: [nodes[each] for each in digests], *[tree.root for tree in trees])
        >>> merged.root == build([a, b, c]).root
        True
    """
    if theirs in (ours, base):
        return Merge(ours, {}, [])
    if ours == base:
        return Merge(theirs, {}, [])
    work = _Work(read)
    before, one, other = (Entry("", 0, root, 1) if root else None for root in (base, ours, theirs))
    top = work.below("", before, one, other, "")
    if work.collisions or top is None:
        return Merge("", {}, work.collisions)
    return Merge(top.digest, work.nodes, [])


class _Work:
    """The nodes that were made so far, and the paths that nobody but a person can decide."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.nodes: dict[str, bytes] = {}
        self.collisions: list[str] = []

    def below(self, name: str, before: Entry | None, a: Entry | None, b: Entry | None, prefix: str) -> Entry | None:
        """A folder that both sides changed; one that a side has not is empty there."""
        old, one, other = (entries(self._read, each.digest) if each is not None else [] for each in (before, a, b))
        was, mine, its = ({entry.name: entry for entry in listed} for listed in (old, one, other))
        members = [
            chosen
            for each in sorted(mine.keys() | its.keys())
            if (chosen := self._choose(was.get(each), mine.get(each), its.get(each), prefix)) is not None
        ]
        if not members:
            return None
        top, made = folder(members)
        self.nodes.update(made)
        return Entry(name, top.size, top.digest, top.files)

    def _choose(self, before: Entry | None, a: Entry | None, b: Entry | None, prefix: str) -> Entry | None:
        """What becomes of one name; None when it goes, or when the sides collide in it."""
        if b in (a, before):
            return a
        if a == before:
            return b
        either = a or b
        name = either.name if either is not None else ""
        was_folder = before is not None and before.is_folder
        if all(each is None or each.is_folder for each in (a, b)):
            return self.below(name, before if was_folder else None, a, b, f"{prefix}{name}/")
        if was_folder and (a is None or b is None):
            return either  # the folder went on both sides, and one of them put a file in its place
        self.collisions.append(f"{prefix}{name}")
        return None
