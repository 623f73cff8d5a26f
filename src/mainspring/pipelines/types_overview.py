"""What the pipelines speak of when many runs, or many steps, are looked at together."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from mainspring.pipelines.types import FlowState, StepRecord
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.queue_tables import WorkerRow

__all__ = [
    "CriticalStep",
    "DayMarks",
    "FlowHealth",
    "GridCell",
    "GridRow",
    "OpenTask",
    "QueueGroup",
    "QueueOverview",
    "RunGrid",
    "RunMark",
    "RunShape",
    "ScheduleOutlook",
    "StepGroup",
    "StepPage",
    "TriggerMemory",
    "WorkerOverview",
]


class RunMark(msgspec.Struct, frozen=True):
    """A run, as much of it as a mark in a row of runs shows."""

    id: str
    state: FlowState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class FlowHealth(msgspec.Struct, frozen=True):
    """How a flow is doing."""

    flow: str
    recent: list[RunMark]
    """Its last runs, newest first."""
    open: dict[str, int]
    """How many of its runs are queued, running, waiting or paused."""
    next_at: datetime | None
    """When a schedule starts it next."""
    schedules: int
    triggers: int
    version: int
    """Of the deployment that is active; 0 without one."""


class GridCell(msgspec.Struct, frozen=True):
    """The calls of one step in one run."""

    state: str
    """The worst of theirs: failed, waiting, running, finished, cached."""
    count: int
    step_id: str
    """The first of those in this state."""
    started_at: datetime
    finished_at: datetime | None


class GridRow(msgspec.Struct, frozen=True):
    """A step, in each of several runs."""

    name: str
    cells: list[GridCell | None]


class RunGrid(msgspec.Struct, frozen=True):
    """Runs of one flow and their steps."""

    runs: list[RunMark]
    """Newest first."""
    rows: list[GridRow]
    """Steps by name, in the order in which the newest run began them."""


class StepGroup(msgspec.Struct, frozen=True):
    """Steps of a run that are shown as one: a call, the items of a map, the calls of one name."""

    key: str
    """Unique in the run: a place, a place with an item, or a name."""
    name: str
    path: str
    """The first place."""
    item: int
    """-1 for anything but one item of a map."""
    counts: dict[str, int]
    """Steps by state."""
    step_id: str
    """The first of those in the worst state."""
    started_at: datetime
    finished_at: datetime | None
    """None while one of them has no end."""
    spent: float
    """Seconds that they took together."""
    mapped: bool = False
    """Whether it is a map that can be shown item by item."""
    rest: bool = False
    """Whether it stands for the items of a map behind those that are shown."""


class RunShape(msgspec.Struct, frozen=True):
    """A run as a graph of groups of steps."""

    groups: list[StepGroup]
    """In the order in which they began."""
    edges: list[tuple[str, str]]
    """From the key of a group whose result was an argument to the key of the one that got it."""
    counts: dict[str, int]
    """Steps of the run by state."""
    by_name: bool
    """Whether there are so many that all calls of one name are one group."""


class CriticalStep(msgspec.Struct, frozen=True):
    """A step that the end of its run waited for, and how long."""

    id: str
    name: str
    path: str
    item: int
    seconds: float
    """Its own share: from the end of the one before it to its own end."""
    ended: float
    """When it ended, in seconds since 1970."""


class StepPage(msgspec.Struct, frozen=True):
    """Some of the steps of a run."""

    steps: list[StepRecord]
    total: int
    """How many there are that fit."""
    following: str
    """The `after` of the next page; empty at the end."""


class ScheduleOutlook(msgspec.Struct, frozen=True):
    """A schedule in words, with its next moments."""

    schedule: Schedule
    words: str
    moments: list[datetime]


class DayMarks(msgspec.Struct, frozen=True):
    """What a schedule did on a day, or will do."""

    day: date
    name: str
    flow: str
    ahead: int
    """Moments that are still to come."""
    first: datetime | None
    """The first of these."""
    past: dict[str, int]
    """What came of those that passed: states of runs, and `skipped`, `missed`, `buffered`."""
    run_id: str
    """The last run of the day."""


class TriggerMemory(msgspec.Struct, frozen=True):
    """What a trigger remembers: a part of its condition that came true, or that it waits for."""

    trigger: str
    """Its name."""
    path: str
    """Which part: `0` is the whole condition, `0.1` the second of what it is made of."""
    key: str
    """Of all-of the number of the part that came true; of an absence the value that is waited for by itself."""
    begun_at: datetime
    due_at: datetime | None
    """When it starts the flow, if nothing happens before."""
    events: list[int]


class QueueGroup(msgspec.Struct, frozen=True):
    """Tasks of one kind in one state."""

    kind: str
    """`flow:<pool>` are the runs of a pool."""
    state: str
    count: int
    oldest_at: datetime
    """When the oldest of them came, or was due."""


class OpenTask(msgspec.Struct, frozen=True):
    """A task that a worker holds."""

    id: str
    kind: str
    run_id: str
    """The flow run that it executes; empty for other kinds."""
    flow: str
    attempt: int
    since: datetime


class WorkerOverview(msgspec.Struct, frozen=True):
    """A worker, and what it does."""

    worker: WorkerRow
    tasks: list[OpenTask]
    """Of this workspace."""


class QueueOverview(msgspec.Struct, frozen=True):
    """What waits to be done, and who does what."""

    groups: list[QueueGroup]
    workers: list[WorkerOverview]
