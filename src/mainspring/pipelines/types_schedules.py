"""What the pipelines speak of when flows start by themselves."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from mainspring.pipelines.types import Location

__all__ = ["Calendar", "Fire", "FireOutcome", "MakeUp", "Overlap", "Schedule", "ScheduleWords", "Timing"]

Overlap = Literal["skip", "buffer_one", "buffer_all", "cancel_other", "allow_all"]
"""What happens when a run of the same schedule or trigger has not ended: nothing is started, one start is kept for
afterwards, all are, the open one is cancelled, or both run."""

MakeUp = Literal["one", "all", "none"]
"""Which of the moments that passed while nothing looked are made up for: the last one, each of them, none."""

FireOutcome = Literal["started", "buffered", "skipped", "missed", "ended"]
"""`missed` moments are older than what is made up for; `ended` is what was started and has an end."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Which moments are meant."""

    cron: str = ""
    """Five fields in the semantics of Debian's cron, or `@hourly`, `@daily`, ..."""
    every: float = 0.0
    """Seconds between two moments, counted from `start`, or from when the schedule was made."""
    at: tuple[datetime, ...] = ()
    """The moments themselves."""
    tz: str = "UTC"
    """The zone of the fields of `cron` and of days, in the IANA database."""
    exclude: tuple[str, ...] = ()
    """What is left out: names of calendars, days `2026-12-24`, ranges of days `2026-12-24..2026-12-26`, cron fields."""
    only: tuple[str, ...] = ()
    """What everything else is left out of; in the same words."""
    start: datetime | None = None
    """No moment before it."""
    end: datetime | None = None
    """No moment after it."""


class Schedule(msgspec.Struct, frozen=True):
    """When a flow is started by itself. Each moment starts it once, however many processes look."""

    id: str
    workspace: str
    name: str
    flow: str
    location: Location
    params: dict[str, Any]
    timing: Timing
    paused: bool
    next_at: datetime | None
    """The next moment; None when none is left."""
    last_at: datetime | None
    created_at: datetime
    created_by: str
    jitter: float = 0.0
    """Seconds by which a start is put off at most: always the same for the same moment, and never beyond the next."""
    due_at: datetime | None = None
    """When the next moment starts the flow: `next_at` and its share of the jitter."""
    overlap: Overlap = "skip"
    catch_up: float = 86_400.0
    """Seconds after which a moment that was missed is not made up for any more."""
    make_up: MakeUp = "one"
    pause_after: int = 0
    """So many failed runs in a row pause it; 0 for never."""
    failures: int = 0
    """How many of its runs failed in a row."""
    paused_because: str = ""
    """Why it paused by itself; empty when a person paused it."""
    deployment: str = ""
    """`active` for whichever version of the flow is active at the moment, a number for that version; empty for what the
    location has."""
    pool: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    max_attempts: int = 5

    @property
    def cron(self) -> str:
        """The fields of cron; empty when the moments are said otherwise."""
        return self.timing.cron

    @property
    def every(self) -> float:
        """Seconds between two moments; 0 when they are said otherwise."""
        return self.timing.every

    @property
    def tz(self) -> str:
        """The zone of the fields of cron and of days."""
        return self.timing.tz


class Calendar(msgspec.Struct, frozen=True):
    """A named set of days, that schedules leave out or keep to."""

    workspace: str
    name: str
    days: tuple[date, ...]
    changed_at: datetime
    changed_by: str


class Fire(msgspec.Struct, frozen=True):
    """One moment of a schedule, or one firing of a trigger, and what came of it. There is one for each."""

    id: str
    source_id: str
    number: int
    """The moment in microseconds; of a trigger the number of the event that completed it."""
    workspace: str
    kind: Literal["schedule", "trigger"]
    name: str
    fire_at: datetime
    at: datetime
    """When it was decided."""
    outcome: FireOutcome
    run_id: str = ""
    reason: str = ""
    params: dict[str, Any] = {}
    """What a start that waits will be given."""
    events: tuple[int, ...] = ()
    key: str = ""
    """The key of its run."""


class ScheduleWords(msgspec.Struct, frozen=True):
    """A schedule in words, and its next moments."""

    words: str
    moments: list[datetime]
    """In UTC."""
    local: list[str]
    """The same in the zone of the schedule."""
