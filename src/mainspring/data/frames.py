"""Whatever holds a table, as a lazy Polars frame: what may be committed beside files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

__all__ = ["as_frame"]


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
    elif hasattr(source, "__arrow_c_stream__") or (isinstance(source, dict) and source and all(hasattr(column, "__len__") for column in source.values())):
        frame = pl.DataFrame(source).lazy()
    else:
        raise InvalidInput(
            f"a {type(source).__name__} cannot be committed as a dataset",
            hint="give a frame (polars, pandas, Arrow, DuckDB), a path, a list of paths, or a query: data.sql(...)",
        )
    if not frame.collect_schema():
        raise InvalidInput("a frame without columns cannot be committed")
    return frame
