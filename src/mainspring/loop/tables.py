"""What the loop keeps."""

from __future__ import annotations

from mainspring.loop.types import Episode, Policy
from mainspring.store.records import Table

__all__ = ["EPISODES", "MIGRATIONS", "POLICIES"]

POLICIES = Table("loop_policy", Policy)
EPISODES = Table("loop_episode", Episode)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE loop_policy (
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  triggers TEXT NOT NULL,
  flow TEXT NOT NULL,
  location TEXT NOT NULL,
  code TEXT NOT NULL,
  params TEXT NOT NULL,
  rollout TEXT NOT NULL,
  cooldown_seconds DOUBLE PRECISION NOT NULL,
  needs_approval BIGINT NOT NULL,
  enabled BIGINT NOT NULL,
  author TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, endpoint)
);
CREATE TABLE loop_episode (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  alert_id TEXT NOT NULL,
  report TEXT NOT NULL,
  state TEXT NOT NULL,
  champion TEXT NOT NULL,
  flow_run TEXT NOT NULL,
  challenger TEXT NOT NULL,
  rollout_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  event_at BIGINT NOT NULL,
  story TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT
);
CREATE INDEX loop_episode_by_endpoint ON loop_episode (workspace, endpoint, id);
CREATE UNIQUE INDEX loop_episode_active ON loop_episode (workspace, endpoint) WHERE finished_at IS NULL;
""",
)
