"""Tuning: search for the best parameters, with trials that are runs."""

from mainspring.tuning.search import Pruned, TrialHandle, tune
from mainspring.tuning.spaces import Branches
from mainspring.tuning.types import Choice, Float, Importances, Int, NewTrial, Study, Trial, TrialChange, Tuned

__all__ = [
    "Branches",
    "Choice",
    "Float",
    "Importances",
    "Int",
    "NewTrial",
    "Pruned",
    "Study",
    "Trial",
    "TrialChange",
    "TrialHandle",
    "Tuned",
    "tune",
]
