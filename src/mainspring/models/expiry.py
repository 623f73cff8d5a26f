"""Giving up what was deleted so long ago that it cannot be restored: versions, and logged models."""

from __future__ import annotations

import msgspec

from mainspring.kernel.context import acting_as, caller
from mainspring.lineage import lifetime
from mainspring.models.logged_tables import LOGGED
from mainspring.models.retention import empty_expired
from mainspring.store.transaction import Transaction

__all__ = ["expire_deleted"]

_OF_MODEL = ("logged_model_file", "logged_model_metric", "logged_model_value")


def expire_deleted(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- a hook's signature
    """Give up the bytes of versions and logged models that were deleted before a moment, in every workspace; how many.

    Versions that were registered from a logged model have its files as their own, and keep them.

    Args:
        tx: The transaction of a collection of garbage.
        before: Microseconds since 1970 UTC.
        write: Whether to do it, or only to count.
    """
    rows = tx.fetch(LOGGED, "WHERE deleted_at IS NOT NULL AND deleted_at < ?", (before,))
    for row in rows if write else ():
        with acting_as(msgspec.structs.replace(caller(), workspace=row.workspace)):
            if row.artifact_id:
                lifetime.empty(tx, [row.artifact_id])
            for table in _OF_MODEL:
                tx.execute(f"DELETE FROM {table} WHERE model_id = ?", (row.id,))  # noqa: S608 -- names of our own
            tx.execute("DELETE FROM logged_model WHERE id = ?", (row.id,))
            tx.note(f"logged-model/{row.id}", expired=True)
    return len(rows) + empty_expired(tx, before, write)
