"""Deleting models and versions, undoing it, and the rules by which old versions go.

A deletion marks. For as long as the setting `undo_days` says, `restore` brings back what went, with its aliases where
they are free. After that the bytes of a version are given up for good, and the collection of garbage removes those that
nothing else refers to; the artifact stays in the graph with its digest, so that what came of it can be explained.
"""

from __future__ import annotations

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import acting_as, caller
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage import graph, lifetime, listing
from mainspring.models.announce import announce
from mainspring.models.approvals import decide
from mainspring.models.labels import change_model, change_notes
from mainspring.models.registry import KIND, create_model, find_model, locate
from mainspring.models.stages import move_alias
from mainspring.models.tables import MODELS, NOTES
from mainspring.models.types import Model, RetentionRule, VersionNotes
from mainspring.store.transaction import Transaction

__all__ = [
    "delete_model",
    "delete_version",
    "doomed_by",
    "empty_expired",
    "rename_model",
    "restore_model",
    "restore_version",
    "retention_rule",
    "set_retention",
]

_DAY = 86_400_000_000


def rename_model(tx: Transaction, name: str, to: str) -> Model:
    """Call a model otherwise; references by the old name go on working.

    Raises:
        AlreadyExists: There is, or was, a model of the new name.
    """
    check_name(to, what="model name")
    model = find_model(tx, name)
    if model.name == to:
        return model
    where = (model.workspace, model.name)
    if tx.fetch_one(MODELS, "WHERE workspace = ? AND name = ?", (model.workspace, to)) is not None:
        create_model(tx, to)  # refuses a name that is in use, with its own words
        raise Conflict(f"the name {to!r} was of a model that was deleted", hint="choose a name that was never used")
    lifetime.rename(tx, KIND, model.name, to)
    for table in (
        "model",
        "model_version",
        "model_label",
        "model_metric",
        "model_approval",
        "model_rule",
        "model_report",
        "model_card_text",
        "model_retention",
    ):
        tx.execute(f"UPDATE {table} SET name = ? WHERE workspace = ? AND name = ?", (to, *where))  # noqa: S608 -- ours
    announce(tx, "model.renamed", subject=f"{KIND}/{to}", before=model.name, after=to)
    return change_model(tx, msgspec.structs.replace(model, name=to))


def delete_model(tx: Transaction, name: str) -> Model:
    """Mark a model and all its versions as deleted."""
    model = find_model(tx, name)
    where = "WHERE workspace = ? AND name = ? AND deleted_at IS NULL"
    for notes in tx.fetch(NOTES, where, (model.workspace, model.name)):
        _mark(tx, notes)
    tx.note(f"{KIND}/{model.name}", deleted=True)
    announce(tx, "model.deleted", subject=f"{KIND}/{model.name}", name=model.name)
    return change_model(tx, model, deleted_at=tx.now)


def restore_model(tx: Transaction, name: str) -> Model:
    """Bring a deleted model back, with the versions that went with it.

    Raises:
        NotFound: There is no deleted model of that name.
    """
    model = find_model(tx, name, deleted=True)
    if model.deleted_at is None:
        raise NotFound(f"the model {name!r} was not deleted")
    restored = change_model(tx, model, deleted_at=None)
    where = "WHERE workspace = ? AND name = ? AND deleted_at >= ? AND emptied_at IS NULL ORDER BY version"
    for notes in tx.fetch(NOTES, where, (model.workspace, model.name, to_micros(model.deleted_at))):
        _unmark(tx, notes)
    tx.note(f"{KIND}/{model.name}", restored=True)
    announce(tx, "model.restored", subject=f"{KIND}/{model.name}", name=model.name)
    return restored


def delete_version(tx: Transaction, ref: str) -> VersionNotes:
    """Mark a version as deleted; its aliases go with it."""
    notes = locate(tx, ref)
    _mark(tx, notes)
    announce(
        tx,
        "model.version.deleted",
        subject=f"{KIND}/{notes.name}@{notes.version}",
        name=notes.name,
        version=notes.version,
    )
    return locate(tx, notes.artifact_id, deleted=True)


def restore_version(tx: Transaction, ref: str) -> VersionNotes:
    """Bring a deleted version back, with those of its aliases that are free.

    Raises:
        NotFound: It was not deleted, or its bytes were given up.
        Conflict: The whole model was deleted.
    """
    notes = locate(tx, ref, deleted=True)
    if notes.deleted_at is None:
        raise NotFound(f"{KIND}/{notes.name}@{notes.version} was not deleted")
    if notes.emptied_at is not None:
        raise NotFound(
            f"{KIND}/{notes.name}@{notes.version} was deleted too long ago: its files were given up",
            hint="the setting undo_days says how long a deletion can be undone",
        )
    if find_model(tx, notes.name, deleted=True).deleted_at is not None:
        raise Conflict(f"the model {notes.name!r} was deleted", hint=f"mainspring model restore {notes.name}")
    announce(tx, "model.version.restored", subject=f"{KIND}/{notes.name}@{notes.version}", version=notes.version)
    return _unmark(tx, notes)


def retention_rule(tx: Transaction, name: str) -> RetentionRule | None:
    """The rule of a model, or else of the workspace; None keeps everything."""
    rows = tx.rows(
        "SELECT name, rule FROM model_retention WHERE workspace = ? AND name IN (?, '') ORDER BY name DESC",
        (caller().workspace, name),
    )
    return msgspec.json.decode(rows[0][1], type=RetentionRule) if rows else None


def set_retention(tx: Transaction, name: str, rule: RetentionRule | None) -> None:
    """Set the rule of a model, or, without a name, of the workspace; None takes it away."""
    if name:
        name = find_model(tx, name).name
    who = caller()
    tx.execute("DELETE FROM model_retention WHERE workspace = ? AND name = ?", (who.workspace, name))
    if rule is not None:
        tx.execute(
            "INSERT INTO model_retention (workspace, name, rule, at, by) VALUES (?, ?, ?, ?, ?)",
            (who.workspace, name, msgspec.json.encode(rule).decode(), tx.now_micros, who.principal),
        )
    tx.note(f"policy/retention/{name or '*'}", rule=None if rule is None else msgspec.to_builtins(rule))


def doomed_by(tx: Transaction, name: str, rule: RetentionRule) -> list[VersionNotes]:
    """The versions of a model that a rule does not keep, oldest first."""
    model = find_model(tx, name)
    where = "WHERE workspace = ? AND name = ? AND deleted_at IS NULL ORDER BY version DESC"
    rows = tx.fetch(NOTES, where, (model.workspace, model.name))
    kept = {row.version for row in rows[: rule.last]}
    approved = {
        str(digest)
        for (digest,) in tx.rows(
            "SELECT DISTINCT digest FROM model_approval WHERE workspace = ? AND withdrawn_at IS NULL"
            " AND verdict = 'approved'",
            (model.workspace,),
        )
    }
    doomed = [
        row
        for row in rows
        if row.version not in kept
        and not (rule.days and to_micros(row.created_at) > tx.now_micros - rule.days * _DAY)
        and not (rule.aliased and (row.aliases or row.stage in ("Staging", "Production")))
        and not (rule.approved and row.digest in approved)
    ]
    if rule.deployed:
        doomed = [row for row in doomed if not _serving(tx, row)]
    return doomed[::-1]


def empty_expired(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- a hook's signature
    """Give up the bytes of versions that were deleted before a moment (microseconds), in every workspace.

    What serves now is kept, deleted or not.
    """
    rows = tx.fetch(NOTES, "WHERE deleted_at IS NOT NULL AND deleted_at < ? AND emptied_at IS NULL", (before,))
    emptied = 0
    for row in rows:
        with acting_as(msgspec.structs.replace(caller(), workspace=row.workspace)):
            if _serving(tx, row):
                continue
            emptied += 1
            if write:
                lifetime.empty(tx, [row.artifact_id])
                change_notes(tx, row, emptied_at=tx.now)
                tx.note(f"{KIND}/{row.name}@{row.version}", emptied=True, digest=row.digest)
    return emptied


def _mark(tx: Transaction, notes: VersionNotes) -> None:
    lost = list(notes.aliases)
    for alias in lost:
        move_alias(tx, notes.name, alias, 0)
    change_notes(tx, notes, aliases=[], lost_aliases=lost, deleted_at=tx.now)
    tx.note(f"{KIND}/{notes.name}@{notes.version}", deleted=True, aliases=lost)


def _unmark(tx: Transaction, notes: VersionNotes) -> VersionNotes:
    taken = graph.aliases(tx, KIND, notes.name)
    free = [alias for alias in notes.lost_aliases if alias not in taken]
    back = [alias for alias in free if decide(tx, notes, alias, holders=[notes.version]).allowed]
    for alias in back:
        graph.set_alias(tx, KIND, notes.name, alias, notes.version)
        subject = f"{KIND}/{notes.name}@{alias}"
        announce(tx, "model.alias.set", subject=subject, name=notes.name, alias=alias, version=notes.version, before=0)
    tx.note(f"{KIND}/{notes.name}@{notes.version}", restored=True, aliases=back)
    return change_notes(tx, notes, aliases=sorted(back), lost_aliases=[], deleted_at=None)


def _serving(tx: Transaction, notes: VersionNotes) -> bool:
    """Whether it answers at an endpoint now, or is about to."""
    users = listing.users_of(tx, notes.artifact_id, "deployment", "rollout")
    return any(run.status == "running" for run in users)
