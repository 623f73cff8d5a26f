"""Files on the user's machine: the cache, checkout, and transfers that break."""

from __future__ import annotations

import os
import random
import socket
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.client import connect
from mainspring.data.bundle import BUNDLED_BELOW, bundle, unbundle
from mainspring.data.cache import Cache, write_checked
from mainspring.data.sources import gather
from mainspring.data.transfer import receive, send
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, StorageFull, TooLarge
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File
from mainspring.store.store import Store

pytestmark = pytest.mark.databases("sqlite")

FRAME = pl.DataFrame({"n": [1, 2, 3]})
LARGE = random.Random(6).randbytes(BUNDLED_BELOW + 300_000)


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 40))
def test_a_bundle_comes_apart_as_it_was_made(blobs, size):
    stream = b"".join(bundle(blobs))
    assert list(unbundle(stream[start : start + size] for start in range(0, len(stream), size))) == blobs


@given(st.lists(st.binary(max_size=20), max_size=5), st.data())
def test_a_bundle_that_was_cut_off_is_never_taken_for_a_whole_one(blobs, data):
    stream = b"".join(bundle(blobs))
    with pytest.raises(InvalidInput, match="cut off"):
        list(unbundle([stream[: data.draw(st.integers(0, len(stream) - 1))]]))


def test_a_bundle_has_limits():
    with pytest.raises(TooLarge):
        list(unbundle([(1 << 40).to_bytes(8, "little")]))
    with pytest.raises(InvalidInput, match="after its end"):
        list(unbundle([*bundle([b"x"]), b"more"]))


def test_the_cache_never_hands_out_a_changed_byte(client):
    client.data.commit("numbers", FRAME)
    (path,) = client.data.local_copies(client.data.files("numbers"))
    good = path.read_bytes()
    for bad in (good[:-1], b"", bytes([good[0] ^ 1]) + good[1:]):
        path.write_bytes(bad)
        assert client.data.load("numbers").equals(FRAME)
        assert path.read_bytes() == good


def test_the_cache_is_used(client, monkeypatch):
    client.data.commit("numbers", FRAME)
    client.data.load("numbers")
    monkeypatch.setattr(type(client.data), "fetch", lambda *_: pytest.fail("fetched again"))
    assert client.data.load("numbers").equals(FRAME)


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path):
    cache = Cache(tmp_path, limit=250)
    contents = [bytes([letter]) * 100 for letter in b"abc"]
    paths = [cache.add(digest_bytes(content), [content]) for content in contents]
    for age, path in enumerate(paths):
        os.utime(path, (time.time() - 100 + age,) * 2)
    assert cache.find(digest_bytes(contents[0])) == paths[0]  # used now, so it is the youngest
    assert cache.prune(keep=[digest_bytes(contents[1])]) == 1
    assert [cache.find(digest_bytes(content)) is not None for content in contents] == [True, True, False]
    assert cache.prune() == 0


def test_a_wrong_content_is_not_written(tmp_path):
    path = tmp_path / "deep" / "file"
    with pytest.raises(Damaged):
        write_checked(path, digest_bytes(b"right"), [b"wrong"])
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_download_that_breaks_leaves_nothing(tmp_path):
    def breaking():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageFull):
        write_checked(tmp_path / "file", digest_bytes(b"whole"), breaking())
    assert list(tmp_path.iterdir()) == []


def test_checkout_never_overwrites_in_silence(client, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "a").write_bytes(b"a")
    (source / "b").write_bytes(b"b")
    client.data.commit("files", source)
    out.mkdir()
    (out / "b").write_bytes(b"mine")
    (out / "other").write_bytes(b"mine too")
    with pytest.raises(Conflict, match="as b"):
        client.data.checkout("files", into=out)
    assert not (out / "a").exists()
    client.data.checkout("files", into=out, force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"a": b"a", "b": b"b", "other": b"mine too"}


def test_checkout_does_not_follow_links_out_of_the_folder(client, tmp_path):
    source, out, outside = tmp_path / "source", tmp_path / "out", tmp_path / "outside"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_bytes(b"x")
    client.data.commit("files", source)
    out.mkdir()
    outside.mkdir()
    (out / "sub").symlink_to(outside)
    with pytest.raises(InvalidInput, match="outside"):
        client.data.checkout("files", into=out, force=True)
    assert list(outside.iterdir()) == []
    (out / "sub").unlink()
    (out / "sub").mkdir()
    (out / "sub" / "file").symlink_to(outside / "target")
    with pytest.raises(Conflict):
        client.data.checkout("files", into=out, force=True)
    assert list(outside.iterdir()) == []


def test_a_file_that_changes_while_it_is_sent_is_not_recorded(client, tmp_path):
    for content in (b"small", LARGE):
        path = tmp_path / "file"
        path.write_bytes(content)
        local = gather(path, tmp_path)
        path.write_bytes(content[:-1] + b"!")
        with pytest.raises(Conflict, match="changed"):
            send(client.data, client.storage, local)


class Lying:
    """A server, or a wire, that returns something else."""

    def __init__(self, answer):
        self.answer = answer

    def fetch(self, digests):
        return iter(self.answer)

    def upload(self, body):
        return []

    def bring(self, files):
        pass


@pytest.mark.parametrize("answer", [bundle([b"wrong"]), bundle([]), [b""]])
def test_what_arrives_wrong_is_not_believed(client, answer):
    wanted = [File(path="x", size=5, digest=digest_bytes(b"right"))]
    with pytest.raises((Damaged, InvalidInput)):
        list(receive(Lying(answer), client.storage, wanted))


def test_a_client_that_dies_in_the_middle_leaves_no_version(client, tmp_path, monkeypatch):
    """The bytes that arrived stay, unnamed; the next attempt sends the rest."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "large").write_bytes(LARGE)
    (folder / "small").write_bytes(b"small")
    with monkeypatch.context() as patch:
        patch.setattr(type(client.data), "record", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            client.data.commit("files", folder)
    assert client.data.datasets() == []
    sent = []
    client.data.commit("files", folder, progress=lambda done, total: sent.append((done, total)))
    assert sent == [(len(LARGE) + 5, len(LARGE) + 5)], "nothing had to be sent again"


def test_a_client_that_hangs_up_in_the_middle_of_an_upload_leaves_no_blob(server_url, store_folder):
    """Over a real connection, chunked: the server must not take a body that stopped for one that ended."""
    host, port = server_url.removeprefix("http://").split(":")
    head = "POST /api/v1/storage/put_blob HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n"
    with connect(server_url) as client:
        for body in (LARGE, b"small"):
            with socket.create_connection((host, int(port))) as wire:
                wire.sendall(f"{head}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n")
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(4096):
                    pass  # until the server has made up its mind
            assert client.storage.missing([digest_bytes(body)]) == [digest_bytes(body)]
        assert client.storage.put_blob(LARGE).digest == digest_bytes(LARGE)
    with Store.open(store_folder) as store:
        assert store.blobs.verify().intact
        assert not store.blobs.exists(digest_bytes(b"small"))
