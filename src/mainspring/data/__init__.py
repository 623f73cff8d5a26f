"""The fourth floor: dataset versions, their differences, and their files as tables and folders."""

from __future__ import annotations

from mainspring.data.types import (
    Commit,
    DatasetVersion,
    Diff,
    FilesDiff,
    LogEntry,
    RowsDiff,
    SchemaDiff,
)

__all__ = ["Commit", "DatasetVersion", "Diff", "FilesDiff", "LogEntry", "RowsDiff", "SchemaDiff"]
