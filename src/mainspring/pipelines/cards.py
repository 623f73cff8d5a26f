"""`ms.card` and `ms.progress`: what a step shows of itself, live on its page and in `client.pipelines.card`.

Outside of a step nothing is shown, so that a step can be called and tested like any function.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.context import current_live
from mainspring.pipelines.live import Live
from mainspring.pipelines.service_cards import MOST_CONTENT, MOST_PARTS
from mainspring.pipelines.types_cards import PartKind

__all__ = ["Progress", "Showing", "card", "progress"]

T = TypeVar("T")

_MOST_BYTES = 10 << 20
_MOST_ROWS, _MOST_COLUMNS, _LONGEST_CELL = 200, 50, 200
_LONGEST_TEXT = MOST_CONTENT // 4  # a character has up to four bytes, and six as an escape


class Showing:
    """A part of the card, that can be shown anew in its place."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self.number = -1 if live is None else live.place()
        if self.number >= MOST_PARTS:
            raise InvalidInput(
                f"a card has at most {MOST_PARTS} parts",
                hint="show one anew: part = ms.card.metric(...); part.metric(...)",
            )

    def markdown(self, text: str, *, title: str = "") -> Showing:
        """Show a text in Markdown here; HTML in it is shown as text."""
        if len(text) > _LONGEST_TEXT:
            raise InvalidInput(f"a text on a card has at most {_LONGEST_TEXT} characters, not {len(text)}")
        return self._put("markdown", title, {"text": text})

    def metric(self, name: str, value: float | str, *, unit: str = "", before: float | None = None) -> Showing:
        """Show one number here, and what it was before."""
        return self._put("metric", name, {"value": _cell(value), "unit": unit, "before": _cell(before)})

    def table(self, frame: Any, *, title: str = "") -> Showing:
        """Show the first 200 rows of a table here: a frame, a list of mappings, a mapping of columns."""
        return self._put("table", title, _table(frame))

    def plot(self, figure: Any, *, title: str = "") -> Showing:
        """Show a figure of Matplotlib or Plotly here, or the text of an SVG."""
        from mainspring.tracking.media import Figure

        return self._media("plot", title, Figure(figure))

    def image(self, image: Any, *, title: str = "") -> Showing:
        """Show an image here: of Pillow, an array, the bytes or the path of a file."""
        from mainspring.tracking.media import Image

        return self._media("image", title, Image(image))

    def html(self, source: str | os.PathLike[str], *, title: str = "") -> Showing:
        """Show a page here, its text or the path of its file: in a frame of its own, from which it reaches nothing."""
        from mainspring.tracking.media import Html

        return self._media("html", title, Html(source))

    def _media(self, kind: PartKind, title: str, media: Any) -> Showing:
        if self._live is None:
            return self
        encoded = media.encode()
        if len(encoded.data) > _MOST_BYTES:
            raise InvalidInput(
                f"a part of a card has at most {_MOST_BYTES >> 20} MiB, not {len(encoded.data) >> 20}",
                hint="log_file keeps files of any size",
            )
        self._live.put(self.number, kind, title, {}, data=encoded.data, media_type=encoded.media_type)
        return self

    def _put(self, kind: PartKind, title: str, content: dict[str, Any]) -> Showing:
        if self._live is not None:
            self._live.put(self.number, kind, str(title)[:500], content)
        return self


class _Card:
    """`ms.card`: each call adds a part to the card of the step that runs, and gives it, to be shown anew."""

    def markdown(self, text: str, *, title: str = "") -> Showing:
        """Add a text in Markdown; HTML in it is shown as text."""
        return Showing(current_live()).markdown(text, title=title)

    def metric(self, name: str, value: float | str, *, unit: str = "", before: float | None = None) -> Showing:
        """Add one number, and what it was before."""
        return Showing(current_live()).metric(name, value, unit=unit, before=before)

    def table(self, frame: Any, *, title: str = "") -> Showing:
        """Add the first 200 rows of a table: a frame, a list of mappings, a mapping of columns."""
        return Showing(current_live()).table(frame, title=title)

    def plot(self, figure: Any, *, title: str = "") -> Showing:
        """Add a figure of Matplotlib or Plotly, or the text of an SVG."""
        return Showing(current_live()).plot(figure, title=title)

    def image(self, image: Any, *, title: str = "") -> Showing:
        """Add an image: of Pillow, an array, the bytes or the path of a file."""
        return Showing(current_live()).image(image, title=title)

    def html(self, source: str | os.PathLike[str], *, title: str = "") -> Showing:
        """Add a page, its text or the path of its file: in a frame of its own, from which it reaches nothing."""
        return Showing(current_live()).html(source, title=title)


card = _Card()


class Progress(Generic[T]):
    """How far a step is. Made by `progress`."""

    def __init__(self, iterable: Iterable[T] | None, total: float | None, label: str) -> None:
        self._iterable = iterable
        self._total = total
        self._done = 0.0
        self._began = monotonic()
        live = current_live()
        if live is not None:
            live.watch(Showing(live).number, str(label)[:500], self._now)

    def __iter__(self) -> Iterator[T]:
        for each in self._iterable or ():
            yield each
            self._done += 1

    def advance(self, by: float = 1) -> None:
        """So much more is done."""
        self._done += by

    def _now(self) -> dict[str, Any]:
        return {"done": self._done, "total": self._total, "seconds": round(monotonic() - self._began, 3)}


def progress(iterable: Iterable[T] | None = None, *, total: float | None = None, label: str = "") -> Progress[T]:
    """Show on the step's card how far a loop is: `for row in ms.progress(rows)`, or `bar.advance(10)`.

    Args:
        iterable: What is walked through; left out, `advance` says how far it is.
        total: How much there is; the length of `iterable` by default, and unknown where it has none.
        label: What is counted.

    Example:
        >>> sum(progress(range(4), label="rows"))
        6
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)  # type: ignore[arg-type]  # it has a length
    return Progress(iterable, total, label)


def _table(frame: Any) -> dict[str, Any]:
    if isinstance(frame, Mapping):
        columns = [str(name) for name in frame]
        values = [list(column) for column in frame.values()]
        rows, total = [list(row) for row in zip(*values, strict=True)], len(values[0]) if values else 0
    elif isinstance(frame, list | tuple):
        columns = list(dict.fromkeys(str(name) for row in frame for name in row))
        rows, total = [[row.get(name) for name in columns] for row in frame[:_MOST_ROWS]], len(frame)
    else:
        columns, rows, total = _of_frame(frame)
    shown = [[_cell(value) for value in row[:_MOST_COLUMNS]] for row in rows[:_MOST_ROWS]]
    while len(str(shown)) > MOST_CONTENT // 2:  # wide tables show fewer rows
        shown = shown[: len(shown) // 2]
    return {"columns": columns[:_MOST_COLUMNS], "rows": shown, "total": total, "width": len(columns)}


def _of_frame(frame: Any) -> tuple[list[str], list[list[Any]], int]:
    if not hasattr(frame, "columns"):
        raise InvalidInput(
            f"{type(frame).__name__} is no table", hint="a frame, a list of mappings, a mapping of columns"
        )
    if hasattr(frame, "collect") and hasattr(frame, "collect_schema"):
        frame = frame.head(_MOST_ROWS).collect()
    if hasattr(frame, "num_rows"):  # Arrow
        first = frame.slice(0, _MOST_ROWS)
        return (
            [str(name) for name in frame.column_names],
            [list(row.values()) for row in first.to_pylist()],
            frame.num_rows,
        )
    head = frame.head(_MOST_ROWS)
    rows = head.rows() if hasattr(head, "rows") else head.itertuples(index=False, name=None)
    return [str(name) for name in frame.columns], [list(row) for row in rows], len(frame)


def _cell(value: Any) -> Any:
    """A value as JSON has it: numbers and truth as they are, everything else as a short text."""
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 1 << 53 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinity and no NaN
    if not isinstance(value, str) and hasattr(value, "item"):
        return _cell(value.item())
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."
