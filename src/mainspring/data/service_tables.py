"""Dataset versions as tables, on the user's machine: reading them, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.differences import diff_schema, without_common
from mainspring.data.row_diff import diff_rows, no_rows_differ
from mainspring.data.service_files import FileWork
from mainspring.data.tabular import scan_files, table_files
from mainspring.data.types import DatasetVersion, Depth, Diff, Progress, RowsDiff

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TableWork"]


class TableWork(FileWork):
    """Tables and their differences."""

    def scan(self, ref: str, *, path: str = "", progress: Progress | None = None) -> pl.LazyFrame:
        """A version as a lazy table over checked local copies of its files.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` or an id.
            path: The file or folder of the dataset to read, where the whole is not one table.
            progress: Called as `progress(bytes done, bytes in all)`.
        """
        files = table_files(self.files(ref), path=path)
        return scan_files(files, self.local_copies(files, progress=progress))

    def load(
        self, ref: str, *, path: str = "", columns: Sequence[str] | None = None, progress: Progress | None = None
    ) -> pl.DataFrame:
        """A version as a table in memory; see `scan`."""
        frame = self.scan(ref, path=path, progress=progress)
        return (frame if columns is None else frame.select(columns)).collect()

    def diff(self, before: str, after: str, *, depth: Depth = "rows", key: Sequence[str] = (), sample: int = 5) -> Diff:
        """What differs between two versions: files, then columns, then rows, as far as both are tables.

        Args:
            before: Reference of the one version.
            after: Reference of the other; of the same dataset or not.
            depth: `files`, `schema` or `rows`.
            key: Columns that tell rows apart; without them rows are compared as multisets.
            sample: How many rows to show of each kind of difference.
        """
        old, new = self.describe(before), self.describe(after)
        files = self.compare_files(old.id, after=new.id)
        result = Diff(before=old, after=new, files=files)
        if depth == "files" or not (old.schema and new.schema):
            return result
        result = msgspec.structs.replace(result, schema=diff_schema(old.schema, new.schema))
        if depth == "schema":
            return result
        return msgspec.structs.replace(result, rows=self._diff_rows(old, new, key=key, sample=sample))

    def _diff_rows(self, old: DatasetVersion, new: DatasetVersion, *, key: Sequence[str], sample: int) -> RowsDiff:
        """Compare the rows of those files that differ; all others are unchanged and are not even fetched."""
        before, after = without_common(table_files(self.files(old.id)), table_files(self.files(new.id)))
        if not before and not after:
            return no_rows_differ(key=key, unchanged=old.rows or 0)
        frames = [scan_files(files, self.local_copies(files)) if files else None for files in (before, after)]
        there = next(frame for frame in frames if frame is not None)
        first, second = (there.limit(0) if frame is None else frame for frame in frames)
        rows = diff_rows(first, second, key=key, sample=sample)
        return msgspec.structs.replace(rows, unchanged=(old.rows or 0) - rows.removed - rows.changed)
