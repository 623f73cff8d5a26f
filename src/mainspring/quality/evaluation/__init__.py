"""Evaluation: metrics with intervals, slices, comparisons, gates and importances. numpy is loaded when it is used."""

from mainspring.quality.evaluation.calibration import calibration_by_slice, calibration_metrics
from mainspring.quality.evaluation.classification import evaluate_binary
from mainspring.quality.evaluation.comparison import (
    compare_binary,
    compare_forecasts,
    compare_multiclass,
    compare_regression,
)
from mainspring.quality.evaluation.effects import accumulated_local_effects, partial_dependence
from mainspring.quality.evaluation.explanation import explain
from mainspring.quality.evaluation.fairness import evaluate_fairness
from mainspring.quality.evaluation.forecasting import backtest, evaluate_forecast
from mainspring.quality.evaluation.gate import Gate, require_passed
from mainspring.quality.evaluation.importance import permutation_importance
from mainspring.quality.evaluation.metric_frame import MetricFrame
from mainspring.quality.evaluation.multiclass import evaluate_multiclass
from mainspring.quality.evaluation.multilabel import evaluate_multilabel
from mainspring.quality.evaluation.regression import evaluate_quantiles, evaluate_regression
from mainspring.quality.evaluation.relevance import evaluate_ranking
from mainspring.quality.evaluation.robustness import evaluate_robustness
from mainspring.quality.evaluation.slice_search import find_slices
from mainspring.quality.evaluation.thresholds import Costs, choose_threshold
from mainspring.quality.evaluation.types import Comparison, Condition, Decision, Estimate, Evaluation, Importance

__all__ = [
    "Comparison",
    "Condition",
    "Costs",
    "Decision",
    "Estimate",
    "Evaluation",
    "Gate",
    "Importance",
    "MetricFrame",
    "accumulated_local_effects",
    "backtest",
    "calibration_by_slice",
    "calibration_metrics",
    "choose_threshold",
    "compare_binary",
    "compare_forecasts",
    "compare_multiclass",
    "compare_regression",
    "evaluate_binary",
    "evaluate_fairness",
    "evaluate_forecast",
    "evaluate_multiclass",
    "evaluate_multilabel",
    "evaluate_quantiles",
    "evaluate_ranking",
    "evaluate_regression",
    "evaluate_robustness",
    "explain",
    "find_slices",
    "partial_dependence",
    "permutation_importance",
    "require_passed",
]
