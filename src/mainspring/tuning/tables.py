"""What the tuning keeps."""

from __future__ import annotations

from mainspring.store.records import Table
from mainspring.tuning.types import Study

__all__ = ["MIGRATIONS", "STUDIES"]

STUDIES = Table("study", Study)

# Trials have their rows in `service_rows`: there may be a million, and each is written twice, in a hurry.
# `study_progress` is what changes with every trial, apart from the wide row of the study, and what a trial asks of its
# study. It stays, outside of any workspace, when a study is deleted, so that no number is given twice.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE study (
  id TEXT PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  unique_name TEXT NOT NULL,
  key TEXT NOT NULL,
  directions TEXT NOT NULL,
  space TEXT NOT NULL,
  sampler TEXT NOT NULL,
  pruner TEXT NOT NULL,
  seed BIGINT NOT NULL,
  parent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  user_attrs TEXT NOT NULL,
  system_attrs TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX study_by_key ON study (workspace, key) WHERE key <> '';
CREATE UNIQUE INDEX study_by_unique_name ON study (workspace, unique_name);
CREATE INDEX study_by_name ON study (workspace, name, id);
CREATE TABLE study_progress (
  study_id TEXT PRIMARY KEY,
  number BIGINT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  directions TEXT NOT NULL,
  trials BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  study_revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX study_progress_by_number ON study_progress (number);
CREATE TABLE study_trial (
  study BIGINT NOT NULL,
  number BIGINT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL,
  value DOUBLE PRECISION,
  params TEXT NOT NULL,
  distributions TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reports TEXT NOT NULL,
  user_attrs TEXT NOT NULL,
  system_attrs TEXT NOT NULL,
  error TEXT NOT NULL,
  worker TEXT NOT NULL,
  started_at BIGINT,
  finished_at BIGINT,
  heartbeat_at BIGINT,
  PRIMARY KEY (study, number)
);
CREATE INDEX study_trial_by_revision ON study_trial (study, revision);
CREATE INDEX study_trial_by_heartbeat ON study_trial (study, heartbeat_at) WHERE heartbeat_at IS NOT NULL;
""",
)
