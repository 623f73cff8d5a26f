"""Tuning: search for the best parameters, with trials that are runs."""

from mainspring.tuning.search import Pruned, TrialHandle, tune
from mainspring.tuning.types import Choice, Float, Int, Study, Trial, Tuned

__all__ = ["Choice", "Float", "Int", "Pruned", "Study", "Trial", "TrialHandle", "Tuned", "tune"]
