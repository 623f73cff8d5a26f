"""The registry's rules, inside the caller's transaction: registering versions, finding and describing them.

A version is an artifact of kind `model`, made by a run. What it is stands in the artifact and never changes; what is
said about it afterwards stands in this room's tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.engines.signature import Signature
from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, nearest
from mainspring.kernel.names import check_name, parse_reference
from mainspring.lineage import graph, listing
from mainspring.lineage.lifetime import renamed
from mainspring.lineage.types import AliasChange, Artifact
from mainspring.models.announce import announce
from mainspring.models.labels import check_tags, set_labels
from mainspring.models.parity import CompileReport
from mainspring.models.policy import LoadPolicy
from mainspring.models.tables import MEASURED, MODELS, NOTES
from mainspring.models.types import (
    Metric,
    Model,
    ModelVersion,
    VersionNotes,
)
from mainspring.store.transaction import Transaction

__all__ = [
    "DATA_KINDS",
    "EXTERNAL",
    "KIND",
    "Facts",
    "alias_history",
    "create_model",
    "describe_notes",
    "describe_version",
    "find_model",
    "find_notes",
    "find_version",
    "locate",
    "policy",
    "set_policy",
    "usable",
    "versions_of",
]

KIND = "model"
DATA_KINDS = ("dataset", "training-set", "external-dataset")
"""Kinds of artifacts that models are trained on."""
EXTERNAL = "external"
"""The format of a version whose files lie elsewhere, at its source."""
_EXAMPLES = ("example.json", "input_example.json", "serving_input_example.json")
_LIVE = "workspace = ? AND deleted_at IS NULL"
_IN = 500


class Facts(msgspec.Struct, frozen=True):
    """What the artifact of a version says: everything that never changes."""

    format: str
    signature: Signature
    metrics: dict[str, Metric] = {}
    parameters: dict[str, Any] = {}
    parity: CompileReport | None = None
    libraries: dict[str, str] = {}
    classes: list[Any] = []
    data: list[str] = []
    code: str = ""
    environment: str = ""
    example: str = ""


def create_model(tx: Transaction, name: str, *, description: str = "", tags: Mapping[str, str] | None = None) -> Model:
    """Add a name, or take one that was deleted anew: its versions stay deleted, and numbers are never given twice.

    Raises:
        AlreadyExists: There is such a model.
    """
    check_name(name, what="model name")
    who = caller()
    model = Model(who.workspace, name, description, check_tags(tags or {}), tx.now, who.principal, tx.now, None)
    known = tx.fetch_one(MODELS, "WHERE workspace = ? AND name = ?", (who.workspace, name))
    if known is not None and known.deleted_at is None:
        raise AlreadyExists(f"there is a model named {name!r} already", hint="register adds a version to it")
    if known is not None:
        tx.execute("DELETE FROM model WHERE workspace = ? AND name = ?", (who.workspace, name))
    tx.insert(MODELS, model)
    set_labels(tx, who.workspace, name, 0, "tag", model.tags)
    tx.note(f"model/{name}", created=True)
    announce(tx, "model.created", subject=f"model/{name}", name=name, description=description, tags=model.tags)
    return model


def find_model(tx: Transaction, name: str, *, deleted: bool = False) -> Model:
    """The model of this name, or of the name that it was renamed to; `NotFound` with the nearest names otherwise."""
    workspace = caller().workspace
    name = name.removeprefix(f"{KIND}/")
    found = tx.fetch_one(MODELS, "WHERE workspace = ? AND name = ?", (workspace, name))
    if found is None and (now := renamed(tx, KIND, name)) != name:
        found = tx.fetch_one(MODELS, "WHERE workspace = ? AND name = ?", (workspace, now))
    if found is None:
        names = [row[0] for row in tx.rows(f"SELECT name FROM model WHERE {_LIVE} LIMIT 1000", (workspace,))]  # noqa: S608 -- ours
        raise NotFound(f"there is no model named {name!r}", known=nearest(name, names))
    if found.deleted_at is not None and not deleted:
        raise NotFound(f"the model {name!r} was deleted", hint=f"mainspring model restore {name}")
    return found


def locate(tx: Transaction, ref: str, *, deleted: bool = False) -> VersionNotes:
    """The row of the version that `name@3`, `name@alias`, `name` (the newest) or an artifact's id means.

    Args:
        tx: The caller's transaction.
        ref: `model/` may stand before it.
        deleted: Whether a deleted version may be meant as well.

    Raises:
        NotFound: There is none, or it was deleted.
    """
    named = None if _is_id(ref) else parse_reference(ref, kind=KIND)
    if named is not None and named.kind == KIND and named.version in ("", "latest"):
        model = find_model(tx, named.name, deleted=deleted)
        among = "" if deleted else "AND deleted_at IS NULL "
        where = f"WHERE workspace = ? AND name = ? {among}ORDER BY version DESC LIMIT 1"
        found = tx.fetch_one(NOTES, where, (model.workspace, model.name))
        if found is None:
            raise NotFound(f"the model {model.name!r} has no version", hint="log_model or register adds one")
        return found
    artifact = graph.resolve(tx, ref, kind=KIND)
    if artifact.kind != KIND:
        raise InvalidInput(f"{artifact.ref} is not a model")
    return find_notes(tx, artifact, deleted=deleted)


def find_notes(tx: Transaction, artifact: Artifact, *, deleted: bool = False) -> VersionNotes:
    """What the registry keeps about an artifact of kind `model`."""
    found = tx.fetch_one(
        NOTES,
        "WHERE workspace = ? AND name = ? AND version = ?",
        (artifact.workspace, artifact.name, artifact.version),
    )
    if found is None:
        raise NotFound(f"{artifact.ref} is not in the registry")
    if found.deleted_at is not None and not deleted:
        raise NotFound(
            f"{artifact.ref} was deleted", hint=f"mainspring model restore {artifact.name}@{artifact.version}"
        )
    return found


def usable(tx: Transaction, ref: str) -> Artifact:
    """The artifact of a version that may be put to work: not deleted, and its files all there.

    Raises:
        NotFound: There is none, or it was deleted.
        Conflict: Its files are not all there.
    """
    artifact = graph.resolve(tx, ref, kind=KIND)
    key = (artifact.workspace, artifact.name, artifact.version)
    if not tx.value("SELECT 1 FROM model_version WHERE workspace = ? AND name = ? AND version = ?", key):
        return artifact  # recorded in the graph alone, so nothing was ever said about it
    notes = locate(tx, ref)
    if notes.status != "ready":
        raise Conflict(f"{artifact.ref} is {notes.status}: its files are not all there")
    return graph.find_artifact(tx, notes.artifact_id)


def find_version(tx: Transaction, ref: str, *, deleted: bool = False) -> ModelVersion:
    """The version that a reference means; see `locate`."""
    return describe_version(tx, locate(tx, ref, deleted=deleted))


def versions_of(
    tx: Transaction, name: str, *, limit: int, before: int = 0, deleted: bool = False
) -> list[ModelVersion]:
    """The versions of a model, newest first; `before` is a version number, for the next page."""
    model = find_model(tx, name, deleted=deleted)
    clauses = ["workspace = ?", "name = ?"]
    params: list[Any] = [model.workspace, model.name]
    if not deleted:
        clauses.append("deleted_at IS NULL")
    if before:
        clauses.append("version < ?")
        params.append(before)
    where = f"WHERE {' AND '.join(clauses)} ORDER BY version DESC LIMIT ?"
    return describe_notes(tx, tx.fetch(NOTES, where, [*params, limit]))


def describe_version(tx: Transaction, notes: VersionNotes) -> ModelVersion:
    """A version with what has been said about it."""
    return describe_notes(tx, [notes])[0]


def describe_notes(tx: Transaction, rows: Sequence[VersionNotes]) -> list[ModelVersion]:
    """Versions with what has been said about them, in the order given; three queries for a page."""
    artifacts: dict[str, Artifact] = {}
    for start in range(0, len(rows), _IN):
        batch = [row.artifact_id for row in rows[start : start + _IN]]
        artifacts.update((each.id, each) for each in listing.with_ids(tx, batch))
    measured = _measured(tx, rows)
    now = tx.now_micros
    return [_version(artifacts[row.artifact_id], row, measured.get((row.name, row.version), {}), now) for row in rows]


def _version(artifact: Artifact, notes: VersionNotes, measured: dict[str, dict[str, Metric]], now: int) -> ModelVersion:
    facts = msgspec.convert(artifact.metadata, Facts)
    return ModelVersion(
        id=artifact.id,
        name=notes.name,
        version=notes.version,
        digest=artifact.digest,
        size=artifact.size,
        run_id=artifact.run_id,
        created_at=artifact.created_at,
        created_by=artifact.created_by,
        description=notes.description,
        tags=notes.tags,
        aliases=notes.aliases,
        approved=notes.approved_until > now,
        approval=notes.approval if notes.approval == "rejected" or notes.approved_until > now else "pending",
        measured=measured,
        stage=notes.stage,
        status=notes.status,
        source=notes.source,
        updated_at=notes.updated_at,
        deleted_at=notes.deleted_at,
        **{field: getattr(facts, field) for field in facts.__struct_fields__},
    )


def _measured(tx: Transaction, rows: Sequence[VersionNotes]) -> dict[tuple[str, int], dict[str, dict[str, Metric]]]:
    """The figures measured after registration: by version, then by data, then by name."""
    found: dict[tuple[str, int], dict[str, dict[str, Metric]]] = {}
    names = list(dict.fromkeys(row.name for row in rows))
    wanted = {(row.name, row.version) for row in rows}
    for start in range(0, len(names), _IN):
        batch = names[start : start + _IN]
        where = f"WHERE workspace = ? AND dataset <> '' AND name IN ({', '.join('?' * len(batch))})"
        params: list[Any] = [caller().workspace, *batch]
        if len(rows) == 1:
            where, params = f"{where} AND version = ?", [*params, rows[0].version]
        for each in tx.fetch(MEASURED, where, params):
            if (each.name, each.version) in wanted:
                figure = Metric(each.value, each.low, each.high, each.level)
                found.setdefault((each.name, each.version), {}).setdefault(each.dataset, {})[each.key] = figure
    return found


def alias_history(tx: Transaction, name: str) -> list[AliasChange]:
    """Every move of the aliases of a model, newest first."""
    return listing.alias_history(tx, KIND, name)


def policy(tx: Transaction) -> LoadPolicy:
    """The workspace's load policy; the strict one where none was set."""
    row = tx.row("SELECT pickle, trusted FROM model_policy WHERE workspace = ?", (caller().workspace,))
    return LoadPolicy() if row is None else LoadPolicy(bool(row[0]), tuple(msgspec.json.decode(row[1], type=list[str])))


def set_policy(tx: Transaction, wanted: LoadPolicy) -> LoadPolicy:
    """Replace the workspace's load policy."""
    tx.execute(
        "INSERT INTO model_policy (workspace, pickle, trusted) VALUES (?, ?, ?) ON CONFLICT (workspace)"
        " DO UPDATE SET pickle = excluded.pickle, trusted = excluded.trusted",
        (caller().workspace, int(wanted.pickle), msgspec.json.encode(wanted.trusted).decode()),
    )
    tx.note("policy/models", pickle=wanted.pickle, trusted=list(wanted.trusted))
    return wanted


def _is_id(ref: str) -> bool:
    return len(ref) == 36 and ref.count("-") == 4 and "@" not in ref and "/" not in ref
