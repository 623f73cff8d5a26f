"""Crashes: kill -9 at every system call of a write, and writers in several processes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.kernel.errors import StorageError, StorageFull
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import ROOMS
from mainspring.store.blob_tables import CHUNKED, LOOSE, PACKED, loose_object, record_rows
from mainspring.store.blobs import CHUNKED_FROM, Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.chunks import list_object
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.migrations import migrate
from mainspring.store.packs import pack_object

SCRIPT = Path(__file__).with_name("crash.py")
_spec = importlib.util.spec_from_file_location("crash", SCRIPT)
crash = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(crash)


def test_a_kill_at_any_call_leaves_blobs_whole_or_absent(tmp_path):
    (tmp_path / "template").mkdir()
    template = Database(SqliteEngine(tmp_path / "template"))
    migrate(template, ROOMS[:1])
    template.close()
    command = [sys.executable, str(SCRIPT), str(tmp_path / "template"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    calls = {"open", "write", "fsync", "rename", "mkdir", "begin", "many", "commit", "end"}
    assert calls <= {each["call"] for each in deaths}
    assert len(deaths) > 40
    wanted = {digest_bytes(content): content for content in crash.CONTENTS}
    assert set(deaths[-1]["acknowledged"]) == set(wanted)
    for death in deaths:
        check_after_crash(tmp_path / str(death["n"]), set(death["acknowledged"]), wanted)


def check_after_crash(folder, acknowledged, wanted):
    database = Database(SqliteEngine(folder))
    try:
        blobs = Blobs(LocalBucket(folder / "bucket"), database)
        assert list((folder / "bucket" / "tmp").iterdir()) == [], "what was unfinished is swept"
        absent = set(blobs.missing(wanted))
        assert not absent & acknowledged, "what was acknowledged is there"
        assert blobs.verify().intact, "what is there is whole"
        for digest in set(wanted) - absent:
            assert blobs.get(digest) == wanted[digest]
        blobs.rebuild_index()
        assert blobs.verify().intact, "what was durable and not yet named is whole too"
        for digest in absent:
            blobs.put(wanted[digest])
        assert blobs.missing(wanted) == []
        assert blobs.verify().intact
    finally:
        database.close()


WRITER = """
import hashlib, sys
from pathlib import Path
from mainspring.store.blobs import Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.chunks import list_object
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
folder = Path(sys.argv[1])
blobs = Blobs(LocalBucket(folder / "bucket"), Database(SqliteEngine(folder)))
print("ready", flush=True)
sys.stdin.readline()
contents = [hashlib.sha256(str(n).encode()).digest() * 20 for n in range(200)]
large = b"".join(contents) * 40
digests = [blobs.put(contents[0]), *blobs.put_many(contents), blobs.put_stream([large])[0]]
assert all(blobs.get(digest) for digest in digests)
print(digests[-1], flush=True)
"""


def test_processes_that_put_the_same_at_once(tmp_path, open_blobs):
    blobs = open_blobs()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate()[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(set(told)) == 1
    report = blobs.verify()
    assert report.intact
    large = b"".join(hashlib.sha256(str(n).encode()).digest() * 20 for n in range(200)) * 40
    assert len(large) > CHUNKED_FROM
    assert blobs.get(told[0]) == large


class Failing:
    """A bucket that refuses from its n-th put on."""

    def __init__(self, inner, *, after, error):
        self.inner, self.left, self.error = inner, after, error

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def put(self, name, data):
        if self.left <= 0:
            raise self.error
        self.left -= 1
        self.inner.put(name, data)


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("error", [StorageFull("no space left"), StorageError("the disk failed")])
def test_a_bucket_that_fails_at_any_put_keeps_what_was_acknowledged(blobs, after, error):
    failing = Blobs(Failing(blobs.bucket, after=after, error=error), blobs.database)
    acknowledged = []

    def put_all():
        acknowledged.append(failing.put(b"alone"))
        acknowledged.extend(failing.put_many([b"a", b"b"]))
        acknowledged.append(failing.put(crash.LARGE))

    with pytest.raises(type(error)):
        put_all()
    assert blobs.missing(acknowledged) == []
    assert blobs.verify().intact
    assert blobs.missing([digest_bytes(crash.LARGE)]), "a large blob without its list is not there"
    assert blobs.get(blobs.put(crash.LARGE)) == crash.LARGE


def test_bytes_are_in_the_bucket_before_the_index_names_them(blobs, monkeypatch):
    real, named = record_rows, []

    def watched(tx, rows):
        for row in rows:
            name = {LOOSE: loose_object(row.digest), PACKED: pack_object(row.pack), CHUNKED: list_object(row.digest)}
            assert blobs.bucket.head(name[row.place]) is not None
            named.append(row.place)
        real(tx, rows)

    monkeypatch.setattr("mainspring.store.blobs.record_rows", watched)
    blobs.put(b"alone")
    blobs.put_many([b"a", b"b"])
    blobs.put(crash.LARGE)
    assert {LOOSE, PACKED, CHUNKED} == set(named)
