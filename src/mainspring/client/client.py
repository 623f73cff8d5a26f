"""The client: every room's operations, on a folder or on a server, the same either way."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Self, cast

from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Backend, Service
from mainspring.kernel.settings import find_store, read_settings

if TYPE_CHECKING:
    from mainspring.data.service import Data
    from mainspring.events.service import Events
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
        return cast("Storage", self._service("store"))

    @cached_property
    def lineage(self) -> Lineage:
        """What everything came from."""
        return cast("Lineage", self._service("lineage"))

    @cached_property
    def trust(self) -> Trust:
        """Principals and tokens."""
        return cast("Trust", self._service("trust"))

    @cached_property
    def events(self) -> Events:
        """What happened, and the webhooks that are told of it."""
        return cast("Events", self._service("events"))

    @cached_property
    def data(self) -> Data:
        """Dataset versions."""
        return cast("Data", self._service("data"))

    @cached_property
    def tracking(self) -> Tracking:
        """Experiment runs, parameters and metrics."""
        return cast("Tracking", self._service("tracking"))

    @cached_property
    def quality(self) -> Quality:
        """Expectations, profiles, drift and evaluation."""
        return cast("Quality", self._service("quality"))

    @cached_property
    def features(self) -> Features:
        """Feature views, point-in-time joins and the online store."""
        return cast("Features", self._service("features"))

    @cached_property
    def pipelines(self) -> Pipelines:
        """Flows, steps and schedules."""
        return cast("Pipelines", self._service("pipelines"))

    @cached_property
    def models(self) -> Models:
        """The model registry."""
        return cast("Models", self._service("models"))

    @cached_property
    def tuning(self) -> Tuning:
        """Studies and trials."""
        return cast("Tuning", self._service("tuning"))

    @cached_property
    def serving(self) -> Serving:
        """Endpoints, traffic and predictions."""
        return cast("Serving", self._service("serving"))

    @cached_property
    def monitoring(self) -> Monitoring:
        """Monitors and alerts."""
        return cast("Monitoring", self._service("monitoring"))

    @cached_property
    def loop(self) -> Loops:
        """Policies that turn an alert into a better model."""
        return cast("Loops", self._service("loop"))

    def close(self) -> None:
        """Close the store or the connections."""
        closing = getattr(self._backend, "close", None)
        if closing is not None:
            closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def _service(self, name: str) -> Service:
        address = next(room.service for room in ROOMS if room.name == name)
        service: type[Service] = load(address)
        return service(self._backend)


def connect(
    address: str | os.PathLike[str] = "", *, token: str = "", workspace: str = "", create: bool = True
) -> Client:
    """Open a store in a folder, or reach a server; both answer to the same methods.

    Args:
        address: A folder or a URL such as `http://127.0.0.1:7300`. Empty means, inside a step of a flow, the store that
            runs it; elsewhere the setting `url`, and where that is empty too, the store found upward from the working
            folder.
        token: Shown to a server; the setting `token` otherwise.
        workspace: The workspace to work in at a server; the setting `workspace` otherwise.
        create: Whether to make a store in a folder that has none; otherwise `NotFound`.

    Example:
        >>> import tempfile
        >>> with connect(tempfile.mkdtemp()) as client:
        ...     client.lineage.artifacts(kind="model")
        []
    """
    text = os.fspath(address) or _of_this_step()
    settings = None
    if not text:
        settings = read_settings(find_store())
        text = settings.url
    if text.startswith(("http://", "https://")):
        from mainspring.client.remote import RemoteBackend

        settings = settings or read_settings(find_store())
        remote = RemoteBackend(text, token=token or settings.token, workspace=workspace or settings.workspace)
        return Client(remote, address=text)
    from mainspring.store.local import LocalBackend
    from mainspring.store.store import Store

    store = Store.open(text, create=create)
    return Client(LocalBackend(store), address=str(store.folder))


def _of_this_step() -> str:
    """The store of the step that runs now, or an empty text outside of any."""
    context = sys.modules.get("mainspring.pipelines.context")  # not loaded: no step can be running
    step = context.current_step() if context else None
    return step.store if step else ""
