"""Forgetting at remotes: versions get the content that they have here now, and what they held is removed.

In a bucket every pack that holds some of it is written again without it, then the old one is deleted, with the index
objects that named it. Where a store refuses to delete (object lock, an append-only policy), that is said and nothing is
claimed: bytes that cannot be deleted stay readable for who may read the bucket. At another Mainspring its own operation
does what is done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.erasures import Rewritten
from mainspring.data.forgetting_types import RemoteErasure
from mainspring.data.remotes.bucket_depot import BucketDepot, Head
from mainspring.data.remotes.copying import Wanted, copy_content
from mainspring.data.remotes.depot import Depot
from mainspring.data.remotes.fetching import node_reader
from mainspring.data.remotes.service_depot import ServiceDepot
from mainspring.data.remotes.types import Remote, VersionRecord
from mainspring.data.trees import Read, entries, walk
from mainspring.data.types import KIND
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hashing import Buffer
from mainspring.store.chunks import list_object
from mainspring.store.packs import pack_object

if TYPE_CHECKING:
    from mainspring.data.remote_work import RemoteWork

__all__ = ["erase_at_remote", "erase_in_bucket"]


def erase_at_remote(
    data: RemoteWork, remote: Remote, changes: Sequence[Rewritten], *, reason: str, seal: str
) -> RemoteErasure:
    """Bring the changes of versions to a remote; what could not be done is told and not raised."""
    try:
        with data.remote_depot(remote.name) as there:
            after = {each.before: each for each in changes}
            meant: list[VersionRecord] = []
            unsearched: list[str] = []
            here = data.own_depot()
            for name in there.names():
                ours = here.history(name).versions
                known = {each.tree for each in ours} | set(after)
                for record in there.history(name).versions:
                    if record.tree in after:
                        meant.append(record)
                    elif record.tree not in known:
                        unsearched.append(f"{KIND}/{name}@{record.number}")
            if meant:
                trees = sorted({after[each.tree].after for each in meant if after[each.tree].after})
                copy_content(here, there, trees, wanted=Wanted())
                there.finish()
                _erase(there, meant, after, reason=reason, seal=seal)
            done = [f"{KIND}/{each.name}@{each.number}" for each in meant]
            return RemoteErasure(remote.name, done, unsearched)
    except MainspringError as error:
        return RemoteErasure(remote.name, [], failed=error.message)


def _erase(
    there: Depot, meant: Sequence[VersionRecord], after: Mapping[str, Rewritten], *, reason: str, seal: str
) -> None:
    if isinstance(there, BucketDepot):
        erase_in_bucket(there, [(each, after[each.tree]) for each in meant], seal=seal)
    elif isinstance(there, ServiceDepot):
        there.rewrite([(each, after[each.tree]) for each in meant], reason=reason, seal=seal)


def erase_in_bucket(depot: BucketDepot, meant: Sequence[tuple[VersionRecord, Rewritten]], *, seal: str) -> None:
    """Give versions of a bucket another content, which is there already, and remove what nothing else needs."""
    gone = {record.tree for record, _ in meant}
    candidates = _below(depot, gone)
    by_name: dict[str, list[tuple[VersionRecord, Rewritten]]] = {}
    for record, change in meant:
        by_name.setdefault(record.name, []).append((record, change))
    for name, changed in by_name.items():
        _change_versions(depot, name, changed, seal=seal)
    living = {each.tree for name in depot.names() for each in depot.history(name).versions}
    _remove(depot, candidates - _below(depot, living))


def _change_versions(
    depot: BucketDepot, name: str, changed: Sequence[tuple[VersionRecord, Rewritten]], *, seal: str
) -> None:
    """New objects in the place of the old ones, at the same place of the order."""
    stems: dict[str, str] = {}
    _, there = depot.head(name)
    for record, change in changed:
        old = [stem for stem in there if stem.startswith(f"{record.id}.")]
        new = ""
        if change.after:
            rows = None if record.rows is None else max(0, record.rows - change.rows)
            listed = entries(node_reader(depot), change.after)
            files, size = sum(each.files or 1 for each in listed), sum(each.size for each in listed)
            new = depot.put_record(
                msgspec.structs.replace(record, tree=change.after, rows=rows, files=files, size=size, erased=seal[:16])
            )
        stems.update(dict.fromkeys(old, new))

    def replaced(head: Head) -> Head:
        versions = [stems.get(stem, stem) for stem in [*head.versions, *(s for s in there if s not in head.versions)]]
        kept = list(dict.fromkeys(stem for stem in versions if stem))
        return msgspec.structs.replace(head, versions=kept, removed=sorted({*head.removed, *stems}))

    depot.change_head(name, replaced)
    for stem in stems:
        depot.delete_record(name, stem)


def _below(depot: BucketDepot, trees: set[str]) -> set[str]:
    """Every blob below trees, chunks included."""
    found: set[str] = set()
    read = node_reader(depot)
    for tree in sorted(tree for tree in trees if depot.index.has(tree)):
        found.add(tree)
        found.update(file.digest for file in walk(_noting(read, found), tree))
    large = [digest for digest in found if digest in depot.index.large()]
    found.update(digest for each in depot.chunk_lists(large) for digest, _ in each.chunks)
    return found


def _noting(read: Read, found: set[str]) -> Read:
    def noting(digests: Sequence[str]) -> Iterable[Buffer]:
        found.update(digests)
        return read(digests)

    return noting


def _remove(depot: BucketDepot, gone: set[str]) -> None:
    """Write the packs that hold some of it again without it, delete what held it, and name what is left."""
    living: set[str] = set()
    touched: list[str] = []
    for name, kind, entries_ in list(depot.index.packs()):
        if not any(entry.digest in gone for entry in entries_):
            living.add(name)
            continue
        touched.append(name)
        kept = [(entry.digest, entry.size) for entry in entries_ if entry.digest not in gone]
        if kept:  # what is left of a pack fits one
            blobs = zip((digest for digest, _ in kept), depot.read(kept), strict=True)
            living.add(depot.put_pack(list(blobs), kind))
    depot.index.replace(living)
    for digest in gone & depot.index.large():
        depot.bucket.delete(list_object(digest))
    for name in touched:
        if name not in living:
            depot.bucket.delete(pack_object(name))
