"""Evaluation: metrics with intervals, slices, comparisons, gates and importances. numpy is loaded when it is used."""

from mainspring.quality.evaluation.classification import evaluate_binary
from mainspring.quality.evaluation.comparison import compare_binary, compare_regression
from mainspring.quality.evaluation.gate import Gate, require_passed
from mainspring.quality.evaluation.importance import permutation_importance
from mainspring.quality.evaluation.regression import evaluate_regression
from mainspring.quality.evaluation.types import Comparison, Condition, Decision, Estimate, Evaluation, Importance

__all__ = [
    "Comparison",
    "Condition",
    "Decision",
    "Estimate",
    "Evaluation",
    "Gate",
    "Importance",
    "compare_binary",
    "compare_regression",
    "evaluate_binary",
    "evaluate_regression",
    "permutation_importance",
    "require_passed",
]
