"""Deleting versions of datasets, undoing it, and the rules by which old versions go.

A deletion marks. For as long as the setting `undo_days` says, `restore` brings the version back, with its aliases where
they are free. After that its bytes are given up, and the collection of garbage removes those that nothing else refers
to; the version stays in the lineage with its digest, so that what came of it can be explained.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.data.tables import DELETIONS, Deletion
from mainspring.data.types import KIND
from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, NotFound
from mainspring.kernel.names import check_name
from mainspring.lineage import graph, lifetime, listing
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction

__all__ = [
    "KeepRule",
    "delete_version",
    "deleted_among",
    "deletions",
    "doomed_by",
    "expire_deleted",
    "is_deleted",
    "keep_rule",
    "newest_living",
    "restore_version",
    "set_keep_rule",
]

_IN = 500
_PAGE = 1000
_DAY = 86_400_000_000
_LOOKS = ("profiling", "validation", "drift")
"""Kinds of runs that look at a version, and make nothing of it."""


class KeepRule(msgspec.Struct, frozen=True):
    """Which versions of a dataset are kept: those that any of this says."""

    last: int = 10
    """The newest so many, at least one."""
    days: float = 0.0
    """Those that were committed in so many days; 0 for none."""
    aliased: bool = True
    """Those that an alias points at."""
    tagged: bool = True
    """Those that have a tag."""
    used: bool = True
    """Those that a run used: a training, another commit; to look at a version is not to use it."""


def is_deleted(tx: Transaction, artifact_id: str) -> bool:
    """Whether a version is deleted, or its bytes were given up."""
    return bool(deleted_among(tx, [artifact_id]))


def deleted_among(tx: Transaction, artifact_ids: Sequence[str]) -> set[str]:
    """Those of the versions that are deleted."""
    found: set[str] = set()
    for start in range(0, len(artifact_ids), _IN):
        batch = artifact_ids[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        query = f"SELECT artifact_id FROM dataset_deletion WHERE artifact_id IN ({marks})"  # noqa: S608 -- marks only
        found.update(str(each) for (each,) in tx.rows(query, batch))
    return found


def newest_living(tx: Transaction, name: str) -> Artifact | None:
    """The newest version of a dataset that is not deleted."""
    before = 0
    while page := listing.versions(tx, KIND, name, limit=_PAGE, before=before):
        gone = deleted_among(tx, [each.id for each in page])
        for each in page:
            if each.id not in gone:
                return each
        before = page[-1].version
    return None


def deletions(tx: Transaction) -> list[Deletion]:
    """The deleted versions of the caller's workspace that can be restored, newest first."""
    where = "WHERE workspace = ? AND artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied) ORDER BY at DESC"
    return tx.fetch(DELETIONS, where, (caller().workspace,))


def delete_version(tx: Transaction, artifact: Artifact) -> Deletion:
    """Mark a version as deleted and take away the aliases that point at it."""
    pointing = [alias for alias, number in graph.aliases(tx, KIND, artifact.name).items() if number == artifact.version]
    for alias in pointing:
        graph.remove_alias(tx, KIND, artifact.name, alias)
    made = Deletion(
        artifact.id, artifact.workspace, artifact.name, artifact.version, pointing, tx.now, caller().principal
    )
    tx.insert(DELETIONS, made)
    tx.note(artifact.ref, deleted=True, aliases=pointing)
    return made


def restore_version(tx: Transaction, name: str, version: int) -> Artifact:
    """Bring a deleted version back, with those of its aliases that nothing took since.

    Raises:
        NotFound: It is not deleted.
        Conflict: Its bytes were given up.
    """
    where = "WHERE workspace = ? AND name = ? AND version = ?"
    found = tx.fetch_one(DELETIONS, where, (caller().workspace, check_name(name), version))
    if found is None:
        raise NotFound(f"dataset/{name}@{version} is not deleted")
    if lifetime.is_emptied(tx, found.artifact_id):
        raise Conflict(f"the bytes of dataset/{name}@{version} were given up; it cannot be restored")
    tx.execute("DELETE FROM dataset_deletion WHERE artifact_id = ?", (found.artifact_id,))
    taken = graph.aliases(tx, KIND, name)
    for alias in found.aliases:
        if alias not in taken:
            graph.set_alias(tx, KIND, name, alias, version)
    tx.note(f"{KIND}/{name}@{version}", deleted=False)
    return graph.find_artifact(tx, found.artifact_id)


def keep_rule(tx: Transaction, name: str) -> KeepRule | None:
    """The rule of a dataset, or else of the workspace; None keeps everything."""
    for each in dict.fromkeys((name, "")):
        text = tx.value(
            "SELECT rule FROM dataset_retention WHERE workspace = ? AND name = ?", (caller().workspace, each)
        )
        if text is not None:
            return msgspec.json.decode(text, type=KeepRule)
    return None


def set_keep_rule(tx: Transaction, name: str, rule: KeepRule | None) -> None:
    """Say which versions are kept; None takes the rule away."""
    key = (caller().workspace, name)
    tx.execute("DELETE FROM dataset_retention WHERE workspace = ? AND name = ?", key)
    if rule is not None:
        text = msgspec.json.encode(rule).decode()
        tx.execute("INSERT INTO dataset_retention (workspace, name, rule) VALUES (?, ?, ?)", (*key, text))
    tx.note(f"{KIND}/{name or '*'}", retention=None if rule is None else msgspec.to_builtins(rule))


def doomed_by(tx: Transaction, name: str, rule: KeepRule) -> list[Artifact]:
    """The versions of a dataset that a rule does not keep, oldest first."""
    living: list[Artifact] = []
    before = 0
    while page := listing.versions(tx, KIND, name, limit=_PAGE, before=before):
        gone = deleted_among(tx, [each.id for each in page])
        living += [each for each in page if each.id not in gone]
        before = page[-1].version
    aliased = set(graph.aliases(tx, KIND, name).values())
    since = tx.now_micros - round(rule.days * _DAY)
    return [
        each
        for each in living[: max(1, rule.last) - 1 : -1]
        if not (rule.days and to_micros(each.created_at) > since)
        and not (rule.aliased and each.version in aliased)
        and not (rule.tagged and _is_tagged(tx, each.id))
        and not (rule.used and any(run.kind not in _LOOKS for run in listing.users_of(tx, each.id)))
    ]


def _is_tagged(tx: Transaction, artifact_id: str) -> bool:
    return bool(tx.value("SELECT 1 FROM dataset_label WHERE artifact_id = ? AND name <> '' LIMIT 1", (artifact_id,)))


def expire_deleted(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- a hook's signature
    """Give up the bytes of versions that were deleted before a moment (microseconds), in every workspace."""
    where = "WHERE at < ? AND artifact_id NOT IN (SELECT artifact_id FROM artifact_emptied)"
    gone = tx.fetch(DELETIONS, where, (before,))
    if write and gone:
        lifetime.empty(tx, [each.artifact_id for each in gone])
        tx.many(
            "DELETE FROM dataset_content WHERE artifact_id = ?",
            [(each.artifact_id,) for each in gone],
        )
        for each in gone:
            tx.note(f"{KIND}/{each.name}@{each.version}", given_up=True, workspace=each.workspace)
    return len(gone)
