"""What the loop speaks of: policies, and the episodes that they lead to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.pipelines.types import Location
from mainspring.serving.sequential import Rule

__all__ = ["ACTIVE", "Chapter", "Episode", "EpisodeState", "Policy", "RolloutPlan", "Trigger"]

Trigger = Literal["drift", "performance"]

EpisodeState = Literal[
    "training", "waiting for approval", "rollout", "promoted", "rolled back", "rejected", "failed", "stopped"
]

ACTIVE: tuple[EpisodeState, ...] = ("training", "waiting for approval", "rollout")
"""The states in which an episode goes on."""


class RolloutPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a challenger comes before the users."""

    mode: Literal["shadow", "canary"] = "shadow"
    """A shadow is seen by nobody; it goes on as a canary once it was convincing."""
    steps: tuple[float, ...] = (0.2, 0.5)
    """The canary's shares of the traffic; a shadow without any is promoted once it was convincing."""
    metric: str = "log_loss"
    """What is compared, lower is better: see `serving.losses.METRICS`."""
    rule: Rule = Rule()
    """When to decide."""


class Policy(msgspec.Struct, frozen=True):
    """What to do by itself when an endpoint's model gets old."""

    workspace: str
    endpoint: str
    triggers: tuple[Trigger, ...]
    """Which kinds of alert begin an episode."""
    flow: str
    """Name of the flow that makes the challenger."""
    location: Location
    """Where a worker finds it."""
    code: str
    """Digest of its code when the policy was set."""
    params: dict[str, Any]
    """What the flow is given, besides `endpoint` and `until` (the moment of the traffic up to which it may look)."""
    rollout: RolloutPlan
    cooldown_seconds: float
    """How long after the beginning of one episode, in the time of the traffic, the next may begin."""
    needs_approval: bool
    """Whether a person must approve each challenger. Otherwise the author has approved what passes the gate."""
    enabled: bool
    author: str
    """Who set it, and answers for what it does."""
    changed_at: datetime
    changed_by: str


class Chapter(msgspec.Struct, frozen=True):
    """One thing that happened in an episode."""

    at: datetime
    text: str
    ref: str = ""
    """What it is about: an alert, a run, a model, a rollout."""


class Episode(msgspec.Struct, frozen=True):
    """One turn of the loop: from an alert to a promotion, or not. Its id is that of its run in the lineage."""

    id: str
    workspace: str
    endpoint: str
    alert_id: str
    """Empty for one that a person began."""
    report: str
    """The artifact that asked for it; the lineage leads from there to what the flow makes."""
    state: EpisodeState
    champion: str
    """Who answered when it began: `model/name@version`."""
    flow_run: str
    """The run of the flow that makes the challenger; empty before it was started."""
    challenger: str
    """`model/name@version`; empty before there is one."""
    rollout_id: str
    reason: str
    """Why it ended."""
    event_at: datetime
    """The moment of the traffic at which it began."""
    story: list[Chapter]
    """What happened, in order. Grows with every move: two schedulers do not make the same one."""
    started_at: datetime
    finished_at: datetime | None
