"""Aliases and stages: which version is the one, kept with its history, changed only where the rules allow it."""

from __future__ import annotations

from typing import get_args

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.lineage import graph
from mainspring.models.announce import announce
from mainspring.models.approvals import check_allowed
from mainspring.models.labels import change_notes
from mainspring.models.registry import KIND, alias_history, find_model, find_notes, locate
from mainspring.models.tables import NOTES
from mainspring.models.types import Stage, VersionNotes
from mainspring.store.transaction import Transaction

__all__ = ["STAGES", "move_alias", "set_stage", "stage_named"]

STAGES: tuple[Stage, ...] = get_args(Stage)
_ACTIVE = ("Staging", "Production")


def stage_named(text: str) -> Stage:
    """A stage by its name, in whatever case.

    Example:
        >>> stage_named("production")
        'Production'
    """
    found = next((stage for stage in STAGES if stage.lower() == text.lower()), None)
    if found is None:
        raise InvalidInput(f"{text!r} is not a stage", known=nearest(text.capitalize(), STAGES) or list(STAGES))
    return found


def move_alias(tx: Transaction, name: str, alias: str, version: int) -> VersionNotes | None:
    """Point an alias at a version; 0 takes it away. The version that has it now, or None.

    Raises:
        CheckFailed: A rule stands in the way: approvals are lacking, somebody rejected it, a figure is not reached.
    """
    model = find_model(tx, name)
    pointing = graph.aliases(tx, KIND, model.name)
    before = pointing.get(alias, 0)
    subject = f"{KIND}/{model.name}@{alias}"
    if version == 0:
        graph.remove_alias(tx, KIND, model.name, alias)
        _take_from(tx, model.name, alias, before)
        announce(tx, "model.alias.deleted", subject=subject, name=model.name, alias=alias)
        return None
    notes = locate(tx, f"{KIND}/{model.name}@{version}")
    if before == version:
        return notes
    holders = {each.version for each in alias_history(tx, model.name) if each.alias == alias and each.version}
    check_allowed(tx, notes, alias, holders=sorted(holders), held=before)
    graph.set_alias(tx, KIND, model.name, alias, version)
    _take_from(tx, model.name, alias, before)
    changed = change_notes(tx, notes, aliases=sorted({*notes.aliases, alias}))
    announce(tx, "model.alias.set", subject=subject, name=model.name, alias=alias, version=version, before=before)
    return changed


def set_stage(tx: Transaction, ref: str, stage: str, *, archive_existing: bool = False) -> VersionNotes:
    """Move a version to a stage; with `archive_existing`, whatever is in it goes to the archive.

    Raises:
        InvalidInput: There is no such stage, or nothing can be archived from it.
        CheckFailed: A rule of the stage stands in the way.
    """
    wanted, notes = stage_named(stage), locate(tx, ref)
    if archive_existing and wanted not in _ACTIVE:
        raise InvalidInput(
            f"versions cannot be archived from the stage {wanted!r}", hint="archive_existing is for Staging, Production"
        )
    others = tx.fetch(
        NOTES,
        "WHERE workspace = ? AND name = ? AND stage = ? AND version <> ? AND deleted_at IS NULL",
        (caller().workspace, notes.name, wanted, notes.version),
    )
    if notes.stage != wanted:
        held = max((each.version for each in others), default=0)
        check_allowed(tx, notes, wanted, held=held)
    if archive_existing:
        for each in others:
            change_notes(tx, each, stage="Archived")
    changed = change_notes(tx, notes, stage=wanted)
    tx.note(
        f"{KIND}/{notes.name}@{notes.version}",
        stage=wanted,
        before=notes.stage,
        archived=[each.version for each in others] if archive_existing else [],
    )
    announce(
        tx,
        "model.version.stage.set",
        subject=f"{KIND}/{notes.name}@{notes.version}",
        stage=wanted,
        before=notes.stage,
    )
    return changed


def _take_from(tx: Transaction, name: str, alias: str, version: int) -> None:
    """Let the row of the version that had an alias no longer say so."""
    if not version:
        return
    try:
        artifact = graph.resolve(tx, f"{KIND}/{name}@{version}")
        notes = find_notes(tx, artifact, deleted=True)
    except NotFound:
        return
    change_notes(tx, notes, aliases=[each for each in notes.aliases if each != alias])
