"""Damaged blobs: any byte, anywhere. A wrong byte is never returned, always found, and mended from a copy."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import Damaged, Unavailable
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import ROOMS
from mainspring.store.blobs import CHUNKED_FROM, Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.migrations import migrate

LARGE = random.Random(3).randbytes(CHUNKED_FROM + 400_000)
PACKED = [b"first" * 40, b"second" * 30, b"", b"third" * 20]
LOOSE = b"alone" * 100
CONTENTS = {digest_bytes(each): each for each in (*PACKED, LOOSE, LARGE)}


@pytest.fixture
def filled(blobs):
    blobs.put_many(PACKED)
    blobs.put(LOOSE)
    blobs.put(LARGE)
    return blobs


@pytest.fixture
def mirror(filled, tmp_path):
    shutil.copytree(tmp_path / "bucket", tmp_path / "mirror")
    return LocalBucket(tmp_path / "mirror")


def path_of(blobs, prefix, *, holding=b""):
    """The file of an object."""
    for each in sorted(blobs.bucket.list(prefix), key=lambda each: each.name):
        path = blobs.bucket.root / each.name
        if holding in path.read_bytes():
            return path
    raise AssertionError("no such object")


def overwrite(path, data):
    path.chmod(0o644)
    path.write_bytes(data)


def check_every_read(blobs):
    """Every blob reads right or raises `Damaged`, in every way of reading; the digests that raise."""
    damaged = set()
    for digest, content in CONTENTS.items():
        in_pieces = (blobs.get, lambda each: b"".join(blobs.open(each)), lambda each: b"".join(blobs.get_many([each])))
        for read in (*in_pieces, lambda each: blobs.read_range(each, 0, 1 << 30)):
            try:
                assert read(digest) == content
            except Damaged:
                damaged.add(digest)
    return damaged


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A filled store, closed, to copy."""
    folder = tmp_path_factory.mktemp("template")
    with open_store(folder) as blobs:
        blobs.put_many(PACKED)
        blobs.put(LOOSE)
        blobs.put(LARGE)
    return folder


@contextmanager
def open_store(folder):
    database = Database(SqliteEngine(folder))
    migrate(database, ROOMS[:1])
    yield Blobs(LocalBucket(folder / "bucket"), database)
    database.close()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found_and_mended(template, data):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        with open_store(Path(folder)) as blobs:
            check_a_changed_byte(blobs, LocalBucket(template / "bucket"), data)


def check_a_changed_byte(filled, mirror, data):
    names = sorted(each.name for each in filled.bucket.list())
    path = filled.bucket.root / data.draw(st.sampled_from(names))
    good = path.read_bytes()
    # Most bytes are those of the large blob; the borders are where a format breaks.
    last = len(good) - 1
    beginning, end = st.integers(0, min(200, last)), st.integers(max(0, last - 200), last)
    at = data.draw(st.one_of(st.integers(0, last), beginning, end))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    overwrite(path, bad)
    report = filled.verify()
    assert not report.intact
    assert path.relative_to(filled.bucket.root).as_posix() in {finding.object for finding in report.findings}
    named = {finding.digest for finding in report.findings}
    assert check_every_read(filled) <= named
    filled.heal(mirror, report=report)
    assert check_every_read(filled) == set()
    if not named - {""}:
        assert filled.verify().intact, "a directory is mended by replacing its pack"


@pytest.mark.parametrize("prefix", ["loose", "packs", "lists"])
@pytest.mark.parametrize("fault", ["removed", "emptied", "cut", "zeroed", "longer"])
def test_lost_bytes_are_found_and_mended(filled, mirror, prefix, fault):
    path = path_of(filled, prefix)
    good = path.read_bytes()
    if fault == "removed":
        path.unlink()
    else:
        bad = {"emptied": b"", "cut": good[: len(good) // 3], "zeroed": bytes(len(good)), "longer": good + b"x"}
        overwrite(path, bad[fault])
    report = filled.verify()
    assert not report.intact
    assert any(finding.missing for finding in report.findings) == (fault == "removed")
    damaged = check_every_read(filled)
    assert damaged <= {finding.digest for finding in report.findings}
    assert damaged or fault == "longer"
    healed = filled.heal(mirror)
    assert healed.remaining == []
    assert check_every_read(filled) == set()


def test_two_blobs_that_changed_places_are_both_named(blobs):
    first, second = blobs.put(b"first"), blobs.put(b"second")
    one, two = (path_of(blobs, "loose", holding=content) for content in (b"first", b"second"))
    swap = one.read_bytes()
    overwrite(one, two.read_bytes())
    overwrite(two, swap)
    assert {finding.digest for finding in blobs.verify().findings} == {first, second}
    for digest in (first, second):
        with pytest.raises(Damaged):
            blobs.get(digest)


def test_a_lost_chunk_breaks_its_blob_and_no_other(filled):
    path_of(filled, "packs", holding=LARGE[:1000]).unlink()
    report = filled.verify()
    large = digest_bytes(LARGE)
    assert any(finding.digest == large and "chunk" in finding.reason for finding in report.findings)
    assert check_every_read(filled) == {large}


def test_what_is_damaged_counts_as_absent_until_it_is_stored_again(filled):
    for path in (path_of(filled, "packs"), path_of(filled, "packs", holding=LARGE[:1000]), path_of(filled, "loose")):
        overwrite(path, bytes(path.stat().st_size))
    bad = check_every_read(filled)
    assert filled.missing(CONTENTS) == [digest for digest in CONTENTS if digest in bad]
    assert digest_bytes(LARGE) in bad
    for digest in bad:
        assert filled.put(CONTENTS[digest]) == digest
    assert check_every_read(filled) == set()
    assert filled.missing(CONTENTS) == []


def test_a_copy_that_is_damaged_too_mends_nothing(filled, mirror):
    path = path_of(filled, "loose")
    for each in (path, mirror.root / path.relative_to(filled.bucket.root)):
        overwrite(each, b"wrong")
    filled.verify()
    assert filled.heal(mirror).remaining == [digest_bytes(LOOSE)]
    with pytest.raises(Damaged):
        filled.get(digest_bytes(LOOSE))


def test_a_copy_may_be_packed_otherwise(filled, open_blobs, tmp_path):
    (tmp_path / "other").mkdir()
    other = open_blobs(folder=tmp_path / "other")
    other.put_many([LOOSE, b"something else", *PACKED])
    for prefix in ("loose", "packs"):
        overwrite(path_of(filled, prefix), b"wrong")
    filled.verify()
    healed = filled.heal(other.bucket)
    assert digest_bytes(LOOSE) in healed.healed
    assert filled.get(digest_bytes(LOOSE)) == LOOSE


def test_an_index_lost_with_a_damaged_directory_is_rebuilt_from_the_headers(filled, open_blobs, tmp_path):
    path = path_of(filled, "packs", holding=PACKED[0])
    overwrite(path, path.read_bytes()[:-60])
    (tmp_path / "fresh").mkdir()
    fresh = open_blobs(filled.bucket, folder=tmp_path / "fresh")
    fresh.rebuild_index()
    assert [fresh.get(digest) for digest in CONTENTS] == list(CONTENTS.values())


def test_rebuilding_the_index_forgives_no_damage(filled):
    overwrite(path_of(filled, "loose"), b"wrong")
    filled.verify()
    assert filled.rebuild_index() == 0
    assert filled.missing([digest_bytes(LOOSE)]) == [digest_bytes(LOOSE)]


def test_a_disk_that_cannot_be_read_is_an_error_and_no_verdict(filled):
    """What cannot be reached now is neither damaged nor missing: it must not be stored again or given up."""

    class Away(LocalBucket):
        def get(self, name):
            raise Unavailable("the network is down")

    away = Blobs(Away(filled.bucket.root), filled.database)
    with pytest.raises(Unavailable):
        away.get(digest_bytes(LOOSE))
    assert away.missing(CONTENTS) == []


@pytest.mark.parametrize("get", ["get", "get_range"])
def test_a_store_that_returns_wrong_bytes_is_not_believed(filled, get):
    class Lying:
        def __getattr__(self, name):
            real = getattr(filled.bucket, name)
            return (lambda *args: real(*args)[:-1] + b"!") if name == get else real

    lying = Blobs(Lying(), filled.database)
    damaged = check_every_read(lying)
    assert damaged >= {digest_bytes(LOOSE if get == "get" else PACKED[0]), digest_bytes(LARGE)}


def test_what_is_sound_again_is_found_so(filled, mirror):
    path = path_of(filled, "loose")
    good = path.read_bytes()
    overwrite(path, b"wrong")
    assert not filled.verify().intact
    overwrite(path, good)
    assert filled.missing([digest_bytes(LOOSE)]) == [digest_bytes(LOOSE)]
    assert filled.verify().intact
    assert filled.missing([digest_bytes(LOOSE)]) == []
