"""The operations of integrity: what damaged bytes mean for datasets, and packs that are written again."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.data.service_versions import VersionOperations
from mainspring.data.trees import decode
from mainspring.data.types import KIND
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.operations import operation
from mainspring.lineage import listing
from mainspring.store.blob_tables import find_rows
from mainspring.store.pack_rewriting import rewrite_packs
from mainspring.store.store import Store

__all__ = ["Affected", "IntegrityOperations", "Mended"]

_MOST = 10_000
_PATHS = 1000
_PAGE = 1000


class Affected(msgspec.Struct, frozen=True):
    """A version of a dataset, or another artifact, that has something damaged."""

    ref: str
    paths: list[str]
    """Its files that cannot be read, at most 1,000; a folder that cannot be read has a slash at its end."""


class Mended(msgspec.Struct, frozen=True):
    """What a healing did."""

    healed: list[str]
    """Blobs that are sound again."""
    remaining: list[str]
    """Blobs that no remote has sound."""
    rewritten: int
    """Packs that were written again because their headers or directories were damaged; that needs no copy."""


class IntegrityOperations(VersionOperations):
    """What damage means, and what is done about it."""

    @operation(permission="data:read")
    def affected(self, digests: list[str]) -> list[Affected]:
        """The versions, then other artifacts, with their files, that damaged or lost blobs belong to; oldest first."""
        if len(digests) > _MOST:
            raise InvalidInput(f"at most {_MOST:,} blobs are asked for at once")
        bad = {check_digest(digest) for digest in digests}
        with self.store.read() as tx:
            found: list[Any] = []
            while page := listing.artifacts(tx, kind=KIND, before=found[-1].id if found else "", limit=_PAGE):
                found += page
            rows = tx.rows("SELECT artifact_id, tree FROM dataset_content WHERE workspace = ?", (caller().workspace,))
            trees = {str(id_): str(tree) for id_, tree in rows}
            besides: dict[str, list[str]] = {}
            for ref, path in listing.holding(tx, sorted(bad)):
                besides.setdefault(ref, []).append(path)
        look = _Look(self.store, bad)
        hits = ((each.ref, look.below(trees[each.id])) for each in reversed(found) if each.id in trees)
        versions = [Affected(ref, sorted(paths)[:_PATHS]) for ref, paths in hits if paths]
        named = {each.ref for each in versions}
        return versions + [Affected(ref, sorted(paths)[:_PATHS]) for ref, paths in besides.items() if ref not in named]

    @operation(permission="storage:read")
    def blob_sizes(self, digests: list[str]) -> dict[str, int]:
        """Bytes of blobs that the index knows, damaged ones included."""
        if len(digests) > _MOST:
            raise InvalidInput(f"at most {_MOST:,} blobs are asked for at once")
        with self.store.read() as tx:
            return {digest: row.size for digest, row in find_rows(tx, digests).items()}

    @operation(permission="storage:admin", writes=True)
    def rewrite_packs(self, packs: list[str]) -> int:
        """Write packs again with the sound blobs that are in them, whatever else of them is damaged; how many went."""
        names = {check_digest(pack.rpartition("/")[2]) for pack in packs[:_MOST]}
        if not names:
            return 0
        done, _ = rewrite_packs(self.store.blobs.bucket, self.store.database, progress=_silent, also=names)
        with self.store.write() as tx:
            tx.note("storage/packs", rewritten=done)
        return done


class _Look:
    """Which paths below a node lead to something damaged; each node is looked at once."""

    def __init__(self, store: Store, bad: set[str]) -> None:
        self._store = store
        self._bad = bad
        self._known: dict[str, list[str]] = {}

    def below(self, digest: str) -> list[str]:
        """At most so many as are told; a folder that is damaged itself is the empty path."""
        if digest in self._known:
            return self._known[digest]
        paths: list[str] = []
        self._known[digest] = paths
        try:
            node = decode(self._store.blobs.get(digest), digest)
        except (Damaged, NotFound):
            paths.append("")
            return paths
        for entry in node.entries:
            if entry.files:
                below = self.below(entry.digest)
                paths += below if node.parted else [f"{entry.name}/{path}" for path in below]
            elif entry.digest in self._bad:
                paths.append(entry.name)
            if len(paths) >= _PATHS:
                break
        return paths


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
