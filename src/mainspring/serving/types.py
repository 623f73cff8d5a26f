"""What serving speaks of: endpoints, rollouts and their evidence, logged predictions, labels, log segments."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mainspring.serving.sequential import Decision, Rule
from mainspring.serving.traffic import Arm, Mode, TrafficPlan

__all__ = [
    "Activity",
    "Endpoint",
    "LabelBatch",
    "Prediction",
    "PredictionSegment",
    "Rollout",
    "RolloutEvidence",
    "RolloutStatus",
]

RolloutStatus = Literal["running", "promoted", "rolled back"]


class Endpoint(msgspec.Struct, frozen=True):
    """A name under which a model answers."""

    id: str
    workspace: str
    name: str
    plan: TrafficPlan
    features: tuple[str, ...]
    """Feature views in which columns are looked up that a request leaves out."""
    sticky: tuple[str, ...]
    """Columns whose values decide which arm of a canary a row goes to; the request's id and row otherwise."""
    timestamp: str
    """Column that says when each row happens (microseconds, or RFC 3339); the moment of the request otherwise."""
    changed: int
    """Grows with each change of any endpoint: what a server watches."""
    created_at: datetime
    updated_at: datetime
    created_by: str


class Activity(msgspec.Struct, frozen=True):
    """How much there is of an endpoint in a stretch of the log; grows when something new has come."""

    rows: int
    """Rows that somebody was answered: exact while they are in append files, at most so many once they are sealed."""
    labels: int
    """Labels of those rows: at most so many, since labels that came together are counted together."""


class Rollout(msgspec.Struct, frozen=True):
    """A challenger's way to the top, or out. Its id is that of its run in the lineage."""

    id: str
    workspace: str
    endpoint: str
    champion: str
    """`model/name@version` that answered when it began."""
    challenger: str
    mode: Mode
    steps: tuple[float, ...]
    """Weights of the canary, in order; a shadow with steps goes on as a canary when it was convincing."""
    stepped: tuple[datetime, ...]
    """When each step of the canary began; the last is in force. Empty while a shadow."""
    metric: str
    """What is compared: see `losses.METRICS`."""
    rule: Rule
    status: RolloutStatus
    reason: str
    started_at: datetime
    finished_at: datetime | None
    created_by: str

    @property
    def weight(self) -> float:
        """The share of the traffic that the challenger answers now."""
        return self.steps[len(self.stepped) - 1] if self.stepped else 0.0


class RolloutEvidence(msgspec.Struct, frozen=True):
    """What was seen, and decided, at one look at a rollout."""

    id: str
    rollout_id: str
    at: datetime
    mode: Mode
    weight: float
    metric: str
    champion_n: int
    challenger_n: int
    champion_mean: float | None
    challenger_mean: float | None
    decision: Decision


class PredictionSegment(msgspec.Struct, frozen=True):
    """A sealed piece of the prediction log: one blob of Parquet, all rows answered by one deployment."""

    id: str
    """Also the id of the artifact of kind "predictions"."""
    workspace: str
    endpoint: str
    deployment_id: str
    model_id: str
    model: str
    """`model/name@version`."""
    spool: str
    """Name of the append file that it was made from: what is in a segment is not read from its spool again."""
    first_id: str
    """Least and greatest request id inside: an id outside is not here."""
    last_id: str
    first_at: datetime
    last_at: datetime
    requests: int
    rows: int
    digest: str
    created_at: datetime


class Prediction(msgspec.Struct, frozen=True):
    """One logged prediction with all that is known about it."""

    id: str
    """`<request id>-<row>`."""
    endpoint: str
    at: datetime
    model: str
    """`model/name@version`."""
    model_id: str
    arm: Arm
    deployment_id: str
    """Run of kind "deployment": ask the lineage why it is there."""
    segment_id: str
    """The artifact that holds it; empty while it is only in the append file."""
    inputs: dict[str, Any]
    features: dict[str, Any]
    """What was looked up in the feature store for this row."""
    outputs: dict[str, Any]
    latency_us: int
    """Of the whole request."""
    caller: str
    label: Any = None
    labelled_at: datetime | None = None


class LabelBatch(msgspec.Struct, frozen=True):
    """Labels that arrived together: one blob of Parquet with prediction ids, values and moments."""

    id: str
    workspace: str
    endpoint: str
    first_id: str
    last_id: str
    rows: int
    digest: str
    created_at: datetime
    created_by: str
