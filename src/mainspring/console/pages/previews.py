"""Tables among the files of a run, some rows at a time, whatever form they have."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.words import short_id
from mainspring.kernel.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    import polars as pl

    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_ROWS, _COLUMNS, _BYTES = 500, 200, 64 << 20


class TableColumn(msgspec.Struct, frozen=True):
    """One column."""

    name: str
    dtype: str
    numeric: bool


class TablePage(Page, frozen=True, kw_only=True):
    """The context of `table.html`."""

    template = "table.html"

    path: str
    height: int
    width: int
    start: int
    columns: list[TableColumn]
    rows: list[list[Any]]
    before: str
    after: str


def table(client: Client, ask: Ask) -> TablePage:
    """Rows of a file that is Parquet, Arrow, CSV or JSON: `path`, `start` and how many `rows`."""
    run_id, path = str(ask.params["run_id"]), ask.get("path")
    start, count = _number(ask, "start", 0), min(_number(ask, "rows", 50), _ROWS)
    frame = _frame(client, run_id, path)
    shown = frame.slice(start, count).select(frame.columns[:_COLUMNS])
    return TablePage(
        title=path.rpartition("/")[2],
        section="runs",
        crumbs=[Crumb("Runs", ask.link("/runs")), Crumb(short_id(run_id), ask.link(f"/runs/{run_id}", tab="files"))],
        path=path,
        height=frame.height,
        width=frame.width,
        start=start,
        columns=[TableColumn(name, str(dtype), dtype.is_numeric()) for name, dtype in shown.schema.items()],
        rows=[[_plain(value) for value in row] for row in shown.rows()],
        before=ask.here(start=max(start - count, 0)) if start else "",
        after=ask.here(start=start + count) if start + count < frame.height else "",
    )


def _frame(client: Client, run_id: str, path: str) -> pl.DataFrame:
    import polars as pl

    pieces, size = [], 0
    for piece in client.tracking.read_file(run_id, path=path):
        pieces.append(bytes(piece))
        size += len(piece)
        if size > _BYTES:
            raise TooLarge(f"{path} has more than {_BYTES >> 20} MiB", hint="download it")
    source = io.BytesIO(b"".join(pieces))
    readers: dict[str, Callable[[io.BytesIO], pl.DataFrame]] = {
        "parquet": pl.read_parquet,
        "csv": pl.read_csv,
        "json": pl.read_json,
        "arrow": pl.read_ipc,
    }
    reader = readers.get(path.rpartition(".")[2].lower())
    if reader is None:
        raise InvalidInput(f"{path} is not a table", known=sorted(readers))
    try:
        return reader(source)
    except (pl.exceptions.PolarsError, ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as a table: {str(error).splitlines()[0]:.200}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0.0:
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)[:500]


def _number(ask: Ask, name: str, otherwise: int) -> int:
    text = ask.get(name, str(otherwise))
    if not text.isdigit() or len(text) > 12:
        raise InvalidInput(f"{name}={text!r} is not a number")
    return int(text)


ENTRIES = (Entry("/runs/{run_id}/table", table),)
