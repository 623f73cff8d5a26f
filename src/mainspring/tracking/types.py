"""What tracking speaks of: runs with their parameters and tags, metrics, and the records that a run writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.lineage.types import File, Run, RunStatus

__all__ = [
    "Acknowledged",
    "Bucket",
    "Experiment",
    "FinishRecord",
    "Metric",
    "NoteRecord",
    "ParamsRecord",
    "PointsRecord",
    "Record",
    "RunFile",
    "RunStart",
    "Series",
    "SourceRecord",
    "TagsRecord",
    "TrackedRun",
]

Special = Literal["", "nan", "inf", "-inf"]
"""What a value is when it is not a finite number, which JSON cannot carry."""


class RunStart(msgspec.Struct, frozen=True):
    """How a run begins. Its id is made by the client, so that beginning twice is beginning once."""

    run_id: str
    experiment: str
    kind: str = "training"
    title: str = ""
    parent_id: str = ""


class PointsRecord(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The values of one call of `log`."""

    step: int
    at: int
    """Microseconds since 1970 UTC."""
    values: dict[str, float]


class ParamsRecord(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Parameters; a later value of the same name replaces the earlier."""

    params: dict[str, str]
    """Each as JSON text, in Python's dialect, which has NaN and infinities."""


class TagsRecord(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Tags; an empty text takes one away."""

    tags: dict[str, str]


class NoteRecord(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The run's note, in Markdown; replaces the one before."""

    text: str


class SourceRecord(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Where the run runs: machine, command, Python, packages, and the version of the code."""

    machine: dict[str, Any]
    packages: dict[str, str]
    commit: str = ""
    """The Git commit, or an empty text outside of a repository."""
    repository: str = ""
    script: str = ""
    """The name of the program, outside of a repository."""
    content: bytes = b""
    """What is changed since the commit, as `git diff` writes it; outside of a repository, the program."""


class FinishRecord(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """How the run ended."""

    status: Literal["finished", "failed", "cancelled"]
    error: str = ""


Record = PointsRecord | ParamsRecord | TagsRecord | NoteRecord | SourceRecord | FinishRecord
"""What a run writes, one after the other, into its spool; sent in batches, applied exactly once."""


class Acknowledged(msgspec.Struct, frozen=True):
    """How many records of a writer are durable."""

    applied: int


class Metric(msgspec.Struct, frozen=True):
    """The state of one metric of one run."""

    run_id: str
    key: str
    count: int
    step: int
    """Of the latest value: the one with the greatest step, then time."""
    at: datetime
    last: float | None
    """The latest value; null when it is not finite."""
    special: Special
    """`nan`, `inf` or `-inf` when the latest value is not finite."""
    minimum: float | None
    """Of the finite values."""
    maximum: float | None
    """Of the finite values."""
    first_step: int
    """The least step."""
    chunks: int

    @property
    def value(self) -> float:
        """The latest value as a number, whatever it is."""
        return float(self.special) if self.last is None else self.last


class TrackedRun(msgspec.Struct, frozen=True):
    """A run as the tracking room sees it."""

    run: Run
    experiment: str
    title: str
    note: str
    source: dict[str, Any]
    """Machine, command, Python, commit."""
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: dict[str, Metric]

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def status(self) -> RunStatus:
        """`running`, `finished`, `failed`, `cancelled` or `crashed`."""
        return self.run.status


class Experiment(msgspec.Struct, frozen=True):
    """All runs of one name."""

    name: str
    runs: int
    running: int
    last_started_at: datetime


class Bucket(msgspec.Struct, frozen=True):
    """A stretch of a metric's history. `minimum` and `maximum` are of its finite values, so that no spike is lost."""

    step: int
    """The first step in it."""
    at: datetime
    """When its last value was logged."""
    count: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    last: float | None
    """The last value; null when it is not finite."""


class Series(msgspec.Struct, frozen=True):
    """A metric's history in at most as many buckets as were asked for."""

    run_id: str
    key: str
    count: int
    """Points in the whole history."""
    buckets: list[Bucket]


class RunFile(msgspec.Struct, frozen=True):
    """A file of a run, an artifact of the kind `file`."""

    artifact_id: str
    path: str
    file: File
