"""Blobs: what is stored is what is read, on a folder and on S3, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import threading
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.blobs import CHUNKED_FROM, Blobs
from mainspring.store.buckets import LocalBucket, open_bucket
from mainspring.store.database import Database

LARGE = random.Random(1).randbytes(CHUNKED_FROM + 1_500_000)
ABSENT = "0" * 64


@pytest.fixture(params=["folder and SQLite", "S3 and SQLite", "folder and PostgreSQL"])
def any_blobs(request, open_blobs, tmp_path):
    if request.param == "S3 and SQLite":
        yield open_blobs(open_bucket(request.getfixturevalue("s3_url")))
    elif request.param == "folder and SQLite":
        yield open_blobs()
    else:
        from mainspring.store.postgres import PostgresEngine

        database = Database(PostgresEngine(request.getfixturevalue("postgres_url")))
        yield Blobs(LocalBucket(tmp_path / "bucket"), database)
        database.close()


def objects(blobs, prefix=""):
    return sorted(each.name for each in blobs.bucket.list(prefix))


def test_everything_comes_back_from_everywhere(any_blobs):
    small = [b"", b"one", b"two", b"x" * 100_000]
    digests = any_blobs.put_many(small)
    digests.append(any_blobs.put(b"alone"))
    digests.append(any_blobs.put_stream([LARGE[:1000], LARGE[1000:]])[0])
    contents = [*small, b"alone", LARGE]
    assert digests == [digest_bytes(content) for content in contents]
    assert [any_blobs.get(digest) for digest in digests] == contents
    assert [b"".join(any_blobs.open(digest)) for digest in digests] == contents
    assert [any_blobs.size(digest) for digest in digests] == [len(content) for content in contents]
    assert any_blobs.read_range(digests[-1], 3_000_000, 300_000) == LARGE[3_000_000:3_300_000]
    assert any_blobs.missing([ABSENT, *digests, ABSENT]) == [ABSENT]
    assert any_blobs.exists(digests[0])
    assert not any_blobs.exists(ABSENT)
    report = any_blobs.verify()
    assert (report.intact, report.unnamed) == (True, 0)
    assert report.bytes >= sum(map(len, contents))


def test_what_is_not_there_is_not_found(blobs):
    for read in (blobs.get, blobs.open, blobs.size, lambda digest: blobs.read_range(digest, 0, 1)):
        with pytest.raises(NotFound):
            read(ABSENT)


def test_many_small_blobs_are_one_object_and_one_transaction(blobs):
    blobs.put_many(f"blob {number}".encode() for number in range(3000))
    assert len(objects(blobs)) == 1
    assert len(objects(blobs, "packs")) == 1


def test_the_same_content_is_kept_once(blobs):
    blobs.put_many([b"a", b"b", b"a"])
    blobs.put(b"a")
    blobs.put_many([b"b", b"a"])
    assert len(objects(blobs)) == 1
    blobs.put_many([b"a", b"c"])
    assert len(objects(blobs, "loose")) == 1, "the only new one of a batch needs no pack"


def test_versions_of_a_large_blob_share_what_did_not_change(blobs):
    blobs.put(LARGE)
    before = sum(each.size for each in blobs.bucket.list())
    changed = LARGE[:2_000_000] + b"inserted" + LARGE[2_000_000:]
    digest = blobs.put(changed)
    assert blobs.get(digest) == changed
    assert sum(each.size for each in blobs.bucket.list()) - before < len(LARGE) / 8


def test_a_file_is_read_once_and_kept(blobs, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    assert blobs.put_file(path) == (digest_bytes(LARGE), len(LARGE))
    with pytest.raises(NotFound):
        blobs.put_file(tmp_path / "nothing")
    with pytest.raises(InvalidInput):
        blobs.put_file(tmp_path)


def test_a_stream_that_breaks_leaves_no_blob_and_is_cheap_to_repeat(blobs):
    def dying():
        yield LARGE[: CHUNKED_FROM + 1_000_000]
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        blobs.put_stream(dying())
    assert not blobs.exists(digest_bytes(LARGE))
    assert objects(blobs, "lists") == []
    assert blobs.verify().intact
    digest, size = blobs.put_stream([LARGE])
    assert (blobs.get(digest), size) == (LARGE, len(LARGE))


def test_a_small_stream_that_breaks_leaves_nothing(blobs):
    def dying():
        yield b"begin"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.put_stream(dying())
    assert objects(blobs) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, len(LARGE) + 10), length=st.integers(0, 400_000))
def test_any_range_is_a_slice(blobs, start, length):
    digest = blobs.put(LARGE)
    assert blobs.read_range(digest, start, length) == LARGE[start : start + length]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_whatever_is_put_together_is_read_apart(blobs, contents):
    digests = blobs.put_many(contents)
    assert [blobs.get(digest) for digest in digests] == contents


def test_a_negative_range_is_refused(blobs):
    digest = blobs.put(b"abc")
    with pytest.raises(InvalidInput):
        blobs.read_range(digest, -1, 2)


def test_memory_does_not_grow_with_the_blob(blobs):
    piece = random.Random(2).randbytes(1 << 20)

    def pieces():
        for number in range(96):
            yield number.to_bytes(4, "big") + piece

    tracemalloc.start()
    digest, size = blobs.put_stream(pieces())
    assert sum(map(len, blobs.open(digest))) == size == 96 * ((1 << 20) + 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 << 20  # a pack that is filled, two that are written, and what these are joined to


def test_the_index_is_rebuilt_from_the_bucket(blobs, open_blobs, tmp_path):
    digests = [*blobs.put_many([b"a", b"b", b"c"]), blobs.put(b"alone"), blobs.put(LARGE)]
    with blobs.database.read() as tx:
        rows = tx.value("SELECT COUNT(*) FROM blob_entry")
    (tmp_path / "fresh").mkdir()
    fresh = open_blobs(blobs.bucket, folder=tmp_path / "fresh")
    assert fresh.missing(digests) == digests
    assert fresh.verify().unnamed > 0
    assert fresh.rebuild_index() == rows
    assert fresh.rebuild_index() == 0
    assert [fresh.get(digest) for digest in digests] == [b"a", b"b", b"c", b"alone", LARGE]
    assert fresh.verify().intact


def test_threads_that_put_the_same_keep_it_whole(blobs):
    contents = [f"{number}".encode() * 50 for number in range(40)]
    errors = []

    def put():
        try:
            blobs.put_many(contents)
            blobs.put(LARGE)
        except Exception as error:  # noqa: BLE001 -- shown below
            errors.append(error)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [blobs.get(digest_bytes(content)) for content in contents] == contents
    assert blobs.get(digest_bytes(LARGE)) == LARGE
    assert blobs.verify().intact


def test_verify_tells_how_far_it_is(blobs):
    blobs.put_many([b"a" * 1000, b"b" * 1000])
    blobs.put(b"c" * 500)
    seen = []
    blobs.verify(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2500, 2500)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
