"""From whatever holds a table to the engine that scans it.

Frames, Arrow and files are Polars': its streaming engine reads a Parquet file once for a whole suite, in
about half the time of DuckDB on the same machine. Files that would not fit into memory are DuckDB's, which
groups and sorts on disk. A relation, a Spark frame or a table of a database stays where it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat

if TYPE_CHECKING:
    import polars as pl

    from mainspring.engines.tables import Table

__all__ = ["SqlTable", "file_format", "open_source", "to_lazy"]

_FORMATS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".arrow": "ipc", ".ipc": "ipc", ".feather": "ipc",
}  # fmt: skip
_COMPRESSED = {".gz", ".zst", ".zstd"}
_GROWTH = {"parquet": 4, "csv": 1.5, "tsv": 1.5, "jsonl": 1.5, "ipc": 1}
"""How many bytes of columns come out of a byte of a file, at the worst that is usual."""


class SqlTable(msgspec.Struct, frozen=True):
    """A table or a query of a database: `postgresql://...` stays there, `sqlite:///file` is read.

    Example:
        >>> SqlTable("sqlite:///sales.db", query="SELECT * FROM orders WHERE year = 2026").table
        ''
    """

    url: str
    table: str = ""
    """The name, with its schema before a dot if need be."""
    query: str = ""
    """A SELECT, instead of a table."""

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.query):
            raise InvalidInput("a SqlTable is either a table or a query", hint="pass one of `table=` and `query=`")


def open_source(source: Any, others: Mapping[str, Table]) -> Table:
    """The table behind a source; `UnsupportedFormat` when it is nothing that holds one."""
    module = type(source).__module__.partition(".")[0]
    if isinstance(source, SqlTable):
        return _database(source, others)
    if module == "pyspark":
        from mainspring.engines.tables_spark import SparkTable

        return SparkTable(source, others)
    if module in {"duckdb", "_duckdb"}:
        from mainspring.engines.tables_duckdb import DuckTable

        return DuckTable.of_relation(source, others)
    paths = _paths(source)
    if paths and _is_larger_than_memory(paths) and _has_duckdb():
        from mainspring.engines.tables_duckdb import DuckTable

        return DuckTable.of_files(paths, others)
    from mainspring.engines.tables_polars import PolarsTable

    frame = to_lazy(source)
    if frame is None:
        raise UnsupportedFormat(
            f"a {type(source).__name__} is not a table",
            hint="pass a polars, pandas or Spark frame, Arrow, paths of Parquet, CSV, JSON lines or Arrow files, "
            "a DuckDB relation or a SqlTable",
        )
    return PolarsTable(frame, others, stored=frame is not source)


def to_lazy(source: Any) -> pl.LazyFrame | None:
    """A lazy frame over frames, Arrow, pandas, numpy, columns by name or files; None for anything else."""
    import polars as pl

    module = type(source).__module__.partition(".")[0]
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if paths := _paths(source):
        return _scan(paths)
    if module == "pandas":
        return pl.from_pandas(source).lazy()
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source).lazy()
    if module == "numpy" and getattr(getattr(source, "dtype", None), "names", None):
        return pl.from_numpy(source).lazy()
    if isinstance(source, Mapping) and all(isinstance(name, str) and _is_column(source[name]) for name in source):
        return pl.DataFrame(dict(source)).lazy()
    return None


def _is_column(values: Any) -> bool:
    """Whether it holds values in an order: a list, an array, a series; a single value is no column."""
    if isinstance(values, str | bytes | bytearray | Mapping) or getattr(values, "shape", None) == ():
        return False
    return hasattr(values, "__len__") or isinstance(values, Iterator)


def file_format(paths: Sequence[str]) -> str:
    """The one format of some files, by their suffixes; those without one are Parquet."""
    formats = set()
    for path in paths:
        plain = Path(path.rpartition("://")[2])
        suffix = (Path(plain.stem) if plain.suffix in _COMPRESSED else plain).suffix.lower()
        if suffix in {".json", ".xlsx", ".avro", ".orc"}:
            raise UnsupportedFormat(
                f"{path!r} is not a table of a format that is read here",
                hint="Parquet, CSV, TSV, JSON lines (.jsonl, .ndjson) and Arrow IPC are",
            )
        formats.add(_FORMATS.get(suffix, "parquet"))
    if len(formats) > 1:
        raise UnsupportedFormat(f"files of different formats are not one table: {', '.join(sorted(formats))}")
    return formats.pop()


def _paths(source: Any) -> list[str]:
    many = source if isinstance(source, list | tuple) else [source]
    if not many or not all(isinstance(each, str | Path) for each in many):
        return []
    paths = [os.fspath(each) for each in many]
    for path in paths:
        if "://" not in path and not any(mark in path for mark in "*?[") and not Path(path).exists():
            raise NotFound(f"there is no file {path!r}")
    return paths


def _scan(paths: list[str]) -> pl.LazyFrame:
    import polars as pl

    what = file_format(paths)
    if what == "parquet":
        return pl.scan_parquet(paths)
    if what == "ipc":
        return pl.scan_ipc(paths)
    if what == "jsonl":
        return pl.scan_ndjson(paths, infer_schema_length=100_000)
    separator = "\t" if what == "tsv" else ","
    return pl.scan_csv(paths, separator=separator, infer_schema_length=100_000, try_parse_dates=True)


def _is_larger_than_memory(paths: Sequence[str]) -> bool:
    local = [Path(path) for path in paths if "://" not in path and Path(path).is_file()]
    size = sum(path.stat().st_size for path in local)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not told by this system
        return False
    return size > 0 and size * _GROWTH[file_format(paths)] > memory


def _has_duckdb() -> bool:
    from importlib.util import find_spec

    return find_spec("duckdb") is not None


def _database(source: SqlTable, others: Mapping[str, Table]) -> Table:
    scheme = source.url.partition(":")[0]
    if scheme in {"postgresql", "postgres"}:
        from mainspring.engines.tables_postgres import PostgresTable

        return PostgresTable(source, others)
    if scheme == "sqlite":
        from mainspring.engines.tables_polars import PolarsTable
        from mainspring.engines.tables_sqlite import read_sqlite

        return PolarsTable(read_sqlite(source).lazy(), others)
    raise UnsupportedFormat(f"{scheme!r} is not a database that tables are read of", hint="postgresql:// or sqlite:///")
