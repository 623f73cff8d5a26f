"""What tracking keeps beside the lineage's run: parameters, tags, metrics, and how far each writer is applied."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.store.records import Table
from mainspring.tracking.types import Metric

__all__ = ["CHUNKS", "DETAILS", "METRICS", "MIGRATIONS", "ChunkRow", "DetailRow"]


class DetailRow(msgspec.Struct, frozen=True):
    """What a tracked run has that other runs have not."""

    run_id: str
    workspace: str
    experiment: str
    title: str
    note: str
    source: dict[str, Any]


class ChunkRow(msgspec.Struct, frozen=True):
    """Up to `chunks.CHUNK_POINTS` points of one metric; see `chunks` for the bytes."""

    run_id: str
    key: str
    number: int
    count: int
    first_step: int
    last_step: int
    minimum: float | None
    maximum: float | None
    points: bytes


DETAILS = Table("tracked_run", DetailRow)
METRICS = Table("metric", Metric)
CHUNKS = Table("metric_chunk", ChunkRow)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE tracked_run (
  run_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  experiment TEXT NOT NULL,
  title TEXT NOT NULL,
  note TEXT NOT NULL,
  source TEXT NOT NULL
);
CREATE INDEX tracked_run_by_experiment ON tracked_run (workspace, experiment, run_id);
CREATE TABLE run_param (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  number DOUBLE PRECISION,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX run_param_by_value ON run_param (key, value);
CREATE TABLE run_tag (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX run_tag_by_value ON run_tag (key, value);
CREATE TABLE run_writer (
  run_id TEXT NOT NULL,
  writer TEXT NOT NULL,
  applied BIGINT NOT NULL,
  PRIMARY KEY (run_id, writer)
);
CREATE TABLE metric (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  count BIGINT NOT NULL,
  step BIGINT NOT NULL,
  at BIGINT NOT NULL,
  last DOUBLE PRECISION,
  special TEXT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  first_step BIGINT NOT NULL,
  chunks BIGINT NOT NULL,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX metric_by_value ON metric (key, last);
CREATE TABLE metric_chunk (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  number BIGINT NOT NULL,
  count BIGINT NOT NULL,
  first_step BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  minimum DOUBLE PRECISION,
  maximum DOUBLE PRECISION,
  points BLOB NOT NULL,
  PRIMARY KEY (run_id, key, number)
);
""",
)
