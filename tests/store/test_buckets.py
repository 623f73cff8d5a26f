"""Buckets: the conformance suite over every adapter, and what a disk or a network does to them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput, InvalidName, ReadOnlyStore, StorageError, StorageFull, Unavailable
from mainspring.store.buckets import LocalBucket, check_object_name, open_bucket
from mainspring.store.object_bucket import ObjectBucket
from mainspring.testing.bucket_suite import BucketSuite


class TestLocalBucket(BucketSuite):
    @pytest.fixture
    def bucket(self, tmp_path):
        return open_bucket(tmp_path / "bucket")


class TestObjectBucket(BucketSuite):
    @pytest.fixture
    def bucket(self, s3_url):
        return open_bucket(s3_url)


def leftovers(folder):
    return list((folder / "tmp").iterdir())


def failing(monkeypatch, call, code, *, at=1):
    """Let the n-th call of a function of `os` fail."""
    real, seen = getattr(os, call), [0]

    def wrapped(*args, **kwargs):
        seen[0] += 1
        if seen[0] == at:
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, wrapped)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EROFS, ReadOnlyStore),
        (errno.EACCES, ReadOnlyStore),
        (errno.EIO, StorageError),
        (errno.EMFILE, StorageError),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_failing_disk_changes_nothing(tmp_path, monkeypatch, call, code, expected):
    bucket = LocalBucket(tmp_path)
    bucket.put("a/object", b"before")
    with monkeypatch.context() as patch:
        failing(patch, call, code)
        with pytest.raises(expected) as caught:
            bucket.put("a/object", b"after")
    assert "a/object" in caught.value.message
    assert bucket.get("a/object") == b"before"
    assert leftovers(tmp_path) == []
    bucket.put("a/object", b"after")  # it heals by itself when the cause is gone


def test_a_failed_sync_is_never_taken_for_success(tmp_path, monkeypatch):
    """The kernel may drop the pages of a failed fsync and report success on the next one."""
    bucket = LocalBucket(tmp_path)
    syncs = []
    real = os.fsync

    def fsync(handle):
        syncs.append(handle)
        if len(syncs) == 1:
            raise OSError(errno.EIO, "lost")
        real(handle)

    bucket.put("object", b"x")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError):
        bucket.put("object", b"y")
    assert len(syncs) == 1
    assert bucket.get("object") == b"x"


def test_short_writes_are_completed(tmp_path, monkeypatch):
    bucket = LocalBucket(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    bucket.put("object", bytes(range(200)))
    assert bucket.get("object") == bytes(range(200))


def test_the_sweep_takes_only_what_the_dead_left(tmp_path):
    LocalBucket(tmp_path)
    script = (
        "import os, signal, sys\n"
        "from mainspring.store.buckets import LocalBucket\n"
        "bucket = LocalBucket(sys.argv[1])\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        "bucket.put('object', b'never finished')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert len(leftovers(tmp_path)) == 1

    living, swept, go = LocalBucket(tmp_path / "other"), [], threading.Event()
    living.root, living._temporary = tmp_path, tmp_path / "tmp"
    real = os.fsync

    def open_another_in_between(handle):
        if not go.is_set():
            go.set()
            swept.append((LocalBucket(tmp_path), len(leftovers(tmp_path))))
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", open_another_in_between)
        living.put("object", b"finished")
    assert swept[0][1] == 1, "the dead one's file is gone, the living one's is not"
    assert LocalBucket(tmp_path).get("object") == b"finished"
    assert leftovers(tmp_path) == []


def test_a_file_swept_before_its_lock_is_written_again(tmp_path, monkeypatch):
    import fcntl

    bucket = LocalBucket(tmp_path)
    real, first = fcntl.flock, [True]

    def lose_the_race(handle, how):
        if first and how == fcntl.LOCK_EX:
            first.clear()
            bucket.sweep()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", lose_the_race)
    bucket.put("object", b"content")
    assert bucket.get("object") == b"content"


def test_the_folder_for_unfinished_files_is_no_place_for_objects(tmp_path):
    with pytest.raises(InvalidName, match="unfinished"):
        LocalBucket(tmp_path).put("tmp/object", b"x")


def in_a_mount(folder, mount, body):
    """Run Python in a mount namespace of its own, after a mount; what it printed. None where that is not allowed."""
    command = f"set -e; {mount}; exec {sys.executable} -c '{body}' {folder}"
    options = "-m" if os.geteuid() == 0 else "-Urm"
    try:
        done = subprocess.run(["unshare", options, "sh", "-c", command], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if "unshare" in done.stderr or "mount:" in done.stderr else done.stdout + done.stderr


FULL = """
import os, sys
from mainspring.kernel.errors import StorageFull
from mainspring.store.buckets import LocalBucket
bucket = LocalBucket(sys.argv[1])
bucket.put("first", b"x" * 1000)
try:
    bucket.put("second", b"x" * 1_000_000)
except StorageFull as error:
    print("full", len(os.listdir(sys.argv[1] + "/tmp")), bucket.head("second"), len(bucket.get("first")))
bucket.put("third", b"x" * 1000)
print("healed")
"""

READ_ONLY = """
import sys
from mainspring.kernel.errors import ReadOnlyStore
from mainspring.store.buckets import LocalBucket
bucket = LocalBucket(sys.argv[1])
print(bucket.get("object"))
try:
    bucket.put("other", b"x")
except ReadOnlyStore as error:
    print("read-only")
try:
    LocalBucket(sys.argv[1] + "/below")
except ReadOnlyStore as error:
    print("nothing to open")
"""


def test_a_really_full_disk(tmp_path, monkeypatch):
    told = in_a_mount(tmp_path, f"mount -t tmpfs -o size=256k tmpfs {tmp_path}", FULL)
    if told is None:  # where mounting is not allowed the error is made up at the same call
        bucket = LocalBucket(tmp_path)
        failing(monkeypatch, "write", errno.ENOSPC)
        with pytest.raises(StorageFull):
            bucket.put("second", b"x")
        assert leftovers(tmp_path) == []
        return
    assert told.splitlines() == ["full 0 None 1000", "healed"]


def test_a_really_read_only_folder(tmp_path, monkeypatch):
    bucket = LocalBucket(tmp_path)
    bucket.put("object", b"kept")
    told = in_a_mount(tmp_path, f"mount --bind {tmp_path} {tmp_path}; mount -o remount,ro,bind {tmp_path}", READ_ONLY)
    if told is None:
        failing(monkeypatch, "open", errno.EROFS)
        with pytest.raises(ReadOnlyStore):
            bucket.put("other", b"x")
        return
    assert told.splitlines() == ["b'kept'", "read-only", "nothing to open"]


def test_a_file_size_limit_is_a_full_disk(tmp_path):
    script = (
        "import resource, sys\n"
        "from mainspring.kernel.errors import StorageFull\n"
        "from mainspring.store.buckets import LocalBucket\n"
        "bucket = LocalBucket(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try:\n    bucket.put('large', bytes(100_000))\n"
        "except StorageFull:\n    bucket.put('small', b'x'); print('survived')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "survived"
    assert leftovers(tmp_path) == []


def test_a_url_may_not_hold_secrets():
    with pytest.raises(InvalidInput, match="secret"):
        ObjectBucket("s3://bucket/prefix?secret_access_key=abc")


def test_an_unknown_setting_is_refused():
    with pytest.raises(InvalidInput):
        ObjectBucket("s3://bucket/prefix?no_such_setting=1")


def test_an_object_store_that_is_away_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    bucket = ObjectBucket("s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1", retries=0)
    with pytest.raises(Unavailable):
        bucket.get("object")
    with pytest.raises(Unavailable):
        bucket.put("object", b"x")


def test_a_bucket_that_does_not_exist_is_not_taken_for_an_empty_one(s3_endpoint, s3_url):
    bucket = ObjectBucket(f"s3://no-such-bucket?endpoint={s3_endpoint}", retries=0)
    with pytest.raises(StorageError, match="does not exist"):
        bucket.put("object", b"x")
    with pytest.raises(StorageError, match="does not exist"):
        bucket.get("object")
    with pytest.raises(StorageError, match="does not exist"):
        list(bucket.list())


class StubStore(BaseHTTPRequestHandler):
    """An object store of one bucket, in memory, that refuses every first attempt as a busy one does."""

    objects: ClassVar[dict[str, bytes]] = {}
    refused: ClassVar[set[str]] = set()

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        self.send_header("etag", '"x"')
        self.end_headers()
        self.wfile.write(body)

    def busy(self):
        attempt = f"{self.command} {self.path}"
        if attempt in self.refused:
            return False
        self.refused.add(attempt)
        self.answer(503, b"<Error><Code>SlowDown</Code></Error>")
        return True

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.busy():
            self.objects[self.path] = body
            self.answer(200)

    def do_GET(self):
        if not self.busy():
            self.answer(200, self.objects[self.path])

    def log_message(self, *_):
        pass


def test_a_busy_object_store_is_asked_again(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with ThreadingHTTPServer(("127.0.0.1", 0), StubStore) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"s3://bucket?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1"
            bucket = ObjectBucket(url)
            bucket.put("object", b"content")
            assert bucket.get("object") == b"content"
        finally:
            server.shutdown()
            thread.join()
    assert len(StubStore.refused) == 2


@given(
    st.text(st.sampled_from("ab./\\\x00\x7f\n\ud800é🐈"), max_size=12) | st.text(st.sampled_from("a/🐈"), max_size=400)
)
@example("a/b\n")
@example("🐈" * 60)
@example("🐈" * 64)
@example(("🐈" * 50 + "/") * 4 + "a" * 97)
@example(("🐈" * 50 + "/") * 4 + "a" * 21)
def test_a_name_is_refused_by_the_rules_however_quickly_it_is_seen(name):
    sound = (
        all(ord(char) >= 32 and char not in "\\\x7f" and not 0xD800 <= ord(char) <= 0xDFFF for char in name)
        and all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in name.split("/"))
        and len(name.encode()) <= 900
    )
    if sound:
        assert check_object_name(name) == name
    else:
        with pytest.raises(InvalidName):
            check_object_name(name)
