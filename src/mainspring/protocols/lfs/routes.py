"""Where Git LFS is mounted: `/lfs/<workspace>/<repository>`, with `.git/info/lfs` after it or not.

So `git config lfs.url https://host/lfs/default/photos` works, and so does a Git host that is told nothing but its own
name: the client appends `.git/info/lfs` to that.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mainspring.client.uploads import pieces_of
from mainspring.kernel.context import OWNER, Caller, acting_as
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.protocols.lfs import locks, objects
from mainspring.protocols.lfs.wire import LfsError, answer, read_body, refuse, wants_lfs

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["lfs_routes"]

_SUFFIX = ".git/info/lfs"
_LOG = logging.getLogger("mainspring.lfs")

T = TypeVar("T")
_Handler = Callable[[Request], Awaitable[Response]]


def lfs_routes(client: Client) -> list[Route]:
    """The routes of the protocol over a client's data room."""
    return [_route(path, method, functools.partial(handle, client)) for path, method, handle in _TABLE] + [
        Route("/lfs/{rest:path}", _guarded(_nowhere), methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    ]


async def _batch(client: Client, request: Request) -> Response:
    wants_lfs(request)
    asked = await read_body(request, objects.Batch)
    here = request.url
    base = f"{here.scheme}://{here.netloc}{here.path.removesuffix('/objects/batch')}"
    return answer(await _run(request, lambda: objects.batch(client, _repository(request), base, asked)))


async def _verify(client: Client, request: Request) -> Response:
    wants_lfs(request)
    asked = await read_body(request, objects.Pointer)
    return answer(await _run(request, lambda: objects.verify(client, _repository(request), asked)))


async def _download(client: Client, request: Request) -> Response:
    oid, wanted = request.path_params["oid"], request.headers.get("range", "")
    status, headers, pieces = await _run(request, lambda: objects.download(client, _repository(request), oid, wanted))
    if request.method == "HEAD":
        return Response(b"", status, headers, "application/octet-stream")
    return StreamingResponse(pieces, status, headers, "application/octet-stream")


async def _upload(client: Client, request: Request) -> Response:
    length = request.headers.get("content-length", "")
    oid, repository = request.path_params["oid"], _repository(request)
    body = pieces_of(request)

    def put() -> None:
        if length.isdigit():
            client.data.lfs_put(repository, oid=oid, size=int(length), body=body)
            return
        raise InvalidInput("an upload says its Content-Length")

    await _run(request, put)
    return Response(status_code=200)


async def _lock(client: Client, request: Request) -> Response:
    wants_lfs(request)
    asked = await read_body(request, locks.Lock)
    return answer(await _run(request, lambda: locks.lock(client, _repository(request), asked)), 201)


async def _locks(client: Client, request: Request) -> Response:
    wants_lfs(request)
    query = dict(request.query_params)
    return answer(await _run(request, lambda: locks.listed(client, _repository(request), query)))


async def _verify_locks(client: Client, request: Request) -> Response:
    wants_lfs(request)
    asked = await read_body(request, locks.Verify)
    return answer(await _run(request, lambda: locks.verified(client, _repository(request), asked)))


async def _unlock(client: Client, request: Request) -> Response:
    wants_lfs(request)
    asked = await read_body(request, locks.Unlock)
    lock_id = request.path_params["lock"]
    return answer(await _run(request, lambda: locks.unlock(client, _repository(request), lock_id, asked)))


async def _nowhere(request: Request) -> Response:
    raise LfsError(404, f"there is nothing of Git LFS at {request.method} {request.url.path[:200]}")


_TABLE: tuple[tuple[str, str, Callable[[Client, Request], Awaitable[Response]]], ...] = (
    ("objects/batch", "POST", _batch),
    ("objects/verify", "POST", _verify),
    ("objects/{oid}", "GET", _download),
    ("objects/{oid}", "PUT", _upload),
    ("locks/verify", "POST", _verify_locks),
    ("locks/{lock}/unlock", "POST", _unlock),
    ("locks", "POST", _lock),
    ("locks", "GET", _locks),
)


def _route(path: str, method: str, handle: _Handler) -> Route:
    return Route(f"/lfs/{{workspace}}/{{repository:path}}/{path}", _guarded(handle), methods=[method])


def _guarded(handle: _Handler) -> _Handler:
    """Errors in the protocol's shape; defects are logged with their traceback and answered without it."""

    async def guarded(request: Request) -> Response:
        request_id = _who(request).request_id
        try:
            return await handle(request)
        except (MainspringError, LfsError) as error:
            refusal = refuse(error, request_id)
            if refusal.status_code >= 500:
                _LOG.error("%s %s: %s", request.url.path, request_id, error)
            return refusal
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:  # noqa: BLE001 -- the boundary of a request
            _LOG.exception("%s %s failed", request.url.path, request_id)
            return refuse(LfsError(500, "something went wrong inside Mainspring; its log has the details"), request_id)

    return guarded


async def _run(request: Request, work: Callable[[], T]) -> T:
    who = _who(request)

    def run() -> T:
        with acting_as(who):
            return work()

    return await anyio.to_thread.run_sync(run)


def _repository(request: Request) -> str:
    return str(request.path_params["repository"]).removesuffix(_SUFFIX)


def _who(request: Request) -> Caller:
    who: Any = request.scope.get("mainspring.caller", OWNER)
    return who if isinstance(who, Caller) else OWNER

