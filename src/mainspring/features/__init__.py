"""The fifth floor: entities, feature views, point-in-time joins, and the same features online."""

from __future__ import annotations

from mainspring.features.types import (
    Aggregation,
    Entity,
    Feature,
    FeatureState,
    FeatureVectors,
    FeatureView,
    FeatureViewVersion,
    TrainingSet,
)

__all__ = [
    "Aggregation",
    "Entity",
    "Feature",
    "FeatureState",
    "FeatureVectors",
    "FeatureView",
    "FeatureViewVersion",
    "TrainingSet",
]
