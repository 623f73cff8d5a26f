"""The operations of approval: rules, verdicts, and whether they suffice."""

from __future__ import annotations

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.models.approvals import (
    approvals_of,
    approve,
    decide,
    reject,
    rules_of,
    set_rules,
    status_named,
    withdraw,
)
from mainspring.models.registry import KIND, alias_history, find_model, find_version, locate
from mainspring.models.types import Approval, Decision, ModelVersion, Rule
from mainspring.store.service import RoomService

__all__ = ["ApprovalOperations"]


class ApprovalOperations(RoomService):
    """Who may say yes to what."""

    @operation(permission="models:approve", writes=True, resource="ref")
    def approve(self, ref: str, *, comment: str = "") -> Approval:
        """Approve the content of a version; who made it may not, except the owner of an embedded store."""
        with self.store.write() as tx:
            return approve(tx, ref, comment=comment)

    @operation(permission="models:approve", writes=True, resource="ref")
    def reject(self, ref: str, *, comment: str = "") -> Approval:
        """Say no to the content of a version: it takes nothing that has a rule until the no is taken back."""
        with self.store.write() as tx:
            return reject(tx, ref, comment=comment)

    @operation(permission="models:approve", writes=True, resource="ref")
    def withdraw(self, ref: str, *, by: str = "", comment: str = "") -> list[Approval]:
        """Take back what one said of the content of a version; an administrator may do it for another."""
        with self.store.write() as tx:
            return withdraw(tx, ref, by=by, comment=comment)

    @operation(permission="models:approve", writes=True, resource="ref")
    def set_approval(self, ref: str, status: str, *, comment: str = "") -> ModelVersion:
        """Say it with one word: approved, rejected or pending, or SageMaker's names of them."""
        wanted = status_named(status)
        with self.store.write() as tx:
            if wanted == "pending":
                withdraw(tx, ref, comment=comment)
            else:
                (approve if wanted == "approved" else reject)(tx, ref, comment=comment)
            return find_version(tx, ref)

    @operation(permission="models:read", resource="ref")
    def approvals(self, ref: str) -> list[Approval]:
        """Everything that was said of the content of a version, withdrawn or not, newest first."""
        with self.store.read() as tx:
            return approvals_of(tx, locate(tx, ref).digest)

    @operation(permission="models:read", resource="ref")
    def may_take(self, ref: str, *, target: str = "champion") -> Decision:
        """Whether a version may take an alias or a stage now, and what is lacking."""
        if not target:
            raise InvalidInput("name an alias or a stage")
        with self.store.read() as tx:
            notes = locate(tx, ref)
            holders = [each.version for each in alias_history(tx, notes.name) if each.alias == target and each.version]
            held = graph.aliases(tx, KIND, notes.name).get(target, 0)
            return decide(tx, notes, target, holders=sorted(set(holders)), held=held)

    @operation(permission="models:read", resource="name")
    def rules(self, name: str = "") -> list[Rule]:
        """The rules in force for a model: its own, the workspace's, and the built-in one for `champion`."""
        with self.store.read() as tx:
            return rules_of(tx, find_model(tx, name).name if name else "")

    @operation(permission="models:admin", writes=True, resource="name")
    def set_rules(self, name: str, rules: list[Rule]) -> list[Rule]:
        """Replace the rules of a model, or, with an empty name, of the whole workspace; those then in force.

        A rule says of one alias or stage how many people must have approved the content, who counts, which figures it
        must reach, and how long an approval holds. One that asks for 0 approvals and no figure lifts the built-in one.
        """
        with self.store.write() as tx:
            return set_rules(tx, name, rules)
