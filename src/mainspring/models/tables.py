"""What the registry keeps beside the graph: names, notes on versions, approvals, attached reports, the load policy.

The versions themselves are artifacts of kind `model`; their aliases are the lineage's.
"""

from __future__ import annotations

from mainspring.models.types import Approval, Attached, Model, VersionNotes
from mainspring.store.records import Table

__all__ = ["APPROVALS", "ATTACHED", "MIGRATIONS", "MODELS", "NOTES"]

MODELS = Table("model", Model)
NOTES = Table("model_version", VersionNotes)
APPROVALS = Table("model_approval", Approval)
ATTACHED = Table("model_report", Attached)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE model (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE model_version (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version)
);
CREATE TABLE model_approval (
  workspace TEXT NOT NULL,
  digest TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  comment TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (artifact_id)
);
CREATE INDEX model_approval_by_digest ON model_approval (workspace, digest);
CREATE TABLE model_report (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  metrics TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, artifact_id)
);
CREATE TABLE model_policy (
  workspace TEXT PRIMARY KEY,
  pickle BIGINT NOT NULL,
  trusted TEXT NOT NULL
);
""",
)
