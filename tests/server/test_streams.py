"""Large content over HTTP: streamed both ways, whole or not at all."""

from __future__ import annotations

import itertools
import json
import os
import socket
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mainspring.client.client import connect
from mainspring.kernel.errors import Damaged, MainspringError, NotFound, TooLarge, Unavailable
from mainspring.kernel.hashing import digest_bytes
from mainspring.server.api import BODY_LIMIT

pytestmark = pytest.mark.databases("sqlite")
MB = 1 << 20


@pytest.fixture
def remote(server_url):
    with connect(server_url) as client:
        yield client


def _files(folder: Path) -> set[str]:
    blobs = folder / "blobs"
    return {str(path.relative_to(blobs)) for path in blobs.rglob("*") if path.is_file()} if blobs.exists() else set()


def test_bytes_go_up_and_come_down_in_pieces(remote):
    piece = os.urandom(MB)
    tracemalloc.start()
    stored = remote.storage.put_blob(itertools.repeat(piece, 96))
    came, whole = 0, 0
    for received in remote.storage.get_blob(stored.digest):
        came, whole = came + 1, whole + len(received)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stored.size == whole == 96 * MB
    assert stored.digest == digest_bytes(piece * 96)
    assert came > 8
    assert peak < 64 * MB, "neither side holds it whole"


def test_many_at_once(remote):
    contents = [os.urandom(200_000 + place) for place in range(12)]
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda each: remote.storage.put_blob([each[:1000], each[1000:]]), contents))
        back = list(pool.map(lambda each: b"".join(remote.storage.get_blob(each.digest)), stored))
    assert back == contents


def _die_in_the_middle(url: str, path: str, *, chunked: bool) -> None:
    address = urlsplit(url)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {8 * MB}"
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{framing}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        line.sendall(head.encode())
        for _ in range(4):
            piece = os.urandom(MB // 2)
            line.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        line.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )  # a reset, as of a machine that is gone


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_that_breaks_off_leaves_nothing(remote, server_url, store_folder, chunked):
    remote.storage.put_blob(b"before")
    before, events = _files(store_folder), remote.storage.events()
    _die_in_the_middle(server_url, "/api/v1/storage/put_blob", chunked=chunked)
    for _ in range(200):  # the server notices when it reads on
        assert httpx.get(f"{server_url}/health").status_code == 200
        if _files(store_folder) == before:
            break
    assert _files(store_folder) == before
    assert remote.storage.events() == events
    assert remote.storage.verify().intact
    assert remote.storage.put_blob(b"after").size == 5


def test_a_source_that_fails_stores_nothing(remote, store_folder):
    remote.storage.put_blob(b"before")
    before = _files(store_folder)

    def failing():
        yield b"x" * MB
        raise RuntimeError("the disk of the client failed")

    with pytest.raises((RuntimeError, Unavailable)):
        remote.storage.put_blob(failing())
    assert remote.storage.put_blob(b"before").size == 6
    for _ in range(200):
        assert remote.storage.missing([]) == []
        if _files(store_folder) == before:
            break
    assert _files(store_folder) == before


def test_a_download_of_nothing_is_an_answer_and_not_a_broken_stream(remote):
    with pytest.raises(NotFound):
        remote.storage.get_blob("0" * 64)
    with pytest.raises(MainspringError):
        remote.storage.get_blob("../../etc/passwd")


def test_damaged_bytes_never_arrive_whole(remote, store_folder):
    stored = remote.storage.put_blob(os.urandom(MB) for _ in range(6))
    largest = max(
        (path for path in (store_folder / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    largest.chmod(0o644)
    with largest.open("r+b") as opened:
        opened.seek(largest.stat().st_size // 2)
        opened.write(b"flipped")
    with pytest.raises((Damaged, Unavailable)):
        b"".join(remote.storage.get_blob(stored.digest))


def test_a_reader_that_leaves_holds_nothing_up(remote, server_url):
    stored = remote.storage.put_blob(itertools.repeat(os.urandom(MB), 16))
    path = f"/api/v1/storage/get_blob?digest={stored.digest}"
    for _ in range(3):
        with httpx.stream("GET", server_url + path) as answer:
            next(answer.iter_raw())
    assert httpx.get(f"{server_url}/health").status_code == 200
    assert sum(map(len, remote.storage.get_blob(stored.digest))) == 16 * MB


def test_a_call_that_is_too_large_is_refused(server_url):
    body = b'{"ref": "' + b"x" * BODY_LIMIT + b'"}'
    answer = httpx.post(f"{server_url}/api/v1/lineage/why", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, TooLarge.code)


def test_the_arguments_of_an_upload_are_checked_before_its_bytes(server_url, store_folder):
    wrong = json.dumps({"run_id": 3})
    answer = httpx.post(f"{server_url}/api/v1/tracking/append", params={"arguments": wrong}, content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MS-1001")
