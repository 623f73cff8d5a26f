"""Many processes on one store, some of them killed: nothing fails, and no acknowledged commit is lost.

`MAINSPRING_STRESS_COMMITS=500 pytest tests/data/test_data_concurrency.py` works for longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from mainspring.client import connect
from mainspring.data import wholeness
from mainspring.data.trees import build, walk
from mainspring.data.wholeness import look_at, look_below
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File
from mainspring.store.collect import Collection

SCRIPT = Path(__file__).with_name("busy.py")
COMMITS = int(os.environ.get("MAINSPRING_STRESS_COMMITS", "8"))
KILLS = max(2, COMMITS // 10)
ROLES = ("commit", "commit", "move", "collect", "tidy")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def start(role, number, store, tmp_path):
    places = [str(store), str(tmp_path / "remote"), str(tmp_path / f"{role}{number}"), str(tmp_path / "stop")]
    with (tmp_path / f"{role}{number}.log").open("wb") as log:
        return subprocess.Popen([sys.executable, str(SCRIPT), role, *places, str(number)], stdout=log, stderr=log)


def said(tmp_path):
    return [line.split() for log in tmp_path.glob("*.log") for line in log.read_text().splitlines()]


@pytest.mark.timeout(600)
@pytest.mark.databases("sqlite", "postgres")
def test_busy_processes_lose_nothing(client, store_folder, tmp_path):
    """Commits, pushes, pulls, checkouts, deletions, collections of garbage; one process after the other is killed."""
    chance = random.Random(1)
    running = [(role, start(role, number, store_folder, tmp_path)) for number, role in enumerate(ROLES)]
    number, began = len(ROLES), time.monotonic()
    while time.monotonic() < began + 90:
        time.sleep(0.5)
        committed = [line for line in said(tmp_path) if line[0] == "committed"]
        if len(committed) >= COMMITS and number >= len(ROLES) + KILLS and ["moved"] in said(tmp_path):
            break
        if len(committed) * KILLS >= (number - len(ROLES) + 1) * COMMITS:
            role, process = running.pop(chance.randrange(len(running)))
            process.kill()
            process.wait()
            running.append((role, start(role, number, store_folder, tmp_path)))
            number += 1
    (tmp_path / "stop").touch()
    for _, process in running:
        process.wait(120)
    lines = said(tmp_path)
    assert [line for line in lines if line[0] == "error"] == []
    committed = {(line[1], int(line[2]), line[3]) for line in lines if line[0] == "committed" and len(line) == 4}
    assert len(committed) >= COMMITS
    known = {(each.name, each.version): each for each in client.data.kept_versions(limit=10_000)}
    deleted = {(each.name, each.version) for each in client.data.deleted()}
    client.storage.collect_garbage(grace_days=0, hold_hours=0)
    for name, version, digest in committed:
        assert known[name, version].digest == digest
        files = list(walk(client.backend.store.blobs.get_many, digest))
        assert {file.digest for file in files} <= set(client.backend.store.blobs.sizes(file.digest for file in files))
        if (name, version) not in deleted:
            client.data.checkout(f"{name}@{version}", into=tmp_path / "last" / f"{name}{version}")
    assert client.storage.verify().intact
    with connect(tmp_path / "end") as other:
        client.data.push("", str(tmp_path / "remote"))
        other.data.pull("", str(tmp_path / "remote"))
        assert other.storage.verify().intact


@pytest.fixture
def tree(store):
    """A tree of which everything is stored, and no version names it."""
    files = [b"one", b"two", b"three"]
    made = build(File(f"d/{number}", len(data), digest_bytes(data)) for number, data in enumerate(files))
    store.blobs.put_many(files)
    store.blobs.put_many(made.nodes.values())
    return made


@pytest.mark.databases("sqlite", "postgres")
def test_what_is_condemned_in_between_is_looked_at_again(client, store, tree, monkeypatch):
    """A collection between the look and the record: the commit sees it, and what it names stays."""
    looks = []

    def look(*args, **kwargs):
        seen = look_at(*args, **kwargs)
        if not looks:  # the first time, a collection condemns everything just after the look
            collection = Collection(store, 0.0, 3600.0)
            found = collection._look()
            collection._condemn(found)
        looks.append(seen)
        return seen

    monkeypatch.setattr("mainspring.data.service_versions.look_at", look)
    version = client.data.record("late", tree=tree.root)
    assert len(looks) == 2
    with store.read() as tx:
        assert tx.value("SELECT count(*) FROM blob_entry WHERE condemned_at > 0") == 0
    client.storage.collect_garbage(grace_days=0, hold_hours=0)
    assert [file.path for file in client.data.files(version.ref)] == ["d/0", "d/1", "d/2"]


@pytest.mark.databases("sqlite")
def test_what_was_removed_in_between_is_refused(client, store, tree, monkeypatch):
    def look(*args, **kwargs):
        seen = look_at(*args, **kwargs)
        client.storage.collect_garbage(grace_days=0, hold_hours=0)
        return seen

    monkeypatch.setattr("mainspring.data.service_versions.look_at", look)
    with pytest.raises(Exception, match="not in the store"):
        client.data.record("late", tree=tree.root)
    assert client.data.datasets() == []


@pytest.mark.databases("sqlite")
def test_a_commit_holds_the_lock_for_a_moment_however_many_files_it_has(client, store, monkeypatch):
    """What takes long, the look at every file, is done before the transaction."""
    data = [f"file {number}".encode() for number in range(20_000)]
    made = build(File(f"{number % 100}/{number}", len(each), digest_bytes(each)) for number, each in enumerate(data))
    store.blobs.put_many(data)
    store.blobs.put_many(made.nodes.values())
    held = []

    def make_whole(tx, *args, **kwargs):
        began = time.thread_time()
        try:
            return wholeness.make_whole(tx, *args, **kwargs)
        finally:
            held.append(time.thread_time() - began)

    monkeypatch.setattr("mainspring.data.service_versions.make_whole", make_whole)
    began = time.thread_time()
    client.data.record("many", tree=made.root)
    assert sum(held) < (time.thread_time() - began) / 10
    assert look_below(store, made.root).nodes == []


@pytest.mark.databases("sqlite")
def test_folders_that_a_version_needs_stay_whole_when_others_go(client):
    """Giving up one version does not make the next commit look at all that others have."""
    client.data.commit("kept", pl.DataFrame({"n": [1]}))
    client.data.commit("gone", pl.DataFrame({"n": [2]}))
    kept, gone = client.data.describe("kept").digest, client.data.describe("gone").digest
    client.data.delete("gone@1")
    with client.backend.store.bookkeeping() as tx:
        tx.execute("UPDATE dataset_deletion SET at = 1")
    client.storage.collect_garbage(grace_days=0, hold_hours=0)
    assert client.data.known_trees([kept, gone]) == [kept]


@pytest.mark.databases("sqlite")
def test_threads_commit_the_same_while_garbage_goes(client):
    failed = []
    client.data.commit("first", pl.DataFrame({"n": [0]}))

    def commit(number):
        try:
            for turn in range(4):
                client.data.commit(f"n{number % 2}", pl.DataFrame({"n": [turn]}))
        except Exception as error:  # noqa: BLE001 -- told to the test
            failed.append(error)

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        client.storage.collect_garbage(grace_days=1, hold_hours=0)
    assert failed == []
    assert client.storage.verify().intact
