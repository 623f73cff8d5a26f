"""What tracking keeps beside the lineage's run: experiments, parameters, tags, metrics, files, how far writers are.

Names of metrics, parameters and tags are interned for each experiment (`run_key`), and runs have numbers, so that the
tables that hold millions of latest values are narrow, and an index over one name holds the runs of one experiment.
`tracked_run` repeats the run's status and times, written in the same transaction: search filters and orders by them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.store.records import Table
from mainspring.tracking.traces import TRACE_MIGRATION

__all__ = ["CHUNKS", "FILES", "METRICS", "MIGRATIONS", "RUNS", "ChunkRow", "FileRow", "MetricRow", "RunRow"]


class RunRow(msgspec.Struct, frozen=True):
    """What a tracked run has that other runs have not, and what search needs of the rest."""

    number: int
    run_id: str
    workspace: str
    experiment_id: int
    title: str
    user_name: str
    status: str
    started_at: int
    finished_at: int | None
    deleted_at: int | None
    parent_id: str
    group_name: str
    note: str
    source: dict[str, Any]
    forked_from: int | None
    fork_step: int | None
    updated_at: int


class MetricRow(msgspec.Struct, frozen=True):
    """The state of one metric of one run; see `types.Metric`."""

    run: int
    key: int
    last: float | None
    special: str
    step: int
    at: int
    count: int
    minimum: float | None
    maximum: float | None
    first_step: int
    chunks: int
    sealed: int = 0
    """How many chunks are full: the first ones. Those after them grow and are joined."""
    total: float = 0.0
    """The sum of the finite values, of which there are `finite`."""
    finite: int = 0


class ChunkRow(msgspec.Struct, frozen=True):
    """Up to `chunks.CHUNK_POINTS` points of one metric; see `chunks` and `outlines` for the bytes."""

    run: int
    key: int
    number: int
    count: int
    first_step: int
    last_step: int
    minimum: float | None
    maximum: float | None
    outline: bytes | None
    """Of a full chunk whose steps are in order: a summary of each 128 points, so that a plot need not read them."""
    points: bytes


class FileRow(msgspec.Struct, frozen=True):
    """A file of a run; see `types.RunFile`."""

    run: int
    path: str
    size: int
    digest: str
    media_type: str
    key: str
    step: int | None
    at: int
    about: dict[str, Any]


RUNS = Table("tracked_run", RunRow)
METRICS = Table("metric", MetricRow)
CHUNKS = Table("metric_chunk", ChunkRow)
FILES = Table("run_file", FileRow)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE experiment (
  id BIGINT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  note TEXT NOT NULL,
  location TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, name)
);
CREATE TABLE experiment_tag (
  experiment_id BIGINT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (experiment_id, key)
);
CREATE TABLE tracked_run (
  number BIGINT PRIMARY KEY,
  run_id TEXT NOT NULL UNIQUE,
  workspace TEXT NOT NULL,
  experiment_id BIGINT NOT NULL,
  title TEXT NOT NULL,
  user_name TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  deleted_at BIGINT,
  parent_id TEXT NOT NULL,
  group_name TEXT NOT NULL,
  note TEXT NOT NULL,
  source TEXT NOT NULL,
  forked_from BIGINT,
  fork_step BIGINT,
  updated_at BIGINT NOT NULL
);
CREATE INDEX tracked_run_by_start ON tracked_run (experiment_id, deleted_at, started_at, run_id);
CREATE INDEX tracked_run_by_id ON tracked_run (experiment_id, run_id);
CREATE INDEX tracked_run_by_status ON tracked_run (status, workspace);
CREATE INDEX tracked_run_by_parent ON tracked_run (parent_id);
CREATE INDEX tracked_run_by_workspace ON tracked_run (workspace, deleted_at, started_at, run_id);
CREATE TABLE run_key (
  id BIGINT PRIMARY KEY,
  experiment_id BIGINT NOT NULL,
  space TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (experiment_id, space, name)
);
CREATE TABLE run_value (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  number DOUBLE PRECISION,
  text TEXT NOT NULL,
  type TEXT NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE INDEX run_value_by_number ON run_value (key, number, run);
CREATE INDEX run_value_by_text ON run_value (key, text, run);
CREATE TABLE run_writer (
  run_id TEXT NOT NULL,
  writer TEXT NOT NULL,
  applied BIGINT NOT NULL,
  PRIMARY KEY (run_id, writer)
);
CREATE TABLE metric (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  last DOUBLE PRECISION,
  special TEXT NOT NULL,
  step BIGINT NOT NULL,
  at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  first_step BIGINT NOT NULL,
  chunks BIGINT NOT NULL,
  sealed BIGINT NOT NULL DEFAULT 0,
  total DOUBLE PRECISION NOT NULL DEFAULT 0,
  finite BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (run, key)
);
CREATE INDEX metric_by_value ON metric (key, last, run);
CREATE TABLE metric_chunk (
  run BIGINT NOT NULL,
  key BIGINT NOT NULL,
  number BIGINT NOT NULL,
  count BIGINT NOT NULL,
  first_step BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  outline BLOB,
  points BLOB NOT NULL,
  PRIMARY KEY (run, key, number)
);
CREATE TABLE run_file (
  run BIGINT NOT NULL,
  path TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  key TEXT NOT NULL,
  step BIGINT,
  at BIGINT NOT NULL,
  about TEXT NOT NULL,
  PRIMARY KEY (run, path)
);
CREATE INDEX run_file_by_key ON run_file (run, key, step);
CREATE INDEX run_file_by_digest ON run_file (digest);
CREATE TABLE saved_view (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
"""
    + TRACE_MIGRATION,
)
