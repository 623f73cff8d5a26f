"""What serving keeps: endpoints, rollouts and their evidence, and where the prediction log and its labels lie."""

from __future__ import annotations

from mainspring.serving.types import Endpoint, LabelBatch, PredictionSegment, Rollout, RolloutEvidence
from mainspring.store.records import Table

__all__ = ["ENDPOINTS", "EVIDENCE", "LABELS", "MIGRATIONS", "ROLLOUTS", "SEGMENTS"]

ENDPOINTS = Table("endpoint", Endpoint)
ROLLOUTS = Table("rollout", Rollout)
EVIDENCE = Table("rollout_evidence", RolloutEvidence)
SEGMENTS = Table("prediction_segment", PredictionSegment)
LABELS = Table("label_batch", LabelBatch)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE endpoint (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  plan TEXT NOT NULL,
  features TEXT NOT NULL,
  sticky TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  changed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE rollout (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  champion TEXT NOT NULL,
  challenger TEXT NOT NULL,
  mode TEXT NOT NULL,
  steps TEXT NOT NULL,
  stepped TEXT NOT NULL,
  metric TEXT NOT NULL,
  rule TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  created_by TEXT NOT NULL
);
CREATE INDEX rollout_by_endpoint ON rollout (workspace, endpoint, id);
CREATE TABLE rollout_evidence (
  id TEXT PRIMARY KEY,
  rollout_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  mode TEXT NOT NULL,
  weight DOUBLE PRECISION NOT NULL,
  metric TEXT NOT NULL,
  champion_n BIGINT NOT NULL,
  challenger_n BIGINT NOT NULL,
  champion_mean DOUBLE PRECISION,
  challenger_mean DOUBLE PRECISION,
  decision TEXT NOT NULL
);
CREATE INDEX rollout_evidence_by_rollout ON rollout_evidence (rollout_id, id);
CREATE TABLE prediction_segment (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  deployment_id TEXT NOT NULL,
  model_id TEXT NOT NULL,
  model TEXT NOT NULL,
  spool TEXT NOT NULL UNIQUE,
  first_id TEXT NOT NULL,
  last_id TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX prediction_segment_by_id ON prediction_segment (workspace, last_id, first_id);
CREATE INDEX prediction_segment_by_time ON prediction_segment (workspace, endpoint, last_at, first_at);
CREATE TABLE label_batch (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  first_id TEXT NOT NULL,
  last_id TEXT NOT NULL,
  rows BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX label_batch_by_id ON label_batch (workspace, endpoint, last_id, first_id);
""",
)
