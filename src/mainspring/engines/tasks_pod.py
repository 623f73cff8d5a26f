"""What runs in a pod: one piece of work, in a process of its own, watched from beside it.

    python -m mainspring.engines.tasks_pod

The order is in the environment; payload and answer travel through the store, by digest, and the digest of the answer
is what the container says as it ends (Kubernetes' termination message). So neither the size of an answer nor what the
work prints matters, and limits and errors mean in a pod what they mean on any machine.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.engines.tasks import Limits
from mainspring.engines.tasks_child import OK, RAISED
from mainspring.engines.tasks_process import ProcessEngine
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hooks import PEER, load
from mainspring.store.service import Storage

__all__ = ["Order", "Said", "Shelf", "main", "shelf_at"]

ORDER = "MAINSPRING_WORK"
ANSWER = "MAINSPRING_ANSWER"


class Order(msgspec.Struct, frozen=True):
    """What a pod is to do."""

    store: str
    """Folder or URL of the store that payload and answer travel through."""
    address: str
    payload: str
    """Its digest."""
    limits: Limits


class Said(msgspec.Struct, frozen=True):
    """What a container says as it ends."""

    kind: int
    """Whether the work answered or raised."""
    digest: str
    """Of the answer, or of the error in JSON."""


class Shelf:
    """Where both sides put what is too large for a message."""

    def __init__(self, client: Any) -> None:
        self._storage = Storage(client.backend)

    def put(self, data: bytes) -> str:
        """Keep bytes; their digest."""
        return self._storage.put_blob([data]).digest

    def get(self, digest: str) -> bytes:
        """The bytes of a digest."""
        return b"".join(self._storage.get_blob(digest))


@contextmanager
def shelf_at(store: str) -> Iterator[Shelf]:
    """The shelf of a store by its address."""
    with load(PEER)(store) as client:
        yield Shelf(client)


def main() -> int:
    """Do the work of this pod; 0 when there is an answer, whatever it is."""
    order = msgspec.json.decode(os.environ[ORDER], type=Order)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the pod is deleted: what it started ends with it
    with shelf_at(order.store) as shelf:
        said = _perform(order, shelf)
        Path(os.environ.get(ANSWER, "/dev/termination-log")).write_bytes(msgspec.json.encode(said))
    return 0


def _perform(order: Order, shelf: Shelf) -> Said:
    with ProcessEngine(1, sys_path=[os.getcwd(), *sys.path]) as engine:  # noqa: PTH109 -- a text is what travels
        try:
            answer = engine.submit(order.address, shelf.get(order.payload), limits=order.limits).result()
        except MainspringError as error:
            return Said(RAISED, shelf.put(msgspec.json.encode(error.payload())))
        return Said(OK, shelf.put(answer))


if __name__ == "__main__":
    sys.exit(main())
