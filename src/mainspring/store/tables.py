"""What the store itself keeps: the ledger, the index of blobs, the queue."""

from __future__ import annotations

from mainspring.store.blob_tables import BLOB_MIGRATION
from mainspring.store.queue_tables import QUEUE_MIGRATION

__all__ = ["MIGRATIONS"]

_LEDGER = """
CREATE TABLE ledger (
  seq BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  actor TEXT NOT NULL,
  method TEXT NOT NULL,
  request_id TEXT NOT NULL,
  action TEXT NOT NULL,
  changes TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX ledger_by_workspace ON ledger (workspace, seq);
"""

MIGRATIONS: tuple[str, ...] = (_LEDGER + BLOB_MIGRATION + QUEUE_MIGRATION,)
