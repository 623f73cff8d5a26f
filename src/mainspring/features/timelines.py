"""From facts to timelines: what was known of each entity, as a function of time that changes in steps.

A timeline has a row for each moment at which the answer changes; it holds until the next. Reading it at T
gives exactly what was known at T. Both kinds of feature become timelines:

*Latest value.* A fact becomes visible when it is known. At T the visible fact with the greatest
(event time, known time) wins. So, going through the facts in the order in which they become visible, only
those count that are greater than all before them: a late message about an older event never wins.

*Window.* A fact is inside a window of length W at T when `T - W < at` and `known <= T`, that is, for T in
[known, at + W). It adds its value to the sums at `known` and takes it away at `at + W`; a fact that becomes
known only after it left counts never. Running sums over these changes give every window at every moment in
one pass. Sums are taken relative to the entity's first value, which keeps the variance well conditioned;
whole numbers below 2**53 are summed exactly. Sums of fractions carry the rounding of float64.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import timedelta

import polars as pl

from mainspring.features.facts import AT, KNOWN, VISIBLE, inputs_of
from mainspring.features.types import Aggregation, FeatureView, Function

__all__ = ["KEY", "NOTHING", "TIME", "latest_timeline", "window_timeline"]

KEY = "__key"
"""The number of the entity."""
TIME = "__time"
"""From when on the row holds, in microseconds since 1970 UTC."""

NOTHING: dict[Function, float | None] = {"count": 0, "sum": 0.0, "mean": None, "std": None, "min": None, "max": None}
"""What an aggregation is over no rows at all."""

_LAST = ((pl.col(KEY) != pl.col(KEY).shift(-1)) | (pl.col(TIME) != pl.col(TIME).shift(-1))).fill_null(value=True)
"""Whether a row is the last of its entity and moment, in a frame sorted by both."""


def latest_timeline(view: FeatureView, facts: pl.DataFrame) -> pl.DataFrame:
    """The steps of the latest values: KEY, TIME, AT and the features, sorted by KEY and TIME.

    Args:
        view: The definition.
        facts: Its facts, with a KEY column.
    """
    names = [each.name for each in view.features]
    ordered = facts.select(KEY, VISIBLE.alias(TIME), AT, KNOWN, *names).sort(KEY, TIME, AT, KNOWN, maintain_order=True)
    # Of the facts visible from the same moment the last one wins; of all before, the one with the latest event.
    ordered = ordered.filter(_LAST)
    return ordered.filter(pl.col(AT) == pl.col(AT).cum_max().over(KEY)).drop(KNOWN)


def window_timeline(view: FeatureView, window: timedelta, facts: pl.DataFrame) -> pl.DataFrame:
    """The steps of the aggregations over one window: KEY, TIME and theirs, sorted by KEY and TIME.

    Args:
        view: The definition.
        window: One of the windows of its aggregations.
        facts: Its facts, with a KEY column.
    """
    wanted = [each for each in view.aggregations if each.window == window]
    names = inputs_of(view)
    inputs = list(dict.fromkeys(names[each.expression] for each in wanted if each.expression))
    enter, leave = VISIBLE, pl.col(AT) + window // timedelta(microseconds=1)
    hop = view.hop // timedelta(microseconds=1)
    if hop:  # both ends move to the next multiple: later, never earlier
        enter, leave = (-(-each // hop) * hop for each in (enter, leave))
    spans = facts.select(KEY, enter.alias("enter"), leave.alias("leave"), *inputs)
    spans = spans.filter(pl.col("enter") < pl.col("leave")).sort(KEY, "enter", maintain_order=True)
    shifts = [pl.col(name).drop_nulls().first().over(KEY).alias(f"{name}_shift") for name in inputs]
    spans = spans.with_columns(shifts)
    changes = pl.concat(
        [_changes(spans, "enter", +1, inputs), _changes(spans, "leave", -1, inputs)],
    ).sort(KEY, TIME, maintain_order=True)
    running = [name for name in changes.columns if name not in {KEY, TIME} and not name.endswith("_shift")]
    sums = changes.with_columns(pl.col(name).cum_sum().over(KEY) for name in running).filter(_LAST)
    for name, function in sorted({(names.get(each.expression, ""), each.function) for each in wanted}):
        if function in {"min", "max"}:
            sums = sums.with_columns(_extreme(spans, sums, name, function))
    return sums.select(KEY, TIME, *(_finish(each, names.get(each.expression, "")) for each in wanted))


def _finish(aggregation: Aggregation, column: str) -> pl.Expr:
    """The value of an aggregation from the sums of its input `column` (empty: rows are counted)."""
    if not column:
        return pl.col("rows").alias(aggregation.name)
    count, total, square = (pl.col(f"{column}_{part}") for part in ("count", "sum", "square"))
    shift, some = pl.col(f"{column}_shift"), count > 0
    variance = (square - total * total / count) / (count - 1)
    values = {
        "count": count,
        "sum": pl.when(some).then(total + count * shift).otherwise(0.0),
        "mean": pl.when(some).then(shift + total / count),
        "std": pl.when(count > 1).then(variance.clip(lower_bound=0.0).sqrt()),
    }
    if aggregation.function in values:
        return values[aggregation.function].alias(aggregation.name)
    return pl.col(f"{column}_{aggregation.function}").alias(aggregation.name)


def _changes(spans: pl.DataFrame, end: str, sign: int, inputs: list[str]) -> pl.DataFrame:
    """What the sums gain (+1) where spans begin, or lose (-1) where they end."""
    columns: list[pl.Expr] = [pl.col(KEY), pl.col(end).alias(TIME), pl.lit(sign, pl.Int64).alias("rows")]
    for name in inputs:
        relative = (pl.col(name) - pl.col(f"{name}_shift")).fill_null(0.0) * sign
        columns += [
            (pl.col(name).is_not_null().cast(pl.Int64) * sign).alias(f"{name}_count"),
            relative.alias(f"{name}_sum"),
            (relative * relative * sign).alias(f"{name}_square"),
            pl.col(f"{name}_shift"),
        ]
    return spans.select(columns)


def _extreme(spans: pl.DataFrame, steps: pl.DataFrame, name: str, function: str) -> pl.Series:
    """The least or greatest value inside the window at each step.

    Sums can take a value away again, an extreme cannot: a heap per entity gives up what has left when it
    comes to the top. O(n log n), and in Python, because no engine has a window with two independent ends.
    """
    sign = 1.0 if function == "min" else -1.0
    entering = spans.filter(pl.col(name).is_not_null()).select(KEY, "enter", "leave", name).iter_rows()
    return pl.Series(f"{name}_{function}", list(_walk(entering, steps, sign)), dtype=pl.Float64)


def _walk(entering: Iterator[tuple[int, int, int, float]], steps: pl.DataFrame, sign: float) -> Iterator[float | None]:
    inside: list[tuple[float, int]] = []
    entity, upcoming = -1, next(entering, None)
    for key, moment in steps.select(KEY, TIME).iter_rows():
        if key != entity:
            entity, inside = key, []
        while upcoming is not None and upcoming[0] == key and upcoming[1] <= moment:
            heapq.heappush(inside, (sign * upcoming[3], upcoming[2]))
            upcoming = next(entering, None)
        while inside and inside[0][1] <= moment:
            heapq.heappop(inside)
        yield sign * inside[0][0] if inside else None
