"""What the pipelines speak of when flows are run for moments of the past."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Timing

__all__ = ["Backfill", "BackfillItem", "BackfillPlan", "BackfillProgress", "BackfillState", "Reprocess"]

Reprocess = Literal["missing", "failed", "all"]
"""Which moments are run: those without a run, also those whose run did not succeed, every one."""

BackfillState = Literal["running", "paused", "cancelled", "finished"]


class BackfillItem(msgspec.Struct, frozen=True):
    """One moment of a backfill."""

    backfill_id: str
    number: int
    """In the order in which they are started."""
    moment: datetime
    state: Literal["waiting", "started", "ended", "kept", "cancelled"]
    """`kept` has a run that is not repeated."""
    run_id: str = ""


class BackfillPlan(msgspec.Struct, frozen=True):
    """What a backfill would do."""

    moments: list[datetime]
    """The moments that would be run, in order; at most the first thousand."""
    runs: int
    """How many runs."""
    kept: int
    """How many moments have a run that is left as it is."""
    words: str


class Backfill(msgspec.Struct, frozen=True):
    """Runs of a flow for the moments of a range, steered together."""

    id: str
    workspace: str
    name: str
    flow: str
    location: Location
    params: dict[str, Any]
    timing: Timing
    first: datetime
    last: datetime
    schedule: str
    """The schedule whose moments these are; empty when they were said otherwise."""
    reprocess: Reprocess
    backward: bool
    """Whether the newest moment is run first."""
    max_parallel: int
    """How many of its runs are open at a time; 0 for all."""
    state: BackfillState
    runs: int
    """How many moments are run."""
    kept: int
    created_at: datetime
    created_by: str
    deployment: str = ""
    pool: str = ""
    priority: int = -10
    """Below that of what is due now."""
    labels: dict[str, str] = {}
    max_attempts: int = 5


class BackfillProgress(msgspec.Struct, frozen=True):
    """How far a backfill is."""

    backfill: Backfill
    waiting: int
    """Moments whose run is not queued yet."""
    open: int
    """Runs that have not ended."""
    finished: int
    failed: int
    """Failed or crashed."""
    cancelled: int
