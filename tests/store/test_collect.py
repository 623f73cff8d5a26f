"""Collecting garbage: nothing that is referred to goes, everything else does; beside writers, and when it is killed."""

from __future__ import annotations

import contextlib
import functools
import random
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mainspring.kernel.clock import turned
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import ROOMS
from mainspring.lineage import graph, lifetime
from mainspring.lineage.types import File
from mainspring.store.blob_tables import BLOB, loose_object
from mainspring.store.blobs import CHUNKED_FROM
from mainspring.store.chunks import list_object
from mainspring.store.collect import collect_garbage
from mainspring.store.migrations import migrate
from mainspring.store.packs import pack_object
from mainspring.store.reachable import blob_columns
from mainspring.store.store import Store

SCRIPT = Path(__file__).with_name("crash_collect.py")
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def later():
    """Turn the clock on by so many seconds, until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda seconds: stack.enter_context(turned(timedelta(seconds=seconds)))


def refer(store, *digests, name="thing"):
    """Commit an artifact that consists of these blobs; its id."""
    sizes = store.blobs.sizes(digests)
    with store.write("test.refer") as tx:
        files = [File(f"part-{number}", sizes[digest], digest) for number, digest in enumerate(digests)]
        return graph.add_artifact(tx, "dataset", name, digest="d", files=files).id


def give_up(store, *artifacts):
    with store.write("test.give-up") as tx:
        lifetime.empty(tx, artifacts)


def objects(store):
    """Every object of the bucket."""
    return {stored.name for stored in store.blobs.bucket.list()}


def collect(store, *, grace=7 * DAY, hold=DAY, **more):
    return collect_garbage(store, grace=grace, hold=hold, **more)


@functools.cache
def large(seed):
    return random.Random(seed).randbytes(CHUNKED_FROM + 300_000)


def test_what_nothing_refers_to_goes_after_the_grace_and_the_hold(store, later):
    kept, young = store.blobs.put(b"kept"), store.blobs.put(b"uploaded, not registered yet")
    refer(store, kept)
    assert collect(store).unreachable == 0
    later(8 * DAY)
    fresh = store.blobs.put(b"uploaded just now")
    first = collect(store)
    assert (first.blobs, first.unreachable, first.waiting, first.removed) == (3, 1, 1, 0)
    assert store.blobs.get(young) == b"uploaded, not registered yet"
    assert store.blobs.missing([young, kept, fresh]) == [young], "whoever wants it must store it again"
    assert young in store.blobs.sizes([young]), "and whoever was told that it is here may still refer to it"
    later(HOUR)
    assert collect(store).removed == 0
    later(DAY)
    second = collect(store)
    assert (second.removed, second.deleted_objects, second.freed_bytes) == (1, 1, 28)
    with pytest.raises(NotFound):
        store.blobs.get(young)
    assert loose_object(young) not in objects(store)
    assert store.blobs.get(kept) == b"kept"
    assert store.blobs.get(fresh) == b"uploaded just now"
    assert store.blobs.verify().intact


def test_a_reference_that_comes_during_the_hold_saves_it(store, later):
    digest = store.blobs.put(b"condemned, then needed")
    later(8 * DAY)
    collect(store)
    refer(store, digest)
    later(2 * DAY)
    assert collect(store).pardoned == 1
    assert store.blobs.missing([digest]) == []
    assert store.blobs.get(digest) == b"condemned, then needed"


def test_storing_it_again_during_the_hold_saves_it_and_what_it_consists_of(store, later):
    content = large(1)
    digest, _ = store.blobs.put_stream([content])
    later(8 * DAY)
    assert collect(store).waiting > 10, "its chunks are condemned with it"
    later(2 * DAY)
    assert store.blobs.put_stream([content])[0] == digest
    assert collect(store).removed == 0
    assert store.blobs.get(digest) == content
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    report = collect(store)
    assert report.removed > 10
    assert objects(store) == set(), "the list, and the packs of its chunks"
    assert report.freed_bytes > len(content)


def test_large_blobs_share_chunks_and_each_keeps_what_it_needs(store, later):
    first = large(1)
    second = first[:3_000_000] + b"inserted" + first[3_000_000:]
    one, two = store.blobs.put(first), store.blobs.put(second)
    old = refer(store, one)
    refer(store, two)
    give_up(store, old)
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    assert collect(store).removed >= 1
    assert list_object(one) not in objects(store)
    assert store.blobs.get(two) == second
    assert store.blobs.verify().intact


def test_a_pack_that_is_mostly_dead_is_written_again(store, later):
    contents = [random.Random(seed).randbytes(2000) for seed in range(20)]
    digests = store.blobs.put_many(contents)
    (before,) = objects(store)
    kept = [digests[3], digests[17]]
    refer(store, *kept)
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    report = collect(store)
    assert (report.removed, report.rewritten_packs) == (18, 1)
    assert objects(store) != {before}
    assert report.freed_bytes > 18 * 2000
    assert list(store.blobs.get_many(kept)) == [contents[3], contents[17]]
    assert store.blobs.verify().intact
    assert collect(store).rewritten_packs == 0


def test_a_reader_of_a_pack_that_is_written_again_meanwhile_is_served(store, later, monkeypatch):
    contents = [random.Random(seed).randbytes(2000) for seed in range(20)]
    digests = store.blobs.put_many(contents)
    refer(store, digests[3], digests[4])
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    real, swept = store.blobs.bucket.get_range, []

    def get_range(*args):
        if not swept:
            swept.append(True)
            assert collect(store).rewritten_packs == 1
        return real(*args)

    monkeypatch.setattr(store.blobs.bucket, "get_range", get_range)
    assert list(store.blobs.get_many(digests[3:5])) == contents[3:5]
    assert swept
    assert store.blobs.missing(digests[3:5]) == [], "nothing was taken for damaged"


def test_what_a_crash_left_without_a_name_goes_too(store, later):
    store.blobs.bucket.put(loose_object("a" * 64), b"left")
    store.blobs.bucket.put(pack_object("b" * 64), b"left")
    collect(store)
    assert len(objects(store)) == 2
    later(8 * DAY)
    assert collect(store).deleted_objects == 2
    assert objects(store) == set()


def test_a_dry_run_says_the_same_and_changes_nothing(store, later):
    digests = [store.blobs.put(text) for text in (b"one", b"two", b"three")]
    refer(store, digests[0])
    later(8 * DAY)
    dry = collect(store, hold=0.0, dry_run=True)
    assert (dry.unreachable, dry.removed, dry.removed_bytes, dry.dry_run) == (2, 2, 8, True)
    assert store.blobs.missing(digests) == []
    real = collect(store, hold=0.0)
    assert (real.unreachable, real.removed, real.removed_bytes) == (2, 2, 8)
    assert store.blobs.missing(digests) == digests[1:]
    assert len(objects(store)) == 1


def test_a_large_blob_that_cannot_be_read_stops_it_before_anything_goes(store, later):
    digest = store.blobs.put(large(2))
    refer(store, digest)
    store.blobs.put(b"garbage")
    store.blobs.bucket.put(list_object(digest), b"not a list")
    later(8 * DAY)
    with pytest.raises(Damaged, match="needed"):
        collect(store, hold=0.0)
    assert store.blobs.exists(digest_bytes(b"garbage"))
    with pytest.raises(InvalidInput):
        collect(store, hold=-1.0)


def test_what_is_being_stored_while_it_is_removed_is_there_afterwards(store, later, monkeypatch):
    """The object is written before the removal and named after it: the writer notices, and writes it again."""
    content = b"the same bytes"
    digest = store.blobs.put(content)
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    real, done = store.blobs.bucket.put, []

    def put(name, data):
        real(name, data)
        if not done:
            done.append(True)
            assert collect(store).deleted_objects == 1
            assert store.blobs.bucket.head(name) is None

    monkeypatch.setattr(store.blobs.bucket, "put", put)
    assert store.blobs.put(content) == digest
    assert store.blobs.get(digest) == content
    refer(store, digest)
    later(9 * DAY)
    assert collect(store).removed == 0
    assert store.blobs.get(digest) == content


@pytest.mark.parametrize("seed", range(4))
def test_random_stores_random_deletions(store, later, seed):
    """After any history: what is referred to is whole, and once grace and hold are over nothing else is there."""
    chance = random.Random(seed)
    contents: dict[str, bytes] = {}
    held: dict[str, list[str]] = {}

    def put():
        kind = chance.random()
        if kind < 0.1:
            made = [large(chance.randrange(3))]
        elif kind < 0.2 and contents:
            made = [chance.choice(sorted(contents.values()))[:-1] + b"!"]
        else:
            made = [chance.randbytes(chance.randrange(1, 3000)) for _ in range(chance.randrange(1, 12))]
        contents.update(zip(store.blobs.put_many(made), made, strict=True))

    def commit():
        present = [digest for digest in sorted(contents) if store.blobs.exists(digest)]
        if present:
            digests = chance.sample(present, min(len(present), chance.randrange(1, 5)))
            held[refer(store, *digests)] = digests

    def delete():
        for artifact in chance.sample(sorted(held), len(held) // 2):
            give_up(store, artifact)
            del held[artifact]

    def sweep():
        collect(store)

    for _ in range(50):
        chance.choice([put, put, commit, commit, delete, sweep, lambda: later(chance.choice([HOUR, DAY, 5 * DAY]))])()
        needed = sorted({digest for digests in held.values() for digest in digests})
        for digest in needed if chance.random() < 0.1 else needed[:1]:
            assert store.blobs.get(digest) == contents[digest]
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    collect(store)
    collect(store)
    needed = {digest for digests in held.values() for digest in digests}
    for digest in needed:
        assert store.blobs.get(digest) == contents[digest]
    with store.read() as tx:
        present = {row.digest for row in tx.fetch(BLOB)}
    assert needed <= present
    assert not (set(contents) - needed) & present
    report = store.blobs.verify()
    assert report.intact
    assert report.unnamed == 0


WRITER = """
import random, sys, time
from mainspring.lineage import graph, lifetime
from mainspring.lineage.types import File
from mainspring.store.store import Store
store, chance = Store.open(sys.argv[1]), random.Random(int(sys.argv[2]))
end, made = time.monotonic() + float(sys.argv[3]), []
while time.monotonic() < end:
    contents = [b"%d" % chance.randrange(chance.choice([40, 10**9])) * 300 for _ in range(chance.choice([1, 1, 5]))]
    digests = store.blobs.put_many(contents)
    with store.write("test.commit") as tx:
        files = [File(str(n), len(c), d) for n, (c, d) in enumerate(zip(contents, digests))]
        made.append(graph.add_artifact(tx, "dataset", sys.argv[2], digest="d", files=files).id)
        lifetime.empty(tx, [made.pop(0) for _ in range(len(made) - 3)])
print(" ".join(made), flush=True)
"""


def test_commits_in_other_processes_race_it_and_lose_nothing(store_folder, store):
    command = [sys.executable, "-c", WRITER, str(store_folder)]
    writers = [
        subprocess.Popen([*command, str(seed), "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(2)
    ]
    removed = rounds = 0
    while any(writer.poll() is None for writer in writers):
        report = collect(store, grace=0.0, hold=0.5)
        removed, rounds = removed + report.removed, rounds + 1
    kept: list[str] = []
    for writer in writers:
        out, err = writer.communicate(timeout=30)
        assert writer.returncode == 0, err
        kept += out.split()
    assert rounds > 3
    assert removed > 3, "it did remove beside them"
    assert len(kept) == 6
    with store.read() as tx:
        files = [file for artifact in kept for file in graph.files_of(tx, artifact)]
    for file in files:
        assert len(store.blobs.get(file.digest)) == file.size
    assert store.blobs.verify().intact


def test_two_collections_at_once_agree(store, later):
    digests = store.blobs.put_many([random.Random(seed).randbytes(500) for seed in range(200)])
    refer(store, *digests[::20])
    later(8 * DAY)
    collect(store)
    later(2 * DAY)
    reports, failures = [], []

    def run():
        try:
            reports.append(collect(store))
        except Exception as error:  # noqa: BLE001 -- shown below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sum(report.removed for report in reports) == 190
    assert len(list(store.blobs.get_many(digests[::20]))) == 10
    assert store.blobs.verify().intact
    for _ in range(2):  # what one of them wrote and another had written already is a stray, and goes after a while
        later(8 * DAY)
        collect(store)
    assert len(objects(store)) == 1
    assert len(list(store.blobs.get_many(digests[::20]))) == 10


@pytest.mark.databases("sqlite")
def test_killed_at_any_call_it_loses_nothing_and_the_next_one_ends_it(tmp_path):
    template = tmp_path / "template"
    small = [random.Random(seed).randbytes(3000) for seed in range(8)]
    with Store.open(template) as store:
        packed = store.blobs.put_many(small)
        needed, spare = store.blobs.put(b"needed"), store.blobs.put(b"spare")
        kept, lost = store.blobs.put(large(1)), store.blobs.put(large(2))
        refer(store, needed, packed[0], packed[1], kept)
        store.blobs.bucket.put(loose_object("c" * 64), b"left by a crash")
    command = [sys.executable, str(SCRIPT), str(template), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    calls = done.stdout.split()
    assert {"write", "fsync", "rename", "unlink", "execute", "commit", "end"} <= set(calls)
    assert len(calls) > 60
    for number in range(1, len(calls) + 1):
        with Store.open(tmp_path / str(number)) as store:
            assert store.blobs.verify().intact
            assert store.blobs.get(needed) == b"needed"
            assert list(store.blobs.get_many(packed[:2])) == small[:2]
            assert store.blobs.get(kept) == large(1)
            collect(store, grace=0.0, hold=0.0)
            collect(store, grace=0.0, hold=0.0)
            assert not {spare, lost, *packed[2:]} & store.blobs.sizes([spare, lost, *packed]).keys()
            report = store.blobs.verify()
            assert report.intact
            assert report.unnamed == 0
            assert store.blobs.get(kept) == large(1)


def test_every_column_that_may_name_a_blob_is_on_the_hooks_page(store):
    """A room that forgets its column would lose its bytes: one called a digest is declared, or is none of a blob."""
    none_of_a_blob = {
        ("blob_entry", "digest"),
        ("artifact", "digest"),
        ("model_version", "digest"),
        ("model_approval", "digest"),
        ("logged_model_metric", "dataset_digest"),
        ("dataset_forgotten", "digest"),
        ("flow_deployment", "digest"),  # of all its files together, which are named one by one
        ("dataset_tree", "digest"),  # says that a node is whole, and keeps none
    }
    with store.read() as tx:
        if tx.dialect == "sqlite":
            tables = [str(name) for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = {(table, str(row[1])) for table in tables for row in tx.rows(f"PRAGMA table_info({table})")}
        else:
            query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "
            columns = {(str(table), str(column)) for table, column in tx.rows(f"{query}current_schema()")}
    declared = {(each.table, each.column) for each in blob_columns()}
    assert declared <= columns, "it names columns that there are"
    assert {(each.table, each.key) for each in blob_columns()} <= columns
    named = {each for each in columns if "digest" in each[1]}
    assert named - none_of_a_blob <= declared


def test_what_may_no_longer_be_restored_is_given_up_first(client, store, later):
    from mainspring.engines.signature import Signature
    from mainspring.models.types import Manifest

    content = b"the weights"
    file = File("model.bin", len(content), store.blobs.put(content))
    manifest = Manifest(format="onnx", signature=Signature(inputs=()), files=(file,))
    client.models.register("m", files=[file], manifest=manifest)
    client.models.register("m", files=[file, File("more", len(content), file.digest)], manifest=manifest)
    client.models.delete("m")
    later(29 * DAY)
    assert collect(store, hold=0.0).expired == 0
    assert client.models.restore("m").deleted_at is None
    client.models.delete_version("m@1")
    later(31 * DAY)
    assert collect(store, hold=0.0, dry_run=True).expired == 1
    report = collect(store, hold=0.0)
    assert (report.expired, report.removed) == (1, 0), "the other version has the same bytes"
    with pytest.raises(NotFound, match="too long ago"):
        client.models.restore_version("m@1")
    client.models.delete("m")
    later(31 * DAY)
    assert collect(store, hold=0.0).removed == 1
    assert client.lineage.artifact("model/m@1").files[0].digest == file.digest, "what it was is still known"
    changes = [change for event in store.ledger.events(limit=100) for change in event.changes]
    emptied = [change for change in changes if "emptied" in str(change)]
    assert len(emptied) == 2, "and the audit says that they were given up"


def test_rooms_made_one_by_one_name_tables_of_their_own(tmp_path):
    """Every room's columns lie in tables that its own migrations make."""
    from mainspring.store.database import Database
    from mainspring.store.engine import SqliteEngine

    for number, room in enumerate(ROOMS):
        if not room.blobs:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        database = Database(SqliteEngine(folder))
        migrate(database, [room])
        with database.read() as tx:
            tables = {str(name) for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        database.close()
        own = {each.table for each in blob_columns([room])}
        assert own <= tables
