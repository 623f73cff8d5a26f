"""Dataset versions in the graph: what a transaction of this room asks and writes."""

from __future__ import annotations

from typing import Any

from mainspring.data.types import KIND, Commit
from mainspring.kernel.errors import NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction

__all__ = [
    "artifact_metadata",
    "resolve_dataset",
    "resolve_source",
    "run_metadata",
    "sources_of",
    "versions_of",
    "with_digest",
]

_PAGE = 10_000


def run_metadata(commit: Commit) -> dict[str, Any]:
    """What the run of a commit says of itself."""
    return {"message": commit.message, "origin": commit.origin}


def artifact_metadata(commit: Commit, files: int) -> dict[str, Any]:
    """What the artifact of a version says of itself; `types.dataset_version` reads it."""
    return {
        "message": commit.message,
        "origin": commit.origin,
        "files": files,
        "rows": commit.rows,
        "schema": commit.schema,
        "metadata": commit.metadata,
    }


def resolve_dataset(tx: Transaction, ref: str) -> Artifact:
    """The dataset version that a reference means."""
    found = graph.resolve(tx, ref, kind=KIND)
    if found.kind != KIND:
        raise NotFound(f"{found.ref} is not a dataset")
    return found


def resolve_source(tx: Transaction, ref: str) -> Artifact:
    """An artifact of any kind by its whole reference, or a dataset by its name, which may hold slashes too."""
    try:
        return graph.resolve(tx, ref, kind=KIND)
    except NotFound:
        if "/" not in ref or ref.startswith(f"{KIND}/"):
            raise
        return graph.resolve(tx, ref)


def with_digest(tx: Transaction, name: str, digest: str) -> Artifact | None:
    """The newest version of a dataset with this content, or None."""
    return listing.with_digest(tx, digest, kind=KIND, name=name)


def versions_of(tx: Transaction, name: str, *, limit: int, before: int) -> list[Artifact]:
    """A page of the versions of a dataset, newest first."""
    newest = resolve_dataset(tx, check_name(name.removeprefix(f"{KIND}/")))
    return listing.versions(tx, KIND, newest.name, limit=max(1, min(limit, _PAGE)), before=before)


def sources_of(tx: Transaction, run_id: str) -> list[str]:
    """References of the artifacts that a run used."""
    return [artifact.ref for artifact in listing.used_by(tx, run_id)]
