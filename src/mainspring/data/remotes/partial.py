"""Versions of which the folders are here and not all files: the rest is at a remote, and is fetched when it is read."""

from __future__ import annotations

from mainspring.kernel.context import caller
from mainspring.store.transaction import Transaction

__all__ = ["partial_remotes", "partial_versions", "set_partial", "set_whole"]


def set_partial(tx: Transaction, artifact_id: str, remote: str) -> None:
    """Say where the rest of a version is."""
    tx.execute(
        "INSERT INTO dataset_partial (artifact_id, workspace, remote) VALUES (?, ?, ?)",
        (artifact_id, caller().workspace, remote),
    )


def set_whole(tx: Transaction, tree: str) -> None:
    """Say that all files of the versions with this content are here."""
    tx.execute(
        "DELETE FROM dataset_partial WHERE artifact_id IN (SELECT artifact_id FROM dataset_content WHERE tree = ?)",
        (tree,),
    )


def partial_versions(tx: Transaction, artifact_ids: list[str]) -> dict[str, str]:
    """Those of the versions that are partial, with their remotes."""
    found = tx.rows("SELECT artifact_id, remote FROM dataset_partial WHERE workspace = ?", (caller().workspace,))
    wanted = set(artifact_ids)
    return {str(id_): str(remote) for id_, remote in found if id_ in wanted}


def partial_remotes(tx: Transaction) -> list[str]:
    """The remotes that have files which are not here, by name."""
    rows = tx.rows(
        "SELECT DISTINCT remote FROM dataset_partial WHERE workspace = ? ORDER BY remote", (caller().workspace,)
    )
    return [str(remote) for (remote,) in rows]
