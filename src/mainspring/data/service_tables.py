"""Dataset versions as tables, on the user's machine: reading them, and what differs between two of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec

from mainspring.data.differences import diff_schema, without_common
from mainspring.data.external.types import is_elsewhere
from mainspring.data.frames import TableForm, as_table
from mainspring.data.row_diff import diff_rows, no_rows_differ
from mainspring.data.service_external import ExternalWork
from mainspring.data.streaming import open_file
from mainspring.data.tabular import is_plain_parquet, scan_files, table_files
from mainspring.data.trees import find, walk
from mainspring.data.types import DatasetVersion, Depth, Diff, Progress, RowsDiff
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import File

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TableWork"]


class TableWork(ExternalWork):
    """Tables and their differences."""

    def scan(self, ref: str, *, path: str = "", progress: Progress | None = None) -> pl.LazyFrame:
        """A version as a lazy table over checked local copies of its files.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` or an id.
            path: The file or folder of the dataset to read, where the whole is not one table.
            progress: Called as `progress(bytes done, bytes in all)`.
        """
        if (external := self.external(ref)) is not None:
            return self.scan_external(external, path=path)
        files = table_files(self.files(ref), path=path)
        return scan_files(files, self.local_copies(files, progress=progress))

    @overload
    def load(
        self,
        ref: str,
        *,
        as_: Literal["polars"] = "polars",
        path: str = "",
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> pl.DataFrame: ...
    @overload
    def load(
        self,
        ref: str,
        *,
        as_: Literal["arrow", "duckdb", "pandas"],
        path: str = "",
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Any: ...
    def load(
        self,
        ref: str,
        *,
        as_: TableForm = "polars",
        path: str = "",
        columns: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """A version as a table.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` or an id.
            as_: A polars DataFrame, an Arrow table, a pandas DataFrame, or a DuckDB relation, which reads the files
                only when it is asked.
            path: The file or folder of the dataset to read, where the whole is not one table.
            columns: Only these columns.
            progress: Called as `progress(bytes done, bytes in all)`.

        Raises:
            MissingDependency: The library that holds such a table is not installed.

        Example:
            >>> import tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.commit("numbers", {"n": [1, 2]})
            ...     client.data.load("numbers", as_="arrow").num_rows
            2
        """
        copies: list[Path] = []
        if as_ == "duckdb" and columns is None and self.external(ref) is None:
            files = table_files(self.files(ref), path=path)
            copies = self.local_copies(files, progress=progress) if is_plain_parquet(files) else []
        frame = self.scan(ref, path=path, progress=progress)
        return as_table(frame if columns is None else frame.select(columns), as_, parquet=copies)

    def batches(
        self, ref: str, *, rows: int = 100_000, path: str = "", columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """A version as frames of `rows` rows, in order, in memory that does not grow with the table."""
        if rows < 1:
            raise InvalidInput("a batch has at least one row")
        frame = self.scan(ref, path=path)
        chosen = frame if columns is None else frame.select(columns)
        yield from chosen.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")

    def open(self, ref: str, path: str = "") -> io.BufferedReader:
        """A file of a version as a file object to read and seek in: only what is read is fetched, and checked.

        Args:
            ref: `photos@3`, `photos@clean`, `photos` or an id.
            path: The file; may be left out where the version has one file.
        """
        version = self.describe(ref)
        if not path:
            if version.files != 1:
                raise InvalidInput(f"{version.ref} has {version.files} files", hint='name one: open(ref, "a/b.png")')
            (file,) = walk(self.nodes, version.digest)
            self.bring([file])
            return open_file(self.storage, file)
        entry = find(self.nodes, version.digest, path)
        if entry.is_folder:
            raise InvalidInput(f"{path} is a folder of {version.ref}", hint="name a file in it")
        file = File(path, entry.size, entry.digest)
        self.bring([file])
        return open_file(self.storage, file)

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
        listed = [self.files(each.id) for each in (old, new)]
        if any(map(is_elsewhere, listed)):
            return diff_rows(self.scan(old.id), self.scan(new.id), key=key, sample=sample)
        before, after = without_common(*map(table_files, listed))
        if not before and not after:
            return no_rows_differ(key=key, unchanged=old.rows or 0)
        frames = [scan_files(files, self.local_copies(files)) if files else None for files in (before, after)]
        there = next(frame for frame in frames if frame is not None)
        first, second = (there.limit(0) if frame is None else frame for frame in frames)
        rows = diff_rows(first, second, key=key, sample=sample)
        return msgspec.structs.replace(rows, unchanged=(old.rows or 0) - rows.removed - rows.changed)
