"""What the quality room keeps beside its artifacts: profiles, outcomes over time, contracts, checkpoints, states.

Suites, profiles and reports themselves are artifacts of the lineage, their content in blobs.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.quality.checkpoints import Checkpoint, CheckpointRun
from mainspring.store.records import Table

__all__ = [
    "ADMISSIONS",
    "CHECKPOINTS",
    "CHECKPOINT_RUNS",
    "CONTRACTS",
    "MIGRATIONS",
    "OUTCOMES",
    "PROFILES",
    "STATES",
    "Admission",
    "BoundSuite",
    "Outcome",
    "ProfileOf",
    "State",
    "StoredCheckpoint",
]


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
    about: str = ""
    """What tells two expectations of one kind and subject apart: the metric, the quantiles."""


class State(msgspec.Struct, frozen=True):
    """An answer to a question about a content, as JSON text."""

    workspace: str
    content: str
    question: str
    answer: str
    at: datetime


class BoundSuite(msgspec.Struct, frozen=True):
    """A contract: the suite that every version of a dataset passes before it is recorded."""

    workspace: str
    dataset: str
    suite_id: str
    note: str
    created_at: datetime
    created_by: str


class Admission(msgspec.Struct, frozen=True):
    """That a content passed the suite of a contract, before the version of it was recorded."""

    workspace: str
    tree: str
    suite_id: str
    dataset: str
    report_digest: str
    report_size: int
    settled: bool
    """Whether the report became an artifact, with the version that it let in."""
    at: datetime


class StoredCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint by its name."""

    workspace: str
    name: str
    definition: Checkpoint
    created_at: datetime
    created_by: str


PROFILES = Table("quality_profile", ProfileOf)
OUTCOMES = Table("quality_outcome", Outcome)
STATES = Table("quality_state", State)
CONTRACTS = Table("quality_contract", BoundSuite)
ADMISSIONS = Table("quality_admission", Admission)
CHECKPOINTS = Table("quality_checkpoint", StoredCheckpoint)
CHECKPOINT_RUNS = Table("quality_checkpoint_run", CheckpointRun)

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
  at BIGINT NOT NULL,
  about TEXT NOT NULL
);
CREATE INDEX quality_outcome_by_subject ON quality_outcome (workspace, dataset, subject, id);
CREATE INDEX quality_outcome_by_report ON quality_outcome (report_id);
CREATE TABLE quality_state (
  workspace TEXT NOT NULL,
  content TEXT NOT NULL,
  question TEXT NOT NULL,
  answer TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, content, question)
);
CREATE TABLE quality_contract (
  workspace TEXT NOT NULL,
  dataset TEXT NOT NULL,
  suite_id TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, dataset)
);
CREATE TABLE quality_admission (
  workspace TEXT NOT NULL,
  tree TEXT NOT NULL,
  suite_id TEXT NOT NULL,
  dataset TEXT NOT NULL,
  report_digest TEXT NOT NULL,
  report_size BIGINT NOT NULL,
  settled INTEGER NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (workspace, dataset, tree, suite_id)
);
CREATE TABLE quality_checkpoint (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE quality_checkpoint_run (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  verdict TEXT NOT NULL,
  targets TEXT NOT NULL,
  actions TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX quality_checkpoint_run_by_name ON quality_checkpoint_run (workspace, checkpoint, id);
""",
)
