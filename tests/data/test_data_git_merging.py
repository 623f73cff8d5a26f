"""Merges of trees against a merge of the lists of their files."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.data.merging import merge_trees
from mainspring.data.trees import build, walk
from mainspring.lineage.types import File

_PATHS = ("a", "a/x", "a/y", "a/y/z", "b", "b/x", "c/x", "c/y", "d")
_Files = dict[str, str]


def _is_tree(files: _Files) -> bool:
    return bool(files) and not any(other.startswith(f"{path}/") for path in files for other in files)


_TREES = st.dictionaries(st.sampled_from(_PATHS), st.sampled_from("123"), min_size=1, max_size=6).filter(_is_tree)


def _merge_lists(base: _Files, ours: _Files, theirs: _Files) -> tuple[_Files, set[str]]:
    merged, collisions = {}, set()
    for path in _PATHS:
        was, one, other = base.get(path), ours.get(path), theirs.get(path)
        if other in (one, was):
            chosen = one
        elif one == was:
            chosen = other
        else:
            collisions.add(path)
            continue
        if chosen is not None:
            merged[path] = chosen
    return merged, collisions


def _built(files: _Files, nodes: dict[str, bytes]) -> str:
    tree = build(File(path, 1, text * 64) for path, text in files.items())
    nodes.update(tree.nodes)
    return tree.root


@settings(max_examples=400, deadline=None)
@given(base=st.one_of(st.none(), _TREES), ours=_TREES, theirs=_TREES)
def test_a_merge_is_that_of_the_files(base, ours, theirs):
    nodes: dict[str, bytes] = {}
    roots = [_built(each, nodes) if each else "" for each in (base, ours, theirs)]

    def read(digests):
        return [nodes[each] for each in digests]

    made = merge_trees(read, *roots)
    expected, collisions = _merge_lists(base or {}, ours, theirs)
    if made.root:
        assert not collisions
        nodes |= made.nodes
        found = {
            file.path: file.digest[0] for file in walk(lambda digests: [nodes[each] for each in digests], made.root)
        }
        assert found == expected
        return
    if not made.collisions:
        assert expected == {}
        return
    for path in collisions:
        assert any(f"{path}/".startswith(f"{each}/") or f"{each}/".startswith(f"{path}/") for each in made.collisions)
    if not collisions:  # a file on one side where the other has a folder: nobody decides that but a person
        assert any(other.startswith(f"{path}/") for path in made.collisions for other in (*ours, *theirs))


def test_a_large_merge_reads_what_changed_only():
    chance = random.Random(7)
    base = {f"{n % 300}/{n}": chance.choice("123") for n in range(6000)}
    nodes: dict[str, bytes] = {}
    ours, theirs = {**base, "7/new": "1"}, {**base, "9/new": "2"}
    roots = [_built(each, nodes) for each in (base, ours, theirs)]
    asked: list[str] = []

    def read(digests):
        asked.extend(digests)
        return [nodes[each] for each in digests]

    made = merge_trees(read, *roots)
    assert made.root == _built({**ours, **theirs}, nodes)
    assert len(asked) == 3
