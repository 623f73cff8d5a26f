"""The fourth floor: experiment runs with parameters, metrics and files, logged without waiting and without loss."""

from __future__ import annotations

from mainspring.tracking.types import Bucket, Experiment, Metric, RunFile, Series, TrackedRun

__all__ = ["Bucket", "Experiment", "Metric", "RunFile", "Series", "TrackedRun"]
