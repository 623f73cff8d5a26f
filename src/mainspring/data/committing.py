"""A commit, from a source to a recorded version: take in what is new, ask the gates, record, tell.

Files are hashed and sent in one reading. Gates and followers are named on the hooks page: a gate sees the proposal
before anything of it is a version, and refuses by raising; what was sent for nothing is garbage, and goes as such. A
follower is told of a version that is new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from mainspring.data.intake import Intake, send_rest
from mainspring.data.local_tree import LocalFile, LocalTree
from mainspring.data.machine import Files, open_files
from mainspring.data.scanning import list_folder, scan
from mainspring.data.sources import Source, gather
from mainspring.data.tabular import format_of, scan_files, summarise, table_files
from mainspring.data.transfer import send, send_nodes
from mainspring.data.trees import Tree, build
from mainspring.data.types import Commit, DatasetVersion, Progress
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, StorageError
from mainspring.kernel.hooks import AFTER_COMMIT, COMMIT_GATES, load, tell
from mainspring.kernel.names import check_name

if TYPE_CHECKING:
    import polars as pl

    from mainspring.data.service_files import FileWork

__all__ = ["Proposal", "commit_source", "submit", "take_in"]

_TRIES = 3
_TABLE_FILES = 100_000
"""A folder of more files than this is no table."""


class Proposal(msgspec.Struct, frozen=True):
    """What is about to become a version."""

    name: str
    commit: Commit
    tree: Tree | LocalTree
    local: list[LocalFile]
    """Its files, where they make a table."""
    frame: Any = None
    """Its table, where that is not made of its files."""

    def scan(self) -> pl.LazyFrame | None:
        """The table that its files make, None where they make none."""
        if self.frame is not None:
            return cast("pl.LazyFrame", self.frame)
        if not self.commit.schema:
            return None
        files = table_files([each.file for each in self.local])
        places = {each.file.path: each.location for each in self.local}
        return scan_files(files, [places[file.path] for file in files])


class Taken(msgspec.Struct, frozen=True):
    """What was read of a source, and how to send once more what the store turns out to lack."""

    tree: Tree | LocalTree
    local: list[LocalFile]
    again: Callable[[], None]


def commit_source(
    data: FileWork,
    name: str,
    source: Source,
    commit: Commit,
    *,
    progress: Progress | None = None,
    dvc: bool = False,
) -> DatasetVersion:
    """Make a version of a source; see `Data.commit`."""
    check_name(name)
    with take_in(data, source, progress=progress, dvc=dvc) as taken:
        rows, schema = _summary(taken.local)
        proposal = Proposal(name, msgspec.structs.replace(commit, rows=rows, schema=schema), taken.tree, taken.local)
        return submit(data, proposal, taken.again)


def submit(data: FileWork, proposal: Proposal, again: Callable[[], None]) -> DatasetVersion:
    """Ask the gates, record what is stored, tell the followers.

    Args:
        data: The data room's service.
        proposal: What is to become a version.
        again: Sends once more what the store lacks; called when a collection of garbage took it.
    """
    for address in COMMIT_GATES.values():
        load(address)(data, proposal)
    newest = _newest(data, proposal.name)
    version = _record(data, proposal, again)
    if newest is None or version.version > newest:
        tell(AFTER_COMMIT, version.ref, data, version)
    return version


@contextmanager
def take_in(data: FileWork, source: Source, *, progress: Progress | None = None, dvc: bool = False) -> Iterator[Taken]:
    """Hash a source, and store what the store lacks of it; it stays readable inside of the block."""
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        with open_files(data.machine_folder()) as files:
            yield _take_folder(data, Path(source), files, progress=progress, dvc=dvc)
        return
    with data.cache().scratch() as scratch:
        with _intake(data, progress=progress, total=_size_of(source)) as intake:
            local = gather(source, scratch, taker=intake)
            tree = build(each.file for each in local)
            for digest, node in tree.nodes.items():
                intake.small(bytes.fromhex(digest), node)

        def again() -> None:
            send(data, data.storage, local)
            send_nodes(data, data.storage, tree)

        yield Taken(tree, local, again)


def _take_folder(data: FileWork, top: Path, files: Files, *, progress: Progress | None, dvc: bool) -> Taken:
    total = _size_below(str(top)) if progress is not None else 0
    with _intake(data, progress=progress, total=total) as intake:
        tree = scan(top, files.cache, files.clock, taker=intake, dvc=dvc)
        if tree is None:
            raise InvalidInput(f"there is no file in {top}")
        send_rest(data, data.storage, tree, intake)

    def again() -> None:
        tree.fresh.clear()
        with _intake(data) as once_more:
            send_rest(data, data.storage, tree, once_more)

    local: list[LocalFile] = []
    if tree.files <= _TABLE_FILES and _is_table(tree):
        local = list(tree.walk())
    return Taken(tree, local, again)


def _summary(local: list[LocalFile]) -> tuple[int | None, dict[str, str]]:
    if not local or not format_of(local[0].file.path):
        return None, {}
    return summarise([each.file for each in local], [each.location for each in local])


def _is_table(tree: LocalTree) -> bool:
    """Whether all files are of one tabular format."""
    kind = ""
    for each in tree.walk():
        found = format_of(each.file.path)
        if not found or found != (kind or found):
            return False
        kind = found
    return True


def _intake(data: FileWork, *, progress: Progress | None = None, total: int = 0) -> Intake:
    return Intake(data, data.storage, here=data.is_here, progress=progress, total=total)


def _record(data: FileWork, proposal: Proposal, again: Callable[[], None]) -> DatasetVersion:
    """Record; again where a collection of garbage took something in between that nothing referred to yet."""
    for _ in range(1, _TRIES):
        try:
            return data.record(proposal.name, tree=proposal.tree.root, commit=proposal.commit)
        except (Conflict, StorageError):
            again()
    return data.record(proposal.name, tree=proposal.tree.root, commit=proposal.commit)


def _size_of(source: Source) -> int:
    paths = [source] if isinstance(source, str | os.PathLike) else source if isinstance(source, list | tuple) else []
    total = 0
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 -- of what may be no path at all
            total += _size_below(os.fspath(path))
        elif os.path.isfile(path):  # noqa: PTH113
            total += os.path.getsize(path)  # noqa: PTH202
    return total


def _size_below(folder: str) -> int:
    rows, folders = list_folder(folder)
    return sum(row[1] for row in rows) + sum(_size_below(f"{folder}/{name}") for name in folders)


def _newest(data: FileWork, name: str) -> int | None:
    try:
        return data.describe(name).version
    except NotFound:
        return None
