"""DVC's files, each form of them; objects that are large, damaged, or of DVC's older hash."""

from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from mainspring.importers.dvc import import_dvc
from mainspring.importers.dvc_files import Content, read_config, read_list, read_lock, read_pointer
from mainspring.importers.dvc_objects import FolderPlace, Objects, checked_md5, places_of
from mainspring.kernel.errors import Damaged, NotFound, UnsupportedFormat

A, B = "a" * 32, "b" * 32


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_pointers_of_every_time():
    (new,) = read_pointer(
        f"outs:\n- md5: {A}.dir\n  hash: md5\n  size: 7\n  nfiles: 2\n  path: raw\n".encode(), "data/raw.dvc"
    )
    assert (new.path, new.content, new.size, new.files) == ("data/raw", Content(f"{A}.dir"), 7, 2)
    (old,) = read_pointer(f"outs:\n- md5: {A}\n  path: ../x.bin\n  remote: cold\n".encode(), "data/x.dvc")
    assert (old.path, old.content, old.remote) == ("x.bin", Content(A, legacy=True), "cold")
    (brought,) = read_pointer(
        f"deps:\n- path: get/me\n  repo:\n    url: https://x.org/r\n    rev_lock: abc\nouts:\n- md5: {A}\n  path: me\n"
        "desc: From elsewhere\nmeta:\n  owner: ada\n".encode(),
        "me.dvc",
    )
    assert (brought.origin, brought.facts) == (
        "https://x.org/r@abc get/me", {"desc": "From elsewhere", "meta": {"owner": "ada"}},
    )  # fmt: skip
    (stage,) = read_pointer(
        f"cmd: python p.py\nwdir: ..\ndeps:\n- md5: {B}\n  path: in.csv\nouts:\n- md5: {A}\n  path: out.csv\n".encode(),
        "s/p.dvc",
    )
    assert (stage.path, stage.stage.deps, stage.stage.cmd) == ("out.csv", {"in.csv": B}, "python p.py")
    (cloud,) = read_pointer(
        f"outs:\n- path: d\n  files:\n  - relpath: a/b\n    md5: {A}\n    size: 1\n    cloud: {{}}\n".encode(), "d.dvc"
    )
    assert [(each.path, each.content.md5) for each in cloud.listed] == [("a/b", A)]
    (absent,) = read_pointer(b"outs:\n- path: s3://bucket/x\n  etag: abc\n", "x.dvc")
    assert (absent.path, absent.content) == ("s3://bucket/x", None)


def test_locks_of_every_time():
    stages = (
        f"  train@big:\n    cmd: python t.py\n    deps:\n    - path: in\n      md5: {B}\n"
        f"    params:\n      params.yaml:\n        depth: 3\n"
        f"    outs:\n    - path: m.bin\n      md5: {A}\n      hash: md5\n"
    )
    pipeline = {
        "stages": {
            "train": {"foreach": ["big"], "do": {"wdir": "sub", "metrics": ["m.json", {"n.json": {"cache": False}}]}}
        }
    }
    (out,) = read_lock(f"schema: '2.0'\nstages:\n{stages}".encode(), "dvc.lock", pipeline)
    assert (out.path, out.stage.name, out.stage.deps) == ("sub/m.bin", "train@big", {"sub/in": B})
    assert (out.stage.params, out.stage.metrics) == ({"params.yaml": {"depth": 3}}, ["sub/m.json", "sub/n.json"])
    (first,) = read_lock(f"train:\n  cmd: x\n  outs:\n  - path: m\n    md5: {A}\n".encode(), "p/dvc.lock", {})
    assert (first.path, first.content) == ("p/m", Content(A, legacy=True))


@pytest.mark.parametrize("text", [b"\xff", b"[", b"- 1", b"word"])
def test_what_is_no_file_of_dvc(text):
    with pytest.raises(UnsupportedFormat):
        read_pointer(text, "x.dvc")
    with pytest.raises(UnsupportedFormat):
        read_lock(text, "dvc.lock", {})


@pytest.mark.parametrize("text", [b"{}", b"[{}]", b'[{"relpath": "a", "md5": "../../etc"}]', b"\xff"])
def test_what_is_no_list_of_a_folder(text):
    with pytest.raises(UnsupportedFormat):
        read_list(text, "raw", legacy=False)
    assert read_list(b"[]", "raw", legacy=False) == []


def test_remotes_of_a_configuration(tmp_path):
    text = """
    [core]
        remote = near
        analytics = false
    ['remote "far"']
        url = ssh://host/x
    ['remote "near"']
        url = ../near
    ['remote "inside"']
        url = remote://near/deeper
    [cache]
        dir = "../elsewhere"
    """
    config = read_config(text)
    assert config["cache"] == {"dir": "../elsewhere"}
    caches, remotes, problems = places_of(config, tmp_path / ".dvc", here=True)
    assert (len(caches), list(remotes)) == (1, ["near", "inside"])
    assert len(problems) == 1
    assert "ssh://" in problems[0]
    (tmp_path / "near/deeper/ab").mkdir(parents=True)
    (tmp_path / "near/deeper/ab/cd").write_bytes(b"x")
    assert b"".join(remotes["inside"].open("ab/cd")) == b"x"


def test_md5_as_dvc_made_it_before_3():
    text, binary = b"a\r\nb\r\n" * 300_000, bytes(range(256)) * 9_000 + b"\r\n"
    unix = _md5(b"".join(text[at : at + (1 << 20)].replace(b"\r\n", b"\n") for at in range(0, len(text), 1 << 20)))
    pieces = [text[at : at + 70_001] for at in range(0, len(text), 70_001)]
    assert b"".join(checked_md5(pieces, Content(unix, legacy=True))) == text
    assert b"".join(checked_md5([binary], Content(_md5(binary), legacy=True))) == binary
    with pytest.raises(Damaged):
        list(checked_md5(pieces, Content(unix)))
    with pytest.raises(Damaged):
        list(checked_md5([binary], Content(_md5(binary.replace(b"\r\n", b"\n")), legacy=True)))


def test_a_copy_that_is_damaged_is_passed_over(tmp_path):
    data, content = b"sound", Content(_md5(b"sound"))
    for name, held in (("one", b"bad"), ("two", data)):
        place = tmp_path / name / "files/md5" / content.md5[:2] / content.md5[2:]
        place.parent.mkdir(parents=True)
        place.write_bytes(held)
    both = Objects([FolderPlace(tmp_path / "one")], {"two": FolderPlace(tmp_path / "two")})
    assert both.read(content, limit=100) == data
    assert both.read(content, limit=3) is None
    with pytest.raises(Damaged):
        Objects([FolderPlace(tmp_path / "one")], {}).read(content, limit=100)
    with pytest.raises(NotFound):
        Objects([], {}).read(content, limit=100)


@pytest.mark.databases("sqlite")
def test_large_objects_in_a_repository_below_the_top(client, tmp_path: Path):
    def git(*command: str) -> None:
        who = ["-c", "user.name=Eve", "-c", "user.email=eve@example.org"]
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True, capture_output=True)

    top = tmp_path / "mono/cats"
    data = random.Random(5).randbytes(6 << 20)
    git("init", "--quiet", "-b", "main", ".")
    for place, held in ((top / ".dvc/cache", data[:-1] + b"!"), (top / "storage", data)):
        path = place / "files/md5" / _md5(data)[:2] / _md5(data)[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(held)
    (top / ".dvc/config").write_text("[core]\nremote = s\n['remote \"s\"']\nurl = ../storage\n")
    (top / "big.bin.dvc").write_text(f"outs:\n- md5: {_md5(data)}\n  hash: md5\n  size: {len(data)}\n  path: big.bin\n")
    (tmp_path / "outside.dvc").write_text(f"outs:\n- md5: {A}\n  path: outside\n")
    (top / "wrong.bin.dvc").write_text(f"outs:\n- md5: {_md5(data)}\n  hash: md5\n  size: 1\n  path: wrong.bin\n")
    git("add", "-f", "mono/cats/.dvc/config", "mono/cats/big.bin.dvc", "mono/cats/wrong.bin.dvc", "outside.dvc")
    git("commit", "--quiet", "-m", "Big")
    report = import_dvc(client, str(top))
    assert (report.datasets, report.missing, report.bytes) == (["cats/big.bin"], {}, len(data))
    assert len(report.problems) == 1
    assert f"DVC says that it has 1 bytes, and there are {len(data)}" in report.problems[0]
    assert client.data.file("cats/big.bin@main", path="big.bin").read_bytes() == data
