"""What the events room keeps and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["Delivery", "DeliveryState", "Emitted", "EventPolicy", "NewWebhook", "Outcome", "Webhook", "WebhookStatus"]

WebhookStatus = Literal["active", "disabled"]
DeliveryState = Literal["pending", "delivered", "failed", "skipped"]
"""`failed` is for good: refused by the receiver, or tried often enough. `skipped`: it was not for this webhook."""


class Emitted(msgspec.Struct, frozen=True):
    """Something that happened: written in the transaction in which it did."""

    number: int
    """Its place in the sequence of all events of the store; it only grows, in the order of commits."""
    id: str
    workspace: str
    kind: str
    """`model.version.created`, `model.alias.set`, ..."""
    subject: str
    """What it is about: `model/name@version`."""
    data: dict[str, Any]
    at: datetime
    by: str


class Webhook(msgspec.Struct, frozen=True):
    """An address that is told of events. Its secret is never shown again."""

    id: str
    workspace: str
    name: str
    url: str
    kinds: list[str]
    """Which events: `model.version.created`, `model.alias.*`, `*`."""
    payload: str
    """The form of what is sent: `cloudevents`, `mlflow`, or one that an installed package registers."""
    topics: list[str]
    """Which events in the words of that form; only the form reads it."""
    description: str
    status: WebhookStatus
    signed: bool
    """Whether there is a secret to sign with."""
    created_at: datetime
    updated_at: datetime
    created_by: str


class NewWebhook(msgspec.Struct, frozen=True):
    """A webhook just made, with the secret that was made for it; empty where the caller gave one."""

    webhook: Webhook
    secret: str


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one webhook."""

    id: str
    """The same at every attempt: a receiver that saw it before has it already."""
    workspace: str
    webhook_id: str
    event: int
    """The number of the event."""
    kind: str
    state: DeliveryState
    attempts: int
    status: int
    """What the receiver answered last; 0 when it did not."""
    answer: str
    """The beginning of that answer."""
    error: str
    created_at: datetime
    changed_at: datetime


class Outcome(msgspec.Struct, frozen=True):
    """How one attempt went."""

    delivered: bool
    status: int = 0
    """HTTP status; 0 when there was no answer."""
    answer: str = ""
    error: str = ""
    again: bool = False
    """Whether trying again could help."""
    wait: float | None = None
    """Seconds that the receiver asked to be left alone."""


class EventPolicy(msgspec.Struct, frozen=True):
    """What the webhooks of a workspace may reach."""

    private: bool = False
    """Whether they may reach loopback, private and link-local addresses, and plain HTTP."""
