"""Long histories as few stretches: least, greatest, mean and last of each, or its most telling point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["stretches", "telling_points"]


def stretches(frame: pl.DataFrame, axis: str, buckets: int) -> pl.DataFrame:
    """The rows of each series put together into at most `buckets` stretches of equal width.

    A series that has no more rows than that keeps them all.

    Args:
        frame: Sorted by series and axis. Either points (`series`, `step`, `at`, `value`) or blocks of them
            (`counts`, `finite`, `minimum`, `maximum`, `mean`, `last` in place of `value`).
        axis: The column that the stretches are of equal width in: `step`, `at` or `x`.
        buckets: How many at most.

    Returns:
        `series`, `step` (the first), `at` (of the last value), `counts`, `minimum`, `maximum`, `mean`, `last`, and `x`
        (the first) where that is the axis; null for what is not finite.
    """
    import polars as pl

    frame = frame.with_columns(_place(frame, axis, buckets).alias("place").set_sorted())
    points = "value" in frame.columns
    finite = pl.col("finite").sum()
    if points:
        frame = _with_finite(frame)
        measures = [
            pl.len().cast(pl.Int64).alias("counts"),
            pl.col("known").min().alias("minimum"),
            pl.col("known").max().alias("maximum"),
            pl.col("known").mean().alias("mean"),
            pl.col("value").last().alias("last"),
        ]
    else:
        frame = frame.with_columns(pl.col("minimum", "maximum").fill_nan(None), pl.col("mean").fill_nan(0.0))
        measures = [
            pl.col("counts").sum(),
            pl.col("minimum").min(),
            pl.col("maximum").max(),
            pl.when(finite > 0).then((pl.col("mean") * pl.col("finite")).sum() / finite).alias("mean"),
            pl.col("last").last(),
        ]
    if axis == "x":
        measures.append(pl.col("x").first())
    grouped = frame.group_by("place", maintain_order=True).agg(
        pl.col("series").first(), pl.col("step").first(), pl.col("at").last(), *measures
    )
    return grouped.with_columns(_null_unless_finite(name) for name in ("minimum", "maximum", "mean", "last"))


def telling_points(frame: pl.DataFrame, axis: str, buckets: int) -> pl.DataFrame:
    """At most `buckets` points of each series that keep its shape: largest triangles, three buckets at a time.

    Of a long series only the least and greatest points of four times as many stretches are looked at (MinMaxLTTB,
    Donckers et al. 2023), which gives the same picture without a loop over all points.

    Args:
        frame: Points, sorted by series and axis.
        axis: `step`, `at` or `x`.
        buckets: How many at most, and at least 2.

    Returns:
        As `stretches` does, each of one point.
    """
    import polars as pl

    frame = _with_finite(frame).with_row_index("row")
    known = frame.filter(pl.col("known").is_not_null())
    placed = known.with_columns(_place(known, axis, 4 * buckets).alias("place").set_sorted())
    first = pl.col("row").gather
    rows = placed.group_by("place", maintain_order=True).agg(
        first(pl.col("known").arg_min()).first().alias("a"), first(pl.col("known").arg_max()).first().alias("b")
    )
    ends = placed.group_by("series", maintain_order=True).agg(
        pl.col("row").first().alias("a"), pl.col("row").last().alias("b")
    )
    chosen = pl.concat([rows["a"], rows["b"], ends["a"], ends["b"]]).unique().sort()
    candidates = frame[chosen]
    kept: list[int] = []
    for part in candidates.partition_by("series", maintain_order=True):
        places = _triangles(part[axis].to_list(), part["known"].to_list(), max(2, buckets))
        kept += part["row"].gather(places).to_list()
    found = frame[kept] if kept else frame.clear()
    one = pl.lit(1, dtype=pl.Int64).alias("counts")
    same = [pl.col("value").alias(name) for name in ("minimum", "maximum", "mean", "last")]
    return found.with_columns(one, *same)


def _place(frame: pl.DataFrame, axis: str, buckets: int) -> pl.Series:
    """For every row the number of its stretch, rising over all series."""
    import polars as pl

    if not frame.height:
        return pl.Series([], dtype=pl.Int64)
    sizes = frame["series"].rle().struct.unnest()
    starts = sizes["len"].cast(pl.Int64).cum_sum() - sizes["len"].cast(pl.Int64)
    values = frame[axis]
    low, high = values.gather(starts), values.gather(starts + sizes["len"] - 1)
    width = (high - low).cast(pl.Float64) + (0.0 if axis == "x" else 1.0)
    scale = (buckets / width).replace([float("inf"), float("nan")], [0.0, 0.0])
    few = sizes["len"] <= buckets
    row = pl.int_range(frame.height, dtype=pl.Int64, eager=True)
    if sizes.height == 1:
        if few[0]:
            return row
        number: pl.Series = ((values - low[0]).cast(pl.Float64) * scale[0]).floor()
        return number.clip(0, buckets - 1).cast(pl.Int64)
    number = pl.int_range(sizes.height, dtype=pl.Int64, eager=True)
    number = number.repeat_by(sizes["len"]).explode(empty_as_null=False)
    if few.all():
        inside = row - starts.gather(number)
    else:
        inside = ((values - low.gather(number)).cast(pl.Float64) * scale.gather(number)).floor()
        inside = inside.clip(0, buckets - 1).cast(pl.Int64)
        if few.any():
            inside = inside.zip_with(~few.gather(number), row - starts.gather(number))
    return inside + number * buckets


def _with_finite(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    value = pl.col("value")
    whole = bool(frame["value"].is_finite().all())
    return frame.with_columns((value if whole else pl.when(value.is_finite()).then(value)).alias("known"))


def _null_unless_finite(name: str) -> Any:
    import polars as pl

    return pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)


def _triangles(xs: list[float], ys: list[float], count: int) -> list[int]:
    """The places of `count` points: the ends, and between them of each bucket the one with the largest triangle."""
    size = len(xs)
    if size <= count:
        return list(range(size))
    if count == 2:
        return [0, size - 1]
    found, at = [0], 0
    every = (size - 2) / (count - 2)
    for bucket in range(count - 2):
        start, stop = int(bucket * every) + 1, int((bucket + 1) * every) + 1
        after = range(stop, min(int((bucket + 2) * every) + 1, size)) or range(size - 1, size)
        mean_x = sum(xs[place] for place in after) / len(after)
        mean_y = sum(ys[place] for place in after) / len(after)
        x, y = xs[at], ys[at]
        at = max(
            range(start, stop), key=lambda each: abs((x - mean_x) * (ys[each] - y) - (x - xs[each]) * (mean_y - y))
        )
        found.append(at)
    return [*found, size - 1]
