"""The seventh floor: endpoints, traffic plans, the dataplane, the prediction log, and rollouts judged sequentially.

`mainspring.serving.plane.ServingProcess` answers; `mainspring.protocols.oip_server` puts it on the network.
"""

from __future__ import annotations

from mainspring.serving.rates import Interval, TwoRates
from mainspring.serving.sequential import Decision, Evidence, Moments, Rule, Stratum
from mainspring.serving.traffic import Target, TrafficPlan
from mainspring.serving.types import (
    Endpoint,
    LabelBatch,
    Prediction,
    PredictionSegment,
    Rollout,
    RolloutEvidence,
)

__all__ = [
    "Decision",
    "Endpoint",
    "Evidence",
    "Interval",
    "LabelBatch",
    "Moments",
    "Prediction",
    "PredictionSegment",
    "Rollout",
    "RolloutEvidence",
    "Rule",
    "Stratum",
    "Target",
    "TrafficPlan",
    "TwoRates",
]
