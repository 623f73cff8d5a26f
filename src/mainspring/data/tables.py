"""What the data room keeps beside the artifacts: the tree of each version, and which trees are whole."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.data.lfs import LfsLock, LfsObject
from mainspring.store.records import Table

__all__ = ["CONTENTS", "LFS_LOCKS", "LFS_OBJECTS", "MIGRATIONS", "TREES", "Content", "WholeTree"]


class Content(msgspec.Struct, frozen=True):
    """What a dataset version consists of."""

    artifact_id: str
    workspace: str
    tree: str
    """The root node of its tree of folders; see `trees`."""
    files: int
    size: int


class WholeTree(msgspec.Struct, frozen=True):
    """A node below which everything is known to be in the store; what a version names is."""

    digest: str
    files: int
    size: int
    at: datetime


CONTENTS = Table("dataset_content", Content)
TREES = Table("dataset_tree", WholeTree)
LFS_OBJECTS = Table("lfs_object", LfsObject)
LFS_LOCKS = Table("lfs_lock", LfsLock)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE dataset_content (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  tree TEXT NOT NULL,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL
);
CREATE INDEX dataset_content_by_tree ON dataset_content (tree);
CREATE TABLE lfs_object (
  workspace TEXT NOT NULL,
  repository TEXT NOT NULL,
  oid TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (workspace, repository, oid)
);
CREATE INDEX lfs_object_by_digest ON lfs_object (digest);
CREATE TABLE lfs_lock (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  repository TEXT NOT NULL,
  path TEXT NOT NULL,
  ref TEXT NOT NULL,
  owner TEXT NOT NULL,
  locked_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX lfs_lock_by_path ON lfs_lock (workspace, repository, path);
CREATE TABLE dataset_tree (
  digest TEXT PRIMARY KEY,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL,
  at BIGINT NOT NULL
);
""",
)
