"""The operations on dataset versions: recording them, naming them, and moving the bytes of their small files."""

from __future__ import annotations

from mainspring.data.bundle import BUNDLED_BELOW, bundle, unbundle
from mainspring.data.differences import diff_files
from mainspring.data.erasures import check_not_erased, forgotten_files
from mainspring.data.remotes.partial import set_partial, set_whole
from mainspring.data.tables import CONTENTS, Content
from mainspring.data.trees import changes, walk
from mainspring.data.types import KIND, Commit, DatasetVersion, FilesDiff, LogEntry, dataset_version
from mainspring.data.versions import (
    artifact_metadata,
    newest_versions,
    resolve_dataset,
    resolve_source,
    run_metadata,
    sources_of,
    versions_of,
    with_digest,
)
from mainspring.data.wholeness import NewTree, known_trees, look_at, look_below, make_whole
from mainspring.events.outbox import emit
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.hooks import RECORD_GATES, load
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.lineage import graph
from mainspring.lineage.types import File
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["VersionOperations"]

_LOOKS = 5
"""How often a commit looks again at what is stored, when a collection of garbage came between."""

_LISTED = 2_000_000
"""A tree may name one folder many times: what is listed has to fit into memory, whatever somebody stored."""


class VersionOperations(RoomService):
    """Versions, their aliases, and bundles of small files."""

    @operation(permission="data:write", writes=True, resource="name")
    def record(self, name: str, *, tree: str, commit: Commit | None = None) -> DatasetVersion:
        """Record a version of a dataset whose tree is stored already; the known one when its content is known.

        Args:
            name: The dataset.
            tree: The root of the tree of its folders; see `data.trees`.
            commit: What the commit says of itself.

        Raises:
            Conflict: Something below the tree is not in the store.
            CheckFailed: The dataset has a contract, and no validation of this content passed it.
        """
        commit = commit or Commit()
        check_name(name)
        check_digest(tree)
        partial = bool(commit.partial)
        for look in range(1, _LOOKS + 1):
            new = look_below(self.store, tree)
            self._refuse_forgotten(new)
            seen = look_at(self.store, new, partial=partial)
            with self.store.write() as tx:
                if make_whole(tx, new, seen, partial=partial, surely=look == _LOOKS):
                    return self._record(tx, name, new, commit)
        raise Conflict(f"garbage was collected again and again while {name!r} was recorded", hint="commit it again")

    def _refuse_forgotten(self, new: NewTree) -> None:
        with self.store.read() as tx:
            if found := forgotten_files(tx, new.blobs):
                hint = "leave the file out, or write it without what had to be forgotten"
                raise Conflict(f"file {found} was removed because a part of it had to be forgotten", hint=hint)

    def _record(self, tx: Transaction, name: str, new: NewTree, commit: Commit) -> DatasetVersion:
        check_not_erased(tx, new.root)
        known = None if commit.new_version else with_digest(tx, name, new.root)
        if known is not None:
            if not commit.partial:
                set_whole(tx, new.root)
            if not commit.run_id:
                return dataset_version(known)
        for address in RECORD_GATES.values():
            load(address)(tx, name, new.root, commit)
        run_id = commit.run_id or graph.start_run(tx, "commit", name, metadata=run_metadata(commit)).id
        for ref in commit.uses:
            graph.use(tx, run_id, resolve_source(tx, ref).id, role="source")
        made = graph.add_artifact(
            tx,
            KIND,
            name,
            digest=new.root,
            size=new.size,
            metadata=artifact_metadata(commit, new.files),
            run_id=run_id,
            reuse=known is not None,
        )
        if known is None:
            tx.insert(CONTENTS, Content(made.id, made.workspace, new.root, new.files, new.size))
            if commit.partial:
                set_partial(tx, made.id, commit.partial)
            else:
                set_whole(tx, new.root)
            emit(tx, "dataset.version.created", subject=made.ref, data={"name": name, "version": made.version})
        if not commit.run_id:
            graph.finish_run(tx, run_id)
        return dataset_version(made)

    @operation(permission="data:read")
    def known_trees(self, digests: list[str]) -> list[str]:
        """Those of the folders below which everything is stored: nothing of them has to be sent."""
        with self.store.read() as tx:
            known = known_trees(tx, digests)
        return [digest for digest in digests if digest in known]

    @operation(permission="data:write", writes=True)
    def upload(self, body: Upload) -> list[str]:
        """Store many small files that come as one bundle; their digests, in order."""
        return self.store.blobs.put_many(unbundle(body))

    @operation(permission="data:read")
    def fetch(self, digests: list[str]) -> Download:
        """Many small files as one bundle, in the order of the digests, each checked before it leaves."""
        sizes = self.store.blobs.sizes(digests)
        if large := [digest for digest, size in sizes.items() if size >= BUNDLED_BELOW]:
            raise InvalidInput(f"blob {large[0]} is too large for a bundle", hint="use storage.get_blob")
        return bundle(self.store.blobs.get_many(digests))

    @operation(permission="data:read")
    def describe(self, ref: str) -> DatasetVersion:
        """The version that a reference means: `flights@3`, `flights@clean`, `flights` (the newest) or an id."""
        with self.store.read() as tx:
            return dataset_version(resolve_dataset(tx, ref))

    @operation(permission="data:read")
    def files(self, ref: str) -> list[File]:
        """The files of a version, in the order of its tree: by the parts of their paths; at most two million."""
        version = self.describe(ref)
        if version.files > _LISTED:
            hint = "`checkout` and `diff` go through them folder by folder; `checkout(ref, paths=[...])` takes some"
            raise InvalidInput(f"{version.ref} has {version.files:,} files, which is too many for one list", hint=hint)
        return list(walk(self.store.blobs.get_many, version.digest))

    @operation(permission="data:read")
    def datasets(self) -> list[DatasetVersion]:
        """The newest version of every dataset, by name."""
        with self.store.read() as tx:
            return [dataset_version(artifact) for artifact in newest_versions(tx)]

    @operation(permission="data:read")
    def versions(self, name: str, *, limit: int = 100, before: int = 0) -> list[DatasetVersion]:
        """The versions of a dataset, newest first; `before` is a version number, for the next page."""
        with self.store.read() as tx:
            return [dataset_version(artifact) for artifact in versions_of(tx, name, limit=limit, before=before)]

    @operation(permission="data:read")
    def log(self, name: str, *, limit: int = 100, before: int = 0) -> list[LogEntry]:
        """The history of a dataset, newest first: who committed what, why, and derived from what."""
        with self.store.read() as tx:
            pointing: dict[int, list[str]] = {}
            for alias, version in graph.aliases(tx, KIND, name).items():
                pointing.setdefault(version, []).append(alias)
            return [
                LogEntry(
                    version=dataset_version(artifact),
                    aliases=pointing.get(artifact.version, []),
                    uses=sources_of(tx, artifact.run_id),
                )
                for artifact in versions_of(tx, name, limit=limit, before=before)
            ]

    @operation(permission="data:read")
    def compare_files(self, before: str, *, after: str) -> FilesDiff:
        """What differs between the files of two versions."""
        old, new = self.describe(before), self.describe(after)
        return diff_files(changes(self.store.blobs.get_many, old.digest, new.digest), files=old.files)

    @operation(permission="data:write", writes=True, resource="name")
    def set_alias(self, name: str, *, alias: str, version: int) -> dict[str, int]:
        """Point an alias at a version; every alias of the dataset afterwards."""
        with self.store.write() as tx:
            graph.set_alias(tx, KIND, name, alias, version)
            return graph.aliases(tx, KIND, name)

    @operation(permission="data:write", writes=True, resource="name")
    def remove_alias(self, name: str, *, alias: str) -> dict[str, int]:
        """Take an alias away; every alias of the dataset afterwards."""
        with self.store.write() as tx:
            graph.remove_alias(tx, KIND, name, alias)
            return graph.aliases(tx, KIND, name)

    @operation(permission="data:read")
    def aliases(self, name: str) -> dict[str, int]:
        """Every alias of a dataset and the version that it points at."""
        with self.store.read() as tx:
            return graph.aliases(tx, KIND, name)
