"""Dataset versions in the graph: what a transaction of this room asks and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.data.types import KIND, Commit
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage import graph
from mainspring.lineage.tables import ARTIFACTS
from mainspring.lineage.types import Artifact, File
from mainspring.store.buckets import check_object_name
from mainspring.store.transaction import Transaction

__all__ = [
    "artifact_metadata",
    "check_files",
    "resolve_dataset",
    "resolve_source",
    "run_metadata",
    "sources_of",
    "versions_of",
    "with_digest",
]

_PAGE = 10_000


def check_files(files: Sequence[File]) -> None:
    """Refuse a list of files that no version can have."""
    if not files:
        raise InvalidInput("a dataset version needs at least one file")
    seen: set[str] = set()
    for file in files:
        if check_object_name(file.path) in seen:
            raise InvalidInput(f"two files are called {file.path!r}")
        seen.add(file.path)


def run_metadata(commit: Commit) -> dict[str, Any]:
    """What the run of a commit says of itself."""
    return {"message": commit.message, "origin": commit.origin}


def artifact_metadata(commit: Commit, files: Sequence[File]) -> dict[str, Any]:
    """What the artifact of a version says of itself; `types.dataset_version` reads it."""
    return {
        "message": commit.message,
        "origin": commit.origin,
        "files": len(files),
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
    return tx.fetch_one(
        ARTIFACTS,
        "WHERE workspace = ? AND kind = ? AND name = ? AND digest = ? ORDER BY version DESC LIMIT 1",
        (caller().workspace, KIND, name, digest),
    )


def versions_of(tx: Transaction, name: str, *, limit: int, before: int) -> list[Artifact]:
    """A page of the versions of a dataset, newest first."""
    newest = resolve_dataset(tx, check_name(name.removeprefix(f"{KIND}/")))
    return tx.fetch(
        ARTIFACTS,
        "WHERE workspace = ? AND kind = ? AND name = ? AND version < ? ORDER BY version DESC LIMIT ?",
        (caller().workspace, KIND, newest.name, before or newest.version + 1, max(1, min(limit, _PAGE))),
    )


def sources_of(tx: Transaction, run_id: str) -> list[str]:
    """References of the artifacts that a run used."""
    rows = tx.rows(
        "SELECT kind, name, version FROM artifact JOIN edge ON edge.source = artifact.id WHERE edge.target = ?"
        " ORDER BY kind, name, version",
        (run_id,),
    )
    return [f"{kind}/{name}@{version}" for kind, name, version in rows]
