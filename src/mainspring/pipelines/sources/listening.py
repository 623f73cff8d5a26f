"""Listening to every source: a thread for each, begun and ended as sources are made and removed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hooks import load
from mainspring.pipelines.sources.accepting import note_error
from mainspring.pipelines.tables_triggers import SOURCES
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.store import Store

__all__ = ["Listeners"]

_LISTEN = {
    "file": "mainspring.pipelines.sources.files:listen",
    "nats": "mainspring.pipelines.sources.nats:listen",
    "redis": "mainspring.pipelines.sources.redis:listen",
    "kafka": "mainspring.pipelines.sources.kafka:listen",
}
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_GRACE_SECONDS = 5.0
_STEADY_SECONDS = 60.0
_log = logging.getLogger("mainspring.scheduler")


class Listeners:
    """The sources of one store, listened to by this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads: dict[str, tuple[StreamSource, threading.Event, threading.Thread]] = {}

    def look(self) -> None:
        """Begin with sources that are new, and end with those that are gone or changed."""
        with self._store.read() as tx:
            wanted = {each.id: each for each in tx.fetch(SOURCES, "WHERE active = 1")}
        for source_id, (source, ending, _) in list(self._threads.items()):
            now = wanted.get(source_id)
            if now is None or (now.address, now.topic, now.options) != (source.address, source.topic, source.options):
                ending.set()
                del self._threads[source_id]
        for source_id, source in wanted.items():
            if source_id not in self._threads:
                ending = threading.Event()
                thread = threading.Thread(
                    target=self._keep, args=(source, ending), name=f"mainspring-source-{source.name}", daemon=True
                )
                self._threads[source_id] = (source, ending, thread)
                thread.start()

    def close(self) -> None:
        """Listen no more."""
        for _, ending, _ in self._threads.values():
            ending.set()
        deadline = monotonic() + _GRACE_SECONDS
        for _, _, thread in self._threads.values():
            thread.join(max(0.0, deadline - monotonic()))
        self._threads.clear()

    def _keep(self, source: StreamSource, ending: threading.Event) -> None:
        """Listen, and begin again after an error, later each time."""
        failures = 0
        listen: Callable[[Store, StreamSource, threading.Event], None] = load(_LISTEN[source.kind])
        while not ending.is_set():
            begun = monotonic()
            try:
                listen(self._store, source, ending)
            except Exception as error:  # noqa: BLE001 -- whatever a server of others says, it is tried again
                failures = 1 if monotonic() - begun > _STEADY_SECONDS else failures + 1
                _log.warning("the source %s cannot be listened to, it is tried again: %s", source.name, error)
                self._tell(source, str(error) or type(error).__name__)
                ending.wait(_PAUSES[min(failures, len(_PAUSES)) - 1])

    def _tell(self, source: StreamSource, error: str) -> None:
        try:
            note_error(self._store, source, error)
        except MainspringError as second:
            _log.warning("the error of the source %s could not be recorded: %s", source.name, second)
