"""What the data room keeps beside the artifacts: the tree of each version, and which trees are whole."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.data.lfs import LfsLock, LfsObject
from mainspring.data.remotes.types import Remote
from mainspring.store.records import Table

__all__ = [
    "CONTENTS",
    "DELETIONS",
    "ERASED",
    "LABELS",
    "LFS_LOCKS",
    "LFS_OBJECTS",
    "MIGRATIONS",
    "REMOTES",
    "TREES",
    "Content",
    "Deletion",
    "Erased",
    "Label",
    "WholeTree",
]


class Content(msgspec.Struct, frozen=True):
    """What a dataset version consists of."""

    artifact_id: str
    workspace: str
    tree: str
    """The root node of its tree of folders; see `trees`."""
    files: int
    size: int


class Deletion(msgspec.Struct, frozen=True):
    """A version that is deleted; until its bytes are given up it can be restored."""

    artifact_id: str
    workspace: str
    name: str
    version: int
    aliases: list[str]
    """Those that pointed at it."""
    at: datetime
    by: str


class Erased(msgspec.Struct, frozen=True):
    """That the content of a version was written again without what had to be forgotten."""

    artifact_id: str
    workspace: str
    erasure_id: str
    name: str
    version: int
    before: str
    """The root of its tree as it was committed, which is not in the store any more."""
    after: str
    """The root as it is now; empty where nothing was left."""
    rows: int
    files: int
    at: datetime


class WholeTree(msgspec.Struct, frozen=True):
    """A node below which everything is known to be in the store; what a version names is."""

    digest: str
    files: int
    size: int
    longest: int
    """Bytes of the longest path below it; a folder that is cut counts a little more."""
    at: datetime


class Label(msgspec.Struct, frozen=True):
    """A tag of a version, or its note."""

    artifact_id: str
    workspace: str
    name: str
    """The key of a tag; empty for the note."""
    value: str
    set_at: datetime
    set_by: str


CONTENTS = Table("dataset_content", Content)
DELETIONS = Table("dataset_deletion", Deletion)
ERASED = Table("dataset_erased", Erased)
REMOTES = Table("dataset_remote", Remote)
LABELS = Table("dataset_label", Label)
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
CREATE TABLE dataset_remote (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE dataset_partial (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  remote TEXT NOT NULL
);
CREATE TABLE dataset_deletion (
  artifact_id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  aliases TEXT NOT NULL,
  at BIGINT NOT NULL,
  by TEXT NOT NULL
);
CREATE INDEX dataset_deletion_by_time ON dataset_deletion (at);
CREATE TABLE dataset_retention (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  rule TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
CREATE TABLE dataset_erased (
  artifact_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  erasure_id TEXT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  rows BIGINT NOT NULL,
  files BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (artifact_id, erasure_id)
);
CREATE INDEX dataset_erased_by_tree ON dataset_erased (before);
CREATE TABLE dataset_forgotten (
  workspace TEXT NOT NULL,
  digest TEXT NOT NULL,
  erasure_id TEXT NOT NULL,
  PRIMARY KEY (workspace, digest)
);
CREATE TABLE dataset_label (
  artifact_id TEXT NOT NULL,
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  set_at BIGINT NOT NULL,
  set_by TEXT NOT NULL,
  PRIMARY KEY (artifact_id, name)
);
CREATE INDEX dataset_label_by_name ON dataset_label (workspace, name);
CREATE TABLE dataset_tree (
  digest TEXT PRIMARY KEY,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL,
  longest BIGINT NOT NULL,
  at BIGINT NOT NULL
);
""",
)
