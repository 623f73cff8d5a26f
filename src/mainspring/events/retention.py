"""What was delivered long ago is forgotten; what nobody could be told is kept as long as the event."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mainspring.kernel.clock import monotonic, now_micros

__all__ = ["KEPT", "forget", "tick"]

KEPT = timedelta(days=30)
"""For how long events can be read again."""
_EVERY = 3600.0
_MOST = 10_000
_looked: dict[str, float] = {}


def tick(client: Any) -> None:
    """Forget once an hour; called by the scheduler."""
    if monotonic() - _looked.get(client.address, -_EVERY) < _EVERY:
        return
    _looked[client.address] = monotonic()
    forget(client.backend.store, before=now_micros() - KEPT // timedelta(microseconds=1))


def forget(store: Any, *, before: int) -> int:
    """Remove events that happened before a moment (microseconds), with their deliveries; how many.

    The newest stays, so that the sequence goes on from it.
    """
    with store.read() as tx:
        number = tx.value("SELECT MAX(number) FROM event_outbox WHERE at < ?", (before,))
        if number is None:
            return 0
    with store.bookkeeping() as tx:
        tx.execute(
            "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery WHERE event <= ?"
            " AND state <> 'pending' LIMIT ?)",
            (number, _MOST),
        )
        return int(
            tx.execute(
                "DELETE FROM event_outbox WHERE number IN (SELECT number FROM event_outbox WHERE number <= ?"
                " AND number < (SELECT MAX(number) FROM event_outbox)"
                " AND number NOT IN (SELECT event FROM webhook_delivery) LIMIT ?)",
                (number, _MOST),
            )
        )
