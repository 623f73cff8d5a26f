"""The artifact proxy: ranges, large files that nobody holds whole, uploads in parts, and paths that lead nowhere."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.client.client import Client

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.filterwarnings("ignore")]

_MB = 1 << 20


def _pieces(megabytes: int) -> Iterator[bytes]:
    """So many megabytes, every one different."""
    for place in range(megabytes):
        yield hashlib.sha256(str(place).encode()).digest() * (_MB // 32)


@pytest.fixture
def place(api: Any, mlflow_server: str) -> str:
    run = api.create_run("0")
    return f"{mlflow_server}/api/2.0/mlflow-artifacts/artifacts/0/{run.info.run_id}/artifacts"


def test_a_large_file_is_streamed_in_and_read_by_range(place: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert httpx.put(f"{place}/big.bin", content=_pieces(320), timeout=300).status_code == 200
    at = 277 * _MB + 5
    answer = httpx.get(f"{place}/big.bin", headers={"range": f"bytes={at}-{at + 99}"}, timeout=60)
    whole = hashlib.sha256(b"277").digest() * 8
    assert (answer.status_code, answer.content) == (206, whole[5:105])
    assert answer.headers["content-range"] == f"bytes {at}-{at + 99}/{320 * _MB}"
    digest, size = hashlib.sha256(), 0
    with httpx.stream("GET", f"{place}/big.bin", timeout=300) as stream:
        assert stream.headers["content-length"] == str(320 * _MB)
        for piece in stream.iter_bytes():
            digest.update(piece)
            size += len(piece)
    expected = hashlib.sha256()
    for piece in _pieces(320):
        expected.update(piece)
    assert (size, digest.digest()) == (320 * _MB, expected.digest())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100 * 1024  # kilobytes; client and server are both in this process


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(place: str, asked: str, status: int, content: bytes) -> None:
    httpx.put(f"{place}/ten.txt", content=b"0123456789")
    answer = httpx.get(f"{place}/ten.txt", headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, content)


def test_a_file_is_an_attachment_that_browsers_do_not_run(place: str) -> None:
    httpx.put(f"{place}/a page.html", content=b"<script>")
    answer = httpx.get(f"{place}/a page.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = httpx.head(f"{place}/a page.html")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "8")


def test_a_large_file_is_uploaded_in_parts(
    tracking: Any, api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(_MB))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 * _MB))
    local = tmp_path / "model.bin"
    local.write_bytes(b"".join(_pieces(12)))
    with tracking.start_run() as run:
        tracking.log_artifact(str(local), "in a folder")
    kept = client.tracking.files(run.info.run_id)
    assert [(each.path, each.file.size) for each in kept] == [("in a folder/model.bin", 12 * _MB)]
    assert b"".join(client.tracking.read_file(run.info.run_id, path="in a folder/model.bin")) == local.read_bytes()


def test_files_are_deleted_one_by_one_and_by_folder(place: str) -> None:
    for name in ("a/1.txt", "a/b/2.txt", "ab.txt"):
        httpx.put(f"{place}/{name}", content=b"x")
    assert httpx.delete(f"{place}/a").status_code == 200
    assert httpx.get(f"{place}/a/b/2.txt").status_code == 404
    assert httpx.get(f"{place}/ab.txt").status_code == 200
    assert httpx.delete(f"{place}/nothing").status_code == 404


@pytest.mark.parametrize(
    "path", ["..%2f..%2fa", "%2e%2e/a", "a%2523b", "C:%5Ca", "a/..%252f..%252fb", "a%23b", "a%5Cb"]
)
def test_paths_that_lead_out_are_refused(place: str, path: str) -> None:
    assert httpx.put(f"{place}/{path}", content=b"x").status_code in (400, 404)
    assert httpx.get(f"{place}/{path}").status_code in (400, 404)


def test_artifacts_belong_to_something(mlflow_server: str) -> None:
    root = f"{mlflow_server}/api/2.0/mlflow-artifacts/artifacts"
    assert httpx.put(f"{root}/just/a/path", content=b"x").json()["error_code"] == "INVALID_PARAMETER_VALUE"
    unknown = "0" * 32
    answer = httpx.put(f"{root}/0/{unknown}/artifacts/a", content=b"x")
    assert (answer.status_code, answer.json()["message"]) == (404, f"Run with id={unknown} not found")
    assert httpx.get(f"{mlflow_server}/api/2.0/mlflow-artifacts/presigned/a").status_code == 501


def test_pages_of_mlflow_read_and_write_small_files(api: Any, mlflow_server: str) -> None:
    run_id = api.create_run("0").info.run_id
    upload = f"{mlflow_server}/ajax-api/2.0/mlflow/upload-artifact"
    assert httpx.post(upload, params={"run_uuid": run_id, "path": "a/b.txt"}, content=b"hello").status_code == 200
    answer = httpx.get(f"{mlflow_server}/get-artifact", params={"run_id": run_id, "path": "a/b.txt"})
    assert answer.content == b"hello"
    large = httpx.post(upload, params={"run_uuid": run_id, "path": "c"}, content=bytes(10 * _MB + 1))
    assert large.json()["message"] == "Artifact size is too large. Max size is 10MB."
