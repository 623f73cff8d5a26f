"""The tables of what runs wait for, and of what is to happen at their end."""

from __future__ import annotations

from mainspring.pipelines.types_waits import Ending, Wait
from mainspring.store.records import Table

__all__ = ["ENDINGS", "WAITS", "WAIT_TABLES"]

WAITS = Table("flow_wait", Wait)
ENDINGS = Table("flow_ending", Ending)

WAIT_TABLES = """
CREATE TABLE flow_wait (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  flow TEXT NOT NULL,
  path TEXT NOT NULL,
  state TEXT NOT NULL,
  wanted TEXT NOT NULL,
  exact_kind TEXT NOT NULL,
  exact_subject TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  due_at BIGINT,
  answer TEXT,
  event BIGINT NOT NULL,
  resolved_at BIGINT,
  resolved_by TEXT NOT NULL,
  UNIQUE (run_id, path)
);
CREATE INDEX flow_wait_open ON flow_wait (workspace, id) WHERE state = 'open';
CREATE INDEX flow_wait_event ON flow_wait (workspace, exact_kind, exact_subject)
  WHERE state = 'open' AND exact_kind <> '';
CREATE TABLE flow_ending (
  run_id TEXT PRIMARY KEY,
  due_at BIGINT,
  on_success BIGINT NOT NULL,
  on_failure BIGINT NOT NULL
);
"""
