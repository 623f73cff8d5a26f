"""What the registry keeps beside the graph: names, notes on versions, approvals, attached reports, the load policy.

The versions themselves are artifacts of kind `model`; their aliases are the lineage's.
"""

from __future__ import annotations

from mainspring.models.logged_tables import LOGGED_MIGRATION
from mainspring.models.types import Approval, Attached, CardText, Measured, Model, VersionNotes
from mainspring.store.records import Table

__all__ = ["APPROVALS", "ATTACHED", "CARD_TEXTS", "MEASURED", "MIGRATIONS", "MODELS", "NOTES"]

MODELS = Table("model", Model)
NOTES = Table("model_version", VersionNotes)
APPROVALS = Table("model_approval", Approval)
ATTACHED = Table("model_report", Attached)
CARD_TEXTS = Table("model_card_text", CardText)
MEASURED = Table("model_metric", Measured)

# `model_label` holds what versions (and models: version 0) are found by: tags and aliases, a row for each. The same
# stands as JSON beside the version, so that reading one is reading one row. `head` is what of a value an index bears.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE model (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT,
  deleted_at BIGINT,
  PRIMARY KEY (workspace, name)
);
CREATE INDEX model_by_update ON model (workspace, updated_at, name);
CREATE TABLE model_version (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  format TEXT NOT NULL,
  description TEXT NOT NULL,
  tags TEXT NOT NULL,
  aliases TEXT NOT NULL,
  stage TEXT NOT NULL,
  status TEXT NOT NULL,
  source TEXT NOT NULL,
  approval TEXT NOT NULL,
  approved_until BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT,
  lost_aliases TEXT NOT NULL,
  emptied_at BIGINT,
  PRIMARY KEY (workspace, name, version)
);
CREATE INDEX model_version_by_artifact ON model_version (artifact_id);
CREATE INDEX model_version_by_digest ON model_version (digest);
CREATE INDEX model_version_by_run ON model_version (run_id);
CREATE INDEX model_version_by_update ON model_version (workspace, updated_at, name, version);
CREATE TABLE model_label (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  head TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, space, key)
);
CREATE INDEX model_label_by_key ON model_label (workspace, space, key, head, name, version);
CREATE TABLE model_metric (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  dataset TEXT NOT NULL,
  key TEXT NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  low DOUBLE PRECISION,
  high DOUBLE PRECISION,
  level DOUBLE PRECISION,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, key, dataset)
);
CREATE INDEX model_metric_by_value ON model_metric (workspace, key, value, name, version);
CREATE TABLE model_approval (
  workspace TEXT NOT NULL,
  digest TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  comment TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  verdict TEXT NOT NULL,
  roles TEXT NOT NULL,
  method TEXT NOT NULL,
  withdrawn_at BIGINT,
  withdrawn_by TEXT NOT NULL,
  PRIMARY KEY (artifact_id)
);
CREATE INDEX model_approval_by_digest ON model_approval (workspace, digest);
CREATE TABLE model_rule (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  target TEXT NOT NULL,
  rule TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name, target)
);
CREATE TABLE model_report (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  metrics TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  dataset TEXT NOT NULL,
  PRIMARY KEY (workspace, name, version, artifact_id)
);
CREATE TABLE model_card_text (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  section TEXT NOT NULL,
  text TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX model_card_text_by_version ON model_card_text (workspace, name, version, section, id);
CREATE TABLE model_retention (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  rule TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE model_policy (
  workspace TEXT PRIMARY KEY,
  pickle BIGINT NOT NULL,
  trusted TEXT NOT NULL
);
"""
    + LOGGED_MIGRATION,
)
