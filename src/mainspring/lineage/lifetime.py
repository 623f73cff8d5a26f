"""What may change about artifacts that never change: what they are called, and whether their bytes are still kept.

An artifact of which the bytes were given up stays in the graph with its digest and its list of files: what came from it
can still be explained, and who has a copy can prove that it is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists
from mainspring.kernel.names import check_name
from mainspring.store.transaction import Transaction

__all__ = ["empty", "is_emptied", "rename", "renamed"]


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
