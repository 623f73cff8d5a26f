"""The operations of deleting, keeping and forgetting versions."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.data.deletions import (
    KeepRule,
    delete_version,
    deletions,
    doomed_by,
    keep_rule,
    restore_version,
    set_keep_rule,
)
from mainspring.data.erasures import Rewritten, erased_of, forget_files, rewrite_version
from mainspring.data.forgetting_types import Erasure
from mainspring.data.service_versions import VersionOperations
from mainspring.data.tables import Deletion, Erased
from mainspring.data.trees import decode
from mainspring.data.types import KIND, DatasetVersion, dataset_version
from mainspring.data.versions import resolve_dataset
from mainspring.data.wholeness import look_at, look_below, make_whole, unmake_whole
from mainspring.events.outbox import emit
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.hooks import FORGETTERS, load
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph, lifetime, listing
from mainspring.lineage.types import Artifact
from mainspring.store.blob_changes import next_epoch
from mainspring.store.erasing import Erased as Gone
from mainspring.store.erasing import erase
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["ForgetOperations"]

_LOOKS = 5
_MOST = 10_000
_LONGEST = 1000 * 366.0


class ForgetOperations(VersionOperations):
    """What goes, and what was made to go."""

    @operation(permission="data:admin", writes=True, resource="ref")
    def delete(self, ref: str) -> DatasetVersion:
        """Delete a version, with the aliases that point at it; `restore` brings it back for `undo_days` days."""
        with self.store.write() as tx:
            found = resolve_dataset(tx, ref)
            delete_version(tx, found)
            emit(tx, "dataset.version.deleted", subject=found.ref, data={"name": found.name, "version": found.version})
            return dataset_version(found)

    @operation(permission="data:admin", writes=True, resource="name")
    def restore(self, name: str, *, version: int) -> DatasetVersion:
        """Bring a deleted version back, with those of its aliases that are free."""
        with self.store.write() as tx:
            return dataset_version(restore_version(tx, name, version))

    @operation(permission="data:read")
    def deleted(self) -> list[Deletion]:
        """The deleted versions that can still be restored."""
        with self.store.read() as tx:
            return deletions(tx)

    @operation(permission="data:read", resource="name")
    def retention(self, name: str = "") -> KeepRule | None:
        """The rule of a dataset, or else of the workspace; None keeps everything."""
        with self.store.read() as tx:
            return keep_rule(tx, check_name(name) if name else "")

    @operation(permission="data:admin", writes=True, resource="name")
    def set_retention(self, name: str = "", *, rule: KeepRule | None = None) -> KeepRule | None:
        """Say which versions of a dataset are kept, or, without a name, of every dataset that has no rule of its own.

        Nothing goes before `retain` is called.
        """
        _check_rule(rule)
        with self.store.write() as tx:
            set_keep_rule(tx, check_name(name) if name else "", rule)
            return keep_rule(tx, name)

    @operation(permission="data:admin", writes=True, resource="name")
    def retain(self, name: str = "", *, rule: KeepRule | None = None, dry_run: bool = False) -> list[DatasetVersion]:
        """Delete the versions that the rule does not keep; which they are. Each can be restored for a while.

        Args:
            name: The dataset; without one, every dataset of the workspace.
            rule: Instead of the one that was set.
            dry_run: Say which would go, and do nothing.
        """
        _check_rule(rule)
        with self.store.read() if dry_run else self.store.write() as tx:
            doomed = _doomed(tx, name, rule)
            if not dry_run:
                for each in doomed:
                    delete_version(tx, each)
            return [dataset_version(each) for each in doomed]

    @operation(permission="data:read")
    def kept_versions(self, name: str = "", *, before: str = "", limit: int = 1000) -> list[DatasetVersion]:
        """Every version whose content is in the store, deleted ones included, newest first.

        Args:
            name: The dataset; without one, every dataset of the workspace.
            before: The id of the last one of the page before.
            limit: At most 10,000.
        """
        with self.store.read() as tx:
            found = listing.artifacts(tx, kind=KIND, name=name, before=before, limit=max(1, min(limit, _MOST)))
            return [dataset_version(each) for each in found]

    @operation(permission="data:read")
    def erasures(self, ref: str) -> list[Erased]:
        """How often and when a version was written again because a part of it had to be forgotten."""
        with self.store.read() as tx:
            return erased_of(tx, graph.resolve(tx, ref, kind=KIND).id)

    @operation(permission="data:admin", writes=True)
    def rewrite(self, changes: list[Rewritten], *, reason: str, seal: str, files: list[str]) -> Erasure:
        """Give versions the content without what must be forgotten, and remove what they held before.

        `forget` finds the versions and stores their new content. Each keeps its number, its aliases and its place in
        the lineage; the ledger keeps the digests before and after. What was removed is refused when it is committed
        again.

        Args:
            changes: What each version becomes; all of them or none.
            reason: Why, for the ledger.
            seal: What proves the condition to who knows it, without telling it.
            files: Digests of the files that must not come back.
        """
        if not reason.strip():
            raise InvalidInput("forgetting needs a reason: it goes into the ledger")
        for digest in (
            seal,
            *files,
            *(each.before for each in changes),
            *(each.after for each in changes if each.after),
        ):
            check_digest(digest)
        erasure_id = new_id()
        told = self._rewrite(changes, reason=reason, seal=seal, files=files, erasure_id=erasure_id)
        gone = _erase_before(self.store, [each.before for each in changes], told)
        left = [*gone.left, *_still_there(self.store, files)]
        with self.store.write() as tx:
            tx.note(f"erasure/{erasure_id}", removed=len(gone.blobs), left=left)
            return Erasure(erasure_id, tx.now, caller().principal, reason, seal, changes, len(gone.blobs), left)

    @operation(permission="data:admin", writes=True)
    def finish_forgetting(self) -> int:
        """Remove what is left of contents that were forgotten, where that was cut off; how many blobs went."""
        with self.store.read() as tx:
            rows = tx.rows("SELECT DISTINCT before, artifact_id FROM dataset_erased")
            told = [digest for _, version in rows for digest in _given_up(tx, str(version))]
        return len(_erase_before(self.store, [str(before) for before, _ in rows], told).blobs)

    def _rewrite(
        self, changes: Sequence[Rewritten], *, reason: str, seal: str, files: Sequence[str], erasure_id: str
    ) -> list[str]:
        """Write versions again in one transaction; the files of what was told of them, which go as well."""
        trees = list(dict.fromkeys(each.after for each in changes if each.after))
        _, held = _below(self.store, [each.before for each in changes])
        for look in range(1, _LOOKS + 1):
            new = {tree: look_below(self.store, tree) for tree in trees}
            seen = {tree: look_at(self.store, new[tree]) for tree in trees}
            with self.store.write() as tx:
                if not all(make_whole(tx, new[tree], seen[tree], surely=look == _LOOKS) for tree in trees):
                    continue
                for each in changes:
                    found = graph.find_artifact(tx, each.id)
                    if found.kind != KIND:
                        raise NotFound(f"{found.ref} is not a dataset")
                    top = new.get(each.after)
                    rewrite_version(
                        tx,
                        found,
                        each,
                        erasure_id=erasure_id,
                        files=top.files if top else 0,
                        size=top.size if top else 0,
                    )
                    emit(tx, "dataset.version.erased", subject=found.ref, data={"erasure": erasure_id})
                kept = {digest for each in new.values() for digest in (each.root, *each.leans_on)}
                unmake_whole(tx, [digest for digest in held if digest not in kept])
                next_epoch(tx)  # who looked before at what may be committed must look again
                forget_files(tx, files, erasure_id)
                told = _forget_derived(tx, changes, files)
                tx.note(f"erasure/{erasure_id}", reason=reason, seal=seal, versions=len(changes), files=len(files))
                return told
        raise Conflict("garbage was collected again and again while versions were written again", hint="repeat it")


def _forget_derived(tx: Transaction, changes: Sequence[Rewritten], files: Sequence[str]) -> list[str]:
    """Give up profiles and reports of the versions; the digests of their files."""
    contents = [*files, *(each.before for each in changes)]
    told: list[str] = []
    for address in FORGETTERS.values():
        gone = load(address)(tx, [each.id for each in changes], contents)
        told += [file.digest for each in gone for file in graph.files_of(tx, each)]
        lifetime.empty(tx, gone)
    return told


def _given_up(tx: Transaction, version: str) -> list[str]:
    """The files of profiles and reports of a version that were given up."""
    made = (each for run in listing.users_of(tx, version) for each in listing.made_by(tx, run.id, "report", "profile"))
    return [file.digest for each in made if lifetime.is_emptied(tx, each.id) for file in graph.files_of(tx, each.id)]


def _erase_before(store: Store, roots: Sequence[str], besides: Sequence[str] = ()) -> Gone:
    """Remove what lay below trees and nothing refers to: files first, so that who repeats it finds what is left."""
    files, nodes = _below(store, roots)
    first, second = erase(store, [*files, *besides]), erase(store, nodes)
    return Gone([*first.blobs, *second.blobs], [*first.left, *second.left])


def _still_there(store: Store, files: Sequence[str]) -> list[str]:
    """Files that had to go and are kept by something else: an artifact of another kind, another workspace."""
    return [
        f"blob {digest}: something that is no dataset of this workspace refers to it"
        for digest in store.blobs.sizes(files)
    ]


def _check_rule(rule: KeepRule | None) -> None:
    if rule is not None and not (1 <= rule.last <= 1_000_000_000 and 0 <= rule.days <= _LONGEST):
        raise InvalidInput("a rule keeps at least the last version, and those of at most a thousand years")


def _doomed(tx: Transaction, name: str, rule: KeepRule | None) -> list[Artifact]:
    one = [resolve_dataset(tx, check_name(name)).name] if name else []
    names = one or [each.name for each in listing.newest(tx, KIND)]
    rules = {each: rule or keep_rule(tx, each) for each in names}
    if name and rules[names[0]] is None:
        raise InvalidInput(f"the dataset {name!r} has no retention rule", hint="set_retention, or give a rule")
    return [gone for each, wanted in rules.items() if wanted is not None for gone in doomed_by(tx, each, wanted)]


def _below(store: Store, roots: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files and the folders below trees, as far as they are in the store."""
    files: dict[str, None] = {}
    nodes: dict[str, None] = {}
    level = [root for root in dict.fromkeys(roots) if root]
    while level:
        there = store.blobs.sizes(level)
        fresh = [digest for digest in dict.fromkeys(level) if digest in there and digest not in nodes]
        nodes.update(dict.fromkeys(fresh))
        level = []
        for digest, data in zip(fresh, store.blobs.get_many(fresh), strict=True):
            for entry in decode(data, digest).entries:
                if entry.files:
                    level.append(entry.digest)
                else:
                    files[entry.digest] = None
    return list(files), list(nodes)
