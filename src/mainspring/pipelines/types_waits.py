"""What the pipelines speak of when a run waits: for a moment, an answer, an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["Ending", "Wait", "WaitKind", "WaitState", "Wanted"]

WaitKind = Literal["sleep", "ask", "event"]
WaitState = Literal["open", "done", "expired"]
"""`expired`: its deadline came and there was no default."""


class Wanted(msgspec.Struct, frozen=True):
    """What a place of a flow's body waits for."""

    kind: WaitKind
    question: str = ""
    """For people."""
    schema: dict[str, Any] = {}
    """JSON schema of the answer."""
    assignees: tuple[str, ...] = ()
    """Who may answer, besides administrators; everybody with the right when empty."""
    after: float | None = None
    """Seconds until the moment or the deadline, counted from when the body came here first."""
    until: datetime | None = None
    """That moment, or the deadline, itself."""
    default: dict[str, Any] = {}
    """`{"value": ...}`: the answer when the deadline comes; without it that is an error."""
    event: str = ""
    """Pattern of the kind of an event."""
    subject: str = "*"
    """Pattern of its subject."""
    where: dict[str, Any] = {}
    """What its data must say: a name, or names divided by dots, and the value."""


class Wait(msgspec.Struct, frozen=True):
    """A place of a flow run that waits, or has waited. It is a step of the run with the same id."""

    id: str
    workspace: str
    run_id: str
    flow: str
    path: str
    state: WaitState
    wanted: Wanted
    exact_kind: str
    """The kind of event that it waits for, `*` when that is a pattern, empty when it waits for none; for the index."""
    exact_subject: str
    opened_at: datetime
    due_at: datetime | None = None
    """The moment of a sleep; the deadline of anything else."""
    answer: Any = None
    """JSON: what was answered, or the event that came."""
    event: int = 0
    """The number of that event."""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    """Who answered; `deadline` when the default was taken."""


class Ending(msgspec.Struct, frozen=True):
    """What is to happen at the end of a flow run."""

    run_id: str
    due_at: datetime | None
    """When the run is ended as failed."""
    on_success: bool
    on_failure: bool
