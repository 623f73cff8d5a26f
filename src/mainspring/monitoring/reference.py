"""What a model's traffic is compared with: found in the lineage, never configured.

Inputs are compared with the profile of the data that the model was trained on; performance with the figures that were
attached to the version when it was accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.features.service import Features
from mainspring.kernel.operations import Backend
from mainspring.lineage.service import Lineage
from mainspring.models.service import Models
from mainspring.quality.service import Quality

if TYPE_CHECKING:
    from mainspring.models.types import ModelVersion
    from mainspring.quality.profiles.types import Profile

__all__ = ["Reference", "find_reference"]


class Reference(msgspec.Struct, frozen=True):
    """A model with what is known about it from before it was deployed."""

    version: ModelVersion
    source: str
    """The artifact that the profile was taken of, `training-set/name@3`; empty where the lineage names none."""
    profile: Profile | None
    importances: dict[str, float]
    """Of columns, non-negative, adding up to 1; empty where nobody measured them."""


def find_reference(backend: Backend, model: str) -> Reference:
    """Follow a model version back to its training data; a few reads, to be kept by the caller."""
    version = Models(backend).get(model)
    inputs = {field.name for field in version.signature.inputs}
    graph = Lineage(backend).why(version.ref)
    for node in graph.of_kind("training-set", "dataset"):
        profile = _profile(backend, node.ref)
        if profile is not None and inputs & set(profile.names):
            return Reference(version, node.ref, profile, _importances(backend, version, inputs))
    return Reference(version, "", None, _importances(backend, version, inputs))


def _profile(backend: Backend, ref: str) -> Profile | None:
    """The profile of an artifact; taken now, and kept, where nobody took it before."""
    quality = Quality(backend)
    known = quality.profile_of(ref)
    if known is not None:
        return known
    if not ref.startswith("training-set/"):
        return quality.profile(ref)
    taken = quality.profile(Features(backend).load_training_set(ref.removeprefix("training-set/")))
    quality.record_profile(taken, of=ref)
    return taken


def _importances(backend: Backend, version: ModelVersion, inputs: set[str]) -> dict[str, float]:
    for report in Models(backend).card(version.ref).reports:
        found = Quality(backend).evaluation(report.artifact_id).importances
        kept = {each.feature: max(0.0, each.importance) for each in found if each.feature in inputs}
        total = sum(kept.values())
        if total > 0:
            return {name: value / total for name, value in kept.items()}
    return {}
