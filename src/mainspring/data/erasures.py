"""What was forgotten: which versions were written again, and that what they held before does not come back."""

from __future__ import annotations

import msgspec

from mainspring.data.tables import CONTENTS, ERASED, Content, Erased
from mainspring.data.types import KIND
from mainspring.kernel.errors import Conflict
from mainspring.lineage import lifetime
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction

__all__ = ["Rewritten", "check_not_erased", "erased_of", "rewrite_version"]


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
    found = tx.row("SELECT name, version, erasure_id FROM dataset_erased WHERE before = ? LIMIT 1", (tree,))
    if found is not None:
        name, version, erasure_id = found
        raise Conflict(
            f"this content was that of {KIND}/{name}@{version} before a part of it had to be forgotten",
            hint=f"take the content without it: mainspring data checkout {name}@{version}",
            details={"erasure": erasure_id},
        )


def erased_of(tx: Transaction, artifact_id: str) -> list[Erased]:
    """How often and when a version was written again, oldest first."""
    return tx.fetch(ERASED, "WHERE artifact_id = ? ORDER BY at", (artifact_id,))


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
