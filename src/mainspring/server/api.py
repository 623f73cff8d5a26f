"""The HTTP API: every operation of every room under `/api/v1/<room>/<verb>`, made from its declaration.

A POST carries the arguments as a JSON object; an operation that only reads answers a GET with query parameters too. An
operation with a streamed body takes its arguments from the query parameter `arguments`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mainspring.client.client import Client
from mainspring.client.statuses import status_of
from mainspring.client.uploads import pieces_of
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import InternalError, InvalidInput, MainspringError, TooLarge
from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Backend, Operation, Service, operations_of

__all__ = ["BODY_LIMIT", "all_operations", "api_routes", "error_response", "respond_errors"]

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of JSON that a call may carry; larger things are uploaded as blobs."""

_log = logging.getLogger("mainspring.api")
_Handler = Callable[[Request], Awaitable[Response]]


def all_operations() -> Iterator[tuple[type[Service], Operation]]:
    """Every operation of every room."""
    for room in ROOMS:
        if room.service:
            service: type[Service] = load(room.service)
            for declared in operations_of(service):
                yield service, declared


def api_routes(client: Client) -> list[Route]:
    """A route for each operation, bound to the client's backend."""
    routes = []
    for service, declared in all_operations():
        methods = ["POST"] if declared.writes or declared.upload else ["GET", "POST"]
        path = f"/api/v1/{declared.room}/{declared.verb}"
        routes.append(
            Route(
                path, _endpoint(client.backend, service(client.backend), declared), methods=methods, name=declared.name
            )
        )
    return routes


def error_response(error: MainspringError, *, request_id: str = "") -> Response:
    """An error as every client reads it."""
    payload = error.payload()
    payload["request_id"] = request_id
    headers = {"retry-after": "1"} if status_of(error) == 503 else {}
    return Response(
        msgspec.json.encode({"error": payload}), status_of(error), headers=headers, media_type="application/json"
    )


def respond_errors(handler: _Handler) -> _Handler:
    """Turn what a handler raises into an answer. Defects are logged with their traceback and answered without it."""

    async def answer(request: Request) -> Response:
        request_id = _caller_of(request).request_id
        try:
            return await handler(request)
        except MainspringError as error:
            if status_of(error) >= 500:
                _log.error("%s %s: %s", request.url.path, request_id, error)
            return error_response(error, request_id=request_id)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:  # noqa: BLE001 -- the boundary of a request
            _log.exception("%s %s failed", request.url.path, request_id)
            return error_response(
                InternalError(
                    "something went wrong inside Mainspring", hint=f"look for {request_id} in the server's log"
                ),
                request_id=request_id,
            )

    return answer


def _endpoint(backend: Backend, service: Service, declared: Operation) -> _Handler:
    async def call(request: Request) -> Response:
        who = _caller_of(request)
        arguments = await _arguments(request, declared)

        def run() -> Any:
            with acting_as(who):
                result = backend.invoke(service, declared, arguments)
                return _started(result) if declared.downloads else msgspec.json.encode(result)

        result = await anyio.to_thread.run_sync(run)
        if declared.downloads:
            return StreamingResponse(result, media_type="application/octet-stream")
        return Response(result, media_type="application/json")

    return respond_errors(call)


async def _arguments(request: Request, declared: Operation) -> dict[str, Any]:
    if declared.upload:
        arguments = declared.decode(request.query_params.get("arguments", "{}").encode())
        arguments[declared.upload] = pieces_of(request)
        return arguments
    if request.method == "GET":
        return _from_query(request, declared)
    return declared.decode(await _body(request))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise TooLarge(f"the body is over {BODY_LIMIT // 1024 // 1024} MB", hint="upload large content as blobs")
    return bytes(body)


def _from_query(request: Request, declared: Operation) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        values[name] = (
            [*values[name], value]
            if isinstance(values.get(name), list)
            else [values[name], value]
            if name in values
            else value
        )
    try:
        checked = msgspec.convert(values, declared.request, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{declared.name}: {error}") from None
    return {name: getattr(checked, name) for name in checked.__struct_fields__}



def _started(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A stream whose first piece has been read, so that an error at its start is an answer and not a broken stream."""
    first = next(pieces, None)
    return iter(()) if first is None else itertools.chain([first], pieces)


def _caller_of(request: Request) -> Caller:
    caller = request.scope.get("mainspring.caller")
    return caller if isinstance(caller, Caller) else Caller()
