"""What the loop speaks of: policies, and the episodes that they lead to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.pipelines.types import Location
from mainspring.serving.sequential import Rule

__all__ = ["ACTIVE", "Chapter", "Episode", "EpisodeState", "Policy", "RolloutPlan"]

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
    """The canary's shares of the traffic."""
    metric: str = "log_loss"
    rule: Rule = Rule()


class Policy(msgspec.Struct, frozen=True):
    """What to do by itself when an endpoint's model gets old."""

    workspace: str
    endpoint: str
    triggers: tuple[Literal["drift", "performance"], ...]
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
    """How long after one episode, in the time of the traffic, the next may begin."""
    needs_approval: bool
    """Whether a person must approve each challenger. Otherwise the policy's author has approved what passes the gate."""
    enabled: bool
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
    state: EpisodeState
    champion: str
    flow_run: str
    challenger: str
    rollout_id: str
    reason: str
    event_at: datetime
    """The moment of the traffic at which it began."""
    story: list[Chapter]
    started_at: datetime
    finished_at: datetime | None
