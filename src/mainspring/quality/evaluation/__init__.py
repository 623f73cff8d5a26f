"""Evaluation: metrics with intervals, slices, comparisons, gates and importances. numpy is loaded when it is used."""

from mainspring.quality.evaluation.calibration import calibration_metrics
from mainspring.quality.evaluation.classification import evaluate_binary
from mainspring.quality.evaluation.comparison import (
    compare_binary,
    compare_forecasts,
    compare_multiclass,
    compare_regression,
)
from mainspring.quality.evaluation.gate import Gate, require_passed
from mainspring.quality.evaluation.importance import permutation_importance
from mainspring.quality.evaluation.multiclass import evaluate_multiclass
from mainspring.quality.evaluation.multilabel import evaluate_multilabel
from mainspring.quality.evaluation.regression import evaluate_quantiles, evaluate_regression
from mainspring.quality.evaluation.types import Comparison, Condition, Decision, Estimate, Evaluation, Importance

__all__ = [
    "Comparison",
    "Condition",
    "Decision",
    "Estimate",
    "Evaluation",
    "Gate",
    "Importance",
    "calibration_metrics",
    "compare_binary",
    "compare_forecasts",
    "compare_multiclass",
    "compare_regression",
    "evaluate_binary",
    "evaluate_multiclass",
    "evaluate_multilabel",
    "evaluate_quantiles",
    "evaluate_regression",
    "permutation_importance",
    "require_passed",
]
