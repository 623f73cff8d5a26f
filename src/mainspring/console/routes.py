"""Every page of the console, as Starlette routes."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mainspring.console.pages import ENTRIES
from mainspring.console.raw import raw_routes
from mainspring.console.respond import HEADERS, endpoint, error_response
from mainspring.console.static_files import MEDIA_TYPES, compressed, static_files
from mainspring.kernel.errors import NotFound, nearest

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["routes"]


def routes(client: Client) -> list[Route]:
    """The routes of the console over a client whose services are called in this process.

    They may stand at the root of an application or below a `Mount`; links follow. Who is calling is taken from
    the context (`mainspring.kernel.context`), which the application's middleware sets.

    Example:
        >>> import tempfile, mainspring as ms
        >>> with ms.connect(tempfile.mkdtemp()) as client:
        ...     [route.path for route in routes(client) if "index" in route.path]
        ['/index.json']
    """
    found: list[Route] = []
    for entry in ENTRIES:
        answer = endpoint(client, entry.view)
        found.append(Route(entry.path, answer, methods=["GET"]))
        if not entry.path.endswith("}"):  # a parameter at the end takes the suffix with it
            also = "/index.json" if entry.path == "/" else f"{entry.path}.json"
            found.append(Route(also, answer, methods=["GET"]))
    static = [Route("/static/{digest}/" + name, _static) for name in ("{name}", "{folder}/{name}")]
    return [*raw_routes(client), *found, *static]


async def _static(request: Request) -> Response:
    name = "/".join(request.path_params[part] for part in ("folder", "name") if part in request.path_params)
    body = static_files().get(name)
    if body is None:
        return error_response(request, NotFound(f"no file {name!r}", known=nearest(name, static_files())))
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = compressed(name), "gzip"
    return Response(body, media_type=MEDIA_TYPES[PurePath(name).suffix], headers=headers)
