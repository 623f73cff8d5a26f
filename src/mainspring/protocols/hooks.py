"""Calls from outside, signed: `POST /hooks/{workspace}/{name}`, which triggers listen to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mainspring.client.statuses import status_of
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.pipelines.hooks_inbound import MOST_BYTES, receive

if TYPE_CHECKING:
    from mainspring.store.store import Store

__all__ = ["hook_routes"]


def hook_routes(store: Store) -> list[Route]:
    """The route of inbound webhooks. Who calls is known by the signature alone."""

    async def hook(request: Request) -> Response:
        workspace, name = request.path_params["workspace"], request.path_params["name"]
        try:
            body = await _body(request)
            headers = {key.lower(): value for key, value in request.headers.items()}
            fresh = await anyio.to_thread.run_sync(receive, store, workspace, name, headers, body)
        except MainspringError as error:
            return Response(msgspec.json.encode(error.payload()), status_of(error), media_type="application/json")
        return Response(msgspec.json.encode({"received": fresh}), 202 if fresh else 200, media_type="application/json")

    return [Route("/hooks/{workspace}/{name}", hook, methods=["POST"])]


async def _body(request: Request) -> bytes:
    """The body, of which no more is read than a call may have."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise InvalidInput(f"the body of a call has at most {MOST_BYTES >> 10} KiB")
        parts.append(part)
    return b"".join(parts)
