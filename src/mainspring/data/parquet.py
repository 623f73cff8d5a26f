"""Frames as Parquet files whose versions share bytes.

With pyarrow, pages end where the content says so (Apache Arrow's content-defined chunking for Parquet), so that an
inserted or deleted row moves the bytes of the pages around it and no others; the store's own chunks then are shared
between versions. Without pyarrow, and for the types that it writes otherwise than Polars, Polars writes: edits in place
share their columns' other pages, insertions share what comes before them.

Equal content gives equal bytes with the same library, however a frame was computed or cut: row groups have a number of
rows that follows from the number of columns alone, and all settings are written out, because a default that changes
would change digests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["write_parquet"]

_LEVEL = 3
_ROWS_MOST, _ROWS_FEWEST = 1 << 20, 1 << 16
_CELLS = 1 << 25  # in a row group: what is held in memory while one is written
_PAGES = {"min_chunk_size": 16 << 10, "max_chunk_size": 128 << 10, "norm_level": 0}
"""Bytes of a column between two borders of pages, before encoding: a few of the store's chunks."""


def write_parquet(frame: pl.LazyFrame, path: Path) -> Path:
    """Write a frame, in memory that does not grow with it; raises `InvalidInput` for what Parquet cannot hold."""
    import polars as pl

    try:
        schema = frame.collect_schema()
        rows = max(_ROWS_FEWEST, min(_ROWS_MOST, _CELLS // max(1, len(schema))))
        if _has_arrow() and not any(map(_is_polars_own, _types(schema))):
            _write_arrow(frame, path, rows)
        else:
            frame.sink_parquet(path, compression="zstd", compression_level=_LEVEL, statistics=True, row_group_size=rows)
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"this frame cannot be written as Parquet: {error}") from error
    return path


def _write_arrow(frame: pl.LazyFrame, path: Path, rows: int) -> None:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(part: pl.DataFrame) -> pa.Table:
        return part.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())

    try:
        with pq.ParquetWriter(
            path,
            table(frame.limit(0).collect()).schema,
            compression="zstd",
            compression_level=_LEVEL,
            version="2.6",
            data_page_version="1.0",
            use_content_defined_chunking=_PAGES,
        ) as writer:
            for part in frame.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
                writer.write_table(table(part), row_group_size=rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInput(f"this frame cannot be written as Parquet: {error}") from error


def _has_arrow() -> bool:
    try:
        import pyarrow.parquet  # noqa: F401 -- asked whether it is there
    except ImportError:
        return False
    return True


def _types(schema: pl.Schema) -> Iterator[pl.DataType]:
    """Every type in a schema, those inside of others too."""
    import polars as pl

    waiting = list(schema.dtypes())
    while waiting:
        dtype = waiting.pop()
        yield dtype
        if isinstance(dtype, pl.Struct):
            waiting += [field.dtype for field in dtype.fields]  # type: ignore[misc]  # a class stands for its instance
        elif isinstance(dtype, pl.List | pl.Array):
            waiting.append(dtype.inner)  # type: ignore[arg-type]  # likewise


def _is_polars_own(dtype: pl.DataType) -> bool:
    """Whether only Polars writes it so that it is read as what it was."""
    import polars as pl

    return isinstance(dtype, pl.Categorical | pl.Enum | pl.Int128 | pl.Null | pl.Array | pl.Object | pl.Time)
