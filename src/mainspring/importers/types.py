"""What an importer reads: runs of another tool, as that tool's files and answers say them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from mainspring.lineage.types import RunStatus
from mainspring.tracking.chunks import Points

__all__ = ["ForeignArtifact", "ForeignFile", "ForeignRun", "ImportReport"]


@dataclasses.dataclass(frozen=True)
class ForeignFile:
    """A file of a run, read when it is its turn."""

    path: str
    size: int | None
    """Bytes, where the source says."""
    read: Callable[[], Iterable[bytes]]
    media_type: str = ""
    key: str = ""
    """The series that it belongs to, with `step`: images, tables and the like that were logged again and again."""
    step: int | None = None


@dataclasses.dataclass(frozen=True)
class ForeignArtifact:
    """A versioned artifact that a run made or used."""

    kind: str
    name: str
    files: tuple[ForeignFile, ...]
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ForeignRun:
    """A run of another tool."""

    origin: str
    """Where it comes from, the same on every import: the run's identity here is made of it."""
    experiment: str
    title: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None = None
    fingerprint: str = ""
    """Changes when the run does; a run that was imported with this fingerprint is not read again."""
    kind: str = "training"
    user: str = ""
    group: str = ""
    note: str = ""
    parent_origin: str = ""
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    series: Callable[[], Iterator[tuple[str, Points]]] = lambda: iter(())
    """The whole history of every metric, one after the other."""
    files: Callable[[], Iterator[ForeignFile]] = lambda: iter(())
    artifacts: Callable[[], Iterator[ForeignArtifact]] = lambda: iter(())
    deleted: bool = False


@dataclasses.dataclass
class ImportReport:
    """What an import brought, and what it could not bring."""

    source: str
    runs: int = 0
    unchanged: int = 0
    """Runs that were here already, as they are."""
    points: int = 0
    files: int = 0
    bytes: int = 0
    artifacts: int = 0
    models: int = 0
    versions: int = 0
    experiments: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    """What could not be brought over, and why."""
