"""The fifth floor: entities, feature views, point-in-time joins, and the same features online."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
from mainspring.kernel.verbs import verbs as _verbs

__all__ = [
    "Aggregation",
    "Entity",
    "Feature",
    "FeatureState",
    "FeatureVectors",
    "FeatureView",
    "FeatureViewVersion",
    "TrainingSet",
    "apply",
    "get",
    "join",
    "load_training_set",
    "lookup",
    "materialize",
    "push",
    "training_set",
    "views",
]

if TYPE_CHECKING:
    from mainspring.features.service import Features

    _default = cast("Features", None)
    apply = _default.apply
    get = _default.get
    join = _default.join
    load_training_set = _default.load_training_set
    lookup = _default.lookup
    materialize = _default.materialize
    push = _default.push
    training_set = _default.training_set
    views = _default.views
else:
    __getattr__ = _verbs(__name__, __all__)
