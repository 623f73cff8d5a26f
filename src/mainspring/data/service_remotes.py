"""The operations of remotes: their names, partial versions, and large files as chunks."""

from __future__ import annotations

import re

from mainspring.data.remotes.partial import partial_remotes, partial_versions
from mainspring.data.remotes.types import Remote
from mainspring.data.service_versions import VersionOperations
from mainspring.data.tables import REMOTES
from mainspring.data.versions import versions_of
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.store.assembly import assemble, chunk_list
from mainspring.store.chunks import ChunkList
from mainspring.store.transaction import Transaction

__all__ = ["RemoteOperations"]

_SECRET = re.compile(r"(token|secret|passw|pwd|key|credential|signature|\bsig|\bsas)[a-z_.-]*=", re.IGNORECASE)
"""Names of settings in a URL whose values are secrets, those of addresses that were signed among them."""
_MOST_LISTS = 1000
_URL_LIMIT = 2000


class RemoteOperations(VersionOperations):
    """Remotes by name, and what a transfer asks of either end."""

    @operation(permission="data:admin", writes=True, resource="name")
    def add_remote(self, name: str, *, url: str) -> list[Remote]:
        """Name another place of dataset versions; every remote afterwards.

        Args:
            name: What it is called here; `origin` is the one that is meant when none is named.
            url: A folder, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`, or the URL of
                another Mainspring. Nothing is opened here: who pushes and pulls reaches it with their own rights.
        """
        check_name(name, what="remote")
        text = url.strip()
        if not text or len(text) > _URL_LIMIT or any(ord(char) < 32 for char in text):
            raise InvalidInput("a remote has a URL or a folder of at most 2000 characters")
        if _SECRET.search(text.partition("?")[2]) or "@" in text.partition("://")[2].partition("/")[0]:
            hint = "keep it in the environment: AWS_SECRET_ACCESS_KEY, MAINSPRING_REMOTE_TOKEN, ..."
            raise InvalidInput("the URL of a remote must not hold a secret: everybody here can read it", hint=hint)
        with self.store.write() as tx:
            tx.execute("DELETE FROM dataset_remote WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.insert(REMOTES, Remote(caller().workspace, name, text, tx.now, caller().principal))
            tx.note(f"remote/{name}", url=text)
            return _remotes(tx)

    @operation(permission="data:read")
    def remotes(self) -> list[Remote]:
        """Every remote, by name."""
        with self.store.read() as tx:
            return _remotes(tx)

    @operation(permission="data:admin", writes=True, resource="name")
    def remove_remote(self, name: str) -> list[Remote]:
        """Forget where a remote is; what it holds stays there. Every remote afterwards."""
        with self.store.write() as tx:
            known = [each.name for each in _remotes(tx)]
            if name not in known:
                raise NotFound(f"there is no remote {name!r}", known=nearest(name, known))
            tx.execute("DELETE FROM dataset_remote WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.note(f"remote/{name}", removed=True)
            return _remotes(tx)

    @operation(permission="data:read")
    def partial_versions(self, name: str) -> dict[str, str]:
        """The versions of a dataset that were pulled without all of their files: id and remote."""
        with self.store.read() as tx:
            return partial_versions(tx, [each.id for each in versions_of(tx, name, limit=10_000, before=0)])

    @operation(permission="data:read")
    def partial_remotes(self) -> list[str]:
        """The remotes that have files of versions here which are not here."""
        with self.store.read() as tx:
            return partial_remotes(tx)

    @operation(permission="data:read")
    def chunks(self, digests: list[str]) -> list[ChunkList]:
        """Of which chunks large files consist, in the order of the digests; a transfer moves those that are missing."""
        if len(digests) > _MOST_LISTS:
            raise InvalidInput(f"at most {_MOST_LISTS} files are asked for at once")
        return [chunk_list(self.store.blobs, check_digest(digest)) for digest in digests]

    @operation(permission="data:write", writes=True)
    def assemble(self, chunks: ChunkList) -> None:
        """Make a large file of chunks that were uploaded; they are read to see that they are it."""
        for digest in (chunks.digest, *(digest for digest, _ in chunks.chunks)):
            check_digest(digest)
        assemble(self.store.blobs, chunks)


def _remotes(tx: Transaction) -> list[Remote]:
    return tx.fetch(REMOTES, "WHERE workspace = ? ORDER BY name", (caller().workspace,))
