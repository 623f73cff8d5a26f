"""The operations of model cards."""
from __future__ import annotations

from mainspring.kernel.operations import operation
from mainspring.lineage import graph, queries
from mainspring.models.approvals import approvals_of
from mainspring.models.registry import DATA_KINDS, alias_history, attached_to, find_model, find_version
from mainspring.models.types import ModelCard
from mainspring.store.service import RoomService

__all__ = ["CardOperations"]


class CardOperations(RoomService):
    """Everything about a version, on one page."""

    @operation(permission="models:read", resource="ref")
    def card(self, ref: str) -> ModelCard:
        """Everything that is known about a version, read from the graph."""
        with self.store.read() as tx:
            version = find_version(tx, ref)
            came_from = queries.why(tx, version.id)
            return ModelCard(
                model=find_model(tx, version.name),
                version=version,
                files=graph.files_of(tx, version.id),
                data=came_from.of_kind(*DATA_KINDS),
                features=came_from.of_kind("feature-view", "feature-state"),
                code=came_from.of_kind("code"),
                environment=came_from.of_kind("environment"),
                runs=[node for node in came_from.nodes if node.type == "run"],
                approvals=approvals_of(tx, version.digest),
                reports=attached_to(tx, version),
                alias_history=alias_history(tx, version.name),
            )
