"""The tables of flow runs, their steps, and what can be reused of them."""

from __future__ import annotations

from mainspring.pipelines.types import Attempt, FlowRun, StepRecord
from mainspring.store.records import Table

__all__ = ["ATTEMPTS", "FLOW_RUNS", "RUN_TABLES", "STEPS"]

ATTEMPTS = Table("flow_attempt", Attempt)
FLOW_RUNS = Table("flow_run", FlowRun)
STEPS = Table("flow_step", StepRecord)

RUN_TABLES = """
CREATE TABLE flow_run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  flow TEXT NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  params TEXT NOT NULL,
  code TEXT NOT NULL,
  location TEXT NOT NULL,
  task_id TEXT NOT NULL,
  worker TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  started_at BIGINT,
  finished_at BIGINT,
  result TEXT,
  error TEXT,
  cause TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  position BIGINT NOT NULL
);
CREATE UNIQUE INDEX flow_run_key ON flow_run (workspace, flow, key) WHERE key <> '';
CREATE INDEX flow_run_by_flow ON flow_run (workspace, flow, id);
CREATE INDEX flow_run_open ON flow_run (state, id) WHERE state IN ('queued', 'running', 'waiting', 'paused');
CREATE TABLE flow_step (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  path TEXT NOT NULL,
  item BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  arguments TEXT NOT NULL,
  inputs TEXT NOT NULL,
  contents TEXT NOT NULL,
  code TEXT NOT NULL,
  environment TEXT NOT NULL,
  key TEXT NOT NULL,
  uncached TEXT NOT NULL,
  cached_from TEXT NOT NULL,
  output TEXT,
  error TEXT,
  uses TEXT NOT NULL,
  marked_by TEXT NOT NULL,
  card TEXT NOT NULL,
  UNIQUE (run_id, path, item)
);
CREATE TABLE flow_attempt (
  step_id TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (step_id, attempt, started_at)
);
CREATE TABLE flow_log (
  id TEXT PRIMARY KEY,
  text TEXT NOT NULL
);
CREATE TABLE flow_cache (
  workspace TEXT NOT NULL,
  key TEXT NOT NULL,
  step_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, key)
);
"""
