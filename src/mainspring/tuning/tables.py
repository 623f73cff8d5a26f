"""What the tuning keeps."""

from __future__ import annotations

from mainspring.store.records import Table
from mainspring.tuning.types import Study, Trial

__all__ = ["MIGRATIONS", "STUDIES", "TRIALS"]

STUDIES = Table("study", Study)
TRIALS = Table("study_trial", Trial)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE study (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  key TEXT NOT NULL,
  direction TEXT NOT NULL,
  space TEXT NOT NULL,
  sampler TEXT NOT NULL,
  pruner TEXT NOT NULL,
  seed BIGINT NOT NULL,
  parent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX study_key ON study (workspace, key) WHERE key <> '';
CREATE INDEX study_by_name ON study (workspace, name, id);
CREATE TABLE study_trial (
  id TEXT PRIMARY KEY,
  study_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  state TEXT NOT NULL,
  params TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  value DOUBLE PRECISION,
  finished_at BIGINT,
  reports TEXT NOT NULL,
  error TEXT NOT NULL,
  UNIQUE (study_id, number)
);
""",
)
