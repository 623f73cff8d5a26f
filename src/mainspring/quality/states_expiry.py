"""Forgetting states of contents that are gone: with the bytes goes what was known of them."""

from __future__ import annotations

from mainspring.store.blob_tables import batched, find_rows
from mainspring.store.transaction import Transaction

__all__ = ["expire_states"]

_AT_ONCE = 500


def expire_states(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- a hook's signature
    """Remove states of contents whose bytes are no longer in the store; how many.

    Args:
        tx: The transaction of a collection of garbage.
        before: Microseconds since 1970 UTC; states that were learnt later stay, since their content may be on its way.
        write: Whether to do it, or only to count.
    """
    old = [content for (content,) in tx.rows("SELECT DISTINCT content FROM quality_state WHERE at < ?", (before,))]
    gone = 0
    for batch in batched(old, _AT_ONCE):
        here = find_rows(tx, batch)
        for content in (each for each in batch if each not in here):
            gone += tx.value("SELECT COUNT(*) FROM quality_state WHERE content = ?", (content,))
            if write:
                tx.execute("DELETE FROM quality_state WHERE content = ?", (content,))
    return gone
