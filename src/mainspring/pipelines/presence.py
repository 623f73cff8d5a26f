"""The heartbeat of a process that runs flows without being a worker, so that its death is noticed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.pipelines.service import Pipelines

__all__ = ["present"]

_lock = threading.Lock()
_known: dict[int, _Presence] = {}


class _Presence:
    """One process at one store, as long as somebody needs it."""

    def __init__(self, queue: Any, lease: float) -> None:
        self.users = 0
        self.worker = queue.join(lease=lease)
        self._queue = queue
        self._lease = lease
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="mainspring-presence", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self._queue.leave(self.worker)

    def _beat(self) -> None:
        while not self._ending.wait(self._lease / 3):
            with contextlib.suppress(MainspringError):  # a store that is away now may be back for the next beat
                self._queue.heartbeat(self.worker)


@contextmanager
def present(service: Pipelines) -> Iterator[str]:
    """Be known to the store inside the block; the worker's id, or an empty text at a server."""
    store = getattr(service._backend, "store", None)  # noqa: SLF001 -- services of one room share their backend
    if store is None:
        yield ""
        return
    with _lock:
        found = _known.get(id(store))
        if found is None:
            found = _known[id(store)] = _Presence(store.queue, store.settings.lease_seconds)
        found.users += 1
    try:
        yield found.worker
    finally:
        with _lock:
            found.users -= 1
            if found.users == 0:
                del _known[id(store)]
        if found.users == 0:
            found.end()
