"""What every request passes first: is it meant for us, does it come from where it may, and who is it?

A server on loopback is reached by every page that the user's browser has open, so the `Host` must be ours (against
DNS rebinding) and a request that changes something must not come from another site (against forged requests). Any other
address needs a token.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mainspring.kernel.addresses import LOOPBACK, is_loopback
from mainspring.kernel.context import Caller
from mainspring.kernel.errors import Forbidden, InvalidName, MainspringError, Unauthenticated
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.server.api import error_response
from mainspring.store.store import Store
from mainspring.trust.guard import authenticate

__all__ = ["COOKIE", "Gatekeeper"]

COOKIE = "mainspring_token"
"""The cookie in which a browser that signed in keeps its token."""

_OPEN = {"/health", "/login", "/version", "/v2/health/live", "/v2/health/ready"}
_SIGNED = "/hooks/"
"""Below it a call is not known by a token, but by its signature, which is looked at there."""
_SAFE = {"GET", "HEAD", "OPTIONS"}
_log = logging.getLogger("mainspring.api")


class Gatekeeper:
    """ASGI middleware: refuses foreign hosts and forged requests, and puts the `Caller` into the scope."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Store,
        hosts: Sequence[str],
        open_to_owner: bool,
        refuse: Callable[[MainspringError, str, str], Response] = lambda error, request_id, _: error_response(
            error, request_id=request_id
        ),
        workspace_in: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._app = app
        self._store = store
        self._refuse = refuse
        """How a refusal is worded, from the error, the id and the path: a protocol of others has its own form."""
        self._workspace_in = workspace_in
        """The workspace that a path names, where a protocol of others has no header for it; else an empty text."""
        self._hosts = {*LOOPBACK, *hosts}
        self._open_to_owner = open_to_owner
        """Whether a caller without a token is the owner: true on loopback, where only this machine's user gets in."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = request.headers.get("x-request-id") or new_id()
        try:
            self._refuse_foreign(request)
            scope["mainspring.caller"] = await self._identify(request, request_id[:100])
        except MainspringError as error:
            await self._refuse(error, request_id[:100], request.url.path)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuse_foreign(self, request: Request) -> None:
        host = _host_name(request.headers.get("host", ""))
        if self._open_to_owner and host not in self._hosts and not is_loopback(host):
            raise Forbidden(
                f"this server does not answer for the host {host!r}", hint="add it to the setting allowed_hosts"
            )
        if request.method in _SAFE:
            return
        site, origin = request.headers.get("sec-fetch-site", ""), request.headers.get("origin", "")
        ours = not origin or urlsplit(origin).netloc == request.headers.get("host", "")
        if site not in ("", "same-origin", "none") or not ours:
            raise Forbidden(f"a page of {origin or 'another site'} may not change anything here")

    async def _identify(self, request: Request, request_id: str) -> Caller:
        headers = request.headers
        named = headers.get("x-mainspring-workspace") or headers.get("x-mlflow-workspace")
        workspace = self._workspace_in(request.scope["path"]) or named or "default"
        try:
            check_name(workspace, what="workspace")
        except InvalidName as error:
            raise Forbidden(error.message) from None
        if request.scope["path"].startswith(_SIGNED):
            return Caller("anonymous", workspace, (), request_id, "none")
        secret = _token_of(request)
        if secret:
            return await anyio.to_thread.run_sync(
                lambda: authenticate(self._store, secret, workspace=workspace, request_id=request_id)
            )
        if self._open_to_owner:
            return Caller(workspace=workspace, request_id=request_id)
        if request.url.path in _OPEN:
            return Caller("anonymous", workspace, (), request_id, "none")
        raise Unauthenticated(
            "this server needs a token", hint="send `Authorization: Bearer ms_...`, or open /login in a browser"
        )


def _token_of(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _password_of(value)
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _password_of(value: str) -> str:
    """The password of HTTP Basic, where clients of others carry a token; the name before it says nothing."""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        raise Unauthenticated("the header Authorization does not hold a name and a password") from None


def _host_name(header: str) -> str:
    return header[: header.find("]") + 1] if header.startswith("[") else header.partition(":")[0].lower()
