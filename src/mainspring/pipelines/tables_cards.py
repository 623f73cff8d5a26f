"""The table of what steps show of themselves."""

from __future__ import annotations

from mainspring.pipelines.types_cards import Part
from mainspring.store.records import Table

__all__ = ["CARD_TABLES", "PARTS"]

PARTS = Table("flow_card", Part)

CARD_TABLES = """
CREATE TABLE flow_card (
  id TEXT PRIMARY KEY,
  step_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  content TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX flow_card_by_step ON flow_card (step_id, number);
CREATE INDEX flow_card_by_run ON flow_card (run_id);
"""
