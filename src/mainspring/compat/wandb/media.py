"""W&B's media under their names and with their arguments, each as one of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mainspring.tracking import media

__all__ = ["Audio", "Histogram", "Html", "Image", "Table", "Video"]

_COLUMNS = ("Input", "Output", "Expected")
"""What W&B calls the columns of a table that was given none."""


class Image(media.Image):
    """An image: an array, a tensor, an image of Pillow, a figure of Matplotlib, the path of a file."""

    def __init__(self, data_or_path: Any, mode: str | None = None, caption: str | None = None, **ignored: Any) -> None:
        del mode, ignored  # boxes, masks and classes are not drawn
        super().__init__(data_or_path, caption=caption or "")


class Audio(media.Audio):
    """A sound: samples with their rate, or the path of a file."""

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        super().__init__(data_or_path, rate=sample_rate or 44_100, caption=caption or "")


class Html(media.Html):
    """A page."""

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:  # noqa: FBT001, FBT002 -- as W&B declares it
        del inject, data_is_not_path
        super().__init__(data.read() if hasattr(data, "read") else data)


class Video(media.Video):
    """A video: the path of a file, or frames as W&B orders them, (time, channels, height, width)."""

    def __init__(
        self,
        data_or_path: Any,
        caption: str | None = None,
        fps: int | None = None,
        format: str | None = None,  # noqa: A002 -- as W&B declares it
    ) -> None:
        frames = data_or_path.transpose(0, 2, 3, 1) if getattr(data_or_path, "ndim", 0) == 4 else data_or_path
        super().__init__(frames, rate=fps or 4, caption=caption or "", suffix=f".{format}" if format else "")


class Histogram(media.Histogram):
    """A distribution: of numbers, or a pair of counts and edges as `numpy.histogram` gives it."""

    def __init__(self, sequence: Any = None, np_histogram: tuple[Any, Any] | None = None, num_bins: int = 64) -> None:
        if np_histogram is not None:
            super().__init__(counts=np_histogram[0], edges=np_histogram[1])
        else:
            super().__init__(sequence, bins=num_bins)


class Table(media.Table):
    """A table that grows row by row; what it holds when it is logged is kept."""

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        data: Iterable[Sequence[Any]] | None = None,
        rows: Iterable[Sequence[Any]] | None = None,
        dataframe: Any = None,
        **ignored: Any,
    ) -> None:
        del ignored
        if dataframe is not None:
            columns, data = [str(name) for name in dataframe.columns], dataframe.values.tolist()
        given = [*(data if data is not None else ()), *(rows or ())]
        super().__init__([list(row) for row in given], columns=columns or _COLUMNS)

    def add_data(self, *row: Any) -> None:
        """Add one row."""
        self.add(*row)

    def add_column(self, name: str, data: Iterable[Any]) -> None:
        """Add a column with a value for every row."""
        values = list(data)
        if self.data and len(values) != len(self.data):
            raise ValueError(f"this table has {len(self.data)} rows, and {len(values)} values were given")
        self.data = [[*row, value] for row, value in zip(self.data or [[] for _ in values], values, strict=True)]
        self.columns = [*(self.columns or ()), name]

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """The values of a column; as an array when `convert_to` is `numpy`."""
        place = list(self.columns or ()).index(name)
        values = [row[place] for row in self.data]
        if convert_to == "numpy":
            import numpy as np

            return np.array(values)
        return values

    def get_dataframe(self) -> Any:
        """The table as a frame of pandas."""
        import pandas as pd

        return pd.DataFrame.from_records(self.data, columns=self.columns)
