"""The connection of this process to a Ray cluster, which is started here when there is none.

A cluster that is started here listens on the loopback interface only and reports to nobody: no dashboard, no usage
statistics.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mainspring.kernel.errors import Conflict, MainspringError, MissingDependency, Unavailable

__all__ = ["CONNECTION", "Connection"]

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # work without GPUs keeps the user's setting; else Ray warns
    # A Ray worker that ends by itself would kill the zygote, which then could not end what work has started.
    "RAY_kill_child_processes_on_worker_exit": "0",
}


class Connection:
    """The connection of this process to a cluster. Ray allows one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._home: _Home | None = None

    def enter(self, address: str, cpus: int, object_store: int, runtime_env: dict[str, Any] | None) -> Any:
        """The module `ray`, connected."""
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError:
            raise MissingDependency("ray", extra="ray") from None
        with self._lock:
            if not ray.is_initialized():
                where = address or os.environ.get("RAY_ADDRESS") or "local"
                options: dict[str, Any] = {"address": where, "runtime_env": runtime_env}
                if where == "local":
                    options |= {"num_cpus": cpus, "object_store_memory": object_store, "include_dashboard": False}
                self._home = _Home(ray, options)
            elif address and address not in self._addresses(ray):
                raise Conflict(
                    f"this process is connected to another Ray cluster than {address}",
                    hint="a process has one connection to Ray: close the other engines, or call ray.shutdown()",
                )
            self._users += 1
        return ray

    def leave(self) -> None:
        """Close the connection after its last user, when it was opened here."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._home is not None:
                self._home.end()
                self._home = None

    def _addresses(self, ray: Any) -> tuple[str, ...]:
        ours = (self._home.address,) if self._home is not None else ()
        return (*ours, ray.get_runtime_context().gcs_address)


class _Home:
    """A thread that connects, and stays for as long as the connection.

    The kernel ends the processes of a local cluster with the thread that has started them (PR_SET_PDEATHSIG): with this
    one they end with the process, and not with a passing thread. Off the main thread Ray also leaves the process's
    handler of SIGTERM alone.
    """

    def __init__(self, ray: Any, options: dict[str, Any]) -> None:
        self.address: str = options["address"]
        self._ray, self._options = ray, options
        self._ready, self._leave = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mainspring-ray", daemon=True)
        self._thread.start()
        self._ready.wait()
        if isinstance(self._error, MainspringError):
            raise self._error
        if self._error is not None:
            raise Unavailable(f"Ray did not start or answer at {self.address}: {self._error}") from self._error

    def end(self) -> None:
        """Disconnect; a local cluster ends."""
        self._leave.set()
        self._thread.join()

    def _run(self) -> None:
        ray = self._ray
        try:
            with _environment(_SETTINGS), _on_loopback(local=self.address == "local"):
                ray.init(**self._options, log_to_driver=False, logging_level=logging.ERROR)
            if self.address == "local" and ray.util.get_node_ip_address() != "127.0.0.1":
                ray.shutdown()
                raise Unavailable(
                    "this version of Ray would listen on the network", hint="pip install 'mainspring[ray]'"
                )
        except BaseException as error:  # noqa: BLE001 -- handed to the thread that waits
            self._error = error
            return
        finally:
            self._ready.set()
        self._leave.wait()
        ray.shutdown()


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started inside the block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _on_loopback(*, local: bool) -> Iterator[None]:
    """Make Ray take 127.0.0.1 for this machine's address, as it does where it supports no clusters.

    `ray.init(_node_ip_address="127.0.0.1")` is changed to the address on the network, and its servers then listen on
    all of them. This is what the variable RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 sets, which is read only on import.
    """
    ray_constants: Any = importlib.import_module("ray._private.ray_constants")

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not local
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


CONNECTION = Connection()
"""The one of this process."""
