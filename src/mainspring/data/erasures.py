"""What was forgotten: which versions were written again, and that what they held before does not come back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from mainspring.data.tables import CONTENTS, ERASED, Content, Erased
from mainspring.data.types import KIND
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict
from mainspring.lineage import lifetime
from mainspring.lineage.types import Artifact
from mainspring.store.blob_tables import batched
from mainspring.store.transaction import Transaction

__all__ = [
    "Rewritten",
    "check_not_erased",
    "erased_of",
    "forget_files",
    "forgotten_files",
    "last_erasures",
    "rewrite_version",
]

_IN = 500


class Rewritten(msgspec.Struct, frozen=True):
    """What a version becomes."""

    id: str
    """Of the version."""
    before: str
    """The root of the tree that it has; another one means that somebody was faster."""
    after: str
    """The root of the tree that it gets, which is stored already; empty where nothing is left."""
    rows: int
    """How many rows it loses."""
    files: int
    """How many of its files lose rows or go."""


def check_not_erased(tx: Transaction, tree: str) -> None:
    """Refuse a content that was written again because a part of it had to be forgotten."""
    query = "SELECT name, version, erasure_id FROM dataset_erased WHERE before = ? AND workspace = ? LIMIT 1"
    found = tx.row(query, (tree, caller().workspace))
    if found is not None:
        name, version, erasure_id = found
        raise Conflict(
            f"this content was that of {KIND}/{name}@{version} before a part of it had to be forgotten",
            hint=f"take the content without it: mainspring data checkout {name}@{version}",
            details={"erasure": erasure_id},
        )


def forget_files(tx: Transaction, digests: Sequence[str], erasure_id: str) -> None:
    """Write down files that must not come back."""
    tx.many(
        "INSERT INTO dataset_forgotten (digest, workspace, erasure_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(each, caller().workspace, erasure_id) for each in digests],
    )


def forgotten_files(tx: Transaction, digests: Iterable[str]) -> str:
    """One of the files that had to be forgotten, or an empty text."""
    workspace = caller().workspace
    if tx.value("SELECT 1 FROM dataset_forgotten WHERE workspace = ? LIMIT 1", (workspace,)) is None:
        return ""
    for batch in batched(digests, _IN):
        marks = ", ".join("?" * len(batch))
        query = f"SELECT digest FROM dataset_forgotten WHERE workspace = ? AND digest IN ({marks}) LIMIT 1"  # noqa: S608
        if (found := tx.value(query, (workspace, *batch))) is not None:
            return str(found)
    return ""


def erased_of(tx: Transaction, artifact_id: str) -> list[Erased]:
    """How often and when a version was written again, oldest first."""
    return tx.fetch(ERASED, "WHERE artifact_id = ? ORDER BY at", (artifact_id,))


def last_erasures(tx: Transaction) -> dict[str, datetime]:
    """The versions of the workspace that were ever written again, by id, and when that was last."""
    return {each.artifact_id: each.at for each in tx.fetch(ERASED, "WHERE workspace = ? ORDER BY at", (tx.workspace,))}


def rewrite_version(
    tx: Transaction, artifact: Artifact, change: Rewritten, *, erasure_id: str, files: int, size: int
) -> None:
    """Give a version the content without what must be forgotten; its number, aliases and lineage stay."""
    if artifact.digest != change.before:
        raise Conflict(f"{artifact.ref} was written again meanwhile", hint="look for what is to be forgotten again")
    known = dict(artifact.metadata)
    known["files"] = files
    if known.get("rows") is not None:
        known["rows"] = max(0, known["rows"] - change.rows)
    known["erased"] = [*known.get("erased", []), erasure_id]
    if change.after:
        lifetime.rewrite(tx, artifact.id, digest=change.after, size=size, metadata=known)
        tx.execute("DELETE FROM dataset_content WHERE artifact_id = ?", (artifact.id,))
        tx.insert(CONTENTS, Content(artifact.id, artifact.workspace, change.after, files, size))
    else:
        lifetime.empty(tx, [artifact.id])
        tx.execute("DELETE FROM dataset_content WHERE artifact_id = ?", (artifact.id,))
        tx.note(artifact.ref, emptied=True, digest=change.before)
    tx.insert(
        ERASED,
        Erased(
            artifact_id=artifact.id,
            workspace=artifact.workspace,
            erasure_id=erasure_id,
            name=artifact.name,
            version=artifact.version,
            before=change.before,
            after=change.after,
            rows=change.rows,
            files=change.files,
            at=tx.now,
        ),
    )
