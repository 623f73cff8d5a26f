"""Tables of SQLite files, read into columns.

SQLite has neither quantiles nor regular expressions nor types that it keeps to, and its files are small by
the measure of tables: what is read is a frame, in batches, through a connection that cannot write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import polars as pl

from mainspring.engines.tables_sources import SqlTable
from mainspring.kernel.errors import InvalidInput, NotFound

__all__ = ["read_sqlite"]

_BATCH = 100_000


def read_sqlite(source: SqlTable) -> pl.DataFrame:
    """The rows of a table or query of `sqlite:///relative` or `sqlite:////absolute`."""
    path = Path(unquote(source.url.removeprefix("sqlite:").removeprefix("//").removeprefix("/")))
    if not path.is_file():
        raise NotFound(f"there is no SQLite file {str(path)!r}")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA query_only = ON")
            name = ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in source.table.split("."))
            cursor = connection.execute(source.query or f"SELECT * FROM {name}")  # noqa: S608 -- the name is quoted
            if cursor.description is None:
                raise InvalidInput(f"{source.query!r} is not a query: it returns no rows")
            columns = [each[0] for each in cursor.description]
            parts = []
            while batch := cursor.fetchmany(_BATCH):
                parts.append(_frame(columns, batch))
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise InvalidInput(f"SQLite cannot read this: {error}") from None
    if not parts:
        return pl.DataFrame({column: [] for column in columns}, schema=dict.fromkeys(columns, pl.Null))
    return pl.concat(parts, how="vertical_relaxed")


def _frame(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Columns of one type each: where SQLite holds several in a column, numbers are floats and all else is text."""
    series = []
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1 and kinds != {int, float}:
            values = tuple(None if value is None else str(value) for value in values)  # noqa: PLW2901 -- as one type
        series.append(pl.Series(name, values, strict=False, dtype=pl.Float64 if kinds == {int, float} else None))
    return pl.DataFrame(series)
