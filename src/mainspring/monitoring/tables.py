"""What monitoring keeps."""

from __future__ import annotations

from mainspring.monitoring.types import Alert, Monitor, Window
from mainspring.store.records import Table

__all__ = ["ALERTS", "MIGRATIONS", "MONITORS", "WINDOWS"]

MONITORS = Table("monitor", Monitor)
WINDOWS = Table("monitor_window", Window)
ALERTS = Table("alert", Alert)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE monitor (
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  limits TEXT NOT NULL,
  position TEXT NOT NULL,
  watermark BIGINT NOT NULL,
  windows BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  paused BIGINT NOT NULL,
  PRIMARY KEY (workspace, endpoint)
);
CREATE TABLE monitor_window (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  number BIGINT NOT NULL,
  model TEXT NOT NULL,
  after_id TEXT NOT NULL,
  through_id TEXT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  answered BIGINT NOT NULL,
  reference TEXT NOT NULL,
  drifted TEXT NOT NULL,
  drift_share DOUBLE PRECISION NOT NULL,
  columns TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  judged_at BIGINT,
  labelled BIGINT NOT NULL,
  figures TEXT NOT NULL,
  UNIQUE (workspace, endpoint, number)
);
CREATE INDEX monitor_window_pending ON monitor_window (workspace, endpoint, number) WHERE judged_at IS NULL;
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  title TEXT NOT NULL,
  model TEXT NOT NULL,
  window_id TEXT NOT NULL,
  report TEXT NOT NULL,
  fired_at BIGINT NOT NULL,
  event_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  windows BIGINT NOT NULL,
  quiet BIGINT NOT NULL,
  resolved_at BIGINT,
  resolution TEXT NOT NULL,
  acknowledged_by TEXT NOT NULL
);
CREATE UNIQUE INDEX alert_firing ON alert (workspace, endpoint, kind) WHERE resolved_at IS NULL;
CREATE INDEX alert_by_time ON alert (workspace, id);
""",
)
