"""The outbox: an event is written in the transaction in which it happens, with what is to be delivered of it.

So neither exists without the other: nothing is told that did not happen, and nothing that happened is forgotten. Since
writes are serial, the numbers grow in the order of commits, and who has read up to a number has missed nothing below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from mainspring.events.tables import DELIVERIES, EVENTS, WEBHOOKS
from mainspring.events.types import Delivery, Emitted, Webhook
from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import caller
from mainspring.kernel.errors import NotFound
from mainspring.kernel.hooks import ON_EVENT, load
from mainspring.kernel.ids import new_id
from mainspring.store.queue_entry import enqueue
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = [
    "ATTEMPTS",
    "TASK",
    "emit",
    "events_since",
    "last_number",
    "matches",
    "send_to",
    "wait_for_events",
    "webhook_named",
]

TASK = "webhook"
"""The kind of queued task that delivers."""
ATTEMPTS = 10
"""How often a delivery is tried: over about 20 minutes, for waiting doubles."""


def emit(tx: Transaction, kind: str, *, subject: str, data: Mapping[str, Any]) -> Emitted:
    """Say that something happened; webhooks and consumers learn it when the transaction has committed.

    Args:
        tx: The transaction in which it happens.
        kind: What: words divided by dots, `model.version.created`.
        subject: To what: `kind/name@version`.
        data: What a listener needs to know, as JSON types; never a secret.
    """
    event = Emitted(
        number=last_number(tx) + 1,
        id=new_id(),
        workspace=tx.workspace,
        kind=kind,
        subject=subject,
        data=dict(data),
        at=tx.now,
        by=caller().principal,
    )
    tx.insert(EVENTS, event)
    tx.announce()
    for webhook in tx.fetch(WEBHOOKS, "WHERE workspace = ? AND status = 'active' ORDER BY id", (tx.workspace,)):
        if matches(kind, webhook.kinds):
            send_to(tx, webhook, event)
    for address in ON_EVENT.values():
        load(address)(tx, event)
    return event


def send_to(tx: Transaction, webhook: Webhook, event: Emitted) -> Delivery:
    """Have an event delivered to a webhook by a worker."""
    delivery = Delivery(
        id=new_id(),
        workspace=webhook.workspace,
        webhook_id=webhook.id,
        event=event.number,
        kind=event.kind,
        state="pending",
        attempts=0,
        status=0,
        answer="",
        error="",
        created_at=tx.now,
        changed_at=tx.now,
    )
    tx.insert(DELIVERIES, delivery)
    enqueue(tx, TASK, {"delivery": delivery.id}, key=delivery.id, max_attempts=ATTEMPTS)
    return delivery


def webhook_named(tx: Transaction, name: str) -> Webhook:
    """The active webhook of the caller's workspace with this name, the newest where there are several."""
    where = "WHERE workspace = ? AND name = ? AND status = 'active' ORDER BY id DESC LIMIT 1"
    found = tx.fetch_one(WEBHOOKS, where, (tx.workspace, name))
    if found is None:
        raise NotFound(f"there is no active webhook {name!r}", hint="events.create_webhook makes one")
    return found


def matches(kind: str, patterns: Sequence[str]) -> bool:
    """Whether an event of this kind is among those: `model.*` is everything about models.

    Example:
        >>> matches("model.alias.set", ["model.version.*", "model.alias.*"])
        True
        >>> matches("model.alias.set", ["model.alias"])
        False
    """
    return any(fnmatchcase(kind, pattern) for pattern in patterns)


def last_number(tx: Transaction) -> int:
    """The number of the newest event of the store; 0 when nothing has happened."""
    return int(tx.value("SELECT MAX(number) FROM event_outbox") or 0)


def events_since(tx: Transaction, position: int, kinds: Sequence[str] = (), *, limit: int = 100) -> list[Emitted]:
    """The events of the caller's workspace behind a position, in order; patterns of kinds may narrow them."""
    found: list[Emitted] = []
    where, size = "WHERE workspace = ? AND number > ? ORDER BY number LIMIT ?", max(limit, 100)
    while len(found) < limit:
        page = tx.fetch(EVENTS, where, (tx.workspace, position, size))
        found += [event for event in page if not kinds or matches(event.kind, kinds)]
        if len(page) < size:
            break
        position = page[-1].number
    return found[:limit]


def wait_for_events(
    store: Store, position: int, kinds: Sequence[str] = (), *, limit: int = 100, timeout: float = 0.0
) -> list[Emitted]:
    """The events behind a position; blocks until there are some, or `timeout` seconds went by.

    Who waits is woken by the commit of what it waits for, in this process or in another.
    """
    deadline = monotonic() + timeout
    commits = store.database.commits
    while True:
        seen = commits.number
        with store.read() as tx:
            found = events_since(tx, position, kinds, limit=limit)
            newest = last_number(tx)
        if found or monotonic() >= deadline:
            return found
        position = max(position, newest)  # what is not of these kinds is not looked at again
        commits.wait(seen, deadline - monotonic())
