"""The port that every place speaks that dataset versions are pushed to or pulled from.

Both ends of a transfer are depots, so pushing and pulling are one piece of code: what the target lacks is read from the
source, checked, and put. Files come before the folders that name them and folders before versions, so whatever is
visible is whole, whenever either side is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mainspring.data.remotes.types import History, VersionRecord
from mainspring.store.chunks import ChunkList

__all__ = ["Depot"]


class Depot(Protocol):
    """A place of dataset versions. Its methods for bytes are called from several threads at once."""

    address: str
    """The folder or URL, without secrets, for messages."""

    def names(self) -> list[str]:
        """The datasets of which it has versions."""
        ...

    def history(self, name: str) -> History:
        """The versions of a dataset in the order in which they arrived; empty where there are none."""
        ...

    def known_trees(self, digests: Sequence[str]) -> set[str]:
        """Those of the folders below which it has everything."""
        ...

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Which of these blobs it does not have, large ones included."""
        ...

    def unknown_nodes(self, digests: Sequence[str]) -> list[str]:
        """Which of these folders have to be put, though all below them may be here."""
        ...

    def arranged(self, digests: Iterable[str]) -> list[str]:
        """The digests in the order in which it reads them fastest."""
        ...

    def read(self, blobs: Sequence[tuple[str, int]]) -> list[bytes]:
        """Blobs of at most 4 MiB by digest and size, in order, each checked; raises `NotFound` or `Damaged`."""
        ...

    def chunk_lists(self, digests: Sequence[str]) -> list[ChunkList]:
        """Of which chunks blobs of more than 4 MiB consist."""
        ...

    def put(self, blobs: Sequence[tuple[str, bytes]], *, nodes: bool = False) -> None:
        """Keep checked blobs of together a few MiB; `nodes` when they are folders, below which all is here already."""
        ...

    def put_list(self, chunks: ChunkList) -> None:
        """Keep a large blob, all chunks of which are here."""
        ...

    def finish(self) -> None:
        """See to it that everything that was put, or was said to be here, is here for good; before a version names it.

        Raises:
            Conflict: Something was removed meanwhile; begin again.
        """
        ...

    def add(self, records: Sequence[tuple[VersionRecord, bool]], *, partial: str = "") -> None:
        """Record versions of one dataset whose content is here, oldest first.

        Args:
            records: What is known of each, and whether it is a version though another has its content.
            partial: The remote that has those of their files that are not here.
        """
        ...

    def set_aliases(self, name: str, aliases: Mapping[str, str]) -> None:
        """Point aliases at versions, by id."""
        ...
