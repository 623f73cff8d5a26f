"""Tables of other libraries as lazy Polars frames, and back: what may be committed, and what a version becomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mainspring.kernel.errors import InvalidInput, MissingDependency

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TableForm", "as_frame", "as_table"]

TableForm = Literal["polars", "arrow", "pandas", "duckdb"]
"""The libraries whose tables a version can become."""


def as_frame(source: Any, scratch: Path) -> pl.LazyFrame:
    """A lazy frame over a polars, pandas, Arrow or DuckDB table, a dictionary of columns, or the answer of a query.

    Args:
        source: The table, or a `SqlTable`.
        scratch: A folder for the answer of a query, which may be larger than memory.

    Raises:
        InvalidInput: It is none of these, or it has no columns.

    Example:
        >>> as_frame({"n": [1, 2]}, Path()).collect().height
        2
    """
    from mainspring.engines.tables_sources import SqlTable, to_lazy

    if isinstance(source, SqlTable):
        from mainspring.data.external.queries import read_query

        return read_query(source, scratch)
    frame = to_lazy(source)
    if frame is None:
        raise InvalidInput(
            f"a {type(source).__name__} cannot be committed as a dataset",
            hint="give a frame (polars, pandas, Arrow, DuckDB), a path, a list of paths, or a query: data.sql(...)",
        )
    if not frame.collect_schema():
        raise InvalidInput("a frame without columns cannot be committed")
    return frame


def as_table(frame: pl.LazyFrame, form: TableForm, *, parquet: Sequence[Path] = ()) -> Any:
    """A frame as a table of one of the libraries.

    Args:
        frame: The table.
        form: The library.
        parquet: Files that are the frame as it stands; DuckDB reads them by itself, when it is asked.

    Raises:
        MissingDependency: The library is not installed.
    """
    try:
        if form == "polars":
            return frame.collect()
        if form == "arrow":
            return frame.collect().to_arrow()
        if form == "pandas":
            return frame.collect().to_pandas()
        if form == "duckdb":
            import duckdb

            files = [str(path) for path in parquet]
            return duckdb.read_parquet(files) if files else duckdb.from_arrow(frame.collect().to_arrow())
    except ModuleNotFoundError as error:
        raise MissingDependency(error.name or form, extra="data") from None
    raise InvalidInput(f"{form!r} is no form of a table", known=list(get_args(TableForm)))
