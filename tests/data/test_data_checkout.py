"""Checkout and working copies: nobody's edits are lost, and no edit of a copy reaches the store."""

from __future__ import annotations

import os
import random
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.data import folder_writing, linking
from mainspring.data.bundle import BUNDLED_BELOW
from mainspring.data.selecting import Selection
from mainspring.data.stat_cache import FileClock
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.databases("sqlite")

LARGE = random.Random(8).randbytes(BUNDLED_BELOW + 5)


def fill(top, files):
    for path, content in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)
    return top


def held(top):
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


FIRST = {"a.txt": b"a", "sub/b.txt": b"b", "sub/deep/c.bin": LARGE, "gone/d": b"d"}
SECOND = {"a.txt": b"a2", "sub/b.txt": b"b", "sub/deep/c.bin": LARGE, "new/e": b"e"}


@pytest.fixture
def data(any_client, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    any_client.data.commit("files", fill(tmp_path / "one", FIRST))
    any_client.data.commit("files", fill(tmp_path / "two", SECOND))
    return any_client.data


def test_a_folder_follows_its_versions(data, tmp_path):
    out = tmp_path / "out"
    assert sorted(path.relative_to(out).as_posix() for path in data.checkout("files@1", into=out)) == sorted(FIRST)
    assert held(out) == FIRST
    (out / "mine").write_bytes(b"mine")
    assert data.check_out("files@2", into=out).written == 2, "what both have is left"
    assert held(out) == {**SECOND, "mine": b"mine"}
    assert not (out / "gone").exists()
    data.checkout("files@1", into=out)
    assert held(out) == {**FIRST, "mine": b"mine"}


def test_edits_are_never_lost_unless_forced(data, tmp_path):
    out = tmp_path / "out"
    data.checkout("files@1", into=out)
    for path, content in (("a.txt", b"mine"), ("gone/d", b"edited"), ("new/e", b"in the way")):
        fill(out, {path: content})
    before = held(out)
    with pytest.raises(Conflict) as caught:
        data.checkout("files@2", into=out)
    assert caught.value.details["paths"] == ["a.txt", "new/e"]
    assert held(out) == before
    data.checkout("files@2", into=out, force=True)
    assert held(out) == {**SECOND, "gone/d": b"edited"}, "what the version has not is left even then"


def test_a_folder_that_is_no_copy_keeps_its_files(data, tmp_path):
    out = fill(tmp_path / "out", {"a.txt": b"other", "more": b"x"})
    with pytest.raises(Conflict):
        data.checkout("files@1", into=out)
    fill(out, {"a.txt": b"a"})
    data.checkout("files@1", into=out)
    assert held(out) == {**FIRST, "more": b"x"}


def test_a_file_becomes_a_folder_and_back(client, tmp_path):
    client.data.commit("turn", fill(tmp_path / "one", {"x": b"file", "y": b"y"}))
    client.data.commit("turn", fill(tmp_path / "two", {"x/inside": b"file", "y": b"y"}))
    out = tmp_path / "out"
    for version, files in ((1, ["x", "y"]), (2, ["x/inside", "y"]), (1, ["x", "y"])):
        client.data.checkout(f"turn@{version}", into=out)
        assert list(held(out)) == files
    fill(out, {"x": b"edited"})
    with pytest.raises(Conflict):
        client.data.checkout("turn@2", into=out, force=True)
    assert held(out)["x"] == b"edited"


def test_a_part_of_a_version(data, tmp_path):
    out = tmp_path / "out"
    data.checkout("files@1", into=out, paths=["sub/deep", "*.txt"])
    assert list(held(out)) == ["a.txt", "sub/b.txt", "sub/deep/c.bin"]
    assert data.status(out).clean
    assert data.working_copies().find(out).paths == ["*.txt", "sub/deep"]
    (out / "sub/b.txt").unlink()
    assert [file.path for file in data.status(out / "sub").changes.removed] == ["sub/b.txt"]
    with pytest.raises(Conflict, match="a part of"):
        data.commit_folder(out)
    with pytest.raises(NotFound, match="nothing"):
        data.checkout("files@1", into=tmp_path / "none", paths=["nothing*"])
    with pytest.raises(NotFound):
        data.checkout("files@1", into=tmp_path / "none", paths=["sub/b"])
    assert not (tmp_path / "none").exists()


PATHS = ["a", "b.txt", "a/b", "a/b.txt", "a/b/c.txt", "x/a/b.txt", "a b", "[a]", "a*"]


@given(st.lists(st.sampled_from([*PATHS, "*.txt", "a/*", "**/b.txt", "x", "?", "\\[a]"]), min_size=1, max_size=3))
def test_a_selection_holds_the_folders_of_what_it_names(paths):
    chosen = Selection(paths)
    for path in PATHS:
        plain = any(path == each or path.startswith(f"{each}/") for each in paths if not set(each) & set("*?[\\"))
        if plain:
            assert chosen.has(path)


def leave(writer):
    """What the kernel does for one that was killed: it closes the handles."""
    for each in writer._staged:
        os.close(each.handle)


def test_a_checkout_that_was_killed_is_taken_up_again(client, tmp_path, monkeypatch):
    files = {f"f{folder}/{number}": f"{folder} {number}".encode() for folder in range(5) for number in range(20)}
    client.data.commit("many", fill(tmp_path / "many", files))
    out = tmp_path / "out"
    written = []
    write_one = folder_writing._write_one

    def dying(*arguments, **more):
        written.append(1)
        if len(written) == 50:
            raise KeyboardInterrupt
        return write_one(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(folder_writing, "_STAGED", 1)
        patch.setattr(folder_writing, "_write_one", dying)
        patch.setattr(
            folder_writing.FolderWriter, "discard", lambda self: [os.close(each.handle) for each in self._staged]
        )
        with pytest.raises(KeyboardInterrupt):
            client.data.checkout("many", into=out)
    assert [path for path in out.iterdir() if path.name.startswith(".mainspring-")], "the kill left something"
    assert set(held(out).items()) & set(files.items()), "what had appeared is whole"
    again = client.data.check_out("many", into=out)
    assert 0 < again.written < 100
    assert held(out) == files


def test_what_another_checkout_is_writing_is_left_to_it(tmp_path):
    mine, theirs = tmp_path / ".mainspring-aa", tmp_path / ".mainspring-bb"
    mine.mkdir()
    handle = folder_writing._make_hidden(theirs)
    folder_writing.sweep(tmp_path)
    assert (mine.exists(), theirs.exists()) == (False, True)
    os.close(handle)
    folder_writing.sweep(tmp_path)
    assert not theirs.exists()


def test_links_are_never_written_through(data, tmp_path):
    out, outside = tmp_path / "out", fill(tmp_path / "outside", {"keep": b"keep"})
    out.mkdir()
    (out / "sub").symlink_to(outside)
    with pytest.raises(InvalidInput, match="outside"):
        data.checkout("files@1", into=out, force=True)
    (out / "sub").unlink()
    (out / "a.txt").symlink_to(outside / "keep")
    with pytest.raises(Conflict):
        data.checkout("files@1", into=out, force=True)
    assert held(outside) == {"keep": b"keep"}


@pytest.mark.parametrize("link", ["auto", "copy", "hard"])
def test_no_edit_of_a_copy_reaches_the_store(data, tmp_path, link):
    for number in range(2):
        out = tmp_path / f"out{number}"
        data.checkout("files@1", into=out, link=link)
        assert held(out) == FIRST
        for path in FIRST:
            (out / path).chmod(0o644)  # as somebody who insists
            with (out / path).open("r+b") as file:
                file.write(b"!")
    data.checkout("files@1", into=tmp_path / "clean", link=link)
    assert held(tmp_path / "clean") == FIRST
    assert data.storage.verify().intact


def test_hard_links_are_read_only(data, tmp_path):
    data.checkout("files@1", into=tmp_path / "out", link="hard")
    for path in FIRST:
        found = (tmp_path / "out" / path).stat()
        assert (found.st_mode & 0o777, found.st_nlink) == (0o444, 2)


def test_reflinks_are_taken_where_there_are_some(data, tmp_path, monkeypatch):
    """This disk has none, so the call of the kernel is stood in for; what it is asked is what counts."""
    asked = []

    def cloning(target, request, source):
        asked.append(request)
        os.write(target, os.pread(source, BUNDLED_BELOW * 2, 0))

    monkeypatch.setattr(linking.fcntl, "ioctl", cloning)
    data.file("files@1", path="sub/deep/c.bin")
    data.checkout("files@1", into=tmp_path / "out")
    assert asked == [0x40049409]
    assert held(tmp_path / "out") == FIRST


def test_what_was_checked_out_is_known(client, tmp_path, monkeypatch):
    client.data.commit("files", fill(tmp_path / "one", {f"{n}/{m}": b"%d" % m for n in range(3) for m in range(9)}))
    client.data.checkout("files", into=tmp_path / "out")
    monkeypatch.setattr("mainspring.data.scanning.read_small", lambda _: pytest.fail("a file was read"))
    assert client.data.status(tmp_path / "out").clean


def test_status_and_the_next_version(data, tmp_path):
    out = tmp_path / "out"
    data.checkout("files@2", into=out)
    assert data.status(out).clean
    fill(out, {"a.txt": b"A2", "fresh": b"fresh"})
    (out / "sub/b.txt").rename(out / "sub/moved.txt")
    (out / "new/e").unlink()
    found = data.status(out)
    assert [file.path for file in found.changes.added] == ["fresh"]
    assert [after.path for _, after in found.changes.modified] == ["a.txt"]
    assert [file.path for file in found.changes.removed] == ["new/e"]
    assert found.changes.renamed == [("sub/b.txt", "sub/moved.txt")]
    assert (found.changes.unchanged, found.files, found.newest) == (1, 4, 2)
    made = data.commit_folder(out / "sub", message="mine")
    assert (made.version, made.message) == (3, "mine")
    assert data.status(out).clean
    assert held(out) == {path.path: data.file("files@3", path=path.path).read_bytes() for path in data.files("files@3")}


def test_a_commit_does_not_undo_what_others_did(data, tmp_path):
    for name in ("mine", "theirs"):
        data.checkout("files@2", into=tmp_path / name)
        fill(tmp_path / name, {name: b"x"})
    data.commit_folder(tmp_path / "theirs")
    with pytest.raises(Conflict, match="is at version 3"):
        data.commit_folder(tmp_path / "mine")
    assert data.commit_folder(tmp_path / "mine", force=True).version == 4


def test_add_is_the_long_part_of_a_commit(data, tmp_path, monkeypatch):
    top = fill(tmp_path / "pictures", {"1": b"one", "deep/2": LARGE[::-1]})
    taken = data.add(top)
    assert (taken.copy.dataset, taken.copy.version, taken.files) == ("pictures", 0, 2)
    assert [file.path for file in data.status(top).changes.added] == ["1", "deep/2"]
    monkeypatch.setattr("mainspring.store.service.Storage.put_blob", lambda *_: pytest.fail("sent again"))
    made = data.commit_folder(top)
    assert (made.ref, made.digest) == ("dataset/pictures@1", taken.tree)


def test_a_folder_that_is_no_copy_says_so(data, tmp_path):
    with pytest.raises(NotFound, match="no working copy"):
        data.status(tmp_path)
    shutil.rmtree(tmp_path / "one")
    assert [Path(each.path).name for each in data.working_copies()] == ["two"]


def test_folders_of_thousands(client, tmp_path):
    """One folder that is cut into parts, and many small ones."""
    files = {f"flat/{number:05}": b"%d" % number for number in range(2_100)}
    files |= {f"tree/{number % 50}/{number}": b"%d" % number for number in range(100)}
    top = fill(tmp_path / "top", files)
    assert client.data.commit("many", top).files == 2_200
    (top / "flat/01234").write_bytes(b"edited")
    (top / "flat/99999").write_bytes(b"added")
    found = client.data.status(top).changes
    assert ([each.path for each in found.added], [new.path for _, new in found.modified]) == (
        ["flat/99999"],
        ["flat/01234"],
    )
    client.data.commit_folder(top)
    out = tmp_path / "out"
    client.data.checkout("many@1", into=out)
    assert held(out) == files
    assert client.data.check_out("many@2", into=out).written == 2
    assert held(out) == held(top)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]), st.sampled_from([None, b"1", b"2"])), max_size=6
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, OPERATIONS, OPERATIONS)
def test_what_a_checkout_does_to_any_folder(client, tmp_path, first, second, edits):
    """Against a model of three dictionaries: a file is taken only when it is what the last version said."""
    work = tmp_path / os.urandom(6).hex()
    versions = []
    for number, made in enumerate((first, second)):
        files = {"always": b"%d" % number} | {path: content for path, content in made if content is not None}
        fill(work / str(number), files)
        versions.append((client.data.commit(f"w{work.name}", work / str(number)).id, files))
    out = work / "out"
    client.data.checkout(versions[0][0], into=out)
    for path, content in edits:
        if content is None:
            (out / path).unlink(missing_ok=True)
        else:
            fill(out, {path: content})
    now, (_, old), (ref, new) = held(out), *versions
    lost = [path for path in new if path in now and now[path] != new[path] and now[path] != old.get(path)]
    if lost:
        with pytest.raises(Conflict) as caught:
            client.data.checkout(ref, into=out)
        assert sorted(caught.value.details["paths"]) == sorted(lost)
        assert held(out) == now
    else:
        client.data.checkout(ref, into=out)
        kept = {path: content for path, content in now.items() if path not in old or old[path] != content}
        assert held(out) == {**kept, **new}


def test_a_new_folder_on_a_file_system_of_its_own(data, tmp_path, monkeypatch):
    """What is known of files lies elsewhere: the clock is asked where the folder will be."""
    asked = []
    plain = FileClock._probe
    monkeypatch.setattr(
        FileClock, "_probe", lambda self, device, folder: asked.append(folder) or plain(self, device, folder)
    )
    monkeypatch.setattr(FileClock, "__init__", lambda self, scratch: _no_scratch(self, tmp_path / "nowhere"))
    out = tmp_path / "new" / "out"
    assert held_after(data, out) == FIRST
    assert asked
    assert all(Path(folder).is_dir() for folder in asked)
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"], "nothing is left beside it"
    assert data.status(out).changes.unchanged == 4


def test_a_file_system_without_a_clock_is_written_all_the_same(data, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_writing, "_TICKS", 3)
    monkeypatch.setattr(FileClock, "_probe", lambda *_: None)
    assert held_after(data, tmp_path / "out") == FIRST


def held_after(data, out):
    data.checkout("files@1", into=out)
    return held(out)


def _no_scratch(clock, scratch):
    clock._scratch, clock._probes, clock._guard = scratch, {}, threading.Lock()
