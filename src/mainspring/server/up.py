"""`mainspring up`: the API and the console, the endpoints, the scheduler and the workers, as one supervised group."""

from __future__ import annotations

import functools
import logging
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

import mainspring
from mainspring.client.client import connect
from mainspring.client.statuses import status_of
from mainspring.kernel.addresses import is_loopback
from mainspring.kernel.errors import InvalidInput, MissingDependency, Unauthenticated, Unavailable
from mainspring.kernel.hooks import HANDLERS, ROOMS, load
from mainspring.kernel.settings import Settings
from mainspring.server.app import make_app
from mainspring.server.gatekeeper import Gatekeeper
from mainspring.server.logs import set_up_logging
from mainspring.server.scheduler import run_scheduler
from mainspring.server.supervisor import Part, supervise
from mainspring.store.store import Store

__all__ = ["listen", "up"]

_BACKLOG = 2048
_log = logging.getLogger("mainspring.up")


def up(folder: Path, settings: Settings) -> int:
    """Run everything on the store in `folder` until Ctrl-C; the exit code.

    Raises:
        Unauthenticated: It should listen beyond loopback and no token exists.
        Unavailable: A port is taken.
    """
    if not 0 <= settings.port <= 65535 or not 0 <= settings.serve_port <= 65535:
        raise InvalidInput(f"{settings.port} or {settings.serve_port} is not a port", hint="0 to 65535")
    set_up_logging(settings.log_level)
    if not is_loopback(settings.host):
        _require_tokens(folder, settings.host)
    api = listen(settings.host, settings.port)
    port = api.getsockname()[1]
    endpoints = listen(settings.host, settings.serve_port or (port + 1 if settings.port else 0))
    os.environ["MAINSPRING_SERVE_URL"] = _url(
        settings.host, endpoints
    )  # what the console and the API tell about endpoints
    _preload()
    parts = [
        Part("api", functools.partial(_run_api, folder, settings, api, endpoints)),
        Part("endpoints", functools.partial(_run_endpoints, folder, settings, endpoints)),
        Part("scheduler", functools.partial(run_scheduler, folder)),
        *_optuna(folder, settings),
        *(
            Part(f"worker-{n + 1}", functools.partial(_run_worker, folder, settings.pools))
            for n in range(settings.workers)
        ),
    ]
    return supervise(parts)


def _preload() -> None:
    """Import what the parts have in common before they are forked, so that they share its memory."""
    for room in ROOMS:
        if room.service:
            load(room.service)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Its protocol is named, so that asyncio turns Nagle's algorithm off on what it accepts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="choose another with --port, or see who holds it",
        ) from error
    bound.listen(_BACKLOG)
    return bound


def _run_api(folder: Path, settings: Settings, api: socket.socket, endpoints: socket.socket) -> None:
    app = make_app(Store.open(folder), host=settings.host)
    _log.info(
        "Mainspring %s is up at %s · endpoints at %s · store %s",
        mainspring.__version__,
        _url(settings.host, api),
        _url(settings.host, endpoints),
        folder,
    )
    uvicorn.Server(_http(app, grace=5)).run(sockets=[api])


def _run_endpoints(folder: Path, settings: Settings, endpoints: socket.socket) -> None:
    from mainspring.protocols.oip_server import InferenceServer

    guard = Gatekeeper(
        InferenceServer(folder),
        store=Store.open(folder),
        hosts=settings.allowed_hosts,
        open_to_owner=is_loopback(settings.host),
        refuse=lambda error, *_: JSONResponse({"error": str(error)}, status_of(error)),
    )
    uvicorn.Server(_http(guard, grace=15)).run(sockets=[endpoints])


def _http(app: ASGIApp, *, grace: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=grace,
        timeout_keep_alive=75,
        backlog=_BACKLOG,
    )


def _optuna(folder: Path, settings: Settings) -> list[Part]:
    """The part that serves Optuna's storage protocol, where a port is set for it."""
    if not settings.tune_grpc_port:
        return []
    if find_spec("grpc") is None or find_spec("optuna") is None:
        raise MissingDependency("grpcio and optuna", extra="tune")
    return [Part("optuna", functools.partial(_run_optuna, folder, settings.tune_grpc_port))]


def _run_optuna(folder: Path, port: int) -> None:
    from mainspring.protocols.optuna_grpc import serve_optuna

    serve_optuna(connect(folder), port=port)


def _run_worker(folder: Path, pools: tuple[str, ...]) -> None:
    from mainspring.pipelines.worker import run_worker

    run_worker(folder, kinds=HANDLERS, pools=pools)


def _require_tokens(folder: Path, host: str) -> None:
    """Look for a token in a process of its own: the supervisor opens no store."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            from mainspring.trust.guard import has_tokens

            with Store.open(folder) as store:
                code = 0 if has_tokens(store) else 1
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise Unauthenticated(
            f"{host} is reachable from other machines and nobody could show who they are",
            hint="make a token first: mainspring token create NAME --role admin",
        )


def _url(host: str, bound: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}"


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("`mainspring up` forks its parts, which Windows cannot; use WSL")
