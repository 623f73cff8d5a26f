"""The operations with which forgetting reaches states of views and training sets; see `features.forgotten`."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.features.definitions import find_view
from mainspring.features.derived import STATE, TRAINING_SET, Derived, Replacement, derived_of, replace_content
from mainspring.features.tables import STATES
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.hooks import FORGETTERS, load
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import operation
from mainspring.lineage import graph, lifetime
from mainspring.lineage.types import Artifact, File
from mainspring.store.erasing import erase
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["DerivedOperations"]

_FILES = {STATE: "facts.parquet", TRAINING_SET: "rows.parquet"}


class DerivedOperations(RoomService):
    """What was made of dataset versions, and giving it another content."""

    @operation(permission="features:read")
    def derived(self, versions: list[str]) -> Derived:
        """The states and training sets that were made of dataset versions which hold what must be forgotten.

        Those of versions that were written again since, and which were not themselves, are among them.

        Args:
            versions: Ids of dataset versions.
        """
        with self.store.read() as tx:
            return derived_of(tx, versions)

    @operation(permission="features:admin", writes=True)
    def replace_derived(self, changes: list[Replacement], *, reason: str) -> list[str]:
        """Give states and training sets the content without what must be forgotten, and remove what they held.

        Ids, numbers and lineage stay; the ledger keeps the digests before and after.

        Args:
            changes: All of them or none.
            reason: Why, for the ledger.

        Returns:
            Objects of the store that still hold some of it.

        Raises:
            Conflict: One of them has another content by now; look again.
        """
        if not reason.strip():
            raise InvalidInput("forgetting needs a reason: it goes into the ledger")
        with self.store.read() as tx:
            found = [graph.find_artifact(tx, each.id) for each in changes]
            rows = [self._rows_of(tx, each, change) for each, change in zip(found, changes, strict=True)]
        gone: list[str] = []
        with self.store.write() as tx:
            for artifact, change, (size, height) in zip(found, changes, rows, strict=True):
                gone += _contents(tx, artifact, change)
                file = File(_FILES[artifact.kind], size, change.after) if change.after else None
                replace_content(tx, change, file, rows=height)
            gone += _forget_told(tx, changes, gone)
            tx.note(f"erasure/{new_id()}", reason=reason, features=len(changes))
        new = {each.after for each in changes}
        gone = [each for each in dict.fromkeys(gone) if each not in new]
        left = erase(self.store, gone).left
        return [
            *left,
            *(
                f"blob {each}: something that was not made of the rows refers to it"
                for each in self.store.blobs.sizes(gone)
            ),
        ]

    def _rows_of(self, tx: Transaction, artifact: Artifact, change: Replacement) -> tuple[int, int]:
        """The bytes and rows of the file that an artifact gets, which is checked as one that is put."""
        import io

        import polars as pl

        from mainspring.features.online import decode_facts

        if artifact.kind not in _FILES:
            raise NotFound(f"{artifact.ref} is neither a state of a view nor a training set")
        if not change.after:
            return 0, 0
        data = self.store.blobs.get(check_digest(change.after))
        if artifact.kind == STATE:
            state = tx.fetch_one(STATES, "WHERE artifact_id = ? AND workspace = ? LIMIT 1", (artifact.id, tx.workspace))
            if state is None:
                raise Conflict(f"{artifact.ref} is not online any more", hint="look again")
            return len(data), decode_facts(find_view(tx, state.view_id).definition, data).height
        try:
            frame = pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as error:
            raise InvalidInput(f"the new content of {artifact.ref} is no Parquet file") from error
        if frame.columns != artifact.metadata.get("columns", frame.columns):
            raise InvalidInput(f"the new content of {artifact.ref} has other columns", known=frame.columns[:20])
        return len(data), frame.height


def _contents(tx: Transaction, artifact: Artifact, change: Replacement) -> list[str]:
    """The files that an artifact has, checked against what was looked at; a second change finds nothing."""
    files = [] if lifetime.is_emptied(tx, artifact.id) else [each.digest for each in graph.files_of(tx, artifact.id)]
    if change.before and files != [change.before]:
        raise Conflict(f"{artifact.ref} has another content by now", hint="look again")
    if change.after and not change.before:
        raise InvalidInput(f"say which content of {artifact.ref} is replaced")
    if change.after and artifact.kind == STATE:
        online = tx.value("SELECT digest FROM feature_state WHERE artifact_id = ? LIMIT 1", (artifact.id,))
        if online != change.before:
            raise Conflict(f"{artifact.ref} is not online any more", hint="look again")
    return files


def _forget_told(tx: Transaction, changes: Sequence[Replacement], contents: Sequence[str]) -> list[str]:
    """Give up what else was told of the contents, such as profiles; the digests of its files."""
    told: list[str] = []
    for address in FORGETTERS.values():
        given_up = load(address)(tx, [each.id for each in changes], contents)
        told += [file.digest for each in given_up for file in graph.files_of(tx, each)]
        lifetime.empty(tx, given_up)
    return told
