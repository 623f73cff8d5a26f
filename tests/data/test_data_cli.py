"""`mainspring data` in a folder: what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mainspring.cli.app import main


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    work = tmp_path / "photos"
    (work / "sub").mkdir(parents=True)
    (work / "a.txt").write_text("a")
    (work / "sub" / "b.txt").write_text("b")
    monkeypatch.chdir(work)

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["data", *map(str, words)])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_a_folder_from_add_to_the_next_version(say):
    code, out, err = say("add", ".", "--name", "photos")
    assert (code, "2 files" in out, "data commit" in err) == (0, True, True)
    assert "2 added" in say("status")[1]
    assert "dataset/photos@1" in say("commit", "-m", "first")[1]
    assert "nothing changed: 2 files" in say("status", "sub")[1]
    Path("sub/b.txt").rename("sub/c.txt")
    Path("a.txt").write_text("other")
    Path("new").write_text("new")
    code, out, _ = say("status", "--exit-code")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["added", "modified", "renamed"]
    assert "and 2 more" in say("status", "--limit", "1")[1]
    found = json.loads(say("status", "--json")[1])
    assert (found["clean"], found["changes"]["renamed"]) == (False, [["sub/b.txt", "sub/c.txt"]])
    assert "dataset/photos@2" in say("commit", "-m", "second")[1]


def test_checkout_where_one_is(say):
    say("commit", "photos", ".", "-m", "first")
    Path("a.txt").write_text("second")
    say("commit", "-m", "second")
    code, out, _ = say("checkout", "photos@1")
    assert (code, "1 file written" in out, Path("a.txt").read_text()) == (0, True, "a")
    assert "newest is 2" in say("status")[1]
    Path("a.txt").write_text("mine")
    code, _, err = say("checkout", "photos@2")
    assert (code, "a.txt" in err, "force" in err) == (4, True, True)
    assert say("checkout", "photos@2", "--force")[0] == 0
    assert Path("a.txt").read_text() == "second"
    assert json.loads(say("checkout", "photos", "../part", "--path", "sub", "--json")[1])["written"] == 1
    assert [line.split("\t")[1:3] for line in say("copies")[1].splitlines()] == [["photos@2", "sub"], ["photos@2", ""]]


def test_hints_are_exact(say):
    code, _, err = say("status")
    assert (code, "no store" in err) == (3, True)
    say("add", "sub", "--name", "x")
    code, _, err = say("status", "..")
    assert (code, "data commit NAME PATH" in err) == (3, True)
    code, _, err = say("commit", "nowhere")
    assert (code, "data commit nowhere PATH" in err) == (2, True)
    code, _, err = say("stauts")
    assert (code, "status" in err) == (2, True)


def test_tags_and_notes(say):
    say("commit", "photos", ".")
    assert "licence  cc-by" in say("tag", "photos", "licence=cc-by")[1]
    assert "note     blurred" in say("note", "photos@1", "blurred")[1]
    assert say("find", "licence=cc-by")[1].startswith("photos@1\t")
    assert "licence=cc-by" in say("log", "photos")[1]
    assert json.loads(say("log", "photos", "--json")[1])[0]["note"] == "blurred"
    assert "licence" not in say("untag", "photos", "licence")[1]
    assert say("tag", "photos", "wrong")[0] == 2
