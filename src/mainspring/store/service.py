"""The store's own operations, and the base of every room's service."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from mainspring.kernel.errors import InternalError, InvalidInput
from mainspring.kernel.operations import Download, Service, Upload, operation
from mainspring.store.check import StoreReport, verify_store
from mainspring.store.collect import GarbageReport, collect_garbage
from mainspring.store.ledger import Anchor, ChainReport, Event

if TYPE_CHECKING:
    from mainspring.store.local import LocalBackend
    from mainspring.store.store import Store

__all__ = ["BlobInfo", "RoomService", "Storage"]

_RANGE = 16 << 20


class RoomService(Service):
    """A service whose operations run on a store."""

    @property
    def store(self) -> Store:
        """The store that the operation runs on. Only operations may ask: at a remote client there is none."""
        store = getattr(self._backend, "store", None)
        if store is None:
            raise InternalError(f"{type(self).__name__} asked for a store outside an operation")
        return cast("LocalBackend", self._backend).store


class BlobInfo(msgspec.Struct, frozen=True):
    """An uploaded blob."""

    digest: str
    """BLAKE3 of the plain bytes, 64 hex digits."""
    size: int
    """Bytes."""


class Storage(RoomService, room="storage"):
    """Bytes and the audit log."""

    @operation(permission="storage:write", writes=True)
    def put_blob(self, body: Upload) -> BlobInfo:
        """Store bytes under their digest; a second copy of the same bytes costs nothing."""
        digest, size = self.store.blobs.put_stream(body)
        return BlobInfo(digest, size)

    @operation(permission="storage:read")
    def get_blob(self, digest: str) -> Download:
        """The bytes of a blob; every piece is checked before it leaves."""
        return self.store.blobs.open(digest)

    @operation(permission="storage:read")
    def read_blob(self, digest: str, *, start: int, length: int) -> Download:
        """Bytes `start` to `start + length` of a blob, fewer at its end; at most 16 MiB at once."""
        if not 0 <= length <= _RANGE:
            raise InvalidInput(f"a range has at most {_RANGE} bytes, not {length}", hint="ask for it in parts")
        return iter([self.store.blobs.read_range(digest, start, length)])

    @operation(permission="storage:read")
    def missing(self, digests: list[str]) -> list[str]:
        """Which of these blobs are not here."""
        return self.store.blobs.missing(digests)

    @operation(permission="storage:admin")
    def verify(self) -> StoreReport:
        """Read everything that is stored and name what is damaged, missing or edited."""
        return verify_store(self.store)

    @operation(permission="storage:admin", writes=True)
    def collect_garbage(
        self, *, grace_days: float = 7.0, hold_hours: float = 24.0, dry_run: bool = False
    ) -> GarbageReport:
        """Remove the bytes that nothing refers to any more; others may write meanwhile.

        Args:
            grace_days: What was stored in the last so many days is left alone, referred to or not.
            hold_hours: How long a blob is held after a collection found that nothing refers to it; a later one removes
                it. With 0 it goes at once: only when nobody else writes.
            dry_run: Say what would be done, and do nothing.
        """
        report = collect_garbage(self.store, grace=grace_days * 86_400, hold=hold_hours * 3600, dry_run=dry_run)
        if not dry_run:
            with self.store.write() as tx:
                tx.note("storage/blobs", removed=report.removed, bytes=report.removed_bytes, freed=report.freed_bytes)
        return report

    @operation(permission="storage:read")
    def events(
        self, *, limit: int = 100, before: int = 0, action: str = "", actor: str = "", resource: str = ""
    ) -> list[Event]:
        """The audit log of this workspace, newest first; `before` is a sequence number, for the next page."""
        return self.store.ledger.events(
            limit=min(limit, 1000), before=before, action=action, actor=actor, resource=resource
        )

    @operation(permission="storage:read")
    def verify_audit(self) -> ChainReport:
        """Walk the chain of audit events; names each that was edited, dropped or moved."""
        return self.store.ledger.verify()

    @operation(permission="storage:admin", writes=True)
    def anchor_audit(self) -> Anchor | None:
        """Write the head of the chain beside the database, so that cutting its end off is found too."""
        return self.store.ledger.anchor()
