"""Finding artifacts and runs by what they are called, hold, used or made, inside the caller's transaction.

All of it stays within the caller's workspace. `graph` writes and resolves references; `queries` walks the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.kernel.context import caller
from mainspring.lineage.tables import ALIAS_HISTORY, ARTIFACTS, RUNS
from mainspring.lineage.types import AliasChange, Artifact, Run
from mainspring.store.transaction import Transaction

__all__ = [
    "alias_history",
    "artifacts",
    "heartbeats",
    "holding",
    "made_by",
    "newest",
    "runs",
    "runs_with_ids",
    "used_by",
    "users_of",
    "versions",
    "with_digest",
    "with_ids",
    "workspace_of_run",
]

_MOST = 10_000
_OWN = "workspace || '' = ?"
"""Of the caller's workspace, said so that SQLite does not take an index of workspaces for the way to few rows by id."""
_IN = 500


def artifacts(
    tx: Transaction, *, kind: str = "", name: str = "", prefix: str = "", before: str = "", limit: int = 100
) -> list[Artifact]:
    """Artifacts, newest first.

    Args:
        tx: The caller's transaction.
        kind: Only of this kind.
        name: Only of this name.
        prefix: Only of names that begin so.
        before: The id of the last one of the page before.
        limit: At most 10,000.
    """
    where, params = _where(kind=kind, name=name, before=before)
    if prefix:
        where, params = f"{where} AND substr(name, 1, ?) = ?", [*params, len(prefix), prefix]
    return tx.fetch(ARTIFACTS, f"{where} ORDER BY id DESC LIMIT ?", [*params, _page(limit)])


def runs(
    tx: Transaction,
    *,
    kind: str = "",
    name: str = "",
    status: str = "",
    parent_id: str = "",
    before: str = "",
    limit: int = 100,
) -> list[Run]:
    """Runs, newest first; `before` is the id of the last one of the page before."""
    where, params = _where(kind=kind, name=name, status=status, parent_id=parent_id, before=before)
    return tx.fetch(RUNS, f"{where} ORDER BY id DESC LIMIT ?", [*params, _page(limit)])


def runs_with_ids(tx: Transaction, ids: Sequence[str]) -> dict[str, Run]:
    """The runs with these ids, by id; those that there are not are left out."""
    found: dict[str, Run] = {}
    for start in range(0, len(ids), _IN):
        batch = ids[start : start + _IN]
        where = f"WHERE id IN ({', '.join('?' * len(batch))}) AND workspace = ?"
        found |= {each.id: each for each in tx.fetch(RUNS, where, (*batch, caller().workspace))}
    return found


def heartbeats(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """When runs of any workspace said last that they are alive, in microseconds; for who watches over all of them."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), _IN):
        batch = ids[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        found |= dict(tx.rows(f"SELECT id, heartbeat_at FROM run WHERE id IN ({marks})", batch))  # noqa: S608 -- only marks
    return found


def workspace_of_run(tx: Transaction, run_id: str) -> str:
    """The workspace of a run, or an empty text where nobody has this id: ids are unique over all workspaces."""
    return str(tx.value("SELECT workspace FROM run WHERE id = ?", (run_id,)) or "")


def newest(tx: Transaction, kind: str) -> list[Artifact]:
    """The newest version of every name of a kind, by name."""
    return tx.fetch(
        ARTIFACTS,
        "WHERE workspace = ? AND kind = ? AND version = (SELECT max(version) FROM artifact other WHERE"
        " other.workspace = artifact.workspace AND other.kind = artifact.kind AND other.name = artifact.name)"
        " ORDER BY name",
        (caller().workspace, kind),
    )


def versions(tx: Transaction, kind: str, name: str, *, limit: int = 100, before: int = 0) -> list[Artifact]:
    """The versions of a name, newest first; `before` is a version number, for the next page."""
    where, params = _where(kind=kind, name=name)
    if before:
        where, params = f"{where} AND version < ?", [*params, before]
    return tx.fetch(ARTIFACTS, f"{where} ORDER BY version DESC LIMIT ?", [*params, _page(limit)])


def with_digest(tx: Transaction, digest: str, *, kind: str = "", name: str = "") -> Artifact | None:
    """The newest artifact with this content, or None."""
    where, params = _where(kind=kind, name=name)
    return tx.fetch_one(ARTIFACTS, f"{where} AND digest = ? ORDER BY id DESC LIMIT 1", [*params, digest])


def holding(tx: Transaction, digests: Sequence[str]) -> list[tuple[str, str]]:
    """The artifacts that have files with these digests, as references and paths, oldest first."""
    found: list[tuple[str, str, str]] = []
    for start in range(0, len(digests), 500):
        batch = digests[start : start + 500]
        marks = ", ".join("?" * len(batch))
        query = (
            "SELECT artifact.id, artifact.kind, artifact.name, artifact.version, artifact_file.path FROM artifact_file"  # noqa: S608 -- marks only
            " JOIN artifact ON artifact.id = artifact_file.artifact_id"
            f" WHERE artifact.workspace = ? AND artifact_file.digest IN ({marks})"
        )
        rows = tx.rows(query, (caller().workspace, *batch))
        found += [(str(id_), f"{kind}/{name}@{version}", str(path)) for id_, kind, name, version, path in rows]
    return [(ref, path) for _, ref, path in sorted(found)]


def with_ids(tx: Transaction, ids: Sequence[str]) -> list[Artifact]:
    """The artifacts with these ids, in any order; at most a thousand at once."""
    marks = ", ".join("?" * len(ids))
    found = tx.fetch(ARTIFACTS, f"WHERE id IN ({marks})", ids) if ids else []
    return [each for each in found if each.workspace == caller().workspace]


def used_by(tx: Transaction, run_id: str, *kinds: str) -> list[Artifact]:
    """The artifacts that a run used, of these kinds or of all, by kind, name and version."""
    return _beside(tx, "id IN (SELECT source FROM edge WHERE target = ?)", run_id, kinds)


def made_by(tx: Transaction, run_id: str, *kinds: str) -> list[Artifact]:
    """The artifacts that a run made, of these kinds or of all, by kind, name and version."""
    return _beside(tx, "id IN (SELECT target FROM edge WHERE source = ?)", run_id, kinds)


def users_of(tx: Transaction, artifact_id: str, *kinds: str) -> list[Run]:
    """The runs that used an artifact, of these kinds or of all, oldest first."""
    params = [caller().workspace, artifact_id, *kinds]
    among = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    used = "id IN (SELECT target FROM edge WHERE source = ?)"
    return tx.fetch(RUNS, f"WHERE {_OWN} AND {used}{among} ORDER BY id", params)


def alias_history(tx: Transaction, kind: str, name: str) -> list[AliasChange]:
    """Every move of the aliases of a name, newest first."""
    where, params = _where(kind=kind, name=name)
    return tx.fetch(ALIAS_HISTORY, f"{where} ORDER BY id DESC", params)


def _beside(tx: Transaction, condition: str, run_id: str, kinds: Sequence[str]) -> list[Artifact]:
    params = [caller().workspace, run_id, *kinds]
    among = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    return tx.fetch(ARTIFACTS, f"WHERE {_OWN} AND {condition}{among} ORDER BY kind, name, version", params)


def _where(*, before: str = "", **columns: str) -> tuple[str, list[Any]]:
    """The condition that names what is given, within the caller's workspace."""
    clauses: list[str] = ["workspace = ?"]
    params: list[Any] = [caller().workspace]
    for column, value in columns.items():
        if value:
            clauses.append(f"{column} = ?")
            params.append(value)
    if before:
        clauses.append("id < ?")
        params.append(before)
    return f"WHERE {' AND '.join(clauses)}", params


def _page(limit: int) -> int:
    return max(1, min(limit, _MOST))
