"""The Open Inference Protocol v2 over HTTP: a bare ASGI application in front of the dataplane.

A model of the protocol is an endpoint of ours. Spoken: health, metadata, inference with JSON and binary
tensors, and Triton's extensions for the repository, statistics and classification. Every failure is answered with
the body `{"error": "..."}`, the only form that the protocol's clients read.

Bare ASGI, because a framework's routing and request objects would cost more than a small model.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

import mainspring
from mainspring.client.statuses import status_of
from mainspring.kernel.context import OWNER, Caller
from mainspring.kernel.errors import (
    Forbidden,
    InvalidInput,
    MainspringError,
    NotFound,
    TooLarge,
    nearest,
)
from mainspring.protocols.oip_codec import (
    MAX_BODY,
    InferCall,
    columns_of,
    decode_request,
    decompress,
    encode_response,
    raw_request,
)
from mainspring.serving.dataplane import Answer, Call, Dataplane, Description
from mainspring.serving.statistics import Timing
from mainspring.trust.guard import RoleGuard

__all__ = ["EXTENSIONS", "OpenInference"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

EXTENSIONS = ["binary_tensor_data", "classification", "model_repository", "parameters", "statistics"]

_LOG = logging.getLogger("mainspring.serving")
_INLINE_BYTES = 32 * 1024  # below this a hop to another thread costs more than the model
_ACTIONS = ("infer", "ready", "stats", "config")


class _Request(msgspec.Struct):
    method: str
    path: list[str]
    headers: Mapping[bytes, bytes]
    who: Caller
    body: bytes = b""


class _Reply(msgspec.Struct):
    body: bytes = b""
    status: int = 200
    headers: list[Header] = []
    content_type: bytes = b"application/json"


class OpenInference:
    """The protocol as an ASGI application; mount it at the root.

    Who calls is what a gatekeeper before it put into the scope as `mainspring.caller`, the owner otherwise.

    Args:
        dataplane: Who answers.
        workspace: Whose endpoints these are; callers from another are refused.
        max_body: Bytes of a request, before and after decompression.
        threads: How many large requests, or such that need features, are worked on at a time.
    """

    def __init__(
        self, dataplane: Dataplane, *, workspace: str = "default", max_body: int = MAX_BODY, threads: int = 4
    ) -> None:
        self._plane = dataplane
        self._workspace = workspace
        self._guard = RoleGuard()
        self._max_body = max_body
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self.draining = False
        """While true, readiness says no, so that a balancer looks elsewhere; requests are still answered."""

    def close(self) -> None:
        """Finish what is being worked on."""
        self._pool.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the inference server speaks HTTP, not {scope['type']}")
        try:
            request = await self._read(scope, receive)
            reply = await self._route(request)
        except MainspringError as error:
            reply = _refusal(error)
        except _Disconnected:
            return
        except Exception:  # noqa: BLE001 -- the boundary of a request: logged with its traceback
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            reply = _json({"error": "the server failed; its log has the details"}, status=500)
        body = b"" if scope["method"] == "HEAD" else reply.body
        headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _read(self, scope: Scope, receive: Receive) -> _Request:
        headers = dict(scope["headers"])
        raw = scope.get("raw_path") or scope["path"].encode()
        path = [unquote(part) for part in raw.decode("latin-1").split("?")[0].strip("/").split("/")]
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body:
            raise TooLarge(f"the body has {int(declared)} bytes; the limit is {self._max_body}")
        pieces, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._max_body:
                raise TooLarge(f"the body has more than {self._max_body} bytes")
            pieces.append(piece)
            more = message.get("more_body", False)
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        body = decompress(b"".join(pieces), encoding=encoding, limit=self._max_body)
        return _Request(scope["method"], path, headers, scope.get("mainspring.caller", OWNER), body)

    async def _route(self, request: _Request) -> _Reply:
        head, *rest = request.path
        if head != "v2":
            raise _no_route(request)
        read = request.method in ("GET", "HEAD")
        if read and not rest:
            return _json({"name": "mainspring", "version": mainspring.__version__, "extensions": EXTENSIONS})
        if read and rest in (["health", "live"], ["health", "ready"]):
            yes = rest[1] == "live" or (self._plane.fleet.ready() and not self.draining)
            return _json({"live": yes, "ready": yes}, status=200 if yes else 503)
        self._check(request.who, "serving:read")
        if read and rest == ["models", "stats"]:
            return self._stats(*sorted(self._plane.fleet.names()))
        if request.method == "POST" and rest == ["repository", "index"]:
            return self._index(request)
        if len(rest) > 1 and rest[0] == "models":
            return await self._model(request, rest[1:])
        if request.method == "POST" and len(rest) > 3 and rest[:2] == ["repository", "models"]:
            self._check(request.who, "serving:write")
            return await self._switch("/".join(rest[2:-1]), rest[-1])
        raise _no_route(request)

    def _check(self, who: Caller, permission: str) -> None:
        if who.workspace != self._workspace:
            raise Forbidden(f"this server answers for the workspace {self._workspace!r}, not {who.workspace!r}")
        self._guard.check(who, permission, "")

    async def _model(self, request: _Request, path: list[str]) -> _Reply:
        """`{name}[/versions/{version}][/infer|/ready|/stats|/config]`; a name may hold slashes."""
        action = path.pop() if len(path) > 1 and path[-1] in _ACTIONS else ""
        version = ""
        if len(path) > 2 and path[-2] == "versions":
            version = path.pop()
            path.pop()
        name = "/".join(path)
        if action == "infer" and request.method == "POST":
            return await self._infer(request, name, version)
        if action == "infer" or request.method not in ("GET", "HEAD"):
            raise _no_route(request)
        if action == "ready" and not self._plane.fleet.ready(name):
            self._plane.fleet.find(name)
        described = self._plane.describe(name)
        _check_version(described, version)
        if action == "ready":
            return _json({"name": name, "ready": True})
        if action == "stats":
            return self._stats(name)
        return _json(_metadata(described) if not action else _config(described))

    async def _infer(self, request: _Request, name: str, version: str) -> _Reply:
        described = self._plane.describe(name)
        _check_version(described, version)
        if len(request.body) < _INLINE_BYTES and not described.features:
            return self._work(request, name, version, described)
        return await self._aside(lambda: self._work(request, name, version, described))

    async def _aside(self, work: Callable[[], _Reply]) -> _Reply:
        """Do it on another thread, as the caller that asks now."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)

    def _work(self, request: _Request, name: str, version: str, described: Description) -> _Reply:
        call = _call(request, described)
        columns, rows = columns_of(call.tensors, [field.name for field in described.inputs])
        answer = self._plane.infer(
            name,
            Call(
                columns=columns,
                rows=rows,
                id=call.id,
                pin=_header(request, b"x-mainspring-pin") or version,
                caller=request.who.principal
                if request.who.method == "token"
                else _header(request, b"x-mainspring-caller"),
                at=_moment(call.parameters.get("at")),
            ),
        )
        return _answered(call, answer, name)

    def _stats(self, *names: str) -> _Reply:
        return _json({"model_stats": [_statistics(self._plane, name) for name in names]})

    def _index(self, request: _Request) -> _Reply:
        try:
            asked = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"not a request for the index: {error}") from None
        entries = []
        for name, reason in sorted(self._plane.fleet.names().items()):
            if reason and asked.get("ready"):
                continue
            versions = self._plane.describe(name).versions if not reason else (0,)
            state = {"state": "UNAVAILABLE" if reason else "READY", "reason": reason}
            entries += [{"name": name, **({"version": str(each)} if each else {}), **state} for each in versions]
        return _json(entries)

    async def _switch(self, name: str, action: str) -> _Reply:
        if action not in ("load", "unload"):
            raise NotFound(f"there is no action {action[:40]!r} on a model", known=["load", "unload"])

        def switch() -> _Reply:
            self._plane.fleet.set_loaded(name, loaded=action == "load")
            return _Reply(b"{}")

        return await self._aside(switch)


class _Disconnected(Exception):
    """The client left before its request was whole."""


def _call(request: _Request, described: Description) -> InferCall:
    length = _header(request, b"inference-header-content-length")
    if not length:
        return decode_request(request.body)
    if not length.isdigit() or len(length) > 12:
        raise InvalidInput(f"Inference-Header-Content-Length is {length[:40]!r}, not a number of bytes")
    if int(length) == 0:
        return raw_request(request.body, described.inputs)
    return decode_request(request.body, header_length=int(length))


def _answered(call: InferCall, answer: Answer, name: str) -> _Reply:
    parameters: dict[str, Any] = {"prediction_id": answer.id}
    if 0 < answer.challenger_rows < answer.rows:
        parameters["challenger_rows"] = answer.challenger_rows
    body, length = encode_response(call, answer.outputs, model=name, version=str(answer.version), parameters=parameters)
    headers: list[Header] = [(b"x-mainspring-prediction", answer.id.encode())]
    if length is None:
        return _Reply(body, headers=headers)
    headers.append((b"inference-header-content-length", b"%d" % length))
    return _Reply(body, headers=headers, content_type=b"application/octet-stream")


def _metadata(described: Description) -> dict[str, Any]:
    return {
        "name": described.name,
        "versions": [str(version) for version in described.versions],
        "platform": {"onnx": "onnx_onnxv1"}.get(described.runtime, f"{described.runtime}_native"),
        "inputs": [{"name": each.name, "datatype": each.dtype, "shape": list(each.shape)} for each in described.inputs],
        "outputs": [
            {"name": each.name, "datatype": each.dtype, "shape": list(each.shape)} for each in described.outputs
        ],
    }


def _config(described: Description) -> dict[str, Any]:
    """Triton's model configuration, as far as it has a meaning here."""

    def tensor(name: str, dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
        return {"name": name, "data_type": f"TYPE_{'STRING' if dtype == 'BYTES' else dtype}", "dims": list(shape)}

    return {
        "name": described.name,
        "platform": _metadata(described)["platform"],
        "max_batch_size": 0,
        "input": [tensor(each.name, each.dtype, each.shape) for each in described.inputs],
        "output": [tensor(each.name, each.dtype, each.shape) for each in described.outputs],
    }


def _statistics(plane: Dataplane, name: str) -> dict[str, Any]:
    found = plane.statistics.of(name)
    versions = plane.describe(name).versions if plane.fleet.ready(name) else (0,)
    parts = {
        "success": found.success,
        "fail": found.fail,
        "queue": Timing(found.success.count),
        "compute_input": found.prepare,
        "compute_infer": found.predict,
        "compute_output": found.record,
    }
    return {
        "name": name,
        "version": str(versions[0] or ""),
        "last_inference": found.last_at // 1000,
        "inference_count": found.rows,
        "execution_count": found.executions,
        "inference_stats": {key: {"count": timing.count, "ns": timing.ns} for key, timing in parts.items()},
        "batch_stats": [],
    }


def _check_version(described: Description, version: str) -> None:
    if version and version not in map(str, described.versions):
        raise NotFound(
            f"endpoint {described.name!r} does not serve version {version[:40]!r}", known=map(str, described.versions)
        )


def _moment(value: Any) -> datetime | None:
    """The parameter `at`: RFC 3339, or microseconds since 1970."""
    if value is None:
        return None
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1_000_000, tz=UTC)
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidInput(f"the parameter `at` is {value!r}; write 2026-01-31T12:00:00Z, or microseconds") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _header(request: _Request, name: bytes) -> str:
    return request.headers.get(name, b"").decode("latin-1").strip()[:250]


def _no_route(request: _Request) -> NotFound:
    path = "/" + "/".join(request.path)
    known = ["/v2", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/infer", "/v2/repository/index"]
    return NotFound(f"nothing answers {request.method} {path[:200]}", known=nearest(path[:200], known))


def _refusal(error: MainspringError) -> _Reply:
    status = status_of(error)
    return _json({"error": str(error)}, status=status, headers=[(b"retry-after", b"1")] if status == 503 else [])


def _json(value: Any, *, status: int = 200, headers: list[Header] | None = None) -> _Reply:
    return _Reply(msgspec.json.encode(value), status, headers or [])
