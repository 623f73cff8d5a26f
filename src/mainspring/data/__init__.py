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
    "add",
    "add_remote",
    "aliases",
    "batches",
    "checkout",
    "commit",
    "commit_folder",
    "datasets",
    "delete",
    "describe",
    "diff",
    "file",
    "files",
    "forget",
    "link",
    "load",
    "log",
    "note",
    "open",
    "pull",
    "push",
    "remotes",
    "remove_alias",
    "restore",
    "scan",
    "set_alias",
    "sql",
    "status",
    "tag",
    "track",
    "untag",
    "verify",
    "versions",
]

if TYPE_CHECKING:
    from mainspring.data.service import Data

    _default = cast("Data", None)
    add = _default.add
    add_remote = _default.add_remote
    aliases = _default.aliases
    batches = _default.batches
    checkout = _default.checkout
    commit = _default.commit
    commit_folder = _default.commit_folder
    datasets = _default.datasets
    delete = _default.delete
    describe = _default.describe
    diff = _default.diff
    file = _default.file
    files = _default.files
    forget = _default.forget
    link = _default.link
    load = _default.load
    log = _default.log
    note = _default.note
    open = _default.open  # noqa: A001 -- `ms.data.open`, as `open` of a module is called everywhere
    pull = _default.pull
    push = _default.push
    remotes = _default.remotes
    remove_alias = _default.remove_alias
    restore = _default.restore
    scan = _default.scan
    set_alias = _default.set_alias
    sql = _default.sql
    status = _default.status
    tag = _default.tag
    track = _default.track
    untag = _default.untag
    verify = _default.verify
    versions = _default.versions
else:
    __getattr__ = _verbs(__name__, __all__)
