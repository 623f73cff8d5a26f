"""What a model's traffic is compared with: found in the lineage, never configured.

Inputs are compared with the profile of the data that the model was trained on; performance with the figures that were
attached to the version when it was accepted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from mainspring.features.service import Features
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.operations import Backend
from mainspring.lineage.service import Lineage
from mainspring.models.service import Models
from mainspring.quality.service import Quality

if TYPE_CHECKING:
    from mainspring.models.types import ModelVersion
    from mainspring.quality.profiles.types import Profile

__all__ = ["Reference", "find_reference"]

_LOG = logging.getLogger("mainspring.monitoring")


class Reference(msgspec.Struct, frozen=True):
    """A model with what is known about it from before it was deployed."""

    version: ModelVersion
    source: str
    """The artifact that the profile was taken of, `training-set/name@3`; empty where the lineage names none."""
    profile: Profile | None
    importances: dict[str, float]
    """Of columns, non-negative, adding up to 1; empty where nobody measured them."""


def find_reference(backend: Backend, model: str) -> Reference:
    """Follow a model version back to its training data.

    Looked up anew for each window: a report with importances that is attached later counts from then on. Data whose
    profile cannot be taken (files that are no table) is passed over.
    """
    version = Models(backend).get(model)
    inputs = {field.name for field in version.signature.inputs}
    importances = _importances(backend, version, inputs)
    for node in Lineage(backend).why(version.ref).of_kind("training-set", "dataset"):
        try:
            profile = _profile(backend, node.ref)
        except MainspringError as error:
            _LOG.info("%s is no reference for %s: %s", node.ref, model, error)
            continue
        if profile.rows and inputs & set(profile.names):
            return Reference(version, node.ref, profile, importances)
    return Reference(version, "", None, importances)


def _profile(backend: Backend, ref: str) -> Profile:
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
    """Of the newest report that has any."""
    for report in Models(backend).card(version.ref).reports:
        try:
            found = Quality(backend).evaluation(report.artifact_id).importances
        except MainspringError as error:
            _LOG.info("report %s of %s is no evaluation: %s", report.artifact_id, version.ref, error)
            continue
        kept = {each.feature: max(0.0, each.importance) for each in found if each.feature in inputs}
        total = sum(kept.values())
        if total > 0:
            return {name: value / total for name, value in kept.items()}
    return {}
