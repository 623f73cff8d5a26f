"""The first rows of a dataset version, as text, where looking at them costs little."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.words import compact
from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.data.types import DatasetVersion
    from mainspring.lineage.types import File

__all__ = ["Preview", "preview"]

_ROWS = 12
_COLUMNS = 40
_CELL = 60
_LARGEST = 64_000_000  # bytes of the first file; a larger one is not fetched for a look


class Preview(msgspec.Struct, frozen=True):
    """Rows as a table of text."""

    columns: list[str] = []
    numeric: list[bool] = []
    rows: list[list[str | None]] = []
    hidden: int = 0
    """Columns that are left out."""
    why: str = ""
    """Why there are none, where there are none."""


def preview(client: Client, version: DatasetVersion, files: list[File]) -> Preview:
    """The first rows of the first file of the table; none, and the reason, where there is no table to look at."""
    from polars.exceptions import PolarsError

    from mainspring.data.tabular import scan_files, table_files

    if not version.schema:
        return Preview(why="These files make no table.")
    try:
        first = table_files(files)[0]
        if first.size > _LARGEST:
            return Preview(why="The first file is too large to be fetched for a look.")
        frame = scan_files([first], client.data.local_copies([first])).head(_ROWS).collect()
    except (MainspringError, OSError, PolarsError) as error:
        return Preview(why=f"The rows cannot be read: {str(error).partition(chr(10))[0]}")
    names = frame.columns[:_COLUMNS]
    shown = frame.select(names)
    return Preview(
        columns=names,
        numeric=[shown.schema[name].is_numeric() for name in names],
        rows=[[_cell(cell) for cell in row] for row in shown.iter_rows()],
        hidden=len(frame.columns) - len(names),
    )


def _cell(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime | date | time | timedelta | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return compact(value, _CELL)
