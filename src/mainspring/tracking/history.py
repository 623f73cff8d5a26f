"""Reading histories: whole, or in buckets that lose no spike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mainspring.tracking.chunks import Points, decode_points
from mainspring.tracking.types import Series

if TYPE_CHECKING:
    import polars as pl

__all__ = ["bucketed", "points_frame", "read_all"]


def read_all(data: bytes, sizes: list[int]) -> Points:
    """The points of several chunks that lie one after the other."""
    whole, start = Points(), 0
    for size in sizes:
        whole.extend(decode_points(data[start : start + size]))
        start += size
    return whole


def points_frame(points: Points) -> pl.DataFrame:
    """Columns `step`, `at` (UTC) and `value`, by step, then time, then the order of arrival."""
    import polars as pl

    times = pl.Series("at", points.times, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    steps = pl.Series("step", points.steps, dtype=pl.Int64)
    frame = pl.DataFrame([steps, times, pl.Series("value", points.values, dtype=pl.Float64)])
    in_order = bool((steps.diff().drop_nulls() > 0).all())
    return frame if in_order else frame.sort("step", "at", maintain_order=True)


def bucketed(run_id: str, key: str, points: Points, buckets: int) -> Series:
    """At most `buckets` stretches of equal numbers of steps, each with its least, greatest, mean and last value."""
    import polars as pl

    frame = points_frame(points)
    low, high = frame["step"][0], frame["step"][-1]
    place = ((pl.col("step") - low).cast(pl.Float64) * (buckets / (high - low + 1))).floor().clip(0, buckets - 1)
    finite = pl.col("value").filter(pl.col("value").is_finite())
    rows = frame.group_by(place.cast(pl.Int64).alias("place"), maintain_order=True).agg(
        pl.col("step").first(),
        pl.col("at").dt.timestamp("us").last(),
        pl.len().alias("count"),
        finite.min().alias("minimum"),
        finite.max().alias("maximum"),
        finite.mean().alias("mean"),
        pl.col("value").last().alias("last"),
    )
    return Series(
        run_id=run_id,
        key=key,
        count=len(points),
        steps=rows["step"].to_list(),
        at=rows["at"].to_list(),
        counts=rows["count"].to_list(),
        minimum=rows["minimum"].to_list(),
        maximum=rows["maximum"].to_list(),
        mean=rows["mean"].to_list(),
        last=[each if math.isfinite(each) else None for each in rows["last"]],
    )
