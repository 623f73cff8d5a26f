"""Rows in chunks, and what chunks of a reference say of what is usual: the frame of every estimate without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Chunk", "Chunking", "Estimate", "PerformanceReport", "Threshold", "chunks_of"]

Period = Literal["hour", "day", "week", "month", "quarter", "year"]
_EVERY = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}


class Chunking(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are divided: into chunks of `size` rows, into `count` equal ones, or by the `period` of a column `at`.

    Ten equal ones when nothing is said. Rows that are left over at the end join the last chunk when they are fewer than
    half of one, and make a chunk of their own otherwise; with `count` they join the last.
    """

    size: int = 0
    count: int = 0
    period: Period | None = None
    at: str = ""

    def __post_init__(self) -> None:
        said = sum(bool(each) for each in (self.size, self.count, self.period))
        if said > 1 or self.size < 0 or self.count < 0 or bool(self.period) != bool(self.at):
            raise InvalidInput("chunks are of a size, of a count, or of a period with the column of the time (at=)")


class Chunk(msgspec.Struct, frozen=True):
    """A stretch of rows."""

    key: str
    start: int
    end: int
    """One past its last row."""
    rows: tuple[int, ...] | None = None
    """The rows by number, where they do not stand together."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual: so many standard deviations around the mean over the reference's chunks, or constant bounds."""

    deviations: float = 3.0
    lower: float | None = None
    upper: float | None = None

    def bounds(self, values: Sequence[float], limits: tuple[float, float]) -> tuple[float | None, float | None]:
        """The band around the values, no wider than the limits of the metric; None where it would be."""
        if self.lower is not None or self.upper is not None:
            return self.lower, self.upper
        known = [value for value in values if math.isfinite(value)]
        if not known:
            return None, None
        mean = sum(known) / len(known)
        spread = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known)) * self.deviations
        low, high = mean - spread, mean + spread
        return (low if low > limits[0] else None), (high if high < limits[1] else None)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over one chunk."""

    metric: str
    chunk: str
    rows: int
    value: float
    """Estimated without labels; NaN where nothing can be said, which is no alert."""
    sampling_error: float
    """The standard error that chance alone gives the metric in a chunk of so many rows."""
    realized: float | None = None
    """From labels, where there are any."""
    lower: float | None = None
    upper: float | None = None
    is_reference: bool = False

    @property
    def alert(self) -> bool:
        """Whether the value lies outside of what is usual."""
        below = self.lower is not None and self.value < self.lower
        return below or (self.upper is not None and self.value > self.upper)

    @property
    def interval(self) -> tuple[float, float]:
        """The value and three standard errors to either side."""
        return self.value - 3 * self.sampling_error, self.value + 3 * self.sampling_error


class PerformanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was estimated: every metric over every chunk, those of the reference first."""

    method: Literal["cbpe", "dle"]
    estimates: tuple[Estimate, ...]

    def of(self, metric: str, *, reference: bool = False) -> tuple[Estimate, ...]:
        """The chunks of one metric, in order."""
        return tuple(each for each in self.estimates if each.metric == metric and each.is_reference == reference)

    @property
    def alerts(self) -> tuple[Estimate, ...]:
        """What lies outside of what is usual, in the data that are judged."""
        return tuple(each for each in self.estimates if each.alert and not each.is_reference)


def chunks_of(frame: pl.DataFrame, chunking: Chunking) -> list[Chunk]:
    """The chunks of a table, in order.

    Example:
        >>> import polars as pl
        >>> [chunk.end for chunk in chunks_of(pl.DataFrame({"x": range(11)}), Chunking(size=4))]
        [4, 8, 11]
    """
    rows = frame.height
    if not rows:
        raise InvalidInput("there are no rows to divide into chunks")
    if chunking.period is not None:
        return _by_period(frame, chunking.at, _EVERY[chunking.period])
    count = chunking.count or 10
    size = chunking.size or max(rows // count, 1)
    starts = list(range(0, rows, size))
    if not chunking.size:
        starts = starts[:count]
    elif len(starts) > 1 and rows - starts[-1] < size / 2:
        starts.pop()
    ends = [*starts[1:], rows]
    return [Chunk(f"{start}:{end}", start, end) for start, end in zip(starts, ends, strict=True)]


def _by_period(frame: pl.DataFrame, at: str, every: str) -> list[Chunk]:
    import polars as pl

    if at not in frame.columns or not frame.get_column(at).dtype.is_temporal():
        raise InvalidInput(f"there is no column {at!r} of times to divide by", known=frame.columns)
    dated = frame.select(pl.col(at).dt.truncate(every).alias("period")).with_row_index("row")
    grouped = dated.group_by("period").agg("row").sort("period").drop_nulls("period")
    found = []
    for period, places in grouped.iter_rows():
        found.append(Chunk(str(period), min(places), max(places) + 1, tuple(places)))
    return found


def taken(values: Any, chunk: Chunk) -> Any:
    """The part of an array that a chunk holds."""
    return values[chunk.start : chunk.end] if chunk.rows is None else values[list(chunk.rows)]


def judged(
    metric: str,
    parts: Sequence[tuple[Chunk, float, float | None, bool]],
    *,
    errors: Callable[[int], float],
    threshold: Threshold,
    limits: tuple[float, float],
) -> list[Estimate]:
    """The estimates of a metric with the band that its realized values over the reference's chunks set."""
    usual = [float("nan") if real is None else real for _, _, real, is_reference in parts if is_reference]
    lower, upper = threshold.bounds(usual, limits)
    found = []
    for chunk, value, real, is_reference in parts:
        rows = chunk.end - chunk.start if chunk.rows is None else len(chunk.rows)
        found.append(
            Estimate(
                metric=metric,
                chunk=chunk.key,
                rows=rows,
                value=value,
                sampling_error=errors(rows),
                realized=real,
                lower=lower,
                upper=upper,
                is_reference=is_reference,
            )
        )
    return found
