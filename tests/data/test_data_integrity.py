"""One flipped byte, in every object of a store: no way of reading returns it, `verify` names it, a remote mends it."""

from __future__ import annotations

import random

import polars as pl
import pytest
from tests.conftest import serve

from mainspring.client import connect
from mainspring.kernel.errors import Damaged, MainspringError

pytestmark = pytest.mark.databases("sqlite")

LARGE = random.Random(5).randbytes(4_500_000)
FRAME = pl.DataFrame({"id": list(range(50)), "city": ["Ulm", "Bonn"] * 25})


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MAINSPRING_PROFILE_ROWS", "0")  # profiles are in no remote, and are taken again instead


@pytest.fixture
def files(tmp_path):
    made = tmp_path / "files"
    (made / "deep").mkdir(parents=True)
    for number in range(5):
        (made / "deep" / f"{number}.txt").write_bytes(f"file {number}".encode() * 50)
    (made / "large.bin").write_bytes(LARGE)
    return made


@pytest.fixture
def filled(client, files, monkeypatch):
    """A store with every kind of object: loose blobs, packs, chunk lists, nodes of trees."""
    monkeypatch.setenv("MAINSPRING_PROFILE_ROWS", "0")  # a profile is of this store alone, so no remote could mend it
    client.data.commit("files", files)
    client.data.commit("table", FRAME)
    client.data.commit("table", pl.concat([FRAME, pl.DataFrame({"id": [50], "city": ["Trier"]})]))
    client.backend.store.blobs.put(b"loose" * 10)
    return client


@pytest.fixture
def remote(filled, tmp_path):
    filled.data.add_remote("origin", url=str(tmp_path / "remote"))
    filled.data.push()
    return str(tmp_path / "remote")


def objects(store_folder):
    return sorted(path for path in (store_folder / "blobs").rglob("*") if path.is_file())


def flip(path, place, bit=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(data)


def sound(client):
    """Let what was marked as damaged count as present again, as before the flip."""
    with client.backend.store.bookkeeping() as tx:
        tx.execute("UPDATE blob_entry SET damaged = 0")


def readings(client, tmp_path, url):
    """Every way in which bytes of datasets are read: a name, and a call that says whether all was right."""
    fresh = tmp_path / f"out-{random.randrange(10**12)}"

    def load():
        return client.data.load("table@1").equals(FRAME)

    def checkout():
        client.data.checkout("files", into=fresh)
        return (fresh / "large.bin").read_bytes() == LARGE and len(list((fresh / "deep").iterdir())) == 5

    def stream():
        with client.data.open("files", "large.bin") as file:
            return file.read() == LARGE

    def diff():
        rows = client.data.diff("table@1", "table@2").rows
        return (rows.added, rows.removed) == (1, 0)

    def push():
        client.data.push("", str(fresh) + "-remote")
        with connect(f"{fresh}-store") as other:
            other.data.pull("", str(fresh) + "-remote")
            return other.data.load("table@1").equals(FRAME)

    def over_http():
        with connect(url) as there:
            there.data.checkout("files", into=str(fresh) + "-http")
            return there.data.load("table@1").equals(FRAME)

    return {"load": load, "checkout": checkout, "open": stream, "diff": diff, "push": push, "http": over_http}


def test_no_way_of_reading_returns_a_flipped_byte(filled, store_folder, tmp_path):
    """For every object: each reading is right or raises an error that says so, and a verification names the object."""
    chance = random.Random(17)
    every = objects(store_folder)
    assert {path.relative_to(store_folder / "blobs").parts[0] for path in every} == {"loose", "packs", "lists"}
    refused = set()
    with serve(store_folder) as url:
        for path in every:
            content = path.read_bytes()
            flip(path, chance.randrange(len(content)), chance.randrange(8))
            for cached in (store_folder / "cache" / "blobs").glob("*/*"):
                cached.unlink()
            for name, read in readings(filled, tmp_path, url).items():
                try:
                    assert read(), f"{name} returned what is wrong, with a byte flipped in {path}"
                except MainspringError as error:
                    refused.add(name)
                    # A large file over HTTP breaks off where it is damaged; everything else is named.
                    broken = name == "http" and "what came is not whole" in str(error)
                    assert isinstance(error, Damaged) or broken, error
                sound(filled)
            report = filled.storage.verify().blobs
            name = path.relative_to(store_folder / "blobs").as_posix()
            assert name in {finding.object for finding in report.findings}, name
            path.chmod(0o644)
            path.write_bytes(content)
            sound(filled)
    assert refused == {"load", "checkout", "open", "diff", "push", "http"}
    assert filled.storage.verify().intact


def test_damage_is_named_by_datasets_and_paths_and_mended_from_a_remote(filled, remote, store_folder):
    """Whatever byte of whatever object."""
    chance = random.Random(23)
    named = set()
    for path in objects(store_folder):
        for place in (chance.randrange(path.stat().st_size), 3, path.stat().st_size - 5):
            if not path.exists():
                break
            flip(path, min(place, path.stat().st_size - 1))
        report = filled.data.verify()
        assert not report.intact
        named |= {(each.ref, each.paths[0]) for each in report.affected}
        healed = filled.data.verify(heal=True)
        if b"looseloose" in path.read_bytes():  # nothing of a dataset, so no remote has it
            assert healed.mended.remaining
            filled.backend.store.blobs.put(b"loose" * 10)
        else:
            assert healed.intact, healed
        filled.storage.collect_garbage(grace_days=0, hold_hours=0)
        filled.backend.store.blobs.put(b"loose" * 10)
        assert filled.data.verify().intact
    assert ("dataset/files@1", "large.bin") in named
    assert any(ref.startswith("dataset/table") for ref, _ in named)


def test_what_is_damaged_beside_datasets_is_named_too(client, monkeypatch, store_folder):
    monkeypatch.delenv("MAINSPRING_PROFILE_ROWS")
    client.data.commit("table", FRAME)
    profile = next(path for path in objects(store_folder) if b"loose" in bytes(path))
    flip(profile, 20)
    assert [each.ref for each in client.data.verify().affected] == ["profile/dataset/table@1"]


def test_a_lost_object_is_mended_too(filled, remote, store_folder):
    for path in objects(store_folder):
        path.unlink()
    report = filled.data.verify(heal=True, remotes=[remote])
    assert {each.ref for each in report.affected} == {"dataset/files@1", "dataset/table@1", "dataset/table@2"}
    assert filled.data.load("table@1").equals(FRAME)
    assert len(report.mended.remaining) == 1  # the loose blob is in no dataset


def test_a_remote_that_is_damaged_too_mends_nothing(filled, remote, store_folder, tmp_path):
    for path in [*objects(store_folder), *(tmp_path / "remote" / "packs").glob("*/*")]:
        flip(path, 100 if path.stat().st_size > 100 else 5)
    report = filled.data.verify(heal=True)
    assert report.mended.remaining
    assert not report.intact


def test_a_damaged_page_of_the_database_is_refused(filled, store_folder):
    filled.close()
    path = store_folder / "mainspring.db"
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096 - 1, 3):
        data[page * 4096 + 2000] ^= 1
    path.write_bytes(data)
    intact = True
    try:
        with connect(store_folder) as client:
            intact = client.storage.verify().intact
    except MainspringError:
        intact = False
    assert not intact
