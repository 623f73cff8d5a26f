"""The graph's rows: artifacts, runs, edges and aliases, written inside the caller's transaction.

Rooms above record what they do with these functions, so that their own rows and the provenance commit together. They
find what they need by `listing` and `queries`; no other room knows these tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import Reference, check_name, parse_reference
from mainspring.lineage.lifetime import renamed
from mainspring.lineage.listing import with_digest
from mainspring.lineage.tables import ALIAS_HISTORY, ARTIFACTS, EDGES, RUNS
from mainspring.lineage.types import AliasChange, Artifact, Edge, File, Run, RunStatus
from mainspring.store.transaction import Transaction

__all__ = [
    "add_artifact",
    "aliases",
    "crash_runs",
    "end_runs",
    "files_of",
    "find_artifact",
    "finish_run",
    "get_run",
    "node_id",
    "put_runs",
    "remove_alias",
    "reopen_run",
    "resolve",
    "set_alias",
    "start_run",
    "touch_run",
    "use",
    "use_many",
]

_PUT_RUN = (
    f"{RUNS.insert_sql} ON CONFLICT (id) DO UPDATE SET"
    " status = excluded.status, finished_at = excluded.finished_at, metadata = excluded.metadata"
    " WHERE run.workspace = excluded.workspace AND run.kind = excluded.kind"
)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def add_artifact(
    tx: Transaction,
    kind: str,
    name: str,
    *,
    digest: str,
    size: int = 0,
    metadata: Mapping[str, Any] | None = None,
    files: Sequence[File] = (),
    run_id: str = "",
    reuse: bool = False,
) -> Artifact:
    """Record the next version of an artifact, and that `run_id` made it.

    Args:
        tx: The caller's transaction.
        kind: `dataset`, `model`, `report`, ...
        name: Under its kind.
        digest: The digest of its content; see `kernel.hashing`.
        size: Bytes, over all files.
        metadata: What else is known of it, as JSON types.
        files: What it consists of; their blobs are stored already.
        run_id: The run that made it.
        reuse: When a version of that name has the same digest already, return it instead of making another.
    """
    check_name(kind, what="kind")
    check_name(name)
    workspace = caller().workspace
    if reuse and (known := with_digest(tx, digest, kind=kind, name=name)) is not None:
        if run_id:
            _connect(tx, source=get_run(tx, run_id).id, target=known.id, role="made")
        return known
    last = tx.value(
        "SELECT max(version) FROM artifact WHERE workspace = ? AND kind = ? AND name = ?", (workspace, kind, name)
    )
    artifact = Artifact(
        id=new_id(),
        workspace=workspace,
        kind=kind,
        name=name,
        version=(last or 0) + 1,
        digest=digest,
        size=size,
        metadata=dict(metadata or {}),
        run_id=run_id,
        created_at=tx.now,
        created_by=caller().principal,
    )
    tx.insert(ARTIFACTS, artifact)
    if files:
        tx.many(
            "INSERT INTO artifact_file (artifact_id, path, size, digest) VALUES (?, ?, ?, ?)",
            [(artifact.id, file.path, file.size, file.digest) for file in files],
        )
    if run_id:
        _connect(tx, source=get_run(tx, run_id).id, target=artifact.id, role="made")
    tx.note(artifact.ref, id=artifact.id, digest=digest)
    return artifact


def start_run(
    tx: Transaction,
    kind: str,
    name: str,
    *,
    parent_id: str = "",
    metadata: Mapping[str, Any] | None = None,
    run_id: str = "",
    started_at: datetime | None = None,
) -> Run:
    """Record that something began.

    Args:
        tx: The caller's transaction.
        kind: `training`, `step`, `evaluation`, ...
        name: What it is a run of; any text, since a run is addressed by its id.
        parent_id: The run that it is a part of.
        metadata: What else is known of it, as JSON types.
        run_id: A new UUIDv7 made by the caller, for idempotent retries.
        started_at: When it began, where that is not now.
    """
    check_name(kind, what="kind")
    if not name:
        raise InvalidInput("a run has a name")
    run = Run(
        id=run_id or new_id(),
        workspace=caller().workspace,
        kind=kind,
        name=name,
        status="running",
        parent_id=parent_id,
        started_at=started_at or tx.now,
        finished_at=None,
        heartbeat_at=tx.now,
        metadata=dict(metadata or {}),
        created_by=caller().principal,
    )
    tx.insert(RUNS, run)
    tx.note(run.ref, kind=kind, name=name)
    return run


def finish_run(
    tx: Transaction,
    run_id: str,
    *,
    status: RunStatus = "finished",
    metadata: Mapping[str, Any] | None = None,
    finished_at: datetime | None = None,
) -> Run:
    """Record how a run ended; `metadata` is merged into what it has. Repeating the same end is fine."""
    run = get_run(tx, run_id)
    if run.status not in ("running", "crashed", status):
        raise Conflict(f"run {run_id} is {run.status} already and cannot become {status}")
    ended = msgspec.structs.replace(
        run, status=status, finished_at=finished_at or tx.now, metadata={**run.metadata, **(metadata or {})}
    )
    tx.execute(
        "UPDATE run SET status = ?, finished_at = ?, metadata = ? WHERE id = ?",
        (
            status,
            to_micros(ended.finished_at or tx.now),
            msgspec.json.encode(ended.metadata).decode(),
            run.id,
        ),
    )
    tx.note(run.ref, status=status)
    return ended


def touch_run(tx: Transaction, run_id: str, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Record that a run is alive; `metadata` is merged into what it has."""
    workspace = caller().workspace
    if metadata is None:
        tx.execute("UPDATE run SET heartbeat_at = ? WHERE id = ? AND workspace = ?", (tx.now_micros, run_id, workspace))
        return
    merged = {**get_run(tx, run_id).metadata, **metadata}
    tx.execute(
        "UPDATE run SET heartbeat_at = ?, metadata = ? WHERE id = ? AND workspace = ?",
        (tx.now_micros, msgspec.json.encode(merged).decode(), run_id, workspace),
    )


def reopen_run(tx: Transaction, run_id: str) -> None:
    """Record that a run which had ended, or was taken for dead, goes on."""
    tx.execute(
        "UPDATE run SET status = 'running', finished_at = NULL, heartbeat_at = ? WHERE id = ? AND workspace = ?",
        (tx.now_micros, run_id, caller().workspace),
    )


def crash_runs(tx: Transaction, run_ids: Sequence[str]) -> None:
    """Record that runs of the caller's workspace lost their process."""
    tx.many(
        "UPDATE run SET status = 'crashed', finished_at = ? WHERE id = ? AND workspace = ?",
        [(tx.now_micros, each, caller().workspace) for each in run_ids],
    )


def end_runs(tx: Transaction, ended: Sequence[tuple[str, RunStatus, Mapping[str, Any]]]) -> None:
    """Record how runs of the caller's workspace ended, each with its id, and all that is said of it, in few steps."""
    workspace = caller().workspace
    tx.many(
        "UPDATE run SET status = ?, finished_at = ?, metadata = ? WHERE id = ? AND workspace = ?",
        [
            (status, tx.now_micros, msgspec.json.encode(metadata).decode(), run_id, workspace)
            for run_id, status, metadata in ended
        ],
    )


def put_runs(tx: Transaction, runs: Sequence[Run]) -> None:
    """Record many runs as they are now: new ones whole, of known ones how they stand and what is said of them.

    A run of another workspace, or of another kind, stays as it is.
    """
    tx.many(_PUT_RUN, [RUNS.to_row(each) for each in runs])


def use(tx: Transaction, run_id: str, artifact_id: str, *, role: str = "") -> None:
    """Record that a run used an artifact, both of the caller's workspace; saying it twice is fine."""
    _connect(tx, source=find_artifact(tx, artifact_id).id, target=get_run(tx, run_id).id, role=role)


def use_many(tx: Transaction, uses: Sequence[tuple[str, str, str]]) -> None:
    """Record uses whose ends the caller has just read or written: artifact, run and role; saying it twice is fine."""
    if uses:
        tx.many(f"{EDGES.insert_sql} ON CONFLICT DO NOTHING", [EDGES.to_row(Edge(*each)) for each in uses])


def get_run(tx: Transaction, run_id: str) -> Run:
    """The run with this id, `run/` before it or not; `NotFound` otherwise."""
    run = tx.fetch_one(RUNS, "WHERE id = ? AND workspace = ?", (run_id.removeprefix("run/"), caller().workspace))
    if run is None:
        raise NotFound(f"there is no run {run_id.removeprefix('run/')!r}", hint="mainspring run list")
    return run


def files_of(tx: Transaction, artifact_id: str) -> list[File]:
    """The files of an artifact, by path."""
    return [
        File(*row)
        for row in tx.rows(
            "SELECT path, size, digest FROM artifact_file WHERE artifact_id = ? ORDER BY path", (artifact_id,)
        )
    ]


def resolve(tx: Transaction, ref: str | Reference, *, kind: str = "") -> Artifact:
    """The artifact that a reference means: `kind/name@3`, `kind/name@alias`, `kind/name` (the newest), or an id.

    Raises:
        InvalidReference: It has no such form.
        NotFound: No such artifact; `known` names the nearest, or the versions and aliases there are.
    """
    if isinstance(ref, str):
        if _ID.fullmatch(ref):
            return find_artifact(tx, ref)
        ref = parse_reference(ref, kind=kind)
    version = ref.version
    if version and not version.isdigit():
        version = str(aliases(tx, ref.kind, ref.name).get(version, version))
    where, params = "WHERE workspace = ? AND kind = ? AND name = ?", [caller().workspace, ref.kind, ref.name]
    found = None
    if not version:
        found = tx.fetch_one(ARTIFACTS, f"{where} ORDER BY version DESC LIMIT 1", params)
    elif version.isdigit() and len(version) < 19:
        found = tx.fetch_one(ARTIFACTS, f"{where} AND version = ?", [*params, int(version)])
    if found is None:
        if (now := renamed(tx, ref.kind, ref.name)) != ref.name:
            return resolve(tx, Reference(ref.kind, now, ref.version))
        raise _not_found(tx, ref)
    return found


def find_artifact(tx: Transaction, artifact_id: str) -> Artifact:
    """The artifact with this id."""
    found = tx.fetch_one(ARTIFACTS, "WHERE id = ? AND workspace = ?", (artifact_id, caller().workspace))
    if found is None:
        raise NotFound(f"there is no artifact with the id {artifact_id}")
    return found


def node_id(tx: Transaction, ref: str) -> str:
    """The id of the run or artifact that a reference means."""
    bare = ref.removeprefix("run/").removeprefix("step/").removeprefix("flow/")
    if _ID.fullmatch(bare):
        known = tx.value(
            "SELECT id FROM run WHERE id = ? AND workspace = ?"
            " UNION SELECT id FROM artifact WHERE id = ? AND workspace = ?",
            (bare, caller().workspace, bare, caller().workspace),
        )
        if known is None:
            raise NotFound(f"there is no run and no artifact with the id {bare}")
        return str(known)
    return resolve(tx, ref).id


def set_alias(tx: Transaction, kind: str, name: str, alias: str, version: int) -> None:
    """Point an alias at a version, keeping its history; nothing happens when it points there already."""
    check_name(alias, what="alias")
    if alias.removeprefix("v").isdigit() or alias == "latest":
        raise InvalidInput(f"{alias!r} cannot be an alias: it reads as a version", hint="choose a word, like champion")
    artifact = resolve(tx, Reference(kind, name, str(version)))
    before = aliases(tx, kind, name).get(alias, 0)
    if before == version:
        return
    workspace = caller().workspace
    tx.execute(
        "INSERT INTO alias (workspace, kind, name, alias, version) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace, kind, name, alias) DO UPDATE SET version = excluded.version",
        (workspace, kind, name, alias, version),
    )
    tx.insert(ALIAS_HISTORY, AliasChange(new_id(), workspace, kind, name, alias, version, tx.now, caller().principal))
    tx.note(f"{kind}/{name}@{alias}", before=before, after=version, digest=artifact.digest)


def remove_alias(tx: Transaction, kind: str, name: str, alias: str) -> None:
    """Take an alias away, keeping its history."""
    before = aliases(tx, kind, name)
    if alias not in before:
        raise NotFound(f"{kind}/{name} has no alias {alias!r}", known=nearest(alias, before))
    workspace = caller().workspace
    tx.execute(
        "DELETE FROM alias WHERE workspace = ? AND kind = ? AND name = ? AND alias = ?", (workspace, kind, name, alias)
    )
    tx.insert(ALIAS_HISTORY, AliasChange(new_id(), workspace, kind, name, alias, 0, tx.now, caller().principal))
    tx.note(f"{kind}/{name}@{alias}", before=before[alias], after=0)


def aliases(tx: Transaction, kind: str, name: str) -> dict[str, int]:
    """Every alias of a name and the version that it points at."""
    return dict(
        tx.rows(
            "SELECT alias, version FROM alias WHERE workspace = ? AND kind = ? AND name = ? ORDER BY alias",
            (caller().workspace, kind, name),
        )
    )


def _connect(tx: Transaction, *, source: str, target: str, role: str) -> None:
    tx.execute(
        f"{EDGES.insert_sql} ON CONFLICT DO NOTHING",
        EDGES.to_row(Edge(source, target, role)),
    )


def _not_found(tx: Transaction, ref: Reference) -> NotFound:
    workspace = caller().workspace
    versions = tx.rows(
        "SELECT version FROM artifact WHERE workspace = ? AND kind = ? AND name = ? ORDER BY version DESC LIMIT 5",
        (workspace, ref.kind, ref.name),
    )
    if versions:
        known = [*aliases(tx, ref.kind, ref.name), *(str(version) for (version,) in versions)]
        return NotFound(f"{ref.kind} {ref.name!r} has no version or alias {ref.version!r}", known=known)
    names = [
        name
        for (name,) in tx.rows(
            "SELECT DISTINCT name FROM artifact WHERE workspace = ? AND kind = ? LIMIT 1000", (workspace, ref.kind)
        )
    ]
    return NotFound(f"there is no {ref.kind} named {ref.name!r}", known=nearest(ref.name, names))
