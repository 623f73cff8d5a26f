"""The tables of schedules: what starts by itself, the calendars it keeps to, and what came of each moment."""

from __future__ import annotations

from mainspring.pipelines.types_schedules import Calendar, Fire, Schedule
from mainspring.store.records import Table

__all__ = ["CALENDARS", "FIRES", "SCHEDULES", "SCHEDULE_TABLES"]

CALENDARS = Table("flow_calendar", Calendar)
FIRES = Table("flow_fire", Fire)
SCHEDULES = Table("flow_schedule", Schedule)

SCHEDULE_TABLES = """
CREATE TABLE flow_schedule (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  params TEXT NOT NULL,
  timing TEXT NOT NULL,
  paused BIGINT NOT NULL,
  next_at BIGINT,
  last_at BIGINT,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  jitter DOUBLE PRECISION NOT NULL,
  due_at BIGINT,
  overlap TEXT NOT NULL,
  catch_up DOUBLE PRECISION NOT NULL,
  make_up TEXT NOT NULL,
  pause_after BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  paused_because TEXT NOT NULL,
  deployment TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  labels TEXT NOT NULL,
  max_attempts BIGINT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE INDEX flow_schedule_due ON flow_schedule (paused, due_at);
CREATE TABLE flow_calendar (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  days TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE flow_fire (
  id TEXT PRIMARY KEY,
  source_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  fire_at BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  run_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  params TEXT NOT NULL,
  events TEXT NOT NULL,
  key TEXT NOT NULL,
  UNIQUE (source_id, number)
);
CREATE INDEX flow_fire_by_time ON flow_fire (workspace, at);
CREATE INDEX flow_fire_run ON flow_fire (run_id);
CREATE INDEX flow_fire_open ON flow_fire (outcome, source_id, number);
"""
