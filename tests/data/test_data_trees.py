"""Trees of folders: equal content, equal digest; an edit costs what it changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.data.trees import build, changes, find, walk
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File

NAMES = st.sampled_from(["a", "b", "a-b", "ä", "z.txt", "0"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def file(path, content=b"x"):
    return File(path, len(content), digest_bytes(content))


def no_conflict(paths):
    return not any(other.startswith(f"{path}/") for path in paths for other in paths)


LISTINGS = st.dictionaries(PATHS, st.binary(max_size=2), min_size=1, max_size=12).filter(no_conflict)


@given(LISTINGS, st.randoms())
def test_the_order_of_files_does_not_matter(listing, random):
    files = [file(path, content) for path, content in listing.items()]
    tree = build(files)
    random.shuffle(files)
    assert build(files) == tree
    found = list(walk(reader(tree), tree.root))
    assert sorted(found, key=lambda each: each.path) == sorted(files, key=lambda each: each.path)
    assert [each.path.split("/") for each in found] == sorted(each.path.split("/") for each in files)


@given(LISTINGS, LISTINGS)
def test_changes_are_those_of_two_dictionaries(before, after):
    old, new = (build(file(*each) for each in listing.items()) for listing in (before, after))
    found = {each.path: (each.before, each.after) for each in changes(reader(old, new), old.root, new.root)}
    expected = {}
    for path in before.keys() | after.keys():
        pair = tuple(file(path, side[path]) if path in side else None for side in (before, after))
        if pair[0] != pair[1]:
            expected[path] = pair
    assert found == expected
    assert (old.root == new.root) == (before == after)


def test_an_edit_of_a_folder_of_many_files_writes_little():
    files = [file(f"image-{number:06d}.png", str(number).encode()) for number in range(50_000)]
    before = build(files)
    for edited in (files[:-1], [file("image-0"), *files], [*files[:25_000], file("image-024999-b"), *files[25_000:]]):
        after = build(edited)
        fresh = [node for digest, node in after.nodes.items() if digest not in before.nodes]
        assert sum(map(len, fresh)) < sum(map(len, before.nodes.values())) / 20
        asked = []
        read = reader(before, after, asked=asked)
        assert len(list(changes(read, before.root, after.root))) == 1
        assert len(asked) <= 6
    assert max(map(len, before.nodes.values())) < 1 << 20
    assert list(walk(reader(before), before.root)) == files


@pytest.mark.parametrize("paths", [[], ["x", "x"], ["x", "x/y"], ["x/y", "x"]])
def test_what_is_no_tree_is_refused(paths):
    with pytest.raises(InvalidInput):
        build(map(file, paths))


def test_a_path_is_found_or_its_neighbours_are_named():
    tree = build([file("train/a.png"), file("train/b.png"), file("labels.csv")])
    read = reader(tree)
    assert find(read, tree.root, "train").files == 2
    assert find(read, tree.root, "train/b.png").size == 1
    assert find(read, tree.root, "").files == 3
    with pytest.raises(NotFound) as caught:
        find(read, tree.root, "train/c.png")
    assert "train/b.png" in caught.value.known
    with pytest.raises(NotFound):
        find(read, tree.root, "labels.csv/x")


def reader(*trees, asked=None):
    nodes = {digest: node for tree in trees for digest, node in tree.nodes.items()}

    def read(digests):
        if asked is not None:
            asked.extend(digests)
        return [nodes[digest] for digest in digests]

    return read
