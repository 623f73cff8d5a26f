"""Dataset versions in the graph: what a transaction of this room asks and writes."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.data.deletions import deleted_among, is_deleted, newest_living
from mainspring.data.types import KIND, Commit
from mainspring.kernel.errors import NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction

__all__ = [
    "artifact_metadata",
    "newest_versions",
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
    known = {
        "message": commit.message,
        "origin": commit.origin,
        "files": files,
        "rows": commit.rows,
        "schema": commit.schema,
        "metadata": commit.metadata,
    }
    return known if commit.born is None else {**known, "born": msgspec.to_builtins(commit.born)}


def resolve_dataset(tx: Transaction, ref: str) -> Artifact:
    """The dataset version that a reference means; without a version the newest that is not deleted.

    Raises:
        NotFound: There is none, or it is deleted.
    """
    found = graph.resolve(tx, ref, kind=KIND)
    if found.kind != KIND:
        raise NotFound(f"{found.ref} is not a dataset")
    if is_deleted(tx, found.id):
        living = None if "@" in ref or ref == found.id else newest_living(tx, found.name)
        if living is None:
            hint = f"mainspring data restore {found.name}@{found.version}"
            raise NotFound(f"{found.ref} is deleted", hint=hint)
        return living
    return found


def newest_versions(tx: Transaction) -> list[Artifact]:
    """The newest version that is not deleted of every dataset, by name."""
    newest = (
        newest_living(tx, found.name) if is_deleted(tx, found.id) else found for found in listing.newest(tx, KIND)
    )
    return [each for each in newest if each is not None]


def resolve_source(tx: Transaction, ref: str) -> Artifact:
    """An artifact of any kind by its whole reference, or a dataset by its name, which may hold slashes too."""
    try:
        return graph.resolve(tx, ref, kind=KIND)
    except NotFound:
        if "/" not in ref or ref.startswith(f"{KIND}/"):
            raise
        return graph.resolve(tx, ref)


def with_digest(tx: Transaction, name: str, digest: str) -> Artifact | None:
    """The newest version of a dataset with this content, or None; one that is deleted does not count."""
    found = listing.with_digest(tx, digest, kind=KIND, name=name)
    return None if found is None or is_deleted(tx, found.id) else found


def versions_of(tx: Transaction, name: str, *, limit: int, before: int) -> list[Artifact]:
    """A page of the versions of a dataset that are not deleted, newest first."""
    newest = resolve_dataset(tx, check_name(name.removeprefix(f"{KIND}/")))
    limit = max(1, min(limit, _PAGE))
    found: list[Artifact] = []
    while len(found) < limit and (page := listing.versions(tx, KIND, newest.name, limit=limit, before=before)):
        gone = deleted_among(tx, [each.id for each in page])
        found += [each for each in page if each.id not in gone]
        before = page[-1].version
        if len(page) < limit or before == 1:
            break
    return found[:limit]


def sources_of(tx: Transaction, run_id: str) -> list[str]:
    """References of the artifacts that a run used."""
    return [artifact.ref for artifact in listing.used_by(tx, run_id)]
