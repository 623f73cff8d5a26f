"""The MLflow protocol as an ASGI application in front of another: what is not its own goes through.

Bare ASGI with one look into a dictionary, because a training loop that logs a metric waits for this.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
import threading
from urllib.parse import parse_qs, unquote

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mainspring.client.client import Client
from mainspring.client.uploads import pieces_of
from mainspring.kernel.context import OWNER, Caller, acting_as
from mainspring.kernel.errors import MainspringError
from mainspring.protocols.mlflow.failures import MlflowError, translate
from mainspring.protocols.mlflow.wire import Answer, Call, Endpoint, encode, read_request

__all__ = ["AREAS", "MlflowProtocol", "is_mlflow", "refuse"]

AREAS: tuple[str, ...] = (
    "server_info",
    "experiments",
    "runs",
    "writes",
    "metrics",
    "inputs",
    "artifacts",
    "logged_models",
    "registered_models",
    "model_versions",
    "webhooks",
    "otlp",
    "traces",
    "assessments",
)
"""The modules with tables of endpoints; each has `ENDPOINTS`."""

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of JSON that a call may carry."""

_OWN = re.compile(r"(/mlflow)?/((ajax-)?api/[23]\.0/|(version|get-artifact|model-versions/get-artifact|v1/traces)$)")
_LOG = logging.getLogger("mainspring.mlflow")


class MlflowProtocol:
    """ASGI middleware that answers the protocol's paths and hands everything else on.

    The paths stand at the root and once more under `/mlflow`, so that either may be the tracking URI. The areas are
    loaded when the first request for them comes: a server that no such client uses is as small as without.

    Args:
        app: Who answers what is not of the protocol.
        client: What the handlers work on; who calls is what the gatekeeper put into the scope.
    """

    def __init__(self, app: ASGIApp, client: Client) -> None:
        self._app = app
        self._client = client
        self._exact: dict[tuple[str, str], Endpoint] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Endpoint]] = []
        self._loading = threading.Lock()
        self._loaded = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if not is_mlflow(path):
            await self._app(scope, receive, send)
            return
        if not self._loaded:
            await anyio.to_thread.run_sync(self._load)
        if path.startswith("/mlflow/"):
            path = path[7:]
        endpoint, parts = self._find("GET" if method == "HEAD" else method, path)
        request = Request(scope, receive)
        try:
            if endpoint is None:
                raise _nowhere(method, path)
            answer = await self._answer(endpoint, parts, request)
        except ClientDisconnect:
            answer = Response(status_code=499)
        except Exception as error:  # noqa: BLE001 -- the boundary of a request: logged with its traceback
            answer = _failed(error, f"{method} {path}")
        await answer(scope, receive, send)

    def _load(self) -> None:
        with self._loading:
            if self._loaded:
                return
            for area in AREAS:
                for endpoint in importlib.import_module(f"mainspring.protocols.mlflow.{area}").ENDPOINTS:
                    self._add(endpoint)
            self._loaded = True

    def _add(self, endpoint: Endpoint) -> None:
        path = endpoint.path.strip("/")
        if endpoint.version == 0:
            places = [f"/{path}"]
        else:
            places = [f"/api/{endpoint.version}.0/{path}"]
            if endpoint.ajax:
                places.append(f"/ajax-api/{endpoint.version}.0/{path}")
        for place in places:
            if "{" not in place:
                self._exact[endpoint.method, place] = endpoint
                continue
            pattern = re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", place)
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
            self._patterns.append((endpoint.method, re.compile(pattern), endpoint))

    def _find(self, method: str, path: str) -> tuple[Endpoint | None, dict[str, str]]:
        if (found := self._exact.get((method, path))) is not None:
            return found, {}
        if "api/" in path:
            for verb, pattern, endpoint in self._patterns:
                if verb == method and (match := pattern.fullmatch(path)):
                    return endpoint, match.groupdict()
        return None, {}

    async def _answer(self, endpoint: Endpoint, parts: dict[str, str], request: Request) -> Response:
        scope = request.scope
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        body = b"" if endpoint.streams else await _body(request)
        who = scope.get("mainspring.caller", OWNER)
        call = Call(
            self._client,
            {},
            parts,
            parse_qs(query, keep_blank_values=True) if query else {},
            headers,
            request.method,
            body,
            pieces_of(request) if endpoint.streams else None,
            who if isinstance(who, Caller) else OWNER,
        )
        found = await anyio.to_thread.run_sync(functools.partial(_run, endpoint, call, query))
        if isinstance(found, bytes):
            return Response(found, media_type="application/json")
        if isinstance(found.body, bytes):
            return Response(found.body, found.status, found.headers, found.media_type)
        return StreamingResponse(found.body, found.status, found.headers, found.media_type)


def is_mlflow(path: str) -> bool:
    """Whether a path belongs to the protocol, known or not: errors there are worded as MLflow words them.

    Example:
        >>> is_mlflow("/api/2.0/mlflow/runs/get"), is_mlflow("/api/v1/tracking/get")
        (True, False)
    """
    return _OWN.match(path) is not None


def refuse(error: MainspringError) -> Response:
    """What the gatekeeper answers under the protocol's paths."""
    return _worded(translate(error))


def _run(endpoint: Endpoint, call: Call, query: str) -> bytes | Answer:
    if not endpoint.streams and not endpoint.raw:
        call.request = read_request(
            endpoint,
            method=call.method,
            query=query,
            body=call.body,
            content_type=call.headers.get("content-type", ""),
        )
    with acting_as(call.who):
        found = endpoint.handler(call)
    return found if isinstance(found, Answer) else encode(found)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise MlflowError(f"Request body is over {BODY_LIMIT} bytes.", "INVALID_PARAMETER_VALUE")
    return bytes(body)



def _failed(error: Exception, where: str) -> Response:
    if isinstance(error, MlflowError):
        found = error
    elif isinstance(error, MainspringError):
        found = translate(error)
    else:
        _LOG.exception("%s failed", where)
        return _worded(MlflowError("something went wrong inside Mainspring; its log has the details", "INTERNAL_ERROR"))
    if found.status >= 500:
        _LOG.error("%s: %s", where, found.message)
    return _worded(found)


def _worded(error: MlflowError) -> Response:
    headers = {"retry-after": "1"} if error.status == 503 else {}
    return Response(error.body(), error.status, headers, "application/json")


def _nowhere(method: str, path: str) -> MlflowError:
    return MlflowError(f"There is no endpoint {method} {unquote(path)[:200]}", "ENDPOINT_NOT_FOUND")
