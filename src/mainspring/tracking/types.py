"""What tracking speaks of: runs with their parameters and tags, metrics, and the records that a run writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.lineage.types import File, Run, RunStatus

__all__ = [
    "Acknowledged",
    "ColumnsRecord",
    "Experiment",
    "ExperimentPage",
    "FileRecord",
    "FinishRecord",
    "Metric",
    "NoteRecord",
    "ParamsRecord",
    "PointsRecord",
    "Record",
    "RunFile",
    "RunPage",
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
    group: str = ""
    user: str = ""
    """Who runs it, where that is not who calls."""
    started_at: datetime | None = None
    """When it began, where that is not now: of a run that comes from elsewhere."""
    tags: dict[str, str] = {}
    forked_from: str = ""
    """The run whose history up to `fork_step` is the beginning of this one's."""
    fork_step: int | None = None


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
    finished_at: int | None = None
    """Microseconds since 1970 UTC, where that is not now."""


class FileRecord(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A file; one that was kept under the path before is replaced. The bytes of a large one go before it."""

    path: str
    at: int
    """Microseconds since 1970 UTC."""
    content: bytes = b""
    media_type: str = ""
    key: str = ""
    step: int | None = None
    about: dict[str, Any] = {}
    digest: str = ""
    """Of bytes that are in the store already."""
    size: int = 0
    beside: str = ""
    """The name of the file beside the spool that has the bytes; it does not travel."""


class ColumnsRecord(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The values of many calls of `log` with the same names; it counts as that many records. See `rows`."""

    keys: list[str]
    steps: bytes
    """int64, little-endian."""
    times: bytes
    """Microseconds since 1970 UTC, int64, little-endian."""
    values: list[bytes]
    """For each key a column of float64, little-endian."""


Record = (
    PointsRecord | ParamsRecord | TagsRecord | NoteRecord | SourceRecord | FinishRecord | FileRecord | ColumnsRecord
)
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
    mean: float | None = None
    """Of the finite values."""

    @property
    def value(self) -> float:
        """The latest value as a number, whatever it is."""
        return float(self.special) if self.last is None else self.last


class TrackedRun(msgspec.Struct, frozen=True):
    """A run as the tracking room sees it."""

    run: Run
    experiment: str
    experiment_id: int
    title: str
    user: str
    group: str
    note: str
    source: dict[str, Any]
    """Machine, command, Python, commit."""
    deleted_at: datetime | None
    forked_from: str
    """The run whose history is the beginning of this one's, or an empty text."""
    fork_step: int | None
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


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs."""

    runs: list[TrackedRun]
    next_page: str
    """What to ask the next page with; empty on the last one."""
    unknown: list[str] = []
    """Names in the question that no run of its experiments has: `metrics.lsos`."""


class Experiment(msgspec.Struct, frozen=True):
    """A name under which runs are kept, with what is said about it."""

    id: int
    name: str
    status: Literal["active", "deleted"]
    note: str
    location: str
    """Where files of its runs are kept, as a client of another protocol asked for; empty for here."""
    tags: dict[str, str]
    created_at: datetime
    updated_at: datetime
    created_by: str
    runs: int = 0
    """That are not deleted."""
    running: int = 0
    last_started_at: datetime | None = None


class ExperimentPage(msgspec.Struct, frozen=True):
    """A page of experiments."""

    experiments: list[Experiment]
    next_page: str


class Series(msgspec.Struct, frozen=True):
    """A metric's history in at most as many stretches as were asked for; one list for each column.

    Least and greatest are of a stretch's finite values, so that no spike is lost; null where it has none.
    """

    run_id: str
    key: str
    count: int
    """Points in the whole history."""
    steps: list[int] = []
    """The first step of each stretch."""
    at: list[int] = []
    """When its last value was logged: microseconds since 1970 UTC."""
    counts: list[int] = []
    minimum: list[float | None] = []
    maximum: list[float | None] = []
    mean: list[float | None] = []
    last: list[float | None] = []
    """The last value; null when it is not finite."""
    x: list[float | None] = []
    """The value on the x axis, where that is another metric."""
    cursor: str = ""
    """What to ask with for what comes after this."""


class RunFile(msgspec.Struct, frozen=True):
    """A file of a run."""

    path: str
    file: File
    media_type: str = ""
    key: str = ""
    """The series that it belongs to, with `step`."""
    step: int | None = None
    at: datetime | None = None
    about: dict[str, Any] = {}
    """What a page shows before it reads the bytes. Small things are here whole, and the file has no bytes."""
