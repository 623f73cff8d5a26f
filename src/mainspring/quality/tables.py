"""What the quality room keeps beside its artifacts: the profile of each artifact, and every outcome over time.

Suites, profiles and reports themselves are artifacts of the lineage, their content in blobs.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.store.records import Table

__all__ = ["MIGRATIONS", "OUTCOMES", "PROFILES", "Outcome", "ProfileOf"]


class ProfileOf(msgspec.Struct, frozen=True):
    """Which profile describes an artifact; an artifact never changes, so it has one."""

    artifact_id: str
    profile_id: str
    workspace: str


class Outcome(msgspec.Struct, frozen=True):
    """One expectation of one validation, for its history."""

    id: str
    workspace: str
    report_id: str
    dataset: str
    """`kind/name` of what was validated; empty for a frame that is not in the store."""
    version: int
    suite: str
    kind: str
    subject: str
    where_text: str
    severity: str
    verdict: str
    observed: float | None
    """The aggregate, or the share of rows that hold."""
    unexpected: int | None
    at: datetime


PROFILES = Table("quality_profile", ProfileOf)
OUTCOMES = Table("quality_outcome", Outcome)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE quality_profile (
  artifact_id TEXT PRIMARY KEY,
  profile_id TEXT NOT NULL,
  workspace TEXT NOT NULL
);
CREATE TABLE quality_outcome (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  report_id TEXT NOT NULL,
  dataset TEXT NOT NULL,
  version BIGINT NOT NULL,
  suite TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  where_text TEXT NOT NULL,
  severity TEXT NOT NULL,
  verdict TEXT NOT NULL,
  observed DOUBLE PRECISION,
  unexpected BIGINT,
  at BIGINT NOT NULL
);
CREATE INDEX quality_outcome_by_subject ON quality_outcome (workspace, dataset, subject, id);
CREATE INDEX quality_outcome_by_report ON quality_outcome (report_id);
""",
)
