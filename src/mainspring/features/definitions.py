"""Definitions of views in the lineage: each version of one is an artifact of the kind `feature-view`."""

from __future__ import annotations

import msgspec

from mainspring.features.tables import STATES
from mainspring.features.types import FeatureView, FeatureViewVersion
from mainspring.kernel.errors import NotFound
from mainspring.lineage.graph import add_artifact, resolve
from mainspring.lineage.listing import versions
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction

__all__ = ["KIND", "add_view", "find_view", "version_of"]

KIND = "feature-view"


def add_view(tx: Transaction, view: FeatureView) -> FeatureViewVersion:
    """The version with this definition; a new one unless the newest is the same."""
    view.check()
    size = len(msgspec.json.encode(view))
    metadata = {"definition": msgspec.to_builtins(view)}
    known = next(iter(versions(tx, KIND, view.name, limit=1)), None)
    if known is not None and known.digest == view.digest:
        return version_of(tx, known)
    return version_of(tx, add_artifact(tx, KIND, view.name, digest=view.digest, size=size, metadata=metadata))


def find_view(tx: Transaction, ref: str) -> FeatureViewVersion:
    """The version that `ref` means: `name`, `name@version`, `name@alias` or an id."""
    artifact = resolve(tx, ref, kind=KIND)
    if artifact.kind != KIND:
        raise NotFound(f"{artifact.ref} is no feature view")
    return version_of(tx, artifact)


def version_of(tx: Transaction, artifact: Artifact) -> FeatureViewVersion:
    """An artifact of the kind `feature-view` as what it is."""
    return FeatureViewVersion(
        id=artifact.id,
        name=artifact.name,
        version=artifact.version,
        digest=artifact.digest,
        definition=msgspec.convert(artifact.metadata["definition"], FeatureView),
        created_at=artifact.created_at,
        created_by=artifact.created_by,
        state=tx.fetch_one(STATES, "WHERE view_id = ?", (artifact.id,)),
    )
