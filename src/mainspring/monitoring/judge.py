"""Judging a window: did its inputs drift, did the model get worse? Pure functions of frames and the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mainspring.monitoring.types import Figure, Limits
from mainspring.quality.drift.compare import ColumnDrift, drift
from mainspring.quality.profiles.build import profile_frame

if TYPE_CHECKING:
    from mainspring.models.types import Metric
    from mainspring.monitoring.reference import Reference

__all__ = ["drift_of", "drift_share", "figures_of", "inputs_of", "performance_fell"]

_BEYOND_CHANCE = 3.0
"""Standard errors by which predictions and outcomes must differ: once in 370 windows by chance alone."""


def inputs_of(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The model's input columns as they were logged, whether the caller sent them or the feature store gave them."""
    found = []
    for name in names:
        column = next((each for each in (f"input.{name}", f"feature.{name}") if each in frame.columns), None)
        if column is not None:
            found.append(pl.col(column).alias(name))
    return frame.select(found)


def drift_of(frame: pl.DataFrame, reference: Reference) -> list[ColumnDrift]:
    """How every input moved against the training data, worst times most important first."""
    if reference.profile is None:
        return []
    inputs = inputs_of(frame, [field.name for field in reference.version.signature.inputs])
    shared = [name for name in inputs.columns if name in reference.profile.names]
    if not shared:
        return []
    report = drift(
        reference.profile, profile_frame(inputs.select(shared)), columns=shared, importances=reference.importances or None
    )
    return list(report.columns)


def drift_share(columns: Sequence[ColumnDrift], importances: Mapping[str, float]) -> float:
    """The share of the model's importance that the drifted columns carry; of its columns, where no importances are known."""
    judged = [each for each in columns if each.verdict != "insufficient data"]
    drifted = [each.column for each in judged if each.verdict == "drift"]
    if importances:
        return sum(importances.get(name, 0.0) for name in drifted)
    return len(drifted) / len(judged) if judged else 0.0


def figures_of(labels: pl.Series, scores: pl.Series, accepted: Mapping[str, Metric], limits: Limits) -> dict[str, Figure]:
    """How good the predictions of a window were, beside what the version was accepted with.

    Args:
        labels: 0 and 1.
        scores: Probabilities of 1.
        accepted: The figures of the model version, with their intervals.
    """
    from mainspring.quality.evaluation.intervals import mean_estimate
    from mainspring.quality.evaluation.losses import row_loss
    from mainspring.quality.evaluation.ranking import auc_estimate

    truth, probability = labels.cast(pl.Float64).to_numpy(), scores.to_numpy()
    estimates = {
        "auc": auc_estimate(truth, probability),
        "log_loss": mean_estimate(row_loss("log_loss", truth, probability), 0.95, least=0.0),
        "brier": mean_estimate(row_loss("brier", truth, probability), 0.95, least=0.0),
    }
    figures = {
        name: _beside(found.value, found.low, found.high, accepted.get(name), higher_is_better=name == "auc")
        for name, found in estimates.items()
        if found.value is not None
    }
    return {**figures, "calibration": _calibration(labels, scores, limits)}


def performance_fell(figures: Mapping[str, Figure]) -> list[str]:
    """The figures that fell: discrimination, and calibration. Losses alone do not count: they move with how hard a month is."""
    return [name for name in ("auc", "calibration") if name in figures and figures[name].fell]


def _beside(
    value: float, low: float | None, high: float | None, accepted: Metric | None, *, higher_is_better: bool
) -> Figure:
    if accepted is None:
        return Figure(value, low, high)
    fell = False
    if None not in (low, high, accepted.low, accepted.high):
        fell = bool(high < accepted.low if higher_is_better else low > accepted.high)  # type: ignore[operator]  # None was just excluded
    return Figure(value, low, high, accepted.value, accepted.low, accepted.high, fell)


def _calibration(labels: pl.Series, scores: pl.Series, limits: Limits) -> Figure:
    """Predicted over observed: 1 is right, 1.4 says that 40 % more was predicted than came."""
    expected = float(scores.sum())
    observed = float(labels.cast(pl.Float64).sum())
    spread = math.sqrt(float((scores * (1 - scores)).sum()))
    if observed == 0 or spread == 0:
        return Figure(math.inf if observed == 0 else expected / observed, reference=1.0)
    ratio = expected / observed
    beyond_chance = abs(expected - observed) > _BEYOND_CHANCE * spread
    return Figure(
        ratio,
        (expected - 2 * spread) / observed,
        (expected + 2 * spread) / observed,
        reference=1.0,
        fell=beyond_chance and abs(ratio - 1) > limits.calibration,
    )
