"""What the data room keeps beside the artifacts: the tree of each version, and which trees are whole."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mainspring.store.records import Table

__all__ = ["CONTENTS", "MIGRATIONS", "TREES", "Content", "WholeTree"]


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
CREATE TABLE dataset_tree (
  digest TEXT PRIMARY KEY,
  files BIGINT NOT NULL,
  size BIGINT NOT NULL,
  at BIGINT NOT NULL
);
""",
)
