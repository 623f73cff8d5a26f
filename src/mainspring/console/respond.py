"""From a question to an answer: the view runs in a thread, its record becomes HTML or JSON, errors become a page.

An answer carries an entity tag over the record, not over the HTML: a page that is asked for again and has
nothing new answers 304, and the browser keeps what it has.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from mainspring.client.statuses import status_of
from mainspring.console.page import Ask, Page, View
from mainspring.console.render import render
from mainspring.console.shell import THEMES
from mainspring.kernel.clock import now
from mainspring.kernel.errors import InternalError, MainspringError
from mainspring.kernel.hashing import digest_bytes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from mainspring.client.client import Client

__all__ = ["HEADERS", "endpoint", "error_response"]

_log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self';"
        " connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class ErrorPage(Page, frozen=True, kw_only=True):
    """What went wrong: the code, the message, what to do."""

    template = "error.html"

    status: int
    code: str
    message: str
    hint: str
    known: list[str]


def endpoint(client: Client, view: View) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint of a view."""

    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(_answer, client, view, request)

    return answer


def error_response(request: Request, error: MainspringError) -> Response:
    """An error as the page or the JSON that the request asked for; also for handlers outside of the console."""
    as_json, ask = _ask(request)
    status = status_of(error)
    title = {404: "Not found", 403: "Not allowed", 401: "Who are you?", 503: "Away"}.get(status, "That did not work")
    page = ErrorPage(
        title=title, status=status, code=error.code, message=error.message, hint=error.hint, known=list(error.known)
    )
    if as_json:
        return _response(msgspec.json.encode(error.payload()), "application/json", status=status)
    return _response(render(page, ask, theme=_theme(request)).encode(), "text/html", status=status)


def _answer(client: Client, view: View, request: Request) -> Response:
    as_json, ask = _ask(request)
    try:
        page = view(client, ask)
        body = msgspec.json.encode(page)
        theme = _theme(request)
        tag = f'"{digest_bytes(body + theme.encode() + str(as_json).encode())[:24]}"'
        if request.headers.get("if-none-match") == tag:
            return _response(b"", "text/html", status=304, tag=tag)
        if as_json:
            return _response(body, "application/json", tag=tag)
        answer = _response(render(page, ask, theme=theme).encode(), "text/html", tag=tag)
    except MainspringError as error:
        return error_response(request, error)
    except Exception:  # noqa: BLE001 -- the boundary of a request: logged with its path, told to nobody else
        _log.exception("page %s failed", ask.path)
        return error_response(request, InternalError("this page could not be made", hint="see the server's log"))
    if "theme" in ask.query:
        answer.set_cookie("theme", theme, max_age=31_536_000, samesite="lax", path=ask.base or "/")
    return answer


def _ask(request: Request) -> tuple[bool, Ask]:
    base = str(request.scope.get("root_path", "")).rstrip("/")
    path = request.url.path.removeprefix(base) or "/"
    params = dict(request.path_params)
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    as_json = path.endswith(".json") and query.get("format", [""])[-1] != "html"
    if as_json:
        path = "/" if path == "/index.json" else path.removesuffix(".json")
        params = {
            name: value.removesuffix(".json") if isinstance(value, str) else value for name, value in params.items()
        }
    origin = f"{request.url.scheme}://{request.url.netloc}"
    return as_json, Ask(base=base, path=path, origin=origin, params=params, query=query, now=now())


def _theme(request: Request) -> str:
    chosen = request.query_params.get("theme") or request.cookies.get("theme") or "system"
    return chosen if chosen in THEMES else "system"


def _response(body: bytes, media_type: str, *, status: int = 200, tag: str = "") -> Response:
    from starlette.responses import Response

    headers = {**HEADERS, "Cache-Control": "no-cache", "Vary": "Cookie"}
    if tag:
        headers["ETag"] = tag
    return Response(body, status_code=status, media_type=media_type, headers=headers)
