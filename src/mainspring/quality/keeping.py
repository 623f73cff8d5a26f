"""Records of the room as artifacts of one JSON file: how every part of the service puts and gets them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from mainspring.kernel.errors import NotFound
from mainspring.kernel.hashing import canonical_json
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact, File
from mainspring.store.service import RoomService

__all__ = ["KeepingService"]

T = TypeVar("T")


class KeepingService(RoomService):
    """What the operations of the room share; only operations may call it."""

    def _put(self, value: msgspec.Struct, path: str) -> File:
        data = canonical_json(value)
        return File(path, len(data), self.store.blobs.put(data))

    def _get(self, ref: str, kind: str, record: type[T]) -> T:
        with self.store.read() as tx:
            artifact = graph.resolve(tx, ref, kind=kind)
            files = graph.files_of(tx, artifact.id)
        if artifact.kind != kind or len(files) != 1:
            raise NotFound(f"{artifact.ref} is not a {kind}")
        try:
            return msgspec.json.decode(self.store.blobs.get(files[0].digest), type=record)
        except msgspec.ValidationError:
            raise NotFound(f"{artifact.ref} is not a {record.__name__}", hint="look at its metadata") from None

    def _newest(self, kind: str) -> list[Artifact]:
        with self.store.read() as tx:
            return listing.newest(tx, kind)
