"""What the data room speaks of: dataset versions, their differences, and how far long work is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.lineage.types import Artifact, File

__all__ = [
    "KIND",
    "Birth",
    "Commit",
    "DatasetVersion",
    "Depth",
    "Diff",
    "FilesDiff",
    "LogEntry",
    "Progress",
    "RowsDiff",
    "SchemaDiff",
    "dataset_version",
]

KIND = "dataset"
"""The kind of artifact that a dataset version is."""

Progress = Callable[[int, int], None]
"""Called as `progress(bytes done, bytes in all)` while long work goes on."""

Depth = Literal["files", "schema", "rows"]
"""How deep two versions are compared."""


class Birth(msgspec.Struct, frozen=True):
    """Where a version that was pulled was first committed, as it says itself; the ledger says who pulled it."""

    id: str
    at: datetime
    by: str
    uses: list[str] = []
    """References of what it was derived from, with the numbers of that place."""
    erased: str = ""
    """The erasure by which its content was last written again there."""


class Commit(msgspec.Struct, frozen=True):
    """What a commit says of itself, beside its files."""

    message: str = ""
    origin: str = ""
    """Where the content came from: a path, a URL, `frame`."""
    rows: int | None = None
    """Rows of the table that the files make; None when they make none."""
    schema: dict[str, str] = {}
    """Name and type of its columns, in order."""
    uses: list[str] = []
    """References of the artifacts that it was derived from."""
    metadata: dict[str, Any] = {}
    """Whatever the user wants to keep with it."""
    run_id: str = ""
    """The run that made the content; a run of kind `commit` is recorded when it is empty."""
    new_version: bool = False
    """Make a version even when one has this content already."""
    born: Birth | None = None
    """Of a version that is pulled or pushed: where it comes from."""
    partial: str = ""
    """The remote that has those of its files which are not in the store; empty when all have to be."""


class DatasetVersion(msgspec.Struct, frozen=True):
    """One immutable version of a dataset."""

    id: str
    name: str
    version: int
    digest: str
    """Merkle root over the files: equal content, equal digest, on any machine."""
    size: int
    """Bytes, over all files."""
    files: int
    """How many files."""
    rows: int | None
    """Rows, when the files make one table."""
    schema: dict[str, str]
    """Name and type of the columns, in order; empty when the files make no table."""
    message: str
    origin: str
    metadata: dict[str, Any]
    run_id: str
    """The run that made it."""
    created_at: datetime
    created_by: str
    born: Birth | None = None
    """Where it was first committed, when it was pulled; `created_at` and `created_by` are those of that moment."""

    @property
    def ref(self) -> str:
        """`dataset/name@version`."""
        return f"{KIND}/{self.name}@{self.version}"


class LogEntry(msgspec.Struct, frozen=True):
    """A version in the history of its dataset."""

    version: DatasetVersion
    aliases: list[str]
    uses: list[str]
    """References of what it was derived from."""


class FilesDiff(msgspec.Struct, frozen=True):
    """What differs between the files of two versions."""

    added: list[File]
    removed: list[File]
    modified: list[tuple[File, File]]
    """Before and after."""
    renamed: list[tuple[str, str]]
    """Same content under another path: before and after."""
    unchanged: int


class SchemaDiff(msgspec.Struct, frozen=True):
    """What differs between the columns of two versions."""

    added: dict[str, str]
    removed: dict[str, str]
    changed: dict[str, tuple[str, str]]
    """Type before and after."""
    reordered: bool
    """Whether the columns that both have stand in another order."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.removed or self.changed or self.reordered)


class RowsDiff(msgspec.Struct, frozen=True):
    """What differs between the rows of two versions, over the columns that both have.

    With a key, rows are matched by it. Without one they are compared as multisets: a changed row counts as one removed
    and one added.
    """

    key: list[str]
    added: int
    removed: int
    changed: int
    """Rows of the same key with another value; always 0 without a key."""
    unchanged: int
    changed_columns: dict[str, int]
    """How many rows changed in each column."""
    added_sample: list[dict[str, Any]]
    removed_sample: list[dict[str, Any]]
    changed_sample: list[dict[str, Any]]
    """Each: `key`, `before` and `after`, the latter two with the changed columns only."""


class Diff(msgspec.Struct, frozen=True):
    """The difference between two versions, as deep as was asked for."""

    before: DatasetVersion
    after: DatasetVersion
    files: FilesDiff
    schema: SchemaDiff | None = None
    rows: RowsDiff | None = None

    @property
    def same(self) -> bool:
        """Whether the content is equal."""
        return self.before.digest == self.after.digest


def dataset_version(artifact: Artifact) -> DatasetVersion:
    """The dataset version that an artifact of kind `dataset` is."""
    known = artifact.metadata
    born = msgspec.convert(known["born"], Birth) if "born" in known else None
    return DatasetVersion(
        id=artifact.id,
        name=artifact.name,
        version=artifact.version,
        digest=artifact.digest,
        size=artifact.size,
        files=known.get("files", 0),
        rows=known.get("rows"),
        schema=known.get("schema", {}),
        message=known.get("message", ""),
        origin=known.get("origin", ""),
        metadata=known.get("metadata", {}),
        run_id=artifact.run_id,
        created_at=born.at if born else artifact.created_at,
        created_by=born.by if born else artifact.created_by,
        born=born,
    )
