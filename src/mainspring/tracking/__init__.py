"""The fourth floor: experiment runs with parameters, metrics and files, logged without waiting and without loss."""

from __future__ import annotations

from mainspring.tracking.types import Experiment, ExperimentPage, Metric, RunFile, Series, TrackedRun

__all__ = ["Experiment", "ExperimentPage", "Metric", "RunFile", "Series", "TrackedRun"]
