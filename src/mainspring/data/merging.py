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
    nodes: dict[str, bytes] = {}
    collisions: list[str] = []

    def merge(old: list[Entry], one: list[Entry], other: list[Entry], prefix: str) -> list[Entry]:
        was, mine, its = ({entry.name: entry for entry in listed} for listed in (old, one, other))
        kept: list[Entry] = []
        for name in sorted(mine.keys() | its.keys()):
            before, a, b = was.get(name), mine.get(name), its.get(name)
            if b in (a, before):
                chosen = a
            elif a == before:
                chosen = b
            elif a is not None and b is not None and a.is_folder and b.is_folder:
                chosen = below(before if before is not None and before.is_folder else None, a, b, f"{prefix}{name}/")
            else:
                collisions.append(f"{prefix}{name}")
                continue
            if chosen is not None:
                kept.append(chosen)
        return kept

    def below(before: Entry | None, a: Entry, b: Entry, prefix: str) -> Entry | None:
        old, one, other = (entries(read, each.digest) if each is not None else [] for each in (before, a, b))
        members = merge(old, one, other, prefix)
        if not members:
            return None
        top, made = folder(members)
        nodes.update(made)
        return Entry(a.name, top.size, top.digest, top.files)

    if theirs in (ours, base):
        return Merge(ours, {}, [])
    if ours == base:
        return Merge(theirs, {}, [])
    members = merge(entries(read, base) if base else [], entries(read, ours), entries(read, theirs), "")
    if collisions or not members:
        return Merge("", {}, collisions)
    top, made = folder(members)
    return Merge(top.digest, nodes | made, [])
