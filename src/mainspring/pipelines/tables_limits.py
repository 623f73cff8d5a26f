"""The tables of limits: what they allow, and who holds or awaits a place."""

from __future__ import annotations

from mainspring.pipelines.types_limits import Claim, Limit
from mainspring.store.records import Table

__all__ = ["CLAIMS", "LIMITS", "LIMIT_TABLES"]

CLAIMS = Table("flow_claim", Claim)
LIMITS = Table("flow_limit", Limit)

LIMIT_TABLES = """
CREATE TABLE flow_limit (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  slots BIGINT NOT NULL,
  per_second DOUBLE PRECISION NOT NULL,
  burst DOUBLE PRECISION NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_bucket (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  tokens DOUBLE PRECISION NOT NULL,
  filled_at BIGINT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_claim (
  id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  names TEXT NOT NULL,
  state TEXT NOT NULL,
  priority BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  step TEXT NOT NULL,
  worker TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  asked_at BIGINT NOT NULL,
  held_at BIGINT,
  PRIMARY KEY (id, name)
);
CREATE INDEX flow_claim_waiting ON flow_claim (workspace, name, priority DESC, id) WHERE state = 'waiting';
CREATE INDEX flow_claim_held ON flow_claim (workspace, name) WHERE state = 'held';
"""
