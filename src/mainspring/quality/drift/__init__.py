"""Drift between two profiles: effect size, calibrated significance, and a verdict that needs both."""

from mainspring.quality.drift.compare import ColumnDrift, DriftLimits, DriftReport, drift

__all__ = ["ColumnDrift", "DriftLimits", "DriftReport", "drift"]
