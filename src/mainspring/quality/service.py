"""The quality room's service: everything that can be asked of suites, contracts, profiles and reports, by subject.

Suites, profiles and reports are artifacts; a validation, a profiling, a comparison and an evaluation are runs that
use what was looked at and make what was found. Scanning happens at the client, composed of operations only.
"""

from __future__ import annotations

from mainspring.quality.service_checkpoints import CheckpointOperations
from mainspring.quality.service_contracts import ContractOperations
from mainspring.quality.service_evaluation import EvaluationOperations
from mainspring.quality.service_inference import InferenceWork
from mainspring.quality.service_profiles import ProfileOperations

__all__ = ["Quality"]


class Quality(
    InferenceWork,
    CheckpointOperations,
    ContractOperations,
    ProfileOperations,
    EvaluationOperations,
    room="quality",
):
    """Expectations, profiles, drift and evaluation."""
