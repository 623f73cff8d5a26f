"""Drift between two tables or profiles: effect size, calibrated significance, and a verdict that needs both."""

from mainspring.quality.drift.compare import ColumnDrift, DriftLimits, DriftReport, drift
from mainspring.quality.drift.frames import PRESETS, compare_tables
from mainspring.quality.drift.histograms import Overlay, overlay
from mainspring.quality.drift.methods import METHODS, score_columns, score_profiles

__all__ = [
    "METHODS",
    "PRESETS",
    "ColumnDrift",
    "DriftLimits",
    "DriftReport",
    "Overlay",
    "compare_tables",
    "drift",
    "overlay",
    "score_columns",
    "score_profiles",
]
