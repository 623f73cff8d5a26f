"""Histories as frames: many chunks of many series become one, column by column, without a loop over points."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.tracking.chunks import Packed, Points, decode_points, read_packed
from mainspring.tracking.columns import Floats, Integers, little
from mainspring.tracking.outlines import decode_outline

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BlockRows", "PointRows", "points_frame"]

_LARGE = 512
"""From so many numbers on a column is put together by polars, whose calls cost more and whose numbers cost less."""
_CODES = {1: "B", 2: "H", 4: "I"}
_WIDEST = 8
_MEASURES = ("minimum", "maximum", "mean", "last")


def points_frame(points: Points) -> pl.DataFrame:
    """Columns `step`, `at` (UTC) and `value`, by step, then time, then the order of arrival."""
    import polars as pl

    rows = PointRows()
    rows.add(points)
    frame = rows.frame([len(points)]).sort("step", "at", maintain_order=True)
    return frame.select("step", pl.col("at").cast(pl.Datetime("us", "UTC")), "value")


class PointRows:
    """Points of one series after the other."""

    def __init__(self) -> None:
        self._steps, self._times, self._values = _Column("q"), _Column("q"), _Column("d")

    def add(self, points: Points) -> int:
        """Take these points; how many they are."""
        self._steps.add_array(points.steps)
        self._times.add_array(points.times)
        self._values.add_array(points.values)
        return len(points)

    def add_chunk(self, data: bytes, *, skip: int = 0, limit: int | None = None) -> int:
        """Take the points of a chunk, without the first `skip` and without steps above `limit`; how many."""
        packed = read_packed(data)
        if packed is not None and packed.count >= _LARGE and not skip and limit is None:
            return self._add_packed(packed)
        points = decode_points(data)
        if skip:
            points = points.part(skip, len(points))
        return self.add(points.until(limit))

    def frame(self, counts: list[int]) -> pl.DataFrame:
        """Columns `series` (0, 1, ... with so many points each), `step`, `at` and `value`."""
        import polars as pl

        columns = [self._steps.series("step"), self._times.series("at"), self._values.series("value")]
        return pl.DataFrame([series_column(counts), *columns])

    def _add_packed(self, packed: Packed) -> int:
        self._steps.add_integers(packed.steps())
        self._times.add_integers(packed.times())
        self._values.add_floats(packed.values())
        return packed.count


class BlockRows:
    """Blocks of points of one series after the other; a single point is a block, too."""

    def __init__(self) -> None:
        self._integers = {name: _Column("q") for name in ("steps", "at", "counts", "finite")}
        self._floats = {name: _Column("d") for name in _MEASURES}

    def add_outline(self, data: bytes) -> tuple[int, int]:
        """Take the blocks of an outline; how many rows and how many points they are."""
        outline = decode_outline(data)
        for columns in (self._integers, self._floats):
            for name, column in columns.items():
                column.add_array(getattr(outline, name))
        return len(outline), sum(outline.counts)

    def add_points(self, points: Points) -> int:
        """Take points, each as a block of its own; how many they are."""
        ones = array("q", [1]) * len(points)
        finite = array("q", [value - value == 0 for value in points.values])
        for name, column in zip(self._integers, (points.steps, points.times, ones, finite), strict=True):
            self._integers[name].add_array(column)
        for name in _MEASURES:
            self._floats[name].add_array(points.values)
        return len(points)

    def frame(self, rows: list[int]) -> pl.DataFrame:
        """Columns `series` (0, 1, ... with so many rows each), `step`, `at`, `counts`, `finite` and the measures."""
        import polars as pl

        names = {"steps": "step"}
        columns = [column.series(names.get(name, name)) for name, column in {**self._integers, **self._floats}.items()]
        return pl.DataFrame([series_column(rows), *columns])


def series_column(counts: list[int]) -> pl.Series:
    """0 as often as the first of `counts` says, then 1, and so on."""
    import polars as pl

    numbers = pl.Series("series", range(len(counts)), dtype=pl.Int64)
    return numbers.repeat_by(pl.Series(counts, dtype=pl.UInt32)).explode(empty_as_null=False).rename("series")


class _Column:
    """A long column out of many pieces. Those of one form are put together at once: every call of polars costs."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._pieces: list[Callable[[], pl.Series]] = []
        self._pending: array[Any] = array(code)
        self._even: tuple[int, int, int] | None = None
        self._form: tuple[str, int] = ("", 0)
        self._bodies: list[bytes] = []
        self._offsets: list[tuple[int, int]] = []

    def add_array(self, piece: array[Any]) -> None:
        if self._even or self._bodies:
            self._turn()
        self._pending.extend(piece)

    def add_integers(self, piece: Integers) -> None:
        if piece.even:
            if self._even and self._even[1:] == (piece.low, piece.first):
                self._even = self._even[0], piece.low, piece.first + piece.low * piece.count
                return
            self._turn()
            self._even = piece.first, piece.low, piece.first + piece.low * piece.count
            if not piece.low:
                self._even = None
                self._pending.extend(piece.whole())
        elif piece.plain or piece.width == _WIDEST:  # rare, and exact in Python's own numbers
            self.add_array(piece.whole())
        else:
            self._add_body((_CODES[piece.width], piece.count), bytes(piece.width) + piece.body)
            self._offsets.append((piece.first, piece.low))

    def add_floats(self, piece: Floats) -> None:
        if piece.integers is not None:
            self.add_array(piece.whole())
        else:
            self._add_body(("f" if piece.single else "d", piece.count), bytes(piece.body))

    def series(self, name: str) -> pl.Series:
        import polars as pl

        self._turn()
        pieces = [piece() for piece in self._pieces] or [_turned([], self._code, 0)]
        return (pieces[0] if len(pieces) == 1 else pl.concat(pieces)).rename(name)

    def _add_body(self, form: tuple[str, int], body: bytes) -> None:
        if self._form != form or not self._bodies:
            self._turn()
            self._form = form
        self._bodies.append(body)

    def _turn(self) -> None:
        """What was taken last is a piece now."""
        import polars as pl

        if len(self._pending):
            data, count = little(self._pending).tobytes(), len(self._pending)
            self._pieces.append(partial(_turned, [data], self._code, count))
            self._pending = array(self._code)
        if self._even:
            first, low, stop = self._even
            self._pieces.append(lambda: pl.int_range(first, stop, low, dtype=pl.Int64, eager=True))
            self._even = None
        if self._bodies and self._offsets:
            self._pieces.append(partial(_summed, self._bodies, *self._form, self._offsets))
        elif self._bodies:
            self._pieces.append(partial(_turned, self._bodies, *self._form))
        self._bodies, self._offsets = [], []


def _summed(bodies: list[bytes], code: str, count: int, offsets: list[tuple[int, int]]) -> pl.Series:
    """Columns of differences, each with its first number and what was taken off its differences, as numbers."""
    import polars as pl

    sums = _turned(bodies, code, count).cast(pl.Int64).cum_sum()
    before = sums.gather_every(count)  # each column begins with a difference of 0
    firsts = pl.Series([first for first, _ in offsets], dtype=pl.Int64) - before
    lows = pl.Series([low for _, low in offsets], dtype=pl.Int64)
    if len(bodies) == 1:
        place = pl.int_range(count, dtype=pl.Int64, eager=True)
        whole: pl.Series = sums + place * lows[0] + firsts[0]
        return whole
    row = pl.int_range(len(sums), dtype=pl.Int64, eager=True)
    column = row // count
    sums = sums + firsts.gather(column)
    return sums + (row - column * count) * lows.gather(column) if (lows != 0).any() else sums


def _turned(bodies: list[bytes], code: str, count: int) -> pl.Series:
    """Little-endian numbers, `count` in each of `bodies`, as a series; copied, and not made into Python's numbers."""
    import polars as pl

    kinds = {"q": pl.Int64, "d": pl.Float64, "f": pl.Float32, "B": pl.UInt8, "H": pl.UInt16, "I": pl.UInt32}
    if not bodies or not count:
        return pl.Series([], dtype=kinds[code])
    rows = pl.Series(bodies, dtype=pl.Binary).bin.reinterpret(dtype=pl.Array(kinds[code], count), endianness="little")
    numbers = rows.explode()
    return numbers.cast(pl.Float64) if code == "f" else numbers
