"""What is known of files is never believed wrongly: edits of one size, in one instant, with times set back."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.data import reading, scanning
from mainspring.data.machine import open_files
from mainspring.data.scanning import scan
from mainspring.data.stat_cache import FileClock, Folder, StatCache
from mainspring.data.trees import build
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File

NAMES = ["a", "b", "sub/a", "sub/deep/c"]
CONTENTS = [b"one", b"two", b"six", b"", b"longer than the others"]

EDITS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("write, times set back"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("replace, times set back"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("in place"), st.sampled_from(NAMES), st.sampled_from(CONTENTS)),
    st.tuples(st.just("swap"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("future"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("move folder"), st.none(), st.none()),
    st.tuples(st.just("look"), st.none(), st.none()),
)


def edit(top, what, name, value):
    if what == "look":
        return
    if what == "move folder":
        if (top / "sub").is_dir():
            shutil.rmtree(top / "elsewhere", ignore_errors=True)
            (top / "sub").rename(top / "elsewhere")
        return
    path = top / name
    if what in ("remove", "future", "swap"):
        if path.is_file():
            edit_whole(top, what, path, value)
        return
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns) if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "in place" and path.is_file():
        with path.open("r+b") as file:
            file.write(value)
    elif what.startswith("replace"):
        (top / "fresh").write_bytes(value)
        (top / "fresh").replace(path)
    else:
        path.write_bytes(value)
    if times and what.endswith("set back"):
        os.utime(path, ns=times)


def edit_whole(top, what, path, value):
    if what == "remove":
        path.unlink()
    elif what == "future":
        os.utime(path, (2**32, 2**32))
    elif top / value != path and (top / value).is_file():
        path.rename(top / "between")
        (top / value).rename(path)
        (top / "between").rename(top / value)


def anew(top):
    """What is there, read without knowing anything."""
    files = [path for path in top.rglob("*") if path.is_file()]
    read = [(path.relative_to(top).as_posix(), path.read_bytes()) for path in files]
    return build(File(path, len(content), digest_bytes(content)) for path, content in read).root if read else None


@contextmanager
def looking(folder):
    with open_files(folder) as files:
        yield lambda top: (found := scan(top, files.cache, files.clock)) and found.root


@settings(max_examples=30, deadline=None)
@given(st.lists(EDITS, min_size=1, max_size=25))
def test_what_is_known_is_what_is_there(edits):
    base = Path(tempfile.mkdtemp())
    try:
        top = base / "top"
        top.mkdir()
        with looking(base / "kept") as knowing:
            for what, name, value in edits:
                edit(top, what, name, value)
                assert knowing(top) == anew(top), what
    finally:
        shutil.rmtree(base)


def test_a_file_is_read_once(tmp_path, monkeypatch):
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    for number in range(50):
        (top / "sub" / f"{number}").write_bytes(b"%d" % number)
    (top / "large").write_bytes(bytes(2_000_000))
    past = FileClock(tmp_path)
    while past.now(tmp_path.stat().st_dev, str(tmp_path)) <= (top / "large").stat().st_ctime_ns:
        pass
    past.close()
    read = []
    opened = reading._open
    monkeypatch.setattr(reading, "_open", lambda location: read.append(location) or opened(location))
    with looking(tmp_path / "kept") as knowing:
        first = knowing(top)
        assert len(read) == 51
        assert knowing(top) == first
        (top / "sub" / "7").write_bytes(b"x")
        assert knowing(top) != first
        assert read[51:] == [str(top / "sub" / "7")]
    with looking(tmp_path / "kept") as knowing:
        read.clear()
        knowing(top)
        assert len(read) <= 1, "what was learned is on the disk; only the file of this instant may be read again"


def test_an_unchanged_folder_is_not_built_again(tmp_path, monkeypatch):
    top = tmp_path / "top"
    for folder in "abc":
        (top / folder).mkdir(parents=True)
        (top / folder / "file").write_bytes(folder.encode())
    with looking(tmp_path / "kept") as knowing:
        knowing(top)
        knowing(top)
        built = []
        folder = scanning.folder
        monkeypatch.setattr(scanning, "folder", lambda members: built.append(1) or folder(members))
        knowing(top)
        assert not built
        (top / "b" / "file").write_bytes(b"other")
        knowing(top)
        assert len(built) == 2, "the folder and the one above it"


def test_a_file_that_never_rests_is_noticed(tmp_path, monkeypatch):
    top = tmp_path / "top"
    top.mkdir()
    path = top / "busy"
    path.write_bytes(b"x")
    read = os.read

    def growing(handle, size):
        data = read(handle, size)
        with path.open("ab") as file:
            file.write(b"x")
        return data

    monkeypatch.setattr(reading.os, "read", growing)
    with looking(tmp_path / "kept") as knowing, pytest.raises(Conflict, match="busy changed while it was read"):
        knowing(top)


def test_a_damaged_cache_is_not_believed(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").write_bytes(b"content")
    with looking(tmp_path / "kept") as knowing:
        right = knowing(top)
    database = tmp_path / "kept" / "files.db"
    for damage in ("row", "file"):
        if damage == "row":
            with StatCache(database) as cache:
                for table in ("folder", "content"):
                    flipped = "CAST(substr(body, 1, 20) || x'07' || substr(body, 22) AS BLOB)"
                    cache._connection.execute(f"UPDATE {table} SET body = {flipped}")
                assert cache.folder(str(top)) is None
        else:
            database.write_bytes(b"this is no database" * 100)
        with looking(tmp_path / "kept") as knowing:
            assert knowing(top) == right


def test_folders_that_went_are_forgotten(tmp_path):
    with StatCache(tmp_path / "files.db") as cache:
        known = Folder(b"f" * 32, b"", b"d" * 32, 1, 1)
        for path in ("/a", "/a/b", "/ab", "/a0"):
            cache.keep(path, known, [], [])
        cache.forget("/a")
        assert [path for path in ("/a", "/a/b", "/ab", "/a0") if cache.folder(path)] == ["/ab", "/a0"]


def test_two_processes_may_know_at_once(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").write_bytes(b"content")
    with looking(tmp_path / "kept") as one, looking(tmp_path / "kept") as other:
        assert one(top) == other(top)
        (top / "file").write_bytes(b"CONTENT")
        assert one(top) == other(top)


def test_what_cannot_be_committed_is_named(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    with looking(tmp_path / "kept") as knowing:
        assert knowing(top) is None
        with pytest.raises(NotFound):
            knowing(tmp_path / "nothing")
        (top / "loop").symlink_to(top)
        with pytest.raises(InvalidInput, match="link to a folder"):
            knowing(top)
        (top / ".mainspringignore").write_text("loop\n")
        assert knowing(top) is not None


def test_ignored_files_are_no_part_of_it(tmp_path):
    top = tmp_path / "top"
    (top / "logs").mkdir(parents=True)
    (top / "data.csv").write_bytes(b"1")
    (top / ".mainspringignore").write_text("*.tmp\nlogs/\n")
    (top / ".dvcignore").write_text("data.csv\n")
    with open_files(tmp_path / "kept") as files:
        before = scan(top, files.cache, files.clock)
        (top / "x.tmp").write_bytes(b"x")
        (top / "logs" / "x").write_bytes(b"x")
        after = scan(top, files.cache, files.clock)
        assert before.root == after.root
        assert [each.file.path for each in after.walk()] == [".dvcignore", ".mainspringignore", "data.csv"]
        by_dvc = scan(top, files.cache, files.clock, dvc=True)
        assert [each.file.path for each in by_dvc.walk()] == [".dvcignore", ".mainspringignore"]


def test_where_no_clock_can_be_asked_nothing_young_is_believed(tmp_path):
    clock = FileClock(tmp_path / "nowhere")
    young = tmp_path / "young"
    young.write_bytes(b"x")
    assert clock.now(-1, str(tmp_path)) < young.stat().st_ctime_ns
