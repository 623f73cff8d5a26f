"""Datasets with Git: pointers, checkouts that follow the branch and lose nothing, worktrees, clones, merges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.client.client import Client, connect
from mainspring.data.pointers import load_pointer, pointer_of, read_pointer
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, UnsupportedFormat

pytestmark = pytest.mark.databases("sqlite")

Git = Callable[..., str]


def _fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _read(folder: Path) -> dict[str, str]:
    return {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}


def _save(git: Git, folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", message)


ONE = {"1.txt": "one", "in/2.txt": "two"}
TWO = {"1.txt": "ONE", "in/3.txt": "three"}


def test_a_tracked_folder_is_a_pointer_for_git(client, git, work):
    _fill(work / "data/photos", ONE)
    made = client.data.track(work / "data/photos/", message="First cats")
    assert (made.path, made.version.name, made.version.version) == ("data/photos", "data/photos", 1)
    assert made.changed == ["data/photos.mainspring", "data/.gitignore", ".gitattributes"]
    about = made.version.metadata["git"]
    head = git(work, "rev-parse", "HEAD")
    assert about == {"commit": head, "branch": "main", "dirty": False, "path": "data/photos", "remote": ""}
    git(work, "add", "-A")
    assert git(work, "diff", "--cached", "--name-only").split() == [
        ".gitattributes",
        "data/.gitignore",
        "data/photos.mainspring",
    ]
    said = load_pointer(work / "data/photos.mainspring")
    assert (said.dataset, said.tree, said.files, said.size) == ("data/photos", made.version.digest, 2, 6)
    again = client.data.track(work / "data/photos")
    assert (again.version.version, again.changed) == (1, [])
    assert (work / ".gitignore").read_text() == "*.pyc"


def test_checkout_follows_the_branch(client, git, work):
    photos = work / "photos"
    _fill(photos, ONE)
    client.data.track(photos, name="team/photos")
    _save(git, work, "One")
    git(work, "checkout", "--quiet", "-b", "other")
    (photos / "in/2.txt").unlink()
    _fill(photos, TWO)
    assert [each.state for each in client.data.tracked(folder=work)] == ["edited"]
    assert client.data.track(photos).version.ref == "dataset/team/photos@2"
    _save(git, work, "Two")
    git(work, "checkout", "--quiet", "main")
    assert [each.state for each in client.data.tracked(folder=work)] == ["behind"]
    (done,) = client.data.checkout_tracked(folder=work)
    assert (done.path, done.written, done.removed) == ("photos", 2, 1)
    assert _read(photos) == ONE
    assert client.data.checkout_tracked(folder=work / "photos/in") == []
    git(work, "checkout", "--quiet", "other")
    client.data.checkout_tracked([photos], folder=work)
    assert _read(photos) == TWO
    changes = client.data.tracked_history(photos)
    assert [(each.message, each.version, each.author) for each in changes] == [("Two", 2, "Ada"), ("One", 1, "Ada")]


def test_an_edit_is_never_lost(client, git, work):
    photos, other = work / "photos", work / "z"
    _fill(photos, ONE)
    _fill(other, ONE)
    client.data.track(photos)
    client.data.track(other)
    _save(git, work, "One")
    git(work, "checkout", "--quiet", "-b", "other")
    _fill(photos, TWO)
    _fill(other, TWO)
    client.data.track(photos)
    client.data.track(other)
    _save(git, work, "Two")
    git(work, "checkout", "--quiet", "main")
    _fill(photos, {"1.txt": "an edit"})
    before = _read(photos)
    assert [each.state for each in client.data.tracked(folder=work)] == ["diverged", "behind"]
    with pytest.raises(Conflict, match=r"1 files in .*photos would be lost, as 1.txt"):
        client.data.checkout_tracked(folder=work)
    assert _read(photos) == before
    assert _read(other) == ONE
    with pytest.raises(Conflict, match="changed since photos was checked out"):
        client.data.track(photos)
    client.data.checkout_tracked(folder=work, force=True)
    assert _read(photos) == ONE


def test_data_of_another_branch_goes_unless_it_was_edited(client, git, work):
    git(work, "checkout", "--quiet", "-b", "other")
    for name in ("photos", "sounds"):
        _fill(work / name, ONE)
        client.data.track(work / name)
    _fill(work, {"model.bin": "weights"})
    client.data.track(work / "model.bin")
    _save(git, work, "Data")
    git(work, "checkout", "--quiet", "main")
    _fill(work / "sounds", {"new.txt": "mine"})
    with pytest.raises(Conflict, match="sounds was edited, and this branch does not track it"):
        client.data.checkout_tracked(folder=work)
    assert not (work / "photos").exists()
    assert not (work / "model.bin").exists()
    assert _read(work / "sounds") == {**ONE, "new.txt": "mine"}
    git(work, "checkout", "--quiet", "other")
    client.data.checkout_tracked(folder=work)
    assert _read(work / "photos") == ONE
    assert (work / "model.bin").read_text() == "weights"


def test_a_single_file(client, git, work):
    model = work / "model.bin"
    model.write_text("one")
    client.data.track(model)
    _save(git, work, "One")
    model.write_text("two")
    client.data.track(model)
    _save(git, work, "Two")
    git(work, "checkout", "--quiet", "HEAD~")
    client.data.checkout_tracked(folder=work)
    assert model.read_text() == "one"
    model.write_text("an edit")
    git(work, "checkout", "--quiet", "main")
    with pytest.raises(Conflict, match="was edited"):
        client.data.checkout_tracked(folder=work)
    assert model.read_text() == "an edit"
    model.unlink()
    assert [each.state for each in client.data.tracked(folder=work)] == ["missing"]
    client.data.checkout_tracked(folder=work)
    assert model.read_text() == "two"


def test_a_worktree_and_a_clone_have_their_own_data(client, git, work, tmp_path):
    photos = work / "photos"
    _fill(photos, ONE)
    client.data.track(photos)
    _save(git, work, "One")
    git(work, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "beside"))
    beside = tmp_path / "beside/photos"
    client.data.checkout_tracked(folder=tmp_path / "beside")
    _fill(beside, TWO)
    client.data.track(beside)
    _save(git, tmp_path / "beside", "Two")
    assert _read(photos) == ONE
    assert [each.state for each in client.data.tracked(folder=work)] == ["clean"]
    client.data.push("photos", str(tmp_path / "remote"))
    git(tmp_path, "clone", "--quiet", "--bare", str(work), "bare.git")
    git(tmp_path, "clone", "--quiet", "-b", "other", str(tmp_path / "bare.git"), "clone")
    with connect(tmp_path / "clone/.mainspring") as theirs:
        with pytest.raises(NotFound, match="is not in this store"):
            theirs.data.checkout_tracked(folder=tmp_path / "clone")
        theirs.data.add_remote("origin", url=str(tmp_path / "remote"))
        theirs.data.checkout_tracked(folder=tmp_path / "clone")
        assert _read(tmp_path / "clone/photos") == {**ONE, **TWO}
        _fill(tmp_path / "clone/photos", {"4.txt": "four"})
        made = theirs.data.track(tmp_path / "clone/photos")
        assert made.changed == ["photos.mainspring", ".gitignore"]
        assert made.version.metadata["git"]["remote"] == str(tmp_path / "bare.git")
        git(tmp_path / "clone", "add", "-A")
        assert ".mainspring/" not in git(tmp_path / "clone", "diff", "--cached", "--name-only")


def test_branches_that_change_different_data_merge_as_text(client, git, work):
    for name in ("cats", "dogs"):
        _fill(work / name, ONE)
        client.data.track(work / name)
    _save(git, work, "One")
    git(work, "branch", "other")
    _fill(work / "cats", TWO)
    _fill(work / "new-a", ONE)
    client.data.track(work / "cats")
    client.data.track(work / "new-a")
    _save(git, work, "Cats")
    git(work, "checkout", "--quiet", "other")
    client.data.checkout_tracked(folder=work)
    _fill(work / "dogs", TWO)
    _fill(work / "new-b", ONE)
    client.data.track(work / "dogs")
    client.data.track(work / "new-b")
    _save(git, work, "Dogs")
    git(work, "merge", "--quiet", "-m", "Both", "main")
    client.data.checkout_tracked(folder=work)
    assert _read(work / "cats") == _read(work / "dogs") == {**ONE, **TWO}
    assert [each.state for each in client.data.tracked(folder=work)] == ["clean"] * 4
    assert git(work, "status", "--porcelain") == ""


def test_a_merge_of_what_is_in_them(client, git, work):
    photos = work / "photos"
    texts = []
    for files in (
        ONE,
        {**ONE, "in/2.txt": "2", "mine/4.txt": "four"},
        {"1.txt": "1", "in/2.txt": "two", "in/5.txt": "5"},
    ):
        _fill(photos, files)
        for path in set(_read(photos)) - set(files):
            (photos / path).unlink()
        client.data.track(photos, force=True)
        texts.append(pointer_of(photos).read_text())
    merged = client.data.merge_pointers(*texts, path="photos.mainspring")
    pointer_of(photos).write_text(merged)
    client.data.checkout_tracked(folder=work)
    assert _read(photos) == {"1.txt": "1", "in/2.txt": "2", "in/5.txt": "5", "mine/4.txt": "four"}
    newest = client.data.log("photos")[0]
    assert sorted(newest.uses) == ["dataset/photos@2", "dataset/photos@3"]
    _fill(photos, {**ONE, "in/2.txt": "other"})
    client.data.track(photos)
    with pytest.raises(Conflict) as caught:
        client.data.merge_pointers(texts[0], texts[1], pointer_of(photos).read_text(), path="photos.mainspring")
    assert caught.value.details["paths"] == ["in/2.txt", "mine/4.txt"][:1]


def test_what_cannot_be_tracked(client, git, work, tmp_path):
    _fill(tmp_path / "outside", ONE)
    with pytest.raises(InvalidInput, match="no Git repository"):
        client.data.track(tmp_path / "outside")
    with pytest.raises(Conflict, match="Git has files"):
        client.data.track(work / "code.py")
    with pytest.raises(InvalidInput, match="cannot be tracked"):
        client.data.track(work)
    with pytest.raises(NotFound, match="is not tracked"):
        client.data.untrack(work / "code.py")
    with pytest.raises(NotFound):
        client.data.track(work / "nothing")
    assert git(work, "status", "--porcelain") == ""
    _fill(work / "a b[1]", ONE)
    client.data.track(work / "a b[1]", name="odd")
    assert git(work, "status", "--porcelain", "--untracked-files=all").count("\n") == 2
    assert client.data.untrack(work / "a b[1]") == ["a b[1].mainspring", ".gitignore"]
    assert (work / ".gitignore").read_text() == "*.pyc\n"
    assert _read(work / "a b[1]") == ONE


@pytest.mark.parametrize(
    "text",
    ["", "dataset = 1", 'dataset = "a"\ntree = "zz"\nfiles = 1\nbytes = 1', "[", "files = 1\n",
     f'dataset = "../x"\ntree = "{"0" * 64}"\nfiles = 1\nbytes = 1',
     f'dataset = "x"\ntree = "{"0" * 64}"\nfiles = 0\nbytes = 1'],
)  # fmt: skip
def test_a_pointer_that_is_none_is_refused(text):
    with pytest.raises(UnsupportedFormat, match="is no pointer file"):
        read_pointer(text, "photos.mainspring")


def test_a_pointer_with_marks_of_a_merge_says_what_to_do(client: Client, git: Git, work: Path):
    _fill(work / "photos", ONE)
    client.data.track(work / "photos")
    pointer = work / "photos.mainspring"
    lines = pointer.read_text().splitlines()
    pointer.write_text(
        "\n".join([*lines[:2], "<<<<<<< ours", lines[2], "=======", lines[2], ">>>>>>> theirs", *lines[3:]])
    )
    (state,) = client.data.tracked(folder=work)
    assert (state.state, state.path) == ("unreadable", "photos")
    with pytest.raises(Conflict, match="changed on both sides"):
        client.data.checkout_tracked(folder=work)
    assert _read(work / "photos") == ONE


def test_an_ignore_file_that_is_no_utf8_keeps_its_bytes(client, work):
    (work / ".gitignore").write_bytes(b"caf\xe9\n")
    (work / "kittens").mkdir()
    (work / "kittens" / "1.txt").write_text("1")
    client.data.track(work / "kittens")
    assert (work / ".gitignore").read_bytes().startswith(b"caf\xe9\n")
