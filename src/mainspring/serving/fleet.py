"""The models in memory: loaded, warmed, and put in place by one assignment when an endpoint's plan changes.

Requests hold the snapshot that they began with, so nothing waits and nothing is dropped while models come
and go. An endpoint whose new model cannot be loaded goes on answering with what it had.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mainspring.engines.models import Predictor
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import MainspringError, NotFound, Unavailable, nearest
from mainspring.serving.types import Endpoint

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Catalog", "Fleet", "Live", "Loader"]

_LOG = logging.getLogger("mainspring.serving")


class Catalog(Protocol):
    """Where endpoints are kept."""

    def version(self) -> int:
        """A number that changes whenever an endpoint does; asked several times a second."""
        ...

    def endpoints(self) -> Sequence[Endpoint]:
        """All endpoints."""
        ...


class Loader(Protocol):
    """Where models come from."""

    def __call__(self, model_id: str) -> Predictor:
        """The model of an artifact, ready to predict."""
        ...


class Live(msgspec.Struct, frozen=True):
    """An endpoint with its models in memory."""

    endpoint: Endpoint
    champion: Predictor
    challenger: Predictor | None = None

    @property
    def needed(self) -> list[Field]:
        """The inputs of both models, once each."""
        fields = {field.name: field for field in self.champion.signature.inputs}
        if self.challenger is not None:
            for field in self.challenger.signature.inputs:
                fields.setdefault(field.name, field)
        return list(fields.values())


class Fleet:
    """The endpoints of a process; thread-safe."""

    def __init__(self, catalog: Catalog, load: Loader) -> None:
        self._catalog = catalog
        self._load = load
        self._live: dict[str, Live] = {}
        self._failed: dict[str, str] = {}
        self._unloaded: set[str] = set()
        self._models: dict[str, Predictor] = {}
        self._seen = -1
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self, *, every: float = 0.25) -> None:
        """Load what there is and watch for changes until `close`."""
        self.refresh()
        self._watcher = threading.Thread(target=self._watch, args=(every,), name="serving-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()

    def refresh(self, *, force: bool = False) -> bool:
        """Bring the models in memory in line with the catalog; returns whether anything may have changed."""
        with self._refreshing:
            version = self._catalog.version()
            if version == self._seen and not force:
                return False
            live: dict[str, Live] = {}
            failed: dict[str, str] = {}
            for endpoint in self._catalog.endpoints():
                if endpoint.name not in self._unloaded:
                    self._bring_up(endpoint, live, failed)
            kept = {model for one in live.values() for model in _model_ids(one.endpoint)}
            self._live, self._failed = live, failed
            self._models = {model: predictor for model, predictor in self._models.items() if model in kept}
            self._seen = version
            return True

    def names(self) -> dict[str, str]:
        """Every endpoint that this process knows, and why it is not ready (empty when it is)."""
        return {**dict.fromkeys(self._live, ""), **self._failed, **dict.fromkeys(self._unloaded, "unloaded")}

    def ready(self, name: str = "") -> bool:
        """Whether an endpoint can answer; without a name, whether all can."""
        return name in self._live if name else self._seen >= 0 and not self._failed

    def find(self, name: str) -> Live:
        """An endpoint with its models.

        Raises:
            NotFound: There is none of that name.
            Unavailable: It is there and cannot answer now.
        """
        live = self._live.get(name)
        if live is not None:
            return live
        if reason := self.names().get(name):
            raise Unavailable(f"endpoint {name!r} is not ready: {reason}")
        raise NotFound(f"there is no endpoint {name!r}", known=nearest(name, self._live))

    def set_loaded(self, name: str, *, loaded: bool) -> None:
        """Load or unload an endpoint in this process only."""
        known = {endpoint.name for endpoint in self._catalog.endpoints()}
        if name not in known:
            raise NotFound(f"there is no endpoint {name!r}", known=nearest(name, known))
        (self._unloaded.discard if loaded else self._unloaded.add)(name)
        self.refresh(force=True)
        if loaded and name in self._failed:
            raise Unavailable(f"endpoint {name!r} cannot be loaded: {self._failed[name]}")

    def _bring_up(self, endpoint: Endpoint, live: dict[str, Live], failed: dict[str, str]) -> None:
        try:
            live[endpoint.name] = Live(endpoint, *[self._model(model) for model in _model_ids(endpoint)])
        except Exception as error:  # noqa: BLE001 -- logged; one endpoint's broken model must not take the others down
            _LOG.exception("endpoint %s cannot be loaded", endpoint.name)
            if (before := self._live.get(endpoint.name)) is not None:
                live[endpoint.name] = before
            else:
                failed[endpoint.name] = str(error)

    def _model(self, model_id: str) -> Predictor:
        if model_id not in self._models:
            predictor = self._load(model_id)
            _warm(predictor)
            self._models[model_id] = predictor
        return self._models[model_id]

    def _watch(self, every: float) -> None:
        while not self._stop.wait(every):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 -- logged; a background thread must not die of one failure
                _LOG.exception("the endpoints cannot be read now; the ones in memory go on answering")


def _model_ids(endpoint: Endpoint) -> list[str]:
    plan = endpoint.plan
    return [plan.champion.model, *([plan.challenger.model] if plan.challenger else [])]


def _warm(predictor: Predictor) -> None:
    """Let the runtime allocate and compile on a made-up row, not on the first user's."""
    try:
        predictor.predict(_blank(predictor.signature))
    except MainspringError:
        _LOG.debug("a model refused the warm-up row")


def _blank(signature: Signature) -> dict[str, np.ndarray[Any, Any]]:
    import numpy as np

    columns: dict[str, np.ndarray[Any, Any]] = {}
    for field in signature.inputs:
        shape = (1, *field.shape[1:])
        columns[field.name] = np.full(shape, "", object) if field.text else np.zeros(shape, field.stored)
    return columns
