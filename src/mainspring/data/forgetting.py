"""Finding rows by a condition in every version of every dataset, and writing files again without them.

Equal files are read once, however many versions have them. A condition is SQL over columns; `path` is the file's path
in its dataset, and a condition over nothing but it means whole files. What a condition cannot be asked of, because a
column is not there, does not hold such rows; what fails for another reason is named and not passed over.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.data.parquet import write_parquet
from mainspring.data.tabular import format_of, scan_files
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import File

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Condition", "Found", "search_file", "write_without"]

_PATH = "path"
_ROW = "mainspring row"


class Found(msgspec.Struct, frozen=True):
    """What one file holds of what is to be forgotten."""

    rows: int = 0
    whole: bool = False
    """Whether the file goes as a whole."""
    failed: str = ""
    """Why it could not be searched."""


class Condition:
    """A condition in SQL.

    Raises:
        InvalidInput: It is no condition over columns.

    Example:
        >>> Condition("customer_id = 42 AND path LIKE '2024/%'").columns
        ['customer_id']
    """

    def __init__(self, text: str) -> None:
        import polars as pl

        if not text.strip():
            raise InvalidInput("an empty condition would mean everything", hint="write one such as customer_id = 42")
        try:
            self.expression = pl.sql_expr(text)
            names = self.expression.meta.root_names()
        except Exception as error:  # noqa: BLE001 -- polars has no one error for what is no SQL
            hint = "SQL over columns: customer_id = 42 AND country IN ('DE', 'FR'), or path = 'faces/42.png'"
            raise InvalidInput(f"{text!r} is not a condition: {error}", hint=hint) from None
        if not names:
            raise InvalidInput(f"{text!r} names no column", hint="write one such as customer_id = 42")
        self.text = text
        self.columns = [name for name in dict.fromkeys(names) if name != _PATH]
        self.by_path = _PATH in names

    def takes_file(self, path: str) -> bool:
        """Whether a condition over paths alone means this file."""
        import polars as pl

        return bool(pl.DataFrame({_PATH: [path]}).select(self.expression.fill_null(value=False)).item())


def search_file(file: File, location: Path, condition: Condition) -> Found:
    """How many rows of a file the condition means; null is not true."""
    import polars as pl

    if not condition.columns:
        whole = condition.takes_file(file.path)
        return Found(rows=_rows(file, location) if whole else 0, whole=whole)
    if not format_of(file.path):
        return Found()
    try:
        frame = _scanned(file, location, condition)
        if frame is None:
            return Found()
        meant = condition.expression.fill_null(value=False)
        rows = int(frame.select(meant.sum()).collect(engine="streaming").item() or 0)
    except (pl.exceptions.PolarsError, OSError) as error:
        return Found(failed=str(error).partition("\n")[0][:300])
    return Found(rows=rows)


def write_without(file: File, location: Path, condition: Condition, target: Path) -> None:
    """Write a tabular file again without the rows that the condition means.

    A Parquet or Arrow file is written anew. Text is copied record by record, so that what stays is byte for byte as it
    was.

    Raises:
        InvalidInput: What was written does not hold exactly the other rows; nothing of it may be used.
    """
    import polars as pl

    frame = _scanned(file, location, condition)
    if frame is None:
        raise InvalidInput(f"{file.path} does not have the columns of the condition")
    meant = condition.expression.fill_null(value=False)
    kind = format_of(file.path)
    before = int(frame.select(pl.len()).collect().item())
    numbers = frame.with_row_index(_ROW).filter(meant).select(_ROW).collect(engine="streaming")[_ROW]
    gone = len(numbers)
    if kind == "parquet":
        write_parquet(_without_rows(pl.scan_parquet(location, hive_partitioning=False, glob=False), numbers), target)
    elif kind == "ipc":
        _without_rows(pl.scan_ipc(location, hive_partitioning=False, glob=False), numbers).sink_ipc(target)
    else:
        _copy_text(location, target, set(numbers.to_list()), header=kind in ("csv", "tsv"))
    after = scan_files([file], [target])
    if condition.by_path and _PATH not in after.collect_schema():
        after = after.with_columns(pl.lit(file.path).alias(_PATH))
    left, still = after.select(pl.len(), meant.sum().alias("still")).collect().row(0)
    if (left, still or 0) != (before - gone, 0):
        raise InvalidInput(
            f"{file.path} cannot be written again without {gone} of its {before} rows: {left} would be left",
            hint="remove the file as a whole: path = '...'",
        )


def _scanned(file: File, location: Path, condition: Condition) -> pl.LazyFrame | None:
    """A file with the columns that its folders say and its path; None where a column of the condition is not there."""
    import polars as pl

    frame = scan_files([file], [location])
    known = frame.collect_schema()
    if any(name not in known for name in condition.columns):
        return None
    if condition.by_path and _PATH not in known:
        frame = frame.with_columns(pl.lit(file.path).alias(_PATH))
    return frame


def _without_rows(frame: pl.LazyFrame, numbers: pl.Series) -> pl.LazyFrame:
    """A file's own columns, by row number: those of its folders and its path are no columns of the file."""
    import polars as pl

    return frame.with_row_index(_ROW).filter(~pl.col(_ROW).is_in(numbers.implode())).drop(_ROW)


def _rows(file: File, location: Path) -> int:
    import polars as pl

    if not format_of(file.path):
        return 0
    try:
        return int(scan_files([file], [location]).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        return 0


def _copy_text(source: Path, target: Path, gone: set[int], *, header: bool) -> None:
    """Copy a text of records without some, by their numbers; a record of CSV may hold line breaks inside of quotes."""
    number = -1 if header else 0
    with source.open("rb") as read, target.open("xb") as written:
        for record in _records(read, quoted=header):
            if not record.strip() and not header:
                written.write(record)
                continue
            if number not in gone:
                written.write(record)
            number += 1


def _records(file: io.BufferedReader, *, quoted: bool) -> Iterator[bytes]:
    parts: list[bytes] = []
    quotes = 0
    for line in file:
        parts.append(line)
        quotes += line.count(b'"') if quoted else 0
        if quotes % 2 == 0:
            yield b"".join(parts)
            parts, quotes = [], 0
    if parts:
        yield b"".join(parts)
