"""A commit, from a source to a recorded version: hash, ask the gates, send what is missing, record, tell.

Gates and followers are named on the hooks page: a gate sees the proposal before anything of it is sent, and refuses by
raising; a follower is told of a version that is new.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.sources import LocalFile, Source, gather
from mainspring.data.tabular import scan_files, summarise, table_files
from mainspring.data.transfer import send, send_nodes
from mainspring.data.trees import Tree, build
from mainspring.data.types import Commit, DatasetVersion, Progress
from mainspring.kernel.errors import Conflict, InvalidInput, MainspringError, NotFound, StorageError
from mainspring.kernel.hooks import AFTER_COMMIT, COMMIT_GATES, load
from mainspring.kernel.names import check_name

if TYPE_CHECKING:
    import polars as pl

    from mainspring.data.service_files import FileWork

__all__ = ["Proposal", "commit_source"]

_log = logging.getLogger(__name__)
_TRIES = 3


class Proposal(msgspec.Struct, frozen=True):
    """What is about to become a version."""

    name: str
    commit: Commit
    tree: Tree
    local: list[LocalFile]

    def scan(self) -> pl.LazyFrame | None:
        """The table that its files make, None where they make none."""
        if not self.commit.schema:
            return None
        files = table_files([each.file for each in self.local])
        places = {each.file.path: each.location for each in self.local}
        return scan_files(files, [places[file.path] for file in files])


def commit_source(
    data: FileWork, name: str, source: Source, commit: Commit, *, progress: Progress | None = None
) -> DatasetVersion:
    """Make a version of a source; see `Data.commit`."""
    check_name(name)
    with data.cache().scratch() as scratch:
        local = gather(source, scratch)
        files = [each.file for each in local]
        rows, schema = summarise(files, [each.location for each in local])
        proposal = Proposal(name, msgspec.structs.replace(commit, rows=rows, schema=schema), build(files), local)
        for address in COMMIT_GATES.values():
            load(address)(data, proposal)
        newest = _newest(data, name)
        version = _send_and_record(data, proposal, progress=progress)
    if newest is None or version.version > newest:
        _tell(data, version)
    return version


def _send_and_record(data: FileWork, proposal: Proposal, *, progress: Progress | None) -> DatasetVersion:
    """Send and record; again where a collection of garbage took something in between that nothing referred to yet."""
    tree = proposal.tree
    for attempt in range(1, _TRIES + 1):
        if not data.known_trees([tree.root]):
            send(data, data.storage, proposal.local, progress=progress)
            send_nodes(data, data.storage, tree)
        try:
            return data.record(proposal.name, tree=tree.root, commit=proposal.commit)
        except (Conflict, StorageError):
            if attempt == _TRIES:
                raise
    raise InvalidInput("a commit is tried at least once")


def _newest(data: FileWork, name: str) -> int | None:
    try:
        return data.describe(name).version
    except NotFound:
        return None


def _tell(data: FileWork, version: DatasetVersion) -> None:
    for what, address in AFTER_COMMIT.items():
        try:
            load(address)(data, version)
        except MainspringError as error:
            _log.warning("%s is recorded, but its %s was not made: %s", version.ref, what, error.message)
