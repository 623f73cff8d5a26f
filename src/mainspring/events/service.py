"""The operations of the events room."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec

from mainspring.events.delivery import policy_of, send
from mainspring.events.outbox import last_number, send_to, wait_for_events
from mainspring.events.posting import check_url
from mainspring.events.tables import DELIVERIES, EVENTS, WEBHOOKS
from mainspring.events.types import (
    Delivery,
    DeliveryState,
    Emitted,
    EventPolicy,
    NewWebhook,
    Outcome,
    Webhook,
    WebhookStatus,
)
from mainspring.kernel.clock import now
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, nearest
from mainspring.kernel.hooks import PAYLOADS, registered
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import operation
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["Events"]

_LONGEST_WAIT = 30.0
_PATTERN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.*-_")


class Events(RoomService, room="events"):
    """What happened, and the webhooks that are told of it."""

    @operation(permission="events:read")
    def since(
        self,
        position: int = 0,
        *,
        kinds: list[str] = [],  # noqa: B006 -- copied by the operation's request type
        limit: int = 100,
        wait: float = 0.0,
    ) -> list[Emitted]:
        """The events behind a position, in order; the `number` of the last is the next position.

        Args:
            position: 0 for the oldest that are kept; `position()` for those that come.
            kinds: Patterns such as `model.alias.*`; all when empty.
            limit: At most 1000.
            wait: Block for so many seconds, at most 30, until there are some.

        Raises:
            InvalidInput: `wait` is not from 0 to 30.
        """
        if not 0 <= wait <= _LONGEST_WAIT:
            raise InvalidInput(f"wait = {wait} is not from 0 to {_LONGEST_WAIT:g} seconds", hint="ask again and again")
        return wait_for_events(
            self.store,
            position,
            kinds,
            limit=max(1, min(limit, 1000)),
            timeout=wait,
        )

    @operation(permission="events:read")
    def position(self) -> int:
        """The number of the newest event: what `since` takes to see only what comes."""
        with self.store.read() as tx:
            return last_number(tx)

    @operation(permission="events:admin", writes=True, resource="name")
    def create_webhook(
        self,
        name: str,
        url: str,
        *,
        kinds: list[str],
        secret: str | None = None,
        payload: str = "cloudevents",
        topics: list[str] = [],  # noqa: B006
        description: str = "",
        status: WebhookStatus = "active",
    ) -> NewWebhook:
        """Have an address told of events.

        Args:
            name: What people call it.
            url: Where to post; https, and a public address unless the workspace's policy permits others.
            kinds: Which events: `model.version.created`, `model.*`, `*`.
            secret: To sign with; one is made and shown once when None, nothing is signed when empty.
            payload: `cloudevents`, `mlflow`, or one that an installed package registers.
            topics: Which events in the words of that form, where it has such.
            description: In words.
            status: `active` or `disabled`.
        """
        made = secret is None
        kept = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}" if secret is None else secret
        self._check(name, url, kinds, payload)
        with self.store.write() as tx:
            webhook = Webhook(
                id=new_id(),
                workspace=caller().workspace,
                name=name,
                url=url,
                kinds=kinds,
                payload=payload,
                topics=topics,
                description=description,
                status=status,
                signed=bool(kept),
                created_at=tx.now,
                updated_at=tx.now,
                created_by=caller().principal,
            )
            tx.insert(WEBHOOKS, webhook)
            _keep_secret(tx, webhook.id, kept)
            tx.note(f"webhook/{webhook.id}", name=name, url=url, kinds=kinds)
        return NewWebhook(webhook, kept if made else "")

    @operation(permission="events:read")
    def webhooks(self, *, limit: int = 100, after: str = "") -> list[Webhook]:
        """The webhooks of the workspace, oldest first; `after` is the last id of the page before."""
        with self.store.read() as tx:
            where = "WHERE workspace = ? AND id > ? ORDER BY id LIMIT ?"
            return tx.fetch(WEBHOOKS, where, (tx.workspace, after, max(1, min(limit, 1001))))

    @operation(permission="events:read", resource="webhook_id")
    def webhook(self, webhook_id: str) -> Webhook:
        """One webhook by its id."""
        with self.store.read() as tx:
            return _find(tx, webhook_id)

    @operation(permission="events:admin", writes=True, resource="webhook_id")
    def change_webhook(
        self,
        webhook_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        kinds: list[str] | None = None,
        secret: str | None = None,
        topics: list[str] | None = None,
        description: str | None = None,
        status: WebhookStatus | None = None,
    ) -> Webhook:
        """Change what is given; None leaves as it is. An empty secret ends the signing."""
        with self.store.read() as tx:
            held = _find(tx, webhook_id)
        self._check(
            held.name if name is None else name,
            held.url if url is None else url,
            held.kinds if kinds is None else kinds,
            held.payload,
        )
        with self.store.write() as tx:
            held = _find(tx, webhook_id)
            changed = msgspec.structs.replace(
                held,
                name=held.name if name is None else name,
                url=held.url if url is None else url,
                kinds=held.kinds if kinds is None else kinds,
                topics=held.topics if topics is None else topics,
                description=held.description if description is None else description,
                status=held.status if status is None else status,
                signed=held.signed if secret is None else bool(secret),
                updated_at=tx.now,
            )
            tx.execute("DELETE FROM webhook WHERE id = ?", (held.id,))
            tx.insert(WEBHOOKS, changed)
            if secret is not None:
                _keep_secret(tx, held.id, secret)
            tx.note(f"webhook/{held.id}", name=changed.name, url=changed.url, kinds=kinds, status=changed.status)
            return changed

    @operation(permission="events:admin", writes=True, resource="webhook_id")
    def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook; what is still on its way is not delivered any more."""
        with self.store.write() as tx:
            held = _find(tx, webhook_id)
            tx.execute("DELETE FROM webhook WHERE id = ?", (held.id,))
            tx.execute("DELETE FROM webhook_secret WHERE webhook_id = ?", (held.id,))
            tx.note(f"webhook/{held.id}", deleted=True, name=held.name)

    @operation(permission="events:admin", writes=True, resource="webhook_id")
    def test_webhook(
        self,
        webhook_id: str,
        *,
        kind: str = "",
        subject: str = "test",
        data: dict[str, Any] = {},  # noqa: B006
    ) -> Outcome:
        """Post an event that did not happen, once and now; how it went."""
        with self.store.read() as tx:
            webhook, policy = _find(tx, webhook_id), policy_of(tx)
            secret = str(tx.value("SELECT secret FROM webhook_secret WHERE webhook_id = ?", (webhook.id,)) or "")
        chosen = kind or next((each for each in webhook.kinds if "*" not in each), "webhook.test")
        event = Emitted(0, new_id(), webhook.workspace, chosen, subject, dict(data), now(), caller().principal)
        outcome = send(_Here(self), event, webhook, delivery=new_id(), secret=secret, policy=policy)
        return outcome or Outcome(delivered=False, error=f"an event {chosen} is not for this webhook")

    @operation(permission="events:read")
    def deliveries(
        self, *, webhook_id: str = "", state: DeliveryState | None = None, limit: int = 100, before: str = ""
    ) -> list[Delivery]:
        """Deliveries and how they went, newest first; `before` is the last id of the page before."""
        clauses, params = ["workspace = ?"], [caller().workspace]
        for clause, value in (("webhook_id = ?", webhook_id), ("state = ?", state), ("id < ?", before)):
            if value:
                clauses.append(clause)
                params.append(value)
        with self.store.read() as tx:
            where = f"WHERE {' AND '.join(clauses)} ORDER BY id DESC LIMIT ?"
            return tx.fetch(DELIVERIES, where, [*params, max(1, min(limit, 1000))])

    @operation(permission="events:admin", writes=True, resource="delivery_id")
    def redeliver(self, delivery_id: str) -> Delivery:
        """Deliver an event once more, under a new id."""
        with self.store.write() as tx:
            where = "WHERE id = ? AND workspace = ?"
            held = tx.fetch_one(DELIVERIES, where, (delivery_id, tx.workspace))
            if held is None:
                raise NotFound(f"there is no delivery {delivery_id!r}")
            event = tx.fetch_one(EVENTS, "WHERE number = ?", (held.event,))
            if event is None:
                raise Conflict(f"the event of delivery {delivery_id} was forgotten; events are kept for 30 days")
            tx.note(f"webhook/{held.webhook_id}", redelivered=held.id)
            return send_to(tx, _find(tx, held.webhook_id), event)

    @operation(permission="events:read")
    def policy(self) -> EventPolicy:
        """What the webhooks of this workspace may reach."""
        with self.store.read() as tx:
            return policy_of(tx)

    @operation(permission="events:admin", writes=True)
    def set_policy(self, *, private: bool = False) -> EventPolicy:
        """Say whether webhooks may reach private addresses, and by plain HTTP."""
        with self.store.write() as tx:
            tx.execute(
                "INSERT INTO event_policy (workspace, private) VALUES (?, ?)"
                " ON CONFLICT (workspace) DO UPDATE SET private = excluded.private",
                (tx.workspace, int(private)),
            )
            tx.note("policy/events", private=private)
        return EventPolicy(private)

    def _check(self, name: str, url: str, kinds: list[str], payload: str) -> None:
        if not name or len(name) > 250 or not name.isprintable():
            raise InvalidInput("a webhook has a name of 1 to 250 printable characters")
        if not kinds:
            raise InvalidInput("a webhook is told of at least one kind of events", hint="kinds=['model.*']")
        wrong = next((each for each in kinds if not each or not set(each) <= _PATTERN), None)
        if wrong is not None:
            raise InvalidInput(f"{wrong!r} is not a kind of events", hint="model.version.created, model.*, *")
        try:
            registered("payloads", PAYLOADS, payload)
        except NotFound:
            raise InvalidInput(f"there is no form {payload!r}", known=nearest(payload, PAYLOADS)) from None
        check_url(url, private=self.policy().private)


class _Here:
    """The client that a form of events may look things up with: other rooms on the same backend."""

    def __init__(self, service: Events) -> None:
        self.backend = service._backend  # noqa: SLF001 -- its own


def _find(tx: Transaction, webhook_id: str) -> Webhook:
    where = "WHERE id = ? AND workspace = ?"
    found = tx.fetch_one(WEBHOOKS, where, (webhook_id.removeprefix("webhook/"), tx.workspace))
    if found is None:
        raise NotFound(f"there is no webhook {webhook_id!r}")
    return found


def _keep_secret(tx: Transaction, webhook_id: str, secret: str) -> None:
    tx.execute("DELETE FROM webhook_secret WHERE webhook_id = ?", (webhook_id,))
    if secret:
        tx.execute("INSERT INTO webhook_secret (webhook_id, secret) VALUES (?, ?)", (webhook_id, secret))
