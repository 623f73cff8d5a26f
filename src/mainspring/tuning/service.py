"""The operations of the tuning: making studies, trying, looking at them."""

from __future__ import annotations

from mainspring.tuning.service_checkpoints import CheckpointOperations
from mainspring.tuning.service_open import OpeningStudies
from mainspring.tuning.service_resume import ResumeOperations
from mainspring.tuning.service_studies import StudyOperations
from mainspring.tuning.service_trials import TrialOperations

__all__ = ["Tuning"]


class Tuning(StudyOperations, TrialOperations, ResumeOperations, CheckpointOperations, OpeningStudies, room="tuning"):
    """Studies and trials."""
