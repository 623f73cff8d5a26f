"""The inference server: one process, one event loop, the Open Inference Protocol over a store's endpoints.

`app` gives a bare ASGI application with a lifespan, for any ASGI server; `run` starts uvicorn with what is
fastest here (httptools and uvloop where they are installed). On SIGTERM readiness turns to no, requests in flight
are answered, the prediction log is sealed, and the process ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

from mainspring.kernel.addresses import is_loopback
from mainspring.kernel.errors import Unauthenticated
from mainspring.protocols.oip import Message, OpenInference, Receive, Scope, Send
from mainspring.serving.plane import ServingProcess
from mainspring.store.store import Store

__all__ = ["InferenceServer", "app", "run"]


class InferenceServer:
    """`OpenInference` with a lifespan: opens the store when the server starts, closes it when it stops."""

    def __init__(self, location: str | os.PathLike[str] = "", *, workspace: str = "default", **log: Any) -> None:
        self._location = location
        self._workspace = workspace
        self._options = log
        self._store: Store | None = None
        self._process: ServingProcess | None = None
        self.protocol: OpenInference | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self.protocol is None:
            raise RuntimeError("this application needs a server that speaks ASGI's lifespan")
        else:
            await self.protocol(scope, receive, send)

    def open(self) -> None:
        """Open the store, recover the log, load the endpoints."""
        self._store = Store.open(self._location)
        self._process = ServingProcess(self._store, workspace=self._workspace, **self._options)
        self._process.start()
        self.protocol = OpenInference(self._process.plane, workspace=self._workspace)

    def close(self) -> None:
        """Finish what is in flight, seal the log, close the store."""
        if self.protocol is not None:
            self.protocol.draining = True
            self.protocol.close()
        if self._process is not None:
            self._process.close()
        if self._store is not None:
            self._store.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.startup":
                await asyncio.to_thread(self.open)
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def app(location: str | os.PathLike[str] = "", *, workspace: str = "default") -> InferenceServer:
    """The ASGI application over the store at `location`; empty for the one found upward from the working folder."""
    return InferenceServer(location, workspace=workspace)


def run(
    location: str | os.PathLike[str] = "",
    *,
    host: str = "127.0.0.1",
    port: int = 7301,
    workspace: str = "default",
    grace: float = 25.0,
    log_level: str = "warning",
) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in flight for at most `grace` seconds and end.

    On loopback only: beyond it a gatekeeper must ask for tokens, as `mainspring up` sets up.

    Args:
        location: The store.
        host: Address to listen on, a loopback one.
        port: Port to listen on.
        workspace: Whose endpoints.
        grace: Seconds for requests in flight; orchestrators kill after 30.
        log_level: Of the HTTP server.
    """
    import uvicorn

    if not is_loopback(host):
        raise Unauthenticated(
            f"{host} is reachable from other machines, and here nobody is asked for a token", hint="mainspring up"
        )
    if threading.current_thread() is threading.main_thread():
        # After its graceful end uvicorn raises the signal once more; asked to stop and stopped is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        app(location, workspace=workspace),
        host=host,
        port=port,
        lifespan="on",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(grace),
        backlog=2048,
    )
