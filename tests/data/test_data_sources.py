"""What becomes a file of a dataset: frames with equal bytes for equal content, folders on any system."""

from __future__ import annotations

import os
import unicodedata
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.data.parquet import write_parquet
from mainspring.data.sources import gather, hash_file
from mainspring.kernel.errors import InvalidInput, InvalidName
from mainspring.kernel.hashing import digest_bytes

COLUMNS = st.fixed_dictionaries(
    {
        "n": st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=30),
        "borders": st.lists(st.integers(0, 30), max_size=4),
    }
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(COLUMNS)
def test_equal_frames_are_equal_bytes(tmp_path, columns):
    numbers = columns["n"]
    frame = pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Int64), "s": [str(number) for number in numbers]})
    borders = sorted({0, len(numbers), *(border for border in columns["borders"] if border < len(numbers))})
    parts = [frame.slice(start, end - start) for start, end in pairwise(borders)]
    (tmp_path / "one").mkdir(exist_ok=True)
    (tmp_path / "two").mkdir(exist_ok=True)
    (whole,) = gather(frame, tmp_path / "one")
    (pieces,) = gather(pl.concat(parts, rechunk=False).lazy(), tmp_path / "two")
    assert whole.file == pieces.file
    assert pl.read_parquet(pieces.location).equals(frame)


def test_anything_that_speaks_arrow_is_a_frame(tmp_path):
    class Foreign:
        def __arrow_c_stream__(self, requested_schema=None):
            return pl.DataFrame({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    (file,) = gather(Foreign(), tmp_path)
    assert pl.read_parquet(file.location)["a"].to_list() == [1, 2]


def test_an_appended_row_leaves_what_is_before_it(tmp_path):
    frame = pl.DataFrame({"n": range(300_000)})
    first = write_parquet(frame.lazy(), tmp_path / "first").read_bytes()
    second = write_parquet(pl.concat([frame, pl.DataFrame({"n": [-1]})]).lazy(), tmp_path / "second").read_bytes()
    same = next(at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    assert same > len(first) / 2


def test_a_frame_that_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="Parquet"):
        gather(pl.DataFrame({"o": [object()]}), tmp_path)


def test_a_folder_is_walked_in_one_order_without_the_store_and_git(tmp_path):
    for name in ("b/2", "a", "b/1", ".hidden", ".git/config", ".mainspring/mainspring.db"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    files = gather(tmp_path, tmp_path)
    assert [each.file.path for each in files] == [".hidden", "a", "b/1", "b/2"]
    assert [each.file.digest for each in files] == [digest_bytes(each.file.path.encode()) for each in files]


def test_names_are_the_same_on_every_system(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Köln.txt")
    (tmp_path / decomposed).write_bytes(b"x")
    (file,) = gather(tmp_path, tmp_path)
    assert file.file.path == "Köln.txt"
    (tmp_path / "Köln.txt").write_bytes(b"y")
    with pytest.raises(InvalidInput, match="two files"):
        gather(tmp_path, tmp_path)


def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    with pytest.raises(InvalidName):
        gather(tmp_path, tmp_path)


def test_links_to_files_are_their_content(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_bytes(b"content")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "target")
    (file,) = gather(tmp_path / "folder", tmp_path)
    assert file.file.digest == digest_bytes(b"content")
    (tmp_path / "target").unlink()
    with pytest.raises(InvalidInput, match="dangling"):
        gather(tmp_path / "folder", tmp_path)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidInput):
            gather(source, tmp_path)


def test_a_file_is_hashed_in_pieces(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_001)
    assert hash_file(path) == (digest_bytes(b"x" * 3_000_001), 3_000_001)
