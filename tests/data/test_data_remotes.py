"""Remotes: a folder, an S3, another Mainspring; what moves, what does not, and what arrives."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from tests.conftest import serve

from mainspring.client import connect
from mainspring.data.remotes.bucket_depot import BucketDepot
from mainspring.data.remotes.copying import copy_versions
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.store.buckets import LocalBucket

pytestmark = pytest.mark.databases("sqlite")

LARGE = random.Random(7).randbytes(9_000_000)
MIDDLE = random.Random(8).randbytes(1_500_000)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def stores(tmp_path):
    """Makes stores: `stores("a")`, each time the same client of the store `a`."""
    opened = {}

    def open_(name):
        if name not in opened:
            opened[name] = connect(tmp_path / name).__enter__()
        return opened[name].data

    yield open_
    for client in opened.values():
        client.close()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    (made / "a" / "deep").mkdir(parents=True)
    (made / "a" / "large.bin").write_bytes(LARGE)
    (made / "middle.bin").write_bytes(MIDDLE)
    for number in range(40):
        (made / "a" / "deep" / f"{number}.txt").write_bytes(f"file {number}".encode() * 100)
    (made / "empty").write_bytes(b"")
    return made


@pytest.fixture(params=["folder", "s3", "mainspring"])
def place(request, tmp_path):
    """The URL of a remote of each kind."""
    if request.param == "folder":
        yield str(tmp_path / "remote")
    elif request.param == "s3":
        yield request.getfixturevalue("s3_url")
    else:
        with serve(tmp_path / "served") as url:
            yield url


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pushed_is_pulled(stores, folder, place, tmp_path):
    """Content, message, author, time, metadata, schema, origin and aliases arrive, and are the same afterwards."""
    a, b = stores("a"), stores("b")
    a.commit("photos", folder, message="first", metadata={"camera": "M6"})
    (folder / "new").write_bytes(b"new")
    a.commit("photos", folder, message="second", uses=["photos@1"])
    a.commit("numbers", pl.DataFrame({"n": [1, 2, 3]}))
    a.set_alias("photos", alias="clean", version=1)
    a.tag("photos@1", tags={"source": "sensor 7"})
    a.note("photos@1", text="overexposed")
    pushed = a.push(remote=place)
    assert sorted(pushed.versions) == ["dataset/numbers@1", "dataset/photos@1", "dataset/photos@2"]
    again = a.push(remote=place)
    assert (again.versions, again.files, again.bytes, again.known) == ([], 0, 0, 3)

    assert sorted(b.pull(remote=place).versions) == sorted(pushed.versions)
    ours, theirs = b.describe("photos@1"), a.describe("photos@1")
    for field in ("digest", "message", "metadata", "schema", "origin", "created_at", "created_by", "files", "size"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert ours.born.id == theirs.id
    assert b.describe("photos@2").born.uses == ["dataset/photos@1"]
    assert b.aliases("photos") == {"clean": 1}
    (said,) = b.labels(["photos@1"])
    assert (said.tags, said.note) == ({"source": "sensor 7"}, "overexposed")
    assert b.load("numbers").equals(a.load("numbers"))
    b.checkout("photos", into=tmp_path / "out")
    assert content(tmp_path / "out") == content(folder)
    assert b.push(remote=place).versions == []  # they are the same, wherever they are pushed from


def test_only_what_is_missing_moves(stores, folder, place):
    """An edit in a large file moves the chunks around it."""
    a = stores("a")
    a.commit("photos", folder)
    first = a.push("photos", place)
    edited = bytearray(LARGE)
    edited[4_000_000:4_000_010] = b"0123456789"
    (folder / "a" / "large.bin").write_bytes(edited)
    a.commit("photos", folder)
    second = a.push("photos", place)
    assert first.bytes > len(LARGE)
    assert second.bytes < 1_500_000
    b = stores("b")
    b.pull("photos@2", place)
    with b.open("photos@1", "a/large.bin") as file:  # the one version that was pulled is the first here
        assert file.read() == bytes(edited)


def test_a_part_is_pulled_and_the_rest_when_it_is_read(stores, folder, place, tmp_path):
    a, b = stores("a"), stores("b")
    a.commit("photos", folder)
    a.push("photos", place)
    b.add_remote("origin", url=place)
    moved = b.pull("photos", paths=["a/deep"])
    assert moved.bytes < 50_000
    assert b.describe("photos").files == 43
    assert b.partial_versions("photos") == {b.describe("photos").id: "origin"}
    with b.open("photos", "middle.bin") as file:
        assert file.read() == MIDDLE
    b.checkout("photos", into=tmp_path / "out")
    assert content(tmp_path / "out") == content(folder)
    b.pull("photos")
    assert b.partial_versions("photos") == {}


def test_folders_alone_are_pulled(stores, folder, tmp_path):
    a, b = stores("a"), stores("b")
    a.commit("photos", folder)
    a.push("photos", str(tmp_path / "remote"))
    b.add_remote("origin", url=str(tmp_path / "remote"))
    assert b.pull("photos", files=False).bytes == 0
    assert [file.path for file in b.files("photos")] == [file.path for file in a.files("photos")]
    assert b.file("photos", path="a/deep/3.txt").read_bytes() == b"file 3" * 100


def test_a_part_needs_a_remote_with_a_name(stores, folder, tmp_path):
    stores("a").commit("photos", folder)
    stores("a").push("photos", str(tmp_path / "remote"))
    with pytest.raises(InvalidInput, match="has a name"):
        stores("b").pull("photos", str(tmp_path / "remote"), files=False)


def test_files_are_fetched_without_a_store(stores, folder, place, tmp_path):
    a = stores("a")
    a.commit("photos", folder)
    a.set_alias("photos", alias="clean", version=1)
    a.push("photos", place)
    b = stores("b")
    b.fetch_files(place, "photos@clean", into=tmp_path / "out", paths=["a/large.bin", "a/deep"])
    expected = {path: data for path, data in content(folder).items() if path.startswith("a/")}
    assert content(tmp_path / "out") == expected
    assert b.datasets() == []
    with pytest.raises(NotFound, match="no file or folder"):
        b.fetch_files(place, "photos", into=tmp_path / "out", paths=["a/larg.bin"])


def test_machines_that_push_at_once_lose_nothing(stores, tmp_path, place):
    """Different versions of one dataset from several machines all land, each once."""
    names = ["a", "b", "c", "d"]
    for name in names:
        for number in range(3):
            stores(name).commit("shared", pl.DataFrame({"who": [name], "number": [number]}))
    failed = []

    def push(name):
        try:
            stores(name).push("shared", place)
        except Exception as error:  # noqa: BLE001 -- told to the test
            failed.append(error)

    threads = [threading.Thread(target=push, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    stores("e").pull("shared", place)
    found = {tuple(stores("e").load(f"shared@{number}").row(0)) for number in range(1, 13)}
    assert found == {(name, number) for name in names for number in range(3)}
    assert len(stores("e").versions("shared")) == 12


def test_a_version_that_the_head_lost_is_found(stores, tmp_path):
    """A store without conditional requests may lose an update of the head; the version is an object of its own."""
    a = stores("a")
    a.commit("numbers", pl.DataFrame({"n": [1]}))
    a.commit("numbers", pl.DataFrame({"n": [2]}))
    a.push("numbers", str(tmp_path / "remote"))
    (tmp_path / "remote" / "datasets" / "numbers" / "head.json").unlink()
    assert len(a.remote_history("numbers", str(tmp_path / "remote"))) == 2
    (tmp_path / "remote" / "datasets" / "numbers" / "head.json").write_bytes(b"garbage")
    stores("b").pull("numbers", str(tmp_path / "remote"))
    assert stores("b").load("numbers@2")["n"].to_list() == [2]


def test_a_content_that_came_back_is_two_versions(stores, tmp_path):
    a = stores("a")
    one, two = pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [2]})
    a.commit("numbers", one)
    a.commit("numbers", two)
    a.commit("numbers", one, new_version=True)
    a.push("numbers", str(tmp_path / "remote"))
    stores("b").pull("numbers", str(tmp_path / "remote"))
    assert [v.digest for v in stores("b").versions("numbers")] == [v.digest for v in a.versions("numbers")]
    assert stores("b").push("numbers", str(tmp_path / "remote")).versions == []


def test_an_alias_that_others_moved_is_left(stores, tmp_path):
    a, b, remote = stores("a"), stores("b"), str(tmp_path / "remote")
    a.commit("numbers", pl.DataFrame({"n": [1]}))
    a.set_alias("numbers", alias="best", version=1)
    a.push("numbers", remote)
    b.commit("numbers", pl.DataFrame({"n": [2]}))
    b.set_alias("numbers", alias="best", version=1)
    assert b.push("numbers", remote).aliases_kept == ["numbers@best"]
    a.commit("numbers", pl.DataFrame({"n": [3]}))
    a.set_alias("numbers", alias="best", version=2)
    assert a.push("numbers", remote).aliases_kept == []
    stores("c").pull("numbers", remote)
    assert stores("c").load("numbers@best")["n"].to_list() == [3]


PUSH = """
import sys, threading
from mainspring.client import connect
from mainspring.store.buckets import LocalBucket
packs, lock, real = [], threading.Lock(), LocalBucket.put
def put(self, name, data):  # the first pack arrives; whoever brings another waits to be killed
    if name.startswith("packs/"):
        with lock:
            packs.append(name)
            if len(packs) > 1:
                threading.Event().wait()
    return real(self, name, data)
LocalBucket.put = put
with connect(sys.argv[1]) as client:
    client.data.push("many", sys.argv[2])
"""


def test_a_push_that_is_killed_goes_on(stores, tmp_path):
    """Nothing is visible of it, and what had arrived does not move again."""
    a, remote = stores("a"), tmp_path / "remote"
    many = tmp_path / "many"
    many.mkdir()
    data = random.Random(3).randbytes(100_000)
    for number in range(600):
        (many / f"{number:04}").write_bytes(number.to_bytes(4, "big") + data)
    a.commit("many", many)
    process = subprocess.Popen([sys.executable, "-c", PUSH, str(tmp_path / "a"), str(remote)])
    deadline = time.monotonic() + 60
    while not any((remote / "packs").glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.wait()
    arrived = sum(path.stat().st_size for path in (remote / "packs").glob("*/*"))
    assert arrived > 0
    assert process.returncode != 0
    assert a.remote_history("many", str(remote)) == []
    rest = a.push("many", str(remote))
    assert rest.bytes <= 600 * 100_004 - arrived * 0.9
    stores("b").pull("many", str(remote))
    assert stores("b").describe("many").digest == a.describe("many").digest


def test_few_requests_ask_what_is_missing(stores, folder, tmp_path):
    """A push that has nothing to bring reads a handful of objects, however many files there are."""
    a, remote = stores("a"), str(tmp_path / "remote")
    a.commit("photos", folder)
    a.push("photos", remote)
    asked = []

    class Counting(LocalBucket):
        def get(self, name):
            asked.append(name)
            return super().get(name)

        def get_range(self, name, start, length):
            asked.append(name)
            return super().get_range(name, start, length)

        def head(self, name):
            asked.append(name)
            return super().head(name)

    depot = BucketDepot(Counting(remote), address=remote, cache=tmp_path / "known")
    here = a.own_depot()
    copy_versions(here, depot, here.history("photos").versions, there=depot.history("photos"))
    assert len(asked) < 12
    asked.clear()
    again = BucketDepot(Counting(remote), address=remote, cache=tmp_path / "known")
    assert again.missing([file.digest for file in a.files("photos")]) == []
    assert asked == []  # the index is known on this machine


def test_a_flipped_byte_of_a_remote_is_refused(stores, folder, tmp_path):
    """Whatever object it is in: it is not taken over, or it makes no difference."""
    a, remote = stores("a"), tmp_path / "remote"
    a.commit("photos", folder)
    a.push("photos", str(remote))
    chance = random.Random(11)
    objects = sorted(path for path in remote.rglob("*") if path.is_file())
    kinds = {path.relative_to(remote).parts[0] for path in objects}
    assert kinds == {"packs", "lists", "index", "datasets", "mainspring-remote.json"}
    for number, path in enumerate(objects * 2):
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data))
        data[place] ^= 1 << chance.randrange(8)
        sound = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(data)
        with connect(tmp_path / f"flip{number}") as client:
            try:
                client.data.pull("photos", str(remote))
            except Exception as error:  # noqa: BLE001 -- which is looked at
                assert getattr(error, "code", ""), error
            else:
                client.data.checkout("photos", into=tmp_path / f"out{number}")
                assert content(tmp_path / f"out{number}") == content(folder)
        path.write_bytes(sound)


def test_a_damaged_pack_is_named(stores, tmp_path):
    a, remote = stores("a"), tmp_path / "remote"
    a.commit("numbers", pl.DataFrame({"n": [1, 2, 3]}))
    a.push("numbers", str(remote))
    for pack in (remote / "packs").glob("*/*"):
        data = bytearray(pack.read_bytes())
        data[70] ^= 1
        pack.chmod(0o644)
        pack.write_bytes(data)
    with pytest.raises(Damaged, match="damaged in packs/"):
        stores("b").pull("numbers", str(remote))


def test_remotes_have_names(any_client):
    data = any_client.data
    data.add_remote("origin", url="s3://bucket/prefix")
    data.add_remote("backup", url="/mnt/backup")
    data.add_remote("origin", url="gs://bucket/prefix")
    assert [(each.name, each.url) for each in data.remotes()] == [
        ("backup", "/mnt/backup"),
        ("origin", "gs://bucket/prefix"),
    ]
    assert [each.name for each in data.remove_remote("backup")] == ["origin"]
    with pytest.raises(NotFound):
        data.remove_remote("backup")
    data.add_remote("named", url="s3://secret-project/tokens/key=1")
    signed = ("az://account/c?sv=1&sig=abc", "s3://b/p?X-Amz-Signature=1", "s3://b?aws_session_token=1")
    for url in ("", "s3://key:secret@bucket", "s3://b?aws_secret_access_key=1", "http://user@host/", *signed):
        with pytest.raises(InvalidInput):
            data.add_remote("bad", url=url)


def test_a_folder_of_others_is_not_taken(stores, tmp_path):
    stores("a").commit("numbers", pl.DataFrame({"n": [1]}))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InvalidInput, match="holds something"):
        stores("a").push("numbers", str(tmp_path / "home"))
    assert {each.name for each in (tmp_path / "home").iterdir()} <= {"letter.txt", "tmp"}
    with pytest.raises(NotFound):
        stores("a").pull("numbers", str(tmp_path / "nowhere"))
    assert not Path(tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [("gs://bucket/x", "gs://bucket/x"), ("az://account/container", "az://account"), ("azure://container/x", "azure:")],
)
def test_other_clouds_are_reached_by_their_urls(stores, url, message, monkeypatch):
    """Without credentials the answer is an error that says which bucket; the URL is understood."""
    from mainspring.store.buckets import open_bucket

    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert message in repr(open_bucket(url))
