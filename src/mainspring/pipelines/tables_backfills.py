"""The tables of backfills."""

from __future__ import annotations

from mainspring.pipelines.types_backfills import Backfill, BackfillItem
from mainspring.store.records import Table

__all__ = ["BACKFILLS", "BACKFILL_ITEMS", "BACKFILL_TABLES"]

BACKFILLS = Table("flow_backfill", Backfill)
BACKFILL_ITEMS = Table("flow_backfill_item", BackfillItem)

BACKFILL_TABLES = """
CREATE TABLE flow_backfill (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  params TEXT NOT NULL,
  timing TEXT NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  schedule TEXT NOT NULL,
  reprocess TEXT NOT NULL,
  backward BIGINT NOT NULL,
  max_parallel BIGINT NOT NULL,
  state TEXT NOT NULL,
  runs BIGINT NOT NULL,
  kept BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL
);
CREATE INDEX flow_backfill_by_name ON flow_backfill (workspace, name);
CREATE INDEX flow_backfill_by_state ON flow_backfill (state);
CREATE TABLE flow_backfill_item (
  backfill_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  moment BIGINT NOT NULL,
  state TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (backfill_id, number)
);
CREATE INDEX flow_backfill_item_run ON flow_backfill_item (run_id);
CREATE INDEX flow_backfill_item_state ON flow_backfill_item (backfill_id, state, number);
"""
