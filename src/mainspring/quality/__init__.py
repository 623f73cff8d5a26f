"""The fifth floor: expectations, profiles, drift, evaluation, and the reports that say what was found.

`mainspring.quality.profiles.build.profile_frame` and `mainspring.quality.inference.infer_suite` load Polars, so they
are imported from where they are.
"""

from __future__ import annotations

from mainspring.quality.drift.compare import DriftLimits, DriftReport, drift
from mainspring.quality.evaluation import (
    Condition,
    Evaluation,
    Gate,
    compare_binary,
    compare_regression,
    evaluate_binary,
    evaluate_regression,
    permutation_importance,
)
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.profiles.types import ColumnProfile, Profile, merge, merge_all
from mainspring.quality.suite import SuiteBuilder, expect
from mainspring.quality.types import Expectation, ExpectationResult, Suite, ValidationReport
from mainspring.quality.validation import quarantine, require, validate_table

__all__ = [
    "ColumnProfile",
    "Condition",
    "DriftLimits",
    "DriftReport",
    "Evaluation",
    "EvaluationReport",
    "Expectation",
    "ExpectationResult",
    "Gate",
    "Profile",
    "Suite",
    "SuiteBuilder",
    "ValidationReport",
    "compare_binary",
    "compare_regression",
    "drift",
    "evaluate_binary",
    "evaluate_regression",
    "expect",
    "merge",
    "merge_all",
    "permutation_importance",
    "quarantine",
    "require",
    "validate_table",
]
