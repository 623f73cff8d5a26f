"""The tables of the events room: the outbox, webhooks, deliveries, and what webhooks may reach."""

from __future__ import annotations

from mainspring.events.types import Delivery, Emitted, Webhook
from mainspring.store.records import Table

__all__ = ["DELIVERIES", "EVENTS", "MIGRATIONS", "WEBHOOKS"]

EVENTS = Table("event_outbox", Emitted)
WEBHOOKS = Table("webhook", Webhook)
DELIVERIES = Table("webhook_delivery", Delivery)

# A secret stands in a table of its own, so that no query for a webhook can show it.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE event_outbox (
  number BIGINT PRIMARY KEY,
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX event_outbox_by_workspace ON event_outbox (workspace, number);
CREATE INDEX event_outbox_by_time ON event_outbox (at);
CREATE TABLE webhook (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  kinds TEXT NOT NULL,
  payload TEXT NOT NULL,
  topics TEXT NOT NULL,
  description TEXT NOT NULL,
  status TEXT NOT NULL,
  signed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX webhook_by_workspace ON webhook (workspace, status, id);
CREATE TABLE webhook_secret (
  webhook_id TEXT PRIMARY KEY,
  secret TEXT NOT NULL
);
CREATE TABLE webhook_delivery (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  event BIGINT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  status BIGINT NOT NULL,
  answer TEXT NOT NULL,
  error TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE INDEX webhook_delivery_by_webhook ON webhook_delivery (workspace, webhook_id, id);
CREATE INDEX webhook_delivery_by_event ON webhook_delivery (event);
CREATE TABLE event_policy (
  workspace TEXT PRIMARY KEY,
  private BIGINT NOT NULL
);
""",
)
