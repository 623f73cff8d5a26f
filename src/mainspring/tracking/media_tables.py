"""Tables of a run: rows of any kind of frame, kept as Parquet with their columns and first rows beside them."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.media_values import Encoded, Media

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Table", "to_frame"]

_PREVIEW_ROWS = 10
_PREVIEW_TEXT = 200
_PREVIEW_COLUMNS = 100


class Table(Media):
    """Rows and columns.

    Args:
        data: A frame of polars, pandas or Arrow, a list of mappings, a mapping of columns, or a list of rows with
            `columns`. Cells may be media themselves: an image in a column becomes a file beside the table.
        columns: The names, where `data` has none.
        caption: In words.

    Example:
        >>> table = Table(columns=["word", "count"])
        >>> table.add("hello", 3)
        >>> table.encode().about["rows"]
        1
    """

    kind = "table"

    def __init__(self, data: Any = None, *, columns: Sequence[str] | None = None, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.columns = [str(name) for name in columns] if columns is not None else None
        self.data = [] if data is None else data
        if data is None and columns is None:
            raise InvalidInput("a table without rows needs its columns", hint='Table(columns=["step", "text"])')

    def add(self, *row: Any) -> None:
        """Add a row, a value for each column in order."""
        if not isinstance(self.data, list) or self.columns is None:
            raise InvalidInput("rows are added to a table that was made of columns and rows")
        if len(row) != len(self.columns):
            raise InvalidInput(f"a row has {len(row)} values for {len(self.columns)} columns: {self.columns}")
        self.data.append(list(row))

    def cells(self) -> list[tuple[int, str, Media]]:
        """The media among the cells: row, column, value."""
        return [
            (number, name, value)
            for number, row in enumerate(self._rows())
            for name, value in row.items()
            if isinstance(value, Media)
        ]

    def replaced(self, paths: Mapping[tuple[int, str], str]) -> Table:
        """The table with media replaced by the paths of their files."""
        if not paths:
            return self
        rows = [
            {name: paths.get((number, name), value) for name, value in row.items()}
            for number, row in enumerate(self._rows())
        ]
        return Table(rows, caption=self.caption)

    def frame(self) -> pl.DataFrame:
        """The rows as a frame of polars."""
        return to_frame(self.data, self.columns)

    def encode(self, suffix: str = "") -> Encoded:
        """Parquet; CSV or JSON where the name that was asked for ends so."""
        frame = self.frame()
        out = io.BytesIO()
        if suffix.lower() == ".csv":
            frame.write_csv(out)
            kept, media_type = ".csv", "text/csv"
        elif suffix.lower() == ".json":
            frame.write_json(out)
            kept, media_type = ".json", "application/json"
        else:
            frame.write_parquet(out)
            kept, media_type = ".parquet", "application/vnd.apache.parquet"
        return Encoded(out.getvalue(), kept, media_type, self.about(**_described(frame)))

    def _rows(self) -> list[dict[str, Any]]:
        data = self.data
        if not isinstance(data, list | tuple):
            return []
        names = self.columns or ()
        rows = [dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=False)) for row in data]
        return rows if any(isinstance(value, Media) for row in rows for value in row.values()) else []


def to_frame(data: Any, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A frame of polars from whatever people call a table."""
    import polars as pl

    try:
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, pl.DataFrame):
            objects = [name for name, kind in data.schema.items() if kind == pl.Object]
            return data.with_columns([_series(name, data[name].to_list()) for name in objects]) if objects else data
        if isinstance(data, Mapping):
            return pl.DataFrame([_series(str(key), _column(value)) for key, value in data.items()])
        if hasattr(data, "iloc"):
            return pl.from_pandas(data)
        if hasattr(data, "__arrow_c_stream__"):
            return pl.DataFrame(data)
        rows = [_named(row, columns) for row in data]
        names = list(dict.fromkeys([*(columns or ()), *(name for row in rows for name in row)]))
        return pl.DataFrame([_series(name, [row.get(name) for row in rows]) for name in names])
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        hint = "a frame of polars, pandas or Arrow, a list of mappings, or rows with columns"
        raise InvalidInput(f"{type(data).__name__} is not a table: {error}", hint=hint) from error


def _column(value: Any) -> Any:
    return value if not isinstance(value, str | bytes) and hasattr(value, "__len__") else [value]


def _named(row: Any, columns: Sequence[str] | None) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {str(key): value for key, value in row.items()}
    values = list(row)
    names = list(columns) if columns is not None else [f"column_{number}" for number in range(len(values))]
    return dict(zip(names, values, strict=True))


def _series(name: str, values: Any) -> pl.Series:
    """A column; where the values are of no one kind, their texts."""
    import polars as pl

    try:
        made = pl.Series(name, values)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        made = None
    if made is None or made.dtype == pl.Object:
        return pl.Series(name, [None if value is None else str(value) for value in values])
    return made


def _described(frame: pl.DataFrame) -> dict[str, Any]:
    """What a page shows before it reads the file."""
    shown = frame.columns[:_PREVIEW_COLUMNS]
    return {
        "rows": frame.height,
        "columns": [{"name": name, "type": str(frame.schema[name])} for name in shown],
        "width": frame.width,
        "preview": [[_cell(value) for value in row] for row in frame.select(shown).head(_PREVIEW_ROWS).rows()],
    }


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)[:_PREVIEW_TEXT]
