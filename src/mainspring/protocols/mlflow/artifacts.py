"""Files: the artifact proxy with ranges and uploads in parts, the lists, and what MLflow's own pages read."""

from __future__ import annotations

import mimetypes
import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from mainspring.kernel.errors import NotFound
from mainspring.kernel.ids import new_id
from mainspring.protocols.mlflow.failures import invalid, missing, not_implemented
from mainspring.protocols.mlflow.messages import Message, number, text
from mainspring.protocols.mlflow.rules import safe_path
from mainspring.protocols.mlflow.runs import find_run, run_id_of
from mainspring.protocols.mlflow.shelves import Kept, RunShelf, Shelf, find_shelf, listing
from mainspring.protocols.mlflow.translate import RunWriter
from mainspring.protocols.mlflow.wire import Answer, Call, Endpoint, intlike, required, string

__all__ = ["ENDPOINTS", "file_answer"]

_UPLOAD_LIMIT = 10 * 1024 * 1024
_MOST_PARTS = 10_000
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TEXT = {"yaml", "yml", "log", "cfg", "conf", "ini", "toml", "mlmodel", "mlproject", "py", "md", "lock", "jsonl"}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def file_answer(call: Call, shelf: Shelf, path: str) -> Answer:
    """A file, or the range of it that was asked for; streamed, so that nobody holds it whole."""
    near = shelf.files(path)
    held = next((each for each in near if each.path == path), None)
    if held is None and any(each.path.startswith(f"{path}/") for each in near):
        raise invalid(f"Artifact path refers to a directory, not a file: '{path}'")
    if held is None:
        raise missing(f"No such artifact: '{path}'")
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{held.digest}"',
        "x-content-type-options": "nosniff",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(posixpath.basename(path))}",
    }
    start, stop, status = _range(call.headers.get("range", ""), held)
    if status == 416:
        return Answer(b"", 416, headers={**headers, "content-range": f"bytes */{held.size}"})
    headers["content-length"] = str(stop - start)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{held.size}"
    body: bytes | Iterator[bytes] = b""
    if call.method != "HEAD" and stop > start:
        body = shelf.read(path, start, None if stop == held.size else stop)
    return Answer(body, status, _media_type(path), headers)


def _range(header: str, held: Kept) -> tuple[int, int, int]:
    """First byte, the one after the last, and the status; several ranges at once are answered with everything."""
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return 0, held.size, 200
    first, last = match.groups()
    if not first:
        return max(0, held.size - int(last)), held.size, 206 if int(last) and held.size else 416
    start, stop = int(first), min(int(last) + 1 if last else held.size, held.size)
    return (start, stop, 206) if start < stop else (0, 0, 416)


def _media_type(path: str) -> str:
    name = posixpath.basename(path)
    if name.rpartition(".")[2].lower() in _TEXT:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _download(call: Call) -> Answer:
    shelf, path = find_shelf(call.client, safe_path(call.path["artifact_path"]))
    return file_answer(call, shelf, path)


def _upload(call: Call) -> dict[str, Any]:
    shelf, path = find_shelf(call.client, safe_path(call.path["artifact_path"]), writing=True)
    shelf.put(_file_path(path), call.stream or iter(()), call.headers.get("content-type", ""))
    return {}


def _file_path(path: str) -> str:
    if not path or path.endswith("/"):
        raise invalid("Invalid path")
    return path


def _delete(call: Call) -> dict[str, Any]:
    shelf, path = find_shelf(call.client, safe_path(call.path["artifact_path"]))
    path = path.rstrip("/")
    held = [each.path for each in shelf.files(path) if not path or f"{each.path}/".startswith(f"{path}/")]
    if path and not held:
        raise missing(f"No such artifact: '{path}'")
    for each in held:
        try:
            shelf.delete(each)
        except NotFound:  # somebody else took it away at the same time
            continue
    return {}


def _list_proxied(call: Call) -> dict[str, Any]:
    path = safe_path(call.get("path"))
    if not path.strip("/"):
        return {}
    shelf, folder = find_shelf(call.client, path.strip("/"))
    return _files(listing(shelf, folder), "")


def _list(call: Call) -> dict[str, Any]:
    folder = safe_path(call.get("path")).strip("/")
    run = find_run(call, run_id_of(call))
    found = {"root_uri": RunWriter(call.client).info(run)["artifact_uri"]}
    return found | _files(listing(RunShelf(call.client, run.id), folder), folder)


def _files(held: list[tuple[str, int | None]], folder: str) -> dict[str, Any]:
    files = [
        {"path": posixpath.join(folder, name), "is_dir": size is None} | ({} if size is None else {"file_size": size})
        for name, size in held
    ]
    return {"files": files} if files else {}


def _get_artifact(call: Call) -> Answer:
    """A run's file for MLflow's pages."""
    run_id = (call.query.get("run_id") or call.query.get("run_uuid") or [""])[0]
    path = safe_path(call.query.get("path", [""])[0])
    if not run_id or not path:
        raise invalid("Request must specify run_id and path.")
    return file_answer(call, RunShelf(call.client, find_run(call, run_id).id), path)


def _upload_small(call: Call) -> Answer:
    """A file from MLflow's pages, of at most ten megabytes."""
    run_id, path = call.query.get("run_uuid", [""])[0], call.query.get("path", [""])[0]
    if not run_id:
        raise invalid("Request must specify run_uuid.")
    if not path:
        raise invalid("Request must specify path.")
    path = safe_path(path)
    body = bytearray()
    for piece in call.stream or ():
        body += piece
        if len(body) > _UPLOAD_LIMIT:
            raise invalid("Artifact size is too large. Max size is 10MB.")
    if not body:
        raise invalid("Request must specify data.")
    run = find_run(call, run_id)
    RunShelf(call.client, run.id).put(_file_path(path), [bytes(body)], call.headers.get("content-type", ""))
    return Answer(b"")


def _begin_parts(call: Call) -> dict[str, Any]:
    """Addresses for the parts of a large file; a part is a blob, so that nothing has to be remembered here."""
    find_shelf(call.client, safe_path(call.path["artifact_path"]), writing=True)
    count = int(call.get("num_parts", 1))
    if not 1 <= count <= _MOST_PARTS:
        raise invalid(f"Invalid value {count} for parameter 'num_parts' supplied. It must be from 1 to {_MOST_PARTS}.")
    upload = new_id()
    scheme = call.headers.get("x-forwarded-proto", "http").split(",")[0].strip()
    root = f"{scheme}://{call.headers.get('host', '127.0.0.1')}/api/2.0/mlflow-artifacts/mpu/part/{upload}"
    kept = {name: call.headers[name] for name in ("authorization", "x-mlflow-workspace") if name in call.headers}
    credentials = [
        {"url": f"{root}/{part}", "part_number": part} | ({"headers": kept} if kept else {})
        for part in range(1, count + 1)
    ]
    return {"upload_id": upload, "credentials": credentials}


def _put_part(call: Call) -> Answer:
    blob = call.client.storage.put_blob(call.stream or iter(()))
    return Answer(b"", headers={"etag": f'"{blob.digest}"'})


def _complete_parts(call: Call) -> dict[str, Any]:
    path = _part_path(call)
    shelf, place = find_shelf(call.client, path, writing=True)
    parts = sorted(call.get("parts", []), key=lambda part: part.get("part_number", 0))
    digests = [part.get("etag", "").strip('"') for part in parts]
    if not digests or not all(_DIGEST.fullmatch(each) for each in digests):
        raise invalid("Each part has the etag that its upload was answered with.")
    if absent := call.client.storage.missing(digests):
        raise missing(f"{len(absent)} parts of this upload are not here.")

    def whole() -> Iterator[bytes]:
        for each in digests:
            yield from call.client.storage.get_blob(each)

    shelf.put(_file_path(place), whole(), "")
    return {}


def _abort_parts(call: Call) -> dict[str, Any]:
    """Nothing: parts that belong to no file are collected as garbage."""
    _part_path(call)
    return {}


def _part_path(call: Call) -> str:
    """The path of the file: the folder that the address names, and the name of the file on the client's machine."""
    name = call.get("path").replace("\\", "/").rpartition("/")[2]
    return safe_path(posixpath.join(call.path["artifact_path"], name))


def _no_presigned_upload(call: Call) -> dict[str, Any]:
    if bool(call.get("run_id")) == bool(call.get("model_id")):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    safe_path(call.get("path"))
    if call.get("run_id"):
        find_run(call, call.get("run_id"))
    raise invalid(
        "Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts). "
        "This endpoint requires a direct cloud storage artifact URI."
    )


def _no_presigned_download(call: Call) -> dict[str, Any]:
    safe_path(call.get("path"))
    expiration = call.get("expiration", 900)
    if not 1 <= expiration <= 604_800:
        raise invalid(f"expiration must be between 1 and 604800 seconds (got {expiration}).")
    find_run(call, call.get("run_id"))
    raise invalid(
        "Presigned download is not supported for runs with proxied artifact storage (artifact URI scheme: "
        "mlflow-artifacts). This endpoint requires a run with a direct cloud storage artifact URI."
    )


def _no_presigned(_: Call) -> dict[str, Any]:
    raise not_implemented(
        "Multipart download is not supported for the current artifact repository. "
        "Ranges of /mlflow-artifacts/artifacts are."
    )


_FILE = "mlflow-artifacts/artifacts/{artifact_path:path}"
_PART = Message(part_number=number, etag=text, url=text)
_PARTS = Message(path=text, upload_id=text, parts=[_PART])
_NAMED = {"path": (required, string), "upload_id": (string,)}

ENDPOINTS = (
    Endpoint("GET", _FILE, _download),
    Endpoint("PUT", _FILE, _upload, streams=True),
    Endpoint("DELETE", _FILE, _delete),
    Endpoint("GET", "mlflow-artifacts/artifacts", _list_proxied, Message(path=text)),
    Endpoint(
        "POST",
        "mlflow-artifacts/mpu/create/{artifact_path:path}",
        _begin_parts,
        Message(path=text, num_parts=number),
        {"path": (required, string), "num_parts": (intlike,)},
    ),
    Endpoint("PUT", "mlflow-artifacts/mpu/part/{upload_id}/{part}", _put_part, streams=True),
    Endpoint(
        "POST",
        "mlflow-artifacts/mpu/complete/{artifact_path:path}",
        _complete_parts,
        _PARTS,
        {**_NAMED, "parts": (required,)},
    ),
    Endpoint("POST", "mlflow-artifacts/mpu/abort/{artifact_path:path}", _abort_parts, _PARTS, _NAMED),
    Endpoint("GET", "mlflow-artifacts/presigned/{artifact_path:path}", _no_presigned),
    Endpoint(
        "GET",
        "mlflow/artifacts/list",
        _list,
        Message(run_id=text, run_uuid=text, path=text, page_token=text),
        {"run_id": (string, required), "path": (string,), "page_token": (string,)},
    ),
    Endpoint(
        "POST",
        "mlflow/artifacts/presigned-upload-url",
        _no_presigned_upload,
        Message(run_id=text, model_id=text, path=text, expiration=number),
        {"run_id": (string,), "model_id": (string,), "path": (required, string), "expiration": (intlike,)},
    ),
    Endpoint(
        "POST",
        "mlflow/artifacts/presigned-download-url",
        _no_presigned_download,
        Message(run_id=text, path=text, expiration=number),
        {"run_id": (required, string), "path": (required, string), "expiration": (intlike,)},
    ),
    Endpoint("GET", "get-artifact", _get_artifact, version=0),
    Endpoint("POST", "ajax-api/2.0/mlflow/upload-artifact", _upload_small, version=0, streams=True),
)
