"""Did the inputs of a window drift? Pure functions of its rows and the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mainspring.quality.drift.compare import ColumnDrift, drift
from mainspring.quality.profiles.build import profile_frame

if TYPE_CHECKING:
    from mainspring.monitoring.reference import Reference

__all__ = ["drift_of", "drift_share", "inputs_of"]


def inputs_of(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The model's input columns as they were logged, row by row what the caller sent, else what the feature store gave.

    Example:
        >>> inputs_of(pl.DataFrame({"input.x": [1.0, None], "feature.x": [None, 2.0]}), ["x"])["x"].to_list()
        [1.0, 2.0]
    """
    found = []
    for name in names:
        logged = [pl.col(each) for each in (f"input.{name}", f"feature.{name}") if each in frame.columns]
        if logged:
            found.append(pl.coalesce(logged).alias(name))
    return frame.select(found)


def drift_of(frame: pl.DataFrame, reference: Reference) -> list[ColumnDrift]:
    """How every input moved against the training data, drift times importance first; nothing without a reference."""
    if reference.profile is None:
        return []
    inputs = inputs_of(frame, [field.name for field in reference.version.signature.inputs])
    shared = [name for name in inputs.columns if name in reference.profile.names]
    if not shared:
        return []
    now, importances = profile_frame(inputs.select(shared)), reference.importances or None
    return list(drift(reference.profile, now, columns=shared, importances=importances).columns)


def drift_share(columns: Sequence[ColumnDrift], importances: Mapping[str, float]) -> float:
    """The share of the model's importance that the drifted columns carry; of its columns, where none are known.

    Example:
        >>> moved, same = ColumnDrift(column="x", verdict="drift"), ColumnDrift(column="z", verdict="ok")
        >>> drift_share([moved, same], {}), drift_share([moved, same], {"x": 0.9, "z": 0.1})
        (0.5, 0.9)
    """
    judged = [each for each in columns if each.verdict != "insufficient data"]
    drifted = [each.column for each in judged if each.verdict == "drift"]
    if importances:
        return sum(importances.get(name, 0.0) for name in drifted)
    return len(drifted) / len(judged) if judged else 0.0
