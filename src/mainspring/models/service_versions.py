"""The operations on versions: found, described, tagged, named by aliases and stages, deleted and brought back."""

from __future__ import annotations

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.operations import Download, operation
from mainspring.lineage import graph
from mainspring.lineage.types import AliasChange, File
from mainspring.models.announce import announce
from mainspring.models.labels import change_notes, changed_tags, check_tags, measure
from mainspring.models.registry import (
    alias_history,
    describe_version,
    find_model,
    find_version,
    locate,
    versions_of,
)
from mainspring.models.registry_search import View, search_versions
from mainspring.models.reports import attach
from mainspring.models.retention import delete_version, restore_version
from mainspring.models.stages import move_alias, set_stage
from mainspring.models.types import Attached, Metric, ModelVersion, VersionPage, VersionStatus
from mainspring.store.service import RoomService

__all__ = ["VersionOperations"]


class VersionOperations(RoomService):
    """Versions of models."""

    @operation(permission="models:read", resource="ref")
    def get(self, ref: str, *, deleted: bool = False) -> ModelVersion:
        """A version: `name@3`, `name@champion`, `name` (the newest), or an artifact's id."""
        with self.store.read() as tx:
            return find_version(tx, ref, deleted=deleted)

    @operation(permission="models:read", resource="name")
    def versions(self, name: str, *, limit: int = 100, before: int = 0) -> list[ModelVersion]:
        """The versions of a model, newest first; `before` is a version number, for the next page."""
        with self.store.read() as tx:
            return versions_of(tx, name, limit=max(1, min(limit, 1000)), before=before)

    @operation(permission="models:read")
    def search_versions(
        self,
        query: str = "",
        *,
        order_by: list[str] = [],  # noqa: B006 -- copied by the operation's request type
        limit: int = 100,
        page: str = "",
        view: View = "active",
    ) -> VersionPage:
        """The versions that a filter finds, over all models.

        Args:
            query: For example `stage = 'Production' AND metrics.auc > 0.8 AND NOT approved`; fields are name, version,
                run_id, source, format, digest, description, created_by, created, updated, stage, status, approval,
                approved, alias, tags and metrics.
            order_by: Fields with `ASC` or `DESC` behind: name, version, created, updated.
            limit: At most 1000.
            page: `next_page` of the page before.
            view: `active`, `deleted` or `all`.
        """
        with self.store.read() as tx:
            return search_versions(tx, query, order_by=order_by, limit=limit, page=page, view=view)

    @operation(permission="models:read", resource="ref")
    def files(self, ref: str) -> list[File]:
        """The files of a version."""
        with self.store.read() as tx:
            return graph.files_of(tx, locate(tx, ref).artifact_id)

    @operation(permission="models:read", resource="ref")
    def file(self, ref: str, path: str) -> Download:
        """The bytes of one file of a version."""
        with self.store.read() as tx:
            version = locate(tx, ref)
            found = {file.path: file for file in graph.files_of(tx, version.artifact_id)}
        if path not in found:
            raise NotFound(
                f"model/{version.name}@{version.version} has no file {path!r}",
                known=nearest(path, found),
                hint=f"it lies at {version.source}" if not found and version.source else "",
            )
        return self.store.blobs.open(found[path].digest)

    @operation(permission="models:write", writes=True, resource="name")
    def alias(self, name: str, alias: str, version: int) -> ModelVersion:
        """Point an alias such as `champion` at a version, where its rule allows it; every move is kept."""
        if version < 1:
            raise InvalidInput("versions start at 1", hint="remove_alias(name, alias) takes an alias away")
        with self.store.write() as tx:
            move_alias(tx, name, alias, version)
            return find_version(tx, f"model/{name}@{version}")

    @operation(permission="models:write", writes=True, resource="name")
    def remove_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""
        with self.store.write() as tx:
            move_alias(tx, name, alias, 0)

    @operation(permission="models:read", resource="name")
    def alias_history(self, name: str) -> list[AliasChange]:
        """Every move of the aliases of a model, newest first."""
        with self.store.read() as tx:
            return alias_history(tx, find_model(tx, name).name)

    @operation(permission="models:write", writes=True, resource="ref")
    def set_stage(self, ref: str, stage: str, *, archive_existing: bool = False) -> ModelVersion:
        """Move a version to None, Staging, Production or Archived, where the stage's rule allows it.

        Args:
            ref: The version.
            stage: In whatever case.
            archive_existing: Whether versions that are in that stage go to the archive.
        """
        with self.store.write() as tx:
            return describe_version(tx, set_stage(tx, ref, stage, archive_existing=archive_existing))

    @operation(permission="models:write", writes=True, resource="ref")
    def describe_version(
        self,
        ref: str,
        *,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        status: VersionStatus | None = None,
    ) -> ModelVersion:
        """Set the description of a version, its tags, or whether its files are all there; None leaves as it is."""
        with self.store.write() as tx:
            notes = locate(tx, ref)
            changed = change_notes(
                tx,
                notes,
                description=notes.description if description is None else description,
                tags=notes.tags if tags is None else check_tags(tags),
                status=notes.status if status is None else status,
            )
            subject = f"model/{notes.name}@{notes.version}"
            tx.note(subject, description=changed.description, tags=changed.tags, status=changed.status)
            announce(tx, "model.version.updated", subject=subject, description=changed.description)
            return describe_version(tx, changed)

    @operation(permission="models:write", writes=True, resource="ref")
    def tag_version(self, ref: str, key: str, value: str) -> ModelVersion:
        """Set one tag of a version; an empty value takes it away."""
        with self.store.write() as tx:
            notes = locate(tx, ref)
            changed = change_notes(tx, notes, tags=changed_tags(notes.tags, key, value))
            subject = f"model/{notes.name}@{notes.version}"
            tx.note(subject, tag=key, value=value)
            done = "set" if value else "deleted"
            announce(
                tx,
                f"model.version.tag.{done}",
                subject=subject,
                name=notes.name,
                version=notes.version,
                key=key,
                value=value,
            )
            return describe_version(tx, changed)

    @operation(permission="models:write", writes=True, resource="ref")
    def measure(self, ref: str, metrics: dict[str, Metric], *, dataset: str) -> ModelVersion:
        """Keep figures of a version on one data, given by reference or name; measured again, the later count."""
        if not dataset:
            raise InvalidInput("figures without a dataset are given at registration", hint="name the data")
        with self.store.write() as tx:
            notes = locate(tx, ref)
            measure(tx, notes.name, notes.version, metrics, dataset=dataset)
            tx.note(f"model/{notes.name}@{notes.version}", dataset=dataset, metrics=sorted(metrics))
            return describe_version(tx, notes)

    @operation(permission="models:write", writes=True, resource="ref")
    def attach_report(
        self,
        ref: str,
        report: str,
        *,
        metrics: dict[str, Metric] = {},  # noqa: B006
        dataset: str = "",
    ) -> Attached:
        """Attach an evaluation report (an artifact of kind `report`) to a version, with the figures that count.

        Args:
            ref: The version.
            report: The report.
            metrics: Its figures.
            dataset: What it was measured on; the data that the report's run used, when left out.
        """
        with self.store.write() as tx:
            return attach(tx, ref, report, metrics=metrics, dataset=dataset)

    @operation(permission="models:write", writes=True, resource="ref")
    def delete_version(self, ref: str) -> ModelVersion:
        """Delete a version; `restore_version` undoes it for as long as the setting `undo_days` says."""
        with self.store.write() as tx:
            return describe_version(tx, delete_version(tx, ref))

    @operation(permission="models:write", writes=True, resource="ref")
    def restore_version(self, ref: str) -> ModelVersion:
        """Bring a deleted version back, with those of its aliases that are free."""
        with self.store.write() as tx:
            return describe_version(tx, restore_version(tx, ref))
