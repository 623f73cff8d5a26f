"""What limits speak of: how many steps may run at a time or begin per second, over all runs of a workspace."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

__all__ = ["Claim", "ClaimState", "Entry", "Limit", "LimitUse"]

ClaimState = Literal["waiting", "held"]


class Limit(msgspec.Struct, frozen=True):
    """A limit that steps name: `@step(limits=("gpu",))`."""

    workspace: str
    name: str
    slots: int
    """How many tries of steps may run at a time; 0 for any number."""
    per_second: float
    """How many may begin per second in the long run; 0 for any number."""
    burst: float
    """How many may begin at once after a quiet time."""
    changed_at: datetime
    changed_by: str


class LimitUse(msgspec.Struct, frozen=True):
    """A limit as it is used now."""

    limit: Limit
    held: int
    """How many run."""
    waiting: int
    tokens: float
    """How many could begin at once, of a limit per second."""


class Claim(msgspec.Struct, frozen=True):
    """A try of a step that runs under a limit, or waits for it."""

    id: str
    workspace: str
    name: str
    """Of the limit."""
    names: list[str]
    """Of all limits that the step names: it enters them together."""
    state: ClaimState
    priority: int
    run_id: str
    step_id: str
    step: str
    """The step's name."""
    worker: str
    """The process that holds it: its slots come back when that is gone. Empty for one that works through a server."""
    seen_at: datetime
    """When a process that works through a server was heard of last."""
    asked_at: datetime
    held_at: datetime | None = None


class Entry(msgspec.Struct, frozen=True):
    """What `enter_limits` answers."""

    claim: str
    """The id of the claim: asked for again while it waits, and given back with `leave_limits`."""
    state: ClaimState
