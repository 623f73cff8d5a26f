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


def as_frame(source: Any) -> pl.LazyFrame:
    """A lazy frame over a polars, pandas, Arrow or DuckDB table, or a dictionary of columns.

    Raises:
        InvalidInput: It is none of these, or it has no columns.

    Example:
        >>> as_frame({"n": [1, 2]}).collect().height
        2
    """
    import polars as pl

    if isinstance(source, pl.LazyFrame):
        frame = source
    elif isinstance(source, pl.DataFrame):
        frame = source.lazy()
    elif type(source).__module__.partition(".")[0] == "pandas":
        frame = pl.from_pandas(source).lazy()
    elif hasattr(source, "__arrow_c_stream__") or isinstance(source, dict):
        frame = pl.DataFrame(source).lazy()
    else:
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
