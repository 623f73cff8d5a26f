"""The ASGI application: the API, the console and the health check, behind the gatekeeper."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

import mainspring
from mainspring.client.client import Client
from mainspring.kernel.addresses import is_loopback
from mainspring.kernel.context import Caller
from mainspring.kernel.errors import MainspringError, NotFound
from mainspring.protocols.hooks import hook_routes
from mainspring.protocols.lfs import wire as lfs
from mainspring.protocols.lfs.routes import lfs_routes
from mainspring.protocols.mlflow.routes import MlflowProtocol, is_mlflow, refuse
from mainspring.server.api import api_routes, error_response, respond_errors
from mainspring.server.gatekeeper import COOKIE, Gatekeeper
from mainspring.server.openapi import openapi
from mainspring.store.local import LocalBackend
from mainspring.store.store import Store
from mainspring.trust.guard import RoleGuard, authenticate

__all__ = ["make_app"]

_LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in · Mainspring</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px system-ui;max-width:24rem;margin:20vh auto;padding:0 1rem}}
input,button{{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0}}</style>
<h1>Mainspring</h1><form method="post"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button></form><p>{message}</p></html>"""


def make_app(store: Store, *, host: str = "127.0.0.1") -> ASGIApp:
    """Everything that a store's server answers, as an ASGI application that closes the store when it ends."""
    client = Client(LocalBackend(store, RoleGuard()), address=str(store.folder))

    async def health(_: Request) -> Response:
        def look() -> None:
            with store.read() as tx:
                tx.value("SELECT 1")

        await anyio.to_thread.run_sync(look)
        return _json({"status": "ok", "version": mainspring.__version__, "store": str(store.folder)})

    description = b""

    async def describe(_: Request) -> Response:
        nonlocal description
        description = description or msgspec.json.encode(openapi(mainspring.__version__))
        return Response(description, media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(store.close)

    routes = [
        Route("/health", respond_errors(health)),
        Route("/openapi.json", respond_errors(describe)),
        Route("/login", _login(store), methods=["GET", "POST"]),
        *api_routes(client),
        *lfs_routes(client),
        *hook_routes(store),
        *_console_routes(client),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found, 405: _not_found})
    return Gatekeeper(
        MlflowProtocol(app, client),
        store=store,
        hosts=store.settings.allowed_hosts,
        open_to_owner=is_loopback(host),
        refuse=_refusal,
        workspace_in=lfs.workspace_in,
    )


def _refusal(error: MainspringError, request_id: str, path: str) -> Response:
    if lfs.is_lfs(path):
        return lfs.refuse(error, request_id)
    return refuse(error) if is_mlflow(path) else error_response(error, request_id=request_id)


def _console_routes(client: Client) -> list[Route]:
    if importlib.util.find_spec("mainspring.console.routes") is None:
        return []
    from mainspring.console.routes import routes

    return list(routes(client))


def _login(store: Store) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(_LOGIN.format(message=""))
        form = dict(
            part.split("=", 1) for part in (await request.body()).decode(errors="replace").split("&") if "=" in part
        )
        secret = form.get("token", "")
        try:
            who: Caller = await anyio.to_thread.run_sync(lambda: authenticate(store, secret, workspace="default"))
        except MainspringError as error:
            return HTMLResponse(_LOGIN.format(message=error.message), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, secret, httponly=True, samesite="strict", max_age=12 * 3600)
        answer.headers["x-mainspring-principal"] = who.principal
        return answer

    return page


async def _not_found(request: Request, _: Exception) -> Response:
    error = NotFound(f"there is nothing at {request.method} {request.url.path}", hint="see /openapi.json for the API")
    if "text/html" in request.headers.get("accept", ""):
        from mainspring.console.respond import error_response as page

        return page(request, error)
    return error_response(error, request_id=str(getattr(request.scope.get("mainspring.caller"), "request_id", "")))


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
