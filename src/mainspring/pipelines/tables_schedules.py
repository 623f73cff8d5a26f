"""The tables of schedules, triggers and deployments."""

from __future__ import annotations

from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.records import Table

__all__ = ["SCHEDULES", "SCHEDULE_TABLES"]

SCHEDULES = Table("flow_schedule", Schedule)

SCHEDULE_TABLES = """
CREATE TABLE flow_schedule (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  params TEXT NOT NULL,
  cron TEXT NOT NULL,
  every DOUBLE PRECISION NOT NULL,
  tz TEXT NOT NULL,
  paused BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  last_at BIGINT,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE INDEX flow_schedule_due ON flow_schedule (paused, next_at);
"""
