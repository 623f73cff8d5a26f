"""The tables of logged models."""

from __future__ import annotations

from mainspring.models.logged_types import LoggedFile, LoggedMetric, LoggedRow
from mainspring.store.records import Table

__all__ = ["LOGGED", "LOGGED_FILES", "LOGGED_METRICS", "LOGGED_MIGRATION"]

LOGGED = Table("logged_model", LoggedRow)
LOGGED_METRICS = Table("logged_model_metric", LoggedMetric)
LOGGED_FILES = Table("logged_model_file", LoggedFile)

LOGGED_MIGRATION = """
CREATE TABLE logged_model (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  run_id TEXT NOT NULL,
  artifact_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX logged_model_by_experiment ON logged_model (experiment_id, created_at, id);
CREATE INDEX logged_model_by_run ON logged_model (run_id);
CREATE TABLE logged_model_value (
  model_id TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, space, key)
);
CREATE INDEX logged_model_value_by_key ON logged_model_value (space, key, model_id);
CREATE TABLE logged_model_metric (
  model_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value DOUBLE PRECISION,
  at BIGINT NOT NULL,
  step BIGINT NOT NULL,
  dataset_name TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (model_id, key, at, step, run_id, dataset_name, dataset_digest)
);
CREATE INDEX logged_model_metric_by_value ON logged_model_metric (key, value, model_id);
CREATE TABLE logged_model_file (
  model_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (model_id, path)
);
CREATE INDEX logged_model_file_by_digest ON logged_model_file (digest);
"""
