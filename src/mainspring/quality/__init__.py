"""The fifth floor: expectations, profiles, drift, evaluation, and the reports that say what was found.

Names load when they are first used: a commit asks this room whether there is a contract, and that needs none of them.
`mainspring.quality.profiles.build.profile_frame` and `mainspring.quality.inference.infer_suite` load Polars, so they
are imported from where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.quality.drift.compare import drift  # now: later the folder of this name would be in its place

if TYPE_CHECKING:
    from mainspring.quality.drift.compare import DriftLimits, DriftReport
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

if not TYPE_CHECKING:
    _PLACES = {
        "drift.compare": ("DriftLimits", "DriftReport"),
        "evaluation": (
            "Condition",
            "Evaluation",
            "Gate",
            "compare_binary",
            "compare_regression",
            "evaluate_binary",
            "evaluate_regression",
            "permutation_importance",
        ),
        "evaluation.report": ("EvaluationReport",),
        "profiles.types": ("ColumnProfile", "Profile", "merge", "merge_all"),
        "suite": ("SuiteBuilder", "expect"),
        "types": ("Expectation", "ExpectationResult", "Suite", "ValidationReport"),
        "validation": ("quarantine", "require", "validate_table"),
    }
    _PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

    def __getattr__(name: str) -> Any:
        import importlib

        if name not in _PLACE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{__name__}.{_PLACE_OF[name]}"), name)
        globals()[name] = found
        return found
