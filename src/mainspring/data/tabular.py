"""Files as tables: which files make one table, how they are scanned, and what is known of it at commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat, nearest
from mainspring.lineage.types import File

if TYPE_CHECKING:
    import polars as pl

__all__ = ["format_of", "is_plain_parquet", "scan_files", "schema_of", "summarise", "table_files"]

_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
}


def format_of(path: str) -> str:
    """The format of a tabular file by its suffix, empty for any other file."""
    return _FORMATS.get(Path(path).suffix.lower(), "")


def table_files(files: Sequence[File], *, path: str = "") -> list[File]:
    """The files that make one table: all of them, or the one at `path`, or those below the folder `path`.

    Raises:
        NotFound: Nothing lies at `path`.
        InvalidInput: They are not all of one tabular format.
    """
    chosen = [file for file in files if not path or file.path == path or file.path.startswith(path.rstrip("/") + "/")]
    if not chosen:
        raise NotFound(f"the dataset has no file {path!r}", known=nearest(path, [file.path for file in files]))
    formats = {format_of(file.path) for file in chosen}
    if formats == {""} or len(formats) != 1:
        raise InvalidInput(
            f"these {len(chosen)} files do not make one table",
            hint="name one with path=..., or read them with checkout(...)",
            known=[file.path for file in chosen[:5]],
        )
    return chosen


def scan_files(files: Sequence[File], locations: Sequence[Path]) -> pl.LazyFrame:
    """One lazy table over local copies of `files`, in their order.

    Folders such as `year=2020` become columns, as in Hive; whole numbers become integers.
    """
    import polars as pl

    folders = [_folder_values(file.path) for file in files]
    if any(folders):
        parts = [_scan([file], [location]) for file, location in zip(files, locations, strict=True)]
        named = [part.with_columns(**_literals(values)) for part, values in zip(parts, folders, strict=True)]
        return pl.concat(named, how="vertical")
    return _scan(files, locations)


def is_plain_parquet(files: Sequence[File]) -> bool:
    """Whether the files are Parquet, and their folders say nothing that would become a column."""
    return all(format_of(file.path) == "parquet" and not _folder_values(file.path) for file in files)


def _folder_values(path: str) -> dict[str, str]:
    """What the folders of a path say in the manner of Hive: `year=2020/month=1/part.parquet`."""
    pairs = [folder.partition("=") for folder in path.split("/")[:-1]]
    return {name: value for name, equals, value in pairs if equals and name}


def _literals(values: dict[str, str]) -> dict[str, pl.Expr]:
    import polars as pl

    whole = {name: int(value) if value.removeprefix("-").isdecimal() else value for name, value in values.items()}
    return {
        name: pl.lit(value, dtype=pl.Int64 if isinstance(value, int) else pl.String) for name, value in whole.items()
    }


def _scan(files: Sequence[File], locations: Sequence[Path]) -> pl.LazyFrame:
    import polars as pl

    kind = format_of(files[0].path)
    if kind == "parquet":
        return pl.scan_parquet(list(locations), hive_partitioning=False, glob=False)
    if kind in ("csv", "tsv"):
        separator = "\t" if kind == "tsv" else ","
        return pl.scan_csv(list(locations), separator=separator, try_parse_dates=True, glob=False)
    if kind == "ndjson":
        return pl.scan_ndjson(list(locations))
    return pl.scan_ipc(list(locations), glob=False, hive_partitioning=False)


def summarise(files: Sequence[File], locations: Sequence[Path]) -> tuple[int | None, dict[str, str]]:
    """Rows and schema of the table that the files make; `(None, {})` when they make none.

    Raises:
        UnsupportedFormat: A Parquet or Arrow file cannot be read. (Text that is called `.csv` may be anything.)
    """
    import polars as pl

    kinds = {format_of(file.path) for file in files}
    if kinds == {""} or len(kinds) != 1:
        return None, {}
    frame = scan_files(files, locations)
    try:
        schema = schema_of(frame)
        rows = int(frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        if kinds <= {"csv", "tsv", "ndjson"} or _each_reads(files, locations):
            return None, {}
        raise UnsupportedFormat(f"{_first_unreadable(files, locations)} cannot be read: {error}") from error
    return rows, schema


def schema_of(frame: pl.LazyFrame) -> dict[str, str]:
    """Name and type of every column, in order."""
    return {name: str(dtype) for name, dtype in frame.collect_schema().items()}


def _each_reads(files: Sequence[File], locations: Sequence[Path]) -> bool:
    """Whether every file is readable by itself: then they are several tables, not a broken one."""
    return not _first_unreadable(files, locations)


def _first_unreadable(files: Sequence[File], locations: Sequence[Path]) -> str:
    import polars as pl

    for file, location in zip(files, locations, strict=True):
        try:
            scan_files([file], [location]).select(pl.len()).collect()
        except (pl.exceptions.PolarsError, OSError):
            return file.path
    return ""
