"""Optuna's gRPC storage protocol, so that unmodified Optuna workers connect: `GrpcStorageProxy(host=..., port=...)`.

Optuna's own servicer translates; the trials are ours. Its client can show no token, so the port is open on loopback
only, to the user of this machine, as that of `mainspring up` is. A worker on another machine runs
`mainspring tune serve` there, with the address of this server and a token in its settings: the proxy is then local to
the worker, and what goes over the network is HTTP with the token.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from mainspring.kernel.addresses import is_loopback
from mainspring.kernel.errors import Forbidden, InvalidInput, MissingDependency, Unavailable

__all__ = ["OptunaServer", "serve_optuna"]

_THREADS = 32
_LARGEST_MESSAGE = 256 * 1024 * 1024
_GRACE = 5.0
_log = logging.getLogger("mainspring.optuna")


class OptunaServer:
    """Serves the studies of a client's store over Optuna's gRPC protocol.

    Args:
        client: On a folder or on a server.
        port: To listen on; 0 for any free one.
        host: An address of this machine that no other can reach.

    Raises:
        Forbidden: Others could reach it.
        Unavailable: The port is taken.
        MissingDependency: The extra `tune` is not installed.

    Example:
        >>> import tempfile, warnings
        >>> warnings.simplefilter("ignore")
        >>> from mainspring.client.client import connect
        >>> from optuna.storages import GrpcStorageProxy
        >>> with connect(tempfile.mkdtemp()) as client, OptunaServer(client) as server:
        ...     proxy = GrpcStorageProxy(host="localhost", port=server.port)
        ...     proxy.wait_server_ready(timeout=30)
        ...     proxy.get_all_studies()
        []
    """

    def __init__(self, client: Any, *, port: int = 0, host: str = "127.0.0.1") -> None:
        if not is_loopback(host):
            raise Forbidden(
                f"Optuna's gRPC client can show no token, so {host} is not served",
                hint="on the other machine: `mainspring tune serve` with the settings `url` and `token` of this server",
            )
        if not 0 <= port <= 65535:
            raise InvalidInput(f"{port} is not a port", hint="0 to 65535")
        try:
            import grpc
        except ImportError as error:
            raise MissingDependency("grpcio", extra="tune") from error
        from mainspring.protocols.optuna_servicer import add_servicer
        from mainspring.tuning.storage import MainspringStorage

        self._storage = MainspringStorage(client, at_once=True)
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="optuna-grpc"),
            options=[
                ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a coin that is tossed
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
                ("grpc.max_send_message_length", -1),
            ],
        )
        add_servicer(self._storage, self._server)
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise Unavailable(
                f"cannot listen on {host} port {port}: {error}", hint="choose another port, or see who holds it"
            ) from error
        self._server.start()

    def close(self) -> None:
        """Finish what was asked, and stop."""
        self._server.stop(_GRACE).wait()
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def serve_optuna(
    client: Any, *, port: int, host: str = "127.0.0.1", ready: Callable[[int], None] = lambda _: None
) -> None:
    """Serve until SIGTERM or Ctrl-C, in the main thread; `ready` is told the port when it is open."""
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    with OptunaServer(client, port=port, host=host) as server:
        _log.info("Optuna's storage protocol is served at %s port %d · %s", host, server.port, client.address)
        ready(server.port)
        stop.wait()
