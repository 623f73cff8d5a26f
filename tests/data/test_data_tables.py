"""A version as a table of each library, in batches, and as a file object."""

from __future__ import annotations

import io
import random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mainspring.kernel.errors import Damaged, InvalidInput, NotFound

FRAME = pl.DataFrame({"id": [1, 2, 3], "city": ["Ulm", "Bonn", None]})
LARGE = random.Random(7).randbytes(11_000_000)

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("form", ["polars", "arrow", "pandas", "duckdb"])
def test_what_one_library_holds_is_committed_and_comes_back_in_it(any_client, form):
    data = any_client.data
    data.commit("cities", FRAME)
    table = data.load("cities@v1", as_=form)
    assert type(table).__module__.startswith(form if form != "arrow" else "pyarrow") or form == "duckdb"
    assert data.commit("cities", table).version == 1
    assert_frame_equal(data.load("cities", columns=["city"]), FRAME.select("city"))


def test_a_relation_of_duckdb_reads_the_files_by_itself(client):
    client.data.commit("cities", FRAME)
    assert client.data.load("cities", as_="duckdb").filter("id > 1").count("*").fetchall() == [(2,)]


def test_an_unknown_form_names_those_there_are(client):
    client.data.commit("cities", FRAME)
    with pytest.raises(InvalidInput) as caught:
        client.data.load("cities", as_="excel")
    assert "arrow" in caught.value.known


def test_batches_are_the_rows_in_order(any_client):
    frame = pl.DataFrame({"n": range(10_500)})
    any_client.data.commit("numbers", frame)
    batches = list(any_client.data.batches("numbers", rows=1000))
    assert [each.height for each in batches] == [1000] * 10 + [500]
    assert pl.concat(batches).equals(frame)
    with pytest.raises(InvalidInput):
        next(any_client.data.batches("numbers", rows=0))


def test_a_file_is_read_where_it_is_asked(any_client, tmp_path):
    data = any_client.data
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "large.bin").write_bytes(LARGE)
    (tmp_path / "in" / "small.txt").write_bytes(b"one\ntwo\n")
    data.commit("files", tmp_path / "in")
    with data.open("files", "deep/large.bin") as file:
        model = io.BytesIO(LARGE)
        for offset, whence, count in [(5_000_000, 0, 10), (-3, 2, 10), (0, 0, 4_194_310), (7, 1, 1), (2**25, 0, 5)]:
            assert file.seek(offset, whence) == model.seek(offset, whence)
            assert file.read(count) == model.read(count)
        file.seek(0)
        assert file.read() == LARGE
    assert list(data.open("files", "small.txt")) == [b"one\n", b"two\n"]
    with pytest.raises(InvalidInput, match="2 files"):
        data.open("files")
    with pytest.raises(InvalidInput, match="folder"):
        data.open("files", "deep")
    with pytest.raises(NotFound):
        data.open("files", "deep/large.bim")


def test_a_damaged_part_is_not_read(client, tmp_path):
    (tmp_path / "large.bin").write_bytes(LARGE)
    client.data.commit("large", tmp_path / "large.bin")
    packs = client.backend.store.path("blobs") / "packs"
    largest = max((path for path in packs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    damaged = bytearray(largest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(damaged)
    with pytest.raises(Damaged), client.data.open("large") as file:
        while file.read(1 << 20):
            pass
