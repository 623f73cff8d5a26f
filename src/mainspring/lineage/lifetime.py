"""What may change about artifacts that never change: names, whether bytes are kept, and what must be forgotten.

An artifact of which the bytes were given up stays in the graph with its digest and its list of files: what came from it
can still be explained, and who has a copy can prove that it is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage.types import File
from mainspring.store.transaction import Transaction

__all__ = ["empty", "is_emptied", "rename", "renamed", "rewrite"]


def rename(tx: Transaction, kind: str, name: str, to: str) -> None:
    """Call every version of a name otherwise, with its aliases and their history; the old name leads to the new one.

    Raises:
        AlreadyExists: There are artifacts of that kind under the new name.
    """
    check_name(to)
    workspace = caller().workspace
    if tx.value("SELECT 1 FROM artifact WHERE workspace = ? AND kind = ? AND name = ? LIMIT 1", (workspace, kind, to)):
        raise AlreadyExists(f"there is a {kind} named {to!r} already", hint="choose a name that was never used")
    for table in ("artifact", "alias", "alias_history"):
        tx.execute(
            f"UPDATE {table} SET name = ? WHERE workspace = ? AND kind = ? AND name = ?",  # noqa: S608 -- ours
            (to, workspace, kind, name),
        )
    tx.execute(
        "UPDATE artifact_rename SET renamed = ? WHERE workspace = ? AND kind = ? AND renamed = ?",
        (to, workspace, kind, name),
    )
    tx.execute("DELETE FROM artifact_rename WHERE workspace = ? AND kind = ? AND name = ?", (workspace, kind, to))
    tx.execute(
        "INSERT INTO artifact_rename (workspace, kind, name, renamed, at, by) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace, kind, name) DO UPDATE SET renamed = excluded.renamed, at = excluded.at,"
        " by = excluded.by",
        (workspace, kind, name, to, tx.now_micros, caller().principal),
    )
    tx.note(f"{kind}/{to}", renamed_from=name)


def renamed(tx: Transaction, kind: str, name: str) -> str:
    """What a name is now; itself where it never changed."""
    found = tx.value(
        "SELECT renamed FROM artifact_rename WHERE workspace = ? AND kind = ? AND name = ?",
        (caller().workspace, kind, name),
    )
    return str(found) if found is not None else name


def empty(tx: Transaction, artifact_ids: Sequence[str]) -> None:
    """Give the bytes of artifacts up for good: the collection of garbage takes what nothing else refers to."""
    tx.many(
        "INSERT INTO artifact_emptied (artifact_id, at, by) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(each, tx.now_micros, caller().principal) for each in artifact_ids],
    )


def is_emptied(tx: Transaction, artifact_id: str) -> bool:
    """Whether the bytes of an artifact were given up."""
    return bool(tx.value("SELECT 1 FROM artifact_emptied WHERE artifact_id = ?", (artifact_id,)))


def rewrite(
    tx: Transaction,
    artifact_id: str,
    *,
    digest: str,
    size: int,
    metadata: Mapping[str, Any],
    files: Sequence[File] = (),
) -> None:
    """Give an artifact another content, because a part of what it held must be forgotten; nothing else may ask for it.

    Its id, its number, its aliases and its place in the graph stay. The ledger keeps both digests; who is the caller's
    to say in `metadata`. `files` take the place of its list of files, where it has one.
    """
    before = tx.row(
        "SELECT kind, name, version, digest FROM artifact WHERE id = ? AND workspace = ?",
        (artifact_id, caller().workspace),
    )
    if before is None:
        raise NotFound(f"there is no artifact with the id {artifact_id}")
    tx.execute(
        "UPDATE artifact SET digest = ?, size = ?, metadata = ? WHERE id = ?",
        (digest, size, msgspec.json.encode(dict(metadata)).decode(), artifact_id),
    )
    if files:
        tx.execute("DELETE FROM artifact_file WHERE artifact_id = ?", (artifact_id,))
        tx.many(
            "INSERT INTO artifact_file (artifact_id, path, size, digest) VALUES (?, ?, ?, ?)",
            [(artifact_id, file.path, file.size, file.digest) for file in files],
        )
    kind, name, version, was = before
    tx.note(f"{kind}/{name}@{version}", rewritten_from=was, digest=digest)
