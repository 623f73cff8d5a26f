"""The operations of retention: which versions of a model are kept."""

from __future__ import annotations

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.operations import operation
from mainspring.models.registry import describe_notes, find_model
from mainspring.models.retention import delete_version, doomed_by, retention_rule, set_retention
from mainspring.models.types import ModelVersion, RetentionRule, VersionNotes
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["RetentionOperations"]


class RetentionOperations(RoomService):
    """Which versions are kept, and which go."""

    @operation(permission="models:read", resource="name")
    def retention(self, name: str = "") -> RetentionRule | None:
        """The rule of a model, or else of the workspace; None keeps everything."""
        with self.store.read() as tx:
            return retention_rule(tx, find_model(tx, name).name if name else "")

    @operation(permission="models:admin", writes=True, resource="name")
    def set_retention(self, name: str = "", *, rule: RetentionRule | None = None) -> RetentionRule | None:
        """Say which versions of a model are kept, or, without a name, of every model that has no rule of its own.

        Nothing goes before `retain` is called.
        """
        with self.store.write() as tx:
            set_retention(tx, name, rule)
            return retention_rule(tx, find_model(tx, name).name if name else "")

    @operation(permission="models:admin", writes=True, resource="name")
    def retain(
        self, name: str = "", *, rule: RetentionRule | None = None, dry_run: bool = False
    ) -> list[ModelVersion]:
        """Delete the versions that the rule does not keep; which they are. Each can be restored for a while.

        Args:
            name: The model; without one, every model of the workspace.
            rule: Instead of the one that was set.
            dry_run: Say which would go, and do nothing.
        """
        if dry_run:
            with self.store.read() as tx:
                return describe_notes(tx, _doomed(tx, name, rule))
        with self.store.write() as tx:
            gone = [delete_version(tx, each.artifact_id) for each in _doomed(tx, name, rule)]
            return describe_notes(tx, gone)


def _doomed(tx: Transaction, name: str, rule: RetentionRule | None) -> list[VersionNotes]:
    if name:
        names = [find_model(tx, name).name]
    else:
        where = "SELECT name FROM model WHERE workspace = ? AND deleted_at IS NULL ORDER BY name"
        names = [str(row[0]) for row in tx.rows(where, (caller().workspace,))]
    rules = {each: rule or retention_rule(tx, each) for each in names}
    if name and rules[names[0]] is None:
        raise InvalidInput(f"the model {name!r} has no retention rule", hint="set_retention, or give a rule")
    return [notes for each, wanted in rules.items() if wanted is not None for notes in doomed_by(tx, each, wanted)]
