"""Files of runs and models as a browser may show them: with their kind, in pieces, and never as a page of ours.

Everything was written by somebody else, so every answer is put into a sandbox of its own origin: a script in it reaches
neither the console nor the network, and nothing is guessed from the bytes.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mainspring.console.respond import error_response
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, nearest

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.kernel.operations import Download

__all__ = ["raw_routes"]

_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';"
    " img-src 'self' data: blob:; media-src 'self' data: blob:; font-src data:; frame-ancestors 'self'"
)
"""Without `allow-same-origin` the document has an origin of its own; without `connect-src` it talks to nobody."""
_PLAIN = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"
_TYPES = {
    ".md": "text/markdown",
    ".log": "text/plain",
    ".jsonl": "text/plain",
    ".patch": "text/plain",
    ".diff": "text/plain",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def raw_routes(client: Client) -> list[Route]:
    """The routes of bytes: files of runs and of models (`.../raw/<path>`), and parts of cards of steps."""

    def of_run(request: Request) -> Response:
        run_id, path = request.path_params["run_id"], request.path_params["path"]
        held = {each.path: each for each in client.tracking.files(run_id, prefix=path)}
        if path not in held:
            raise NotFound(f"run {run_id} has no file {path!r}", known=nearest(path, held))
        file = held[path]
        return _answer(
            request,
            path,
            file.media_type,
            file.file.size,
            lambda start, stop: client.tracking.read_file(run_id, path=path, start=start, stop=stop),
        )

    def of_model(request: Request) -> Response:
        ref, path = request.path_params["ref"], request.path_params["path"]
        held = {each.path: each for each in client.models.files(ref)}
        if path not in held:
            raise NotFound(f"{ref} has no file {path!r}", known=nearest(path, held))
        return _answer(
            request, path, "", held[path].size, lambda start, stop: _cut(client.models.file(ref, path), start, stop)
        )

    def of_card(request: Request) -> Response:
        step_id, number = request.path_params["step_id"], request.path_params["number"]
        held = {each.number: each.content for each in client.pipelines.card(step_id) if each.content.get("digest")}
        if number not in held:
            raise NotFound(f"part {number} of the card of step {step_id} is no file")
        content = held[number]
        return _answer(
            request,
            f"part-{number}",
            str(content.get("media_type", "")),
            int(content.get("size", 0)),
            lambda start, stop: _cut(client.storage.get_blob(str(content["digest"])), start, stop),
        )

    return [
        Route("/flows/steps/{step_id}/card/{number:int}", _threaded(of_card), methods=["GET"]),
        Route("/runs/{run_id}/raw/{path:path}", _threaded(of_run), methods=["GET"]),
        Route("/models/{ref}/raw/{path:path}", _threaded(of_model), methods=["GET"]),
    ]


def _threaded(view: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        try:
            return await run_in_threadpool(view, request)
        except MainspringError as error:
            return error_response(request, error)

    return answer


def _answer(
    request: Request, path: str, media_type: str, size: int, read: Callable[[int, int | None], Download]
) -> Response:
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    kind = media_type or _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    shown = kind.startswith(("image/", "audio/", "video/", "text/")) or kind in ("application/json", "application/pdf")
    active = kind in ("text/html", "image/svg+xml")
    name = quote(path.rsplit("/", 1)[-1])
    headers = {
        "Content-Security-Policy": _POLICY if active else _PLAIN,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}",
    }
    start, stop = _range(request.headers.get("range", ""), size)
    status = 200
    if (start, stop) != (0, size):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    body = iter(read(start, stop)) if stop > start else iter(())
    charset = "; charset=utf-8" if kind.startswith("text/") and "charset" not in kind else ""
    return StreamingResponse(body, status_code=status, headers=headers, media_type=kind + charset)


def _range(header: str, size: int) -> tuple[int, int]:
    """The bytes that are asked for, as start and stop; the whole where there is no range that can be had."""
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= size and size:
        raise InvalidInput(f"the file ends at byte {size}")
    return (start, stop) if start < stop else (0, size)


def _cut(pieces: Download, start: int, stop: int | None) -> Iterator[bytes]:
    """The bytes from `start` to `stop` of a stream."""
    place = 0
    for piece in pieces:
        low, high = max(start - place, 0), len(piece) if stop is None else min(stop - place, len(piece))
        place += len(piece)
        if high > low:
            yield bytes(piece[low:high])
        if stop is not None and place >= stop:
            return
