"""What the lineage keeps."""

from __future__ import annotations

from mainspring.lineage.types import AliasChange, Artifact, Edge, Run
from mainspring.store.records import Table

__all__ = ["ALIAS_HISTORY", "ARTIFACTS", "EDGES", "MIGRATIONS", "RUNS"]

ARTIFACTS = Table("artifact", Artifact)
RUNS = Table("run", Run)
EDGES = Table("edge", Edge)
ALIAS_HISTORY = Table("alias_history", AliasChange)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE artifact (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  digest TEXT NOT NULL,
  size BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  run_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, kind, name, version)
);
CREATE INDEX artifact_by_digest ON artifact (workspace, kind, name, digest);
CREATE INDEX artifact_by_time ON artifact (workspace, kind, id);
CREATE TABLE artifact_file (
  artifact_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (artifact_id, path)
);
CREATE INDEX artifact_file_by_digest ON artifact_file (digest);
CREATE TABLE run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  heartbeat_at BIGINT,
  metadata TEXT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX run_by_kind ON run (workspace, kind, name, id);
CREATE INDEX run_by_parent ON run (parent_id, id);
CREATE INDEX run_by_status ON run (workspace, status, kind);
CREATE TABLE edge (
  target TEXT NOT NULL,
  source TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (target, source, role)
);
CREATE INDEX edge_by_source ON edge (source, target, role);
CREATE TABLE alias (
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (workspace, kind, name, alias)
);
CREATE TABLE alias_history (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version BIGINT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX alias_history_by_name ON alias_history (workspace, kind, name, id);
CREATE TABLE artifact_rename (
  workspace TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  renamed TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, kind, name)
);
CREATE TABLE artifact_emptied (
  artifact_id TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
""",
)
