"""`mainspring data track` on the command line, and what Git calls by itself: hooks and the merge driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mainspring.cli.app import cli
from mainspring.client.client import connect

Git = Callable[..., str]
ONE = {"1.txt": "one", "in/2.txt": "two"}


@pytest.fixture
def ask(work: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs `mainspring data ...` in the working tree; its output. `code=1` where it must leave with that."""
    for name in ("MAINSPRING_STORE", "MAINSPRING_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*command: str, code: int = 0, folder: Path = work) -> str:
        monkeypatch.chdir(folder)
        done = CliRunner().invoke(cli, ["data", *command], standalone_mode=False)
        left = 2 if isinstance(done.exception, click.UsageError) else done.return_value or done.exit_code
        assert left == code, (done.output, done.exception)
        return done.output

    return run


def _fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _read(folder: Path) -> dict[str, str]:
    return {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}


def _save(git: Git, folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    return git(folder, "commit", "-m", message)


def test_from_tracking_to_history(ask, git, work):
    _fill(work / "photos", ONE)
    said = ask("track", "photos", "-m", "First")
    assert "photos  dataset/photos@1  2 files" in said
    assert "git add .gitattributes .gitignore photos.mainspring" in said
    _save(git, work, "One")
    assert git(work, "ls-files").split() == [".gitattributes", ".gitignore", "code.py", "photos.mainspring"]
    assert "clean" in ask("tracked")
    _fill(work / "photos", {"1.txt": "1"})
    assert "edited" in ask("tracked", "photos", code=1)
    (made,) = json.loads(ask("track", "--all", "--json", folder=work / "photos"))
    assert (made["path"], made["version"]["version"], made["changed"]) == ("photos", 2, ["photos.mainspring"])
    _save(git, work, "Two")
    assert [each["version"] for each in json.loads(ask("history", "photos", "--json"))] == [2, 1]
    assert "photos.mainspring" in ask("untrack", "photos")
    assert ask("tracked") == "nothing is tracked here\n"
    ask("track", code=2)


def test_checkout_and_status_without_a_version_follow_git(ask, git, work):
    ask("track", code=2)
    photos = work / "data/photos"
    _fill(photos, ONE)
    ask("track", "data/photos")
    _save(git, work, "One")
    git(work, "checkout", "--quiet", "-b", "other")
    _fill(photos, {"1.txt": "ONE"})
    assert "1 modified" in ask("status", "data/photos")
    assert "data/photos\tedited" in ask("status")
    ask("status", "--exit-code", folder=work / "data", code=1)
    ask("track", "data/photos")
    _save(git, work, "Two")
    git(work, "checkout", "--quiet", "main")
    assert "data/photos  data/photos  1 written" in ask("checkout")
    assert _read(photos) == ONE
    assert "everything is as its pointer says" in ask("checkout", "data/photos/")
    ask("status", "--exit-code")
    assert [each["state"] for each in json.loads(ask("status", "--json"))] == ["clean"]
    _fill(photos, {"1.txt": "an edit"})
    git(work, "checkout", "--quiet", "other")
    assert ask("checkout", "photos", folder=work / "data", code=1) == ""
    assert _read(photos)["1.txt"] == "an edit"
    ask("checkout", "--force")
    assert _read(photos)["1.txt"] == "ONE"


def test_hooks_let_the_data_follow_the_branch(ask, git, work, tmp_path):
    hooks = work / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    own = "#!/bin/sh\nexit 0\n"
    (hooks / "post-merge").write_text(own)
    said = ask("hooks", "install")
    assert "post-checkout  installed" in said
    assert "post-merge  left alone" in said
    assert "post-checkout  kept" in ask("hooks", "install")
    assert (hooks / "post-merge").read_text() == own
    photos = work / "photos"
    _fill(photos, ONE)
    ask("track", "photos")
    _save(git, work, "One")
    git(work, "checkout", "--quiet", "-b", "other")
    _fill(photos, {"1.txt": "ONE", "3.txt": "three"})
    ask("track", "photos")
    _save(git, work, "Two")
    assert "photos  photos  1 written, 1 removed" in git(work, "checkout", "main")
    assert _read(photos) == ONE
    _fill(photos, {"1.txt": "an edit"})
    assert "would be lost" in git(work, "checkout", "other", fails=True)
    assert _read(photos)["1.txt"] == "an edit"
    git(work, "worktree", "add", "--quiet", str(tmp_path / "beside"), "main")
    assert _read(tmp_path / "beside/photos") == ONE
    assert ask("hooks", "remove") == "post-checkout, pre-push\n"
    assert (hooks / "post-merge").read_text() == own


def test_before_a_push_the_data_is_looked_for_and_brought_to_the_remote(ask, git, work, tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    git(work, "remote", "add", "origin", str(tmp_path / "bare.git"))
    ask("hooks", "install")
    git(work, "push", "--quiet", "origin", "main")  # nothing is tracked: no store is asked for
    _fill(work / "photos", ONE)
    ask("track", "photos")
    with connect(work / ".mainspring") as client:
        client.data.add_remote("origin", url=str(tmp_path / "remote"))
    _save(git, work, "One")
    connect(tmp_path / "other").close()
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "other"))
    assert "nobody could get it" in git(work, "push", "origin", "main", fails=True)
    monkeypatch.delenv("MAINSPRING_STORE")
    assert "pushed dataset/photos@1" in git(work, "push", "origin", "main")
    assert "pushed" not in git(work, "push", "origin", "main:copy")
    git(work, "push", "--quiet", "origin", "--delete", "copy")
    with connect(tmp_path / "other") as client:
        assert client.data.pull("photos", str(tmp_path / "remote")).versions == ["dataset/photos@1"]


@pytest.mark.parametrize("collide", [False, True])
def test_two_branches_that_changed_the_same_data_are_merged_by_what_is_in_it(ask, git, work, collide):
    ask("hooks", "install")
    photos = work / "photos"
    _fill(photos, ONE)
    ask("track", "photos")
    _save(git, work, "One")
    git(work, "checkout", "--quiet", "-b", "other")
    _fill(photos, {"in/2.txt": "TWO"})
    ask("track", "photos")
    _save(git, work, "Theirs")
    git(work, "checkout", "--quiet", "main")
    _fill(photos, {"3.txt": "three"} | ({"in/2.txt": "mine"} if collide else {}))
    ask("track", "photos")
    _save(git, work, "Ours")
    said = git(work, "merge", "-m", "Both", "other", fails=collide)
    if collide:
        assert "both sides changed 1 files of photos: in/2.txt" in said
        assert (work / "photos.mainspring").read_text().count("<<<<<<<") == 1
        assert "unreadable" in ask("tracked", code=1)
        assert _read(photos) == {**ONE, "3.txt": "three", "in/2.txt": "mine"}
    else:
        assert _read(photos) == {**ONE, "3.txt": "three", "in/2.txt": "TWO"}
        assert git(work, "status", "--porcelain") == ""
