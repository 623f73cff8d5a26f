"""What the pipelines speak of when flows start by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.pipelines.types import Location

__all__ = ["Schedule"]


class Schedule(msgspec.Struct, frozen=True):
    """When a flow is started by itself. Each moment starts it once, however many processes look."""

    id: str
    workspace: str
    name: str
    flow: str
    location: Location
    params: dict[str, Any]
    cron: str
    """Five fields in the semantics of Debian's cron, or `@hourly`, `@daily`, ...; empty when `every` is given."""
    every: float
    """Seconds between two starts; 0 when `cron` is given."""
    tz: str
    """The zone of the fields of `cron`, in the IANA database."""
    paused: bool
    next_at: datetime
    last_at: datetime | None
    created_at: datetime
    created_by: str
