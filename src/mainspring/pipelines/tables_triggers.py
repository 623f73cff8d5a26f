"""The tables of triggers: what they wait for, what they remember, and what is listened to outside."""

from __future__ import annotations

from mainspring.pipelines.types_triggers import Hook, StreamSource, Trigger
from mainspring.store.records import Table

__all__ = ["HOOKS", "SOURCES", "TRIGGERS", "TRIGGER_TABLES"]

HOOKS = Table("flow_hook", Hook)
SOURCES = Table("flow_source", StreamSource)
TRIGGERS = Table("flow_trigger", Trigger)

# `flow_trigger_kind` says which triggers an event may be for, so that ten thousand of them are not asked one by one;
# `flow_trigger_memory` holds what a condition knows between two events, and when it is to be looked at again; a secret
# stands in a table of its own, so that no query for a hook can show it.
TRIGGER_TABLES = """
CREATE TABLE flow_trigger (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  condition TEXT NOT NULL,
  params TEXT NOT NULL,
  key TEXT NOT NULL,
  paused BIGINT NOT NULL,
  since BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  overlap TEXT NOT NULL,
  error TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE flow_trigger_kind (
  trigger_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  wild BIGINT NOT NULL,
  PRIMARY KEY (workspace, kind, trigger_id)
);
CREATE INDEX flow_trigger_kind_wild ON flow_trigger_kind (workspace, wild);
CREATE INDEX flow_trigger_kind_by_trigger ON flow_trigger_kind (trigger_id);
CREATE TABLE flow_trigger_memory (
  trigger_id TEXT NOT NULL,
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  begun_at BIGINT NOT NULL,
  due_at BIGINT,
  events TEXT NOT NULL,
  PRIMARY KEY (trigger_id, path, key)
);
CREATE INDEX flow_trigger_memory_due ON flow_trigger_memory (due_at);
CREATE TABLE flow_cursor (
  name TEXT PRIMARY KEY,
  position BIGINT NOT NULL
);
CREATE TABLE flow_hook (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  tolerance DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_hook_secret (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  secret TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_source (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  topic TEXT NOT NULL,
  options TEXT NOT NULL,
  id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  active BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_source_seen (
  source_id TEXT NOT NULL,
  token TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (source_id, token)
);
CREATE INDEX flow_source_seen_by_time ON flow_source_seen (source_id, at);
"""
