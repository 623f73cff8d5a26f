"""The operations on models as names: made, described, searched, renamed, deleted and brought back."""

from __future__ import annotations

from mainspring.kernel.context import caller
from mainspring.kernel.operations import operation
from mainspring.models.announce import announce
from mainspring.models.labels import change_model, changed_tags, check_tags
from mainspring.models.registry import create_model, find_model
from mainspring.models.registry_search import View, search_models
from mainspring.models.retention import delete_model, rename_model, restore_model
from mainspring.models.tables import MODELS
from mainspring.models.types import Model, ModelPage
from mainspring.store.service import RoomService

__all__ = ["NameOperations"]


class NameOperations(RoomService):
    """Models by name."""

    @operation(permission="models:write", writes=True, resource="name")
    def create(self, name: str, *, description: str = "", tags: dict[str, str] = {}) -> Model:  # noqa: B006
        """Add a model without versions; `register` and `log_model` do it by themselves."""
        with self.store.write() as tx:
            return create_model(tx, name, description=description, tags=tags)

    @operation(permission="models:read", resource="name")
    def model(self, name: str) -> Model:
        """One model by its name, or by a name that it had before."""
        with self.store.read() as tx:
            return find_model(tx, name)

    @operation(permission="models:read")
    def models(self, *, limit: int = 100, after: str = "") -> list[Model]:
        """The models of the workspace by name; `after` is the last name of the page before."""
        with self.store.read() as tx:
            where = "WHERE workspace = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?"
            return tx.fetch(MODELS, where, (caller().workspace, after, max(1, min(limit, 1000))))

    @operation(permission="models:read")
    def search(
        self,
        query: str = "",
        *,
        order_by: list[str] = [],  # noqa: B006
        limit: int = 100,
        page: str = "",
        view: View = "active",
    ) -> ModelPage:
        """The models that a filter finds, each with its newest version.

        Args:
            query: For example `name LIKE 'flight-%' AND tags.team = 'ops'`; fields are name, description, created_by,
                created, updated, alias and tags.
            order_by: Fields with `ASC` or `DESC` behind: name, created, updated.
            limit: At most 1000.
            page: `next_page` of the page before.
            view: `active`, `deleted` or `all`.
        """
        with self.store.read() as tx:
            return search_models(tx, query, order_by=order_by, limit=limit, page=page, view=view)

    @operation(permission="models:write", writes=True, resource="name")
    def describe(self, name: str, *, description: str | None = None, tags: dict[str, str] | None = None) -> Model:
        """Set the description of a model, or its tags, or both; None leaves as it is."""
        with self.store.write() as tx:
            model = find_model(tx, name)
            changed = change_model(
                tx,
                model,
                description=model.description if description is None else description,
                tags=model.tags if tags is None else check_tags(tags),
            )
            tx.note(f"model/{changed.name}", description=changed.description, tags=changed.tags)
            announce(tx, "model.updated", subject=f"model/{changed.name}", description=changed.description)
            return changed

    @operation(permission="models:write", writes=True, resource="name")
    def tag(self, name: str, key: str, value: str) -> Model:
        """Set one tag of a model; an empty value takes it away."""
        with self.store.write() as tx:
            model = find_model(tx, name)
            changed = change_model(tx, model, tags=changed_tags(model.tags, key, value))
            tx.note(f"model/{model.name}", tag=key, value=value)
            done = "set" if value else "deleted"
            announce(tx, f"model.tag.{done}", subject=f"model/{model.name}", name=model.name, key=key, value=value)
            return changed

    @operation(permission="models:write", writes=True, resource="name")
    def rename(self, name: str, to: str) -> Model:
        """Call a model otherwise; references by the old name go on working."""
        with self.store.write() as tx:
            return rename_model(tx, name, to)

    @operation(permission="models:write", writes=True, resource="name")
    def delete(self, name: str) -> Model:
        """Delete a model with all its versions; `restore` undoes it for as long as the setting `undo_days` says."""
        with self.store.write() as tx:
            return delete_model(tx, name)

    @operation(permission="models:write", writes=True, resource="name")
    def restore(self, name: str) -> Model:
        """Bring a deleted model back, with the versions that went with it and their aliases."""
        with self.store.write() as tx:
            return restore_model(tx, name)
