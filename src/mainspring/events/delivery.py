"""Delivering: a task of the worker posts one event to one webhook, and is tried again until it was taken.

At least once: a worker that dies between the answer and the record of it posts again, under the same id, and the
receiver knows by the id that it has it already. What was recorded as delivered is never posted again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.events.outbox import ATTEMPTS
from mainspring.events.posting import post
from mainspring.events.tables import DELIVERIES, EVENTS, WEBHOOKS
from mainspring.events.types import Delivery, Emitted, EventPolicy, Outcome, Webhook
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import InvalidInput, MainspringError, Unavailable
from mainspring.kernel.hooks import PAYLOADS, registered
from mainspring.store.queue_tables import Task
from mainspring.store.transaction import Transaction

__all__ = ["TryAgain", "deliver", "policy_of", "send"]


class TryAgain(Unavailable):
    """The receiver could not take it now."""

    code = "MS-5301"

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def deliver(client: Any, task: Task) -> Any:
    """The handler of tasks of the kind `webhook`."""
    with acting_as(Caller(principal=task.created_by, workspace=task.workspace, method="system")):
        store = client.backend.store
        with store.read() as tx:
            delivery = tx.fetch_one(DELIVERIES, "WHERE id = ?", (task.payload["delivery"],))
            if delivery is None or delivery.state != "pending":
                return {"state": "gone" if delivery is None else delivery.state}
            webhook = tx.fetch_one(WEBHOOKS, "WHERE id = ?", (delivery.webhook_id,))
            event = tx.fetch_one(EVENTS, "WHERE number = ?", (delivery.event,))
            secret, policy = _secret(tx, delivery.webhook_id), policy_of(tx)
        if webhook is None or event is None or webhook.status != "active":
            return _record(store, delivery, Outcome(delivered=False, error="the webhook is not there any more"))
        outcome = send(client, event, webhook, delivery=delivery.id, secret=secret, policy=policy)
        if outcome is not None and outcome.again and task.attempt < min(ATTEMPTS, task.max_attempts):
            _record(store, delivery, outcome, pending=True)
            raise TryAgain(f"{webhook.url}: {outcome.error}", retry_after=outcome.wait)
        return _record(store, delivery, outcome)


def send(
    client: Any, event: Emitted, webhook: Webhook, *, delivery: str, secret: str, policy: EventPolicy
) -> Outcome | None:
    """Put an event into the webhook's form and post it once; None when it is not for this webhook."""
    try:
        form = registered("payloads", PAYLOADS, webhook.payload)
        prepared = form(client, event, webhook, delivery=delivery, secret=secret)
        return None if prepared is None else post(webhook.url, prepared, private=policy.private)
    except InvalidInput as error:
        return Outcome(delivered=False, error=error.message)
    except MainspringError as error:
        return Outcome(delivered=False, error=error.message, again=True)


def policy_of(tx: Transaction) -> EventPolicy:
    """What the webhooks of the caller's workspace may reach."""
    return EventPolicy(bool(tx.value("SELECT private FROM event_policy WHERE workspace = ?", (tx.workspace,))))


def _secret(tx: Transaction, webhook_id: str) -> str:
    return str(tx.value("SELECT secret FROM webhook_secret WHERE webhook_id = ?", (webhook_id,)) or "")


def _record(store: Any, delivery: Delivery, outcome: Outcome | None, *, pending: bool = False) -> dict[str, Any]:
    """Write down how an attempt went; in a transaction without an audit event, for no person did it."""
    state = "skipped" if outcome is None else "delivered" if outcome.delivered else "pending" if pending else "failed"
    with store.bookkeeping() as tx:
        done = outcome or Outcome(delivered=False)
        tx.execute(
            "UPDATE webhook_delivery SET state = ?, attempts = attempts + ?, status = ?, answer = ?, error = ?,"
            " changed_at = ? WHERE id = ? AND state = 'pending'",
            (state, int(outcome is not None), done.status, done.answer, done.error, tx.now_micros, delivery.id),
        )
    return {"state": state, **msgspec.to_builtins(done)}
