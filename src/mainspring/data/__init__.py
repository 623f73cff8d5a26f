"""The fourth floor: dataset versions, their differences, and their files as tables and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mainspring.data.types import (
    Commit,
    DatasetVersion,
    Diff,
    FilesDiff,
    LogEntry,
    RowsDiff,
    SchemaDiff,
)
from mainspring.kernel.verbs import verbs as _verbs

__all__ = [
    "Commit",
    "DatasetVersion",
    "Diff",
    "FilesDiff",
    "LogEntry",
    "RowsDiff",
    "SchemaDiff",
    "aliases",
    "checkout",
    "commit",
    "datasets",
    "describe",
    "diff",
    "file",
    "files",
    "load",
    "log",
    "remove_alias",
    "scan",
    "set_alias",
]

if TYPE_CHECKING:
    from mainspring.data.service import Data

    _default = cast("Data", None)
    aliases = _default.aliases
    checkout = _default.checkout
    commit = _default.commit
    datasets = _default.datasets
    describe = _default.describe
    diff = _default.diff
    file = _default.file
    files = _default.files
    load = _default.load
    log = _default.log
    remove_alias = _default.remove_alias
    scan = _default.scan
    set_alias = _default.set_alias
else:
    __getattr__ = _verbs(__name__, __all__)
