"""What the feature store keeps: which state of each view is online. Definitions and training sets are artifacts."""

from __future__ import annotations

from mainspring.features.types import FeatureState
from mainspring.store.records import Table

__all__ = ["MIGRATIONS", "STATES"]

STATES = Table("feature_state", FeatureState)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE feature_state (
  view_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  artifact_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  rows BIGINT NOT NULL,
  upto BIGINT NOT NULL,
  materialized_at BIGINT NOT NULL
);
CREATE INDEX feature_state_by_name ON feature_state (workspace, name, version);
""",
)
