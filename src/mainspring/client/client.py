"""The client: every room's operations, on a folder or on a server, the same either way."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Backend, Service
from mainspring.kernel.settings import find_store, read_settings

if TYPE_CHECKING:
    from mainspring.data.service import Data
    from mainspring.features.service import Features
    from mainspring.lineage.service import Lineage
    from mainspring.loop.service import Loops
    from mainspring.models.service import Models
    from mainspring.monitoring.service import Monitoring
    from mainspring.pipelines.service import Pipelines
    from mainspring.quality.service import Quality
    from mainspring.serving.service import Serving
    from mainspring.store.service import Storage
    from mainspring.tracking.service import Tracking
    from mainspring.trust.service import Trust
    from mainspring.tuning.service import Tuning

__all__ = ["Client", "connect"]


class Client:
    """All of Mainspring, in one object. Safe to use from many threads.

    `connect` makes one. The rooms are attributes; each is loaded when it is first used.
    """

    def __init__(self, backend: Backend, *, address: str) -> None:
        self._backend = backend
        self.address = address
        """The folder or the URL that this client works on."""

    @property
    def backend(self) -> Backend:
        """Where the operations run."""
        return self._backend

    @cached_property
    def storage(self) -> Storage:
        """Bytes and the audit log."""
        return self._service("storage")  # type: ignore[return-value]  # the table of rooms says which class it is

    @cached_property
    def lineage(self) -> Lineage:
        """What everything came from."""
        return self._service("lineage")  # type: ignore[return-value]

    @cached_property
    def trust(self) -> Trust:
        """Principals and tokens."""
        return self._service("trust")  # type: ignore[return-value]

    @cached_property
    def data(self) -> Data:
        """Dataset versions."""
        return self._service("data")  # type: ignore[return-value]

    @cached_property
    def tracking(self) -> Tracking:
        """Experiment runs, parameters and metrics."""
        return self._service("tracking")  # type: ignore[return-value]

    @cached_property
    def quality(self) -> Quality:
        """Expectations, profiles, drift and evaluation."""
        return self._service("quality")  # type: ignore[return-value]

    @cached_property
    def features(self) -> Features:
        """Feature views, point-in-time joins and the online store."""
        return self._service("features")  # type: ignore[return-value]

    @cached_property
    def pipelines(self) -> Pipelines:
        """Flows, steps and schedules."""
        return self._service("pipelines")  # type: ignore[return-value]

    @cached_property
    def models(self) -> Models:
        """The model registry."""
        return self._service("models")  # type: ignore[return-value]

    @cached_property
    def tuning(self) -> Tuning:
        """Studies and trials."""
        return self._service("tuning")  # type: ignore[return-value]

    @cached_property
    def serving(self) -> Serving:
        """Endpoints, traffic and predictions."""
        return self._service("serving")  # type: ignore[return-value]

    @cached_property
    def monitoring(self) -> Monitoring:
        """Monitors and alerts."""
        return self._service("monitoring")  # type: ignore[return-value]

    @cached_property
    def loop(self) -> Loops:
        """Policies that turn an alert into a better model."""
        return self._service("loop")  # type: ignore[return-value]

    def close(self) -> None:
        """Close the store or the connections."""
        closing = getattr(self._backend, "close", None)
        if closing is not None:
            closing()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def _service(self, name: str) -> Service:
        address = next(room.service for room in ROOMS if room.service and (room.name == name or (room.name, name) == ("store", "storage")))
        service: type[Service] = load(address)
        return service(self._backend)


def connect(address: str | os.PathLike[str] = "", *, token: str = "", workspace: str = "") -> Client:
    """Open a store in a folder, or reach a server; both answer to the same methods.

    Args:
        address: A folder, a URL such as `http://127.0.0.1:7300`, or empty for the setting `url`, and where that is
            empty too, for the store found upward from the working folder.
        token: Shown to a server; the setting `token` otherwise.
        workspace: The workspace to work in at a server; the setting `workspace` otherwise.

    Example:
        >>> import tempfile
        >>> with connect(tempfile.mkdtemp()) as client:
        ...     client.lineage.artifacts(kind="model")
        []
    """
    text = os.fspath(address)
    settings = None
    if not text:
        settings = read_settings(find_store())
        text = settings.url
    if text.startswith(("http://", "https://")):
        from mainspring.client.remote import RemoteBackend  # noqa: PLC0415 -- an embedded client needs no HTTP

        settings = settings or read_settings(find_store())
        remote = RemoteBackend(text, token=token or settings.token, workspace=workspace or settings.workspace)
        return Client(remote, address=text)
    return Client(open_local(text), address=text or str(find_store()))


def open_local(folder: str | Path = "") -> Any:
    """The backend of an embedded store."""
    from mainspring.store.local import LocalBackend  # noqa: PLC0415 -- a remote client needs no database
    from mainspring.store.store import Store  # noqa: PLC0415

    return LocalBackend(Store.open(folder))
