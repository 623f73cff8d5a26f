"""Dataset versions and proposals as tables that remember: what validation, inference and profiles scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mainspring.data.committing import Proposal
from mainspring.data.service import Data
from mainspring.data.tabular import format_of, scan_files, table_files
from mainspring.data.types import DatasetVersion
from mainspring.engines.tables import Table, open_table
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.types import File
from mainspring.quality.expectations.references import other_tables
from mainspring.quality.states_memory import Memory
from mainspring.quality.states_table import KnownTable, Part
from mainspring.quality.types import Suite

__all__ = ["Others", "content_of", "known_proposal", "known_version", "other_names"]


Others = Callable[[], Mapping[str, Any]]
"""Other tables by name, asked for when the whole is scanned."""


def known_version(data: Data, version: DatasetVersion, memory: Memory, *, others: Others = dict) -> KnownTable:
    """The table that a version is; files are fetched when they are scanned."""

    def parts() -> list[Part]:
        try:
            files = table_files(data.files(version.id))
        except MainspringError:
            return []  # a table that lies elsewhere: its version is one file that says where
        return [Part(file.path, content_of(file), partial(_open_stored, data, file)) for file in files]

    return KnownTable(
        lambda: open_table(data.scan(version.id), others=others()),
        content=version.digest,
        memory=memory,
        parts=parts,
        files=version.files,
    )


def known_proposal(proposal: Proposal, memory: Memory, *, others: Others = dict) -> KnownTable:
    """The table that a version will be, from the files where they are."""
    if proposal.frame is not None:
        frame = proposal.frame
        return KnownTable(lambda: open_table(frame, others=others()), content=proposal.tree.root, memory=memory)
    places = {each.file.path: each.location for each in proposal.local}
    files = table_files([each.file for each in proposal.local])

    def parts() -> list[Part]:
        return [Part(file.path, content_of(file), _opener([file], [places[file.path]])) for file in files]

    def whole() -> Table:
        return open_table(scan_files(files, [places[file.path] for file in files]), others=others())

    return KnownTable(whole, content=proposal.tree.root, memory=memory, parts=parts, files=len(files))


def content_of(file: File) -> str:
    """What a file says as a table: its bytes, and what its name adds to them.

    A Parquet or Arrow file says all of itself; the form of a text file is in its name, and folders may be columns.
    """
    folders = [part for part in file.path.split("/")[:-1] if "=" in part]
    form = format_of(file.path)
    plain = form in ("parquet", "ipc") and not folders
    return file.digest if plain else digest_value("table-part", [form, folders, file.digest])


def _open_stored(data: Data, file: File) -> Table:
    return open_table(scan_files([file], data.local_copies([file])))


def other_names(suite: Suite) -> list[str]:
    """The other tables that the expectations of a suite compare with, by the name that they have there."""
    return other_tables(suite.expectations)


def _opener(files: Sequence[File], locations: Sequence[Path]) -> Callable[[], Any]:
    return lambda: open_table(scan_files(files, locations))
