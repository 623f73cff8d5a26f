"""Answers to metrics as states: which of them merge over the parts of a table, and how.

The state of a part is what an engine answered of it. Parts join exactly: sums and moments are added as rational
numbers, and rounded once at the end, so that the joined answer depends neither on the order nor on the grouping of
the parts. What needs all rows at once (duplicates, the order of rows, groups over several columns) does not join.

Source of the idea: Schelter et al., "Differential data quality verification on partitioned data" (ICDE 2019).
Moments are brought to sums of powers; see Chan, Golub, LeVeque (1979) for why they are not added as floats.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

import msgspec

from mainspring.engines.tables import (
    Aggregate,
    ColumnType,
    Comoments,
    Count,
    Distinct,
    Frequent,
    Grouping,
    Histogram,
    Metric,
    Missing,
    Moments,
    Not,
    Quantile,
    TextForms,
)
from mainspring.quality.states_stable import is_of_a_row

__all__ = ["COMPLETE", "UNMERGED", "Join", "join_of"]

COMPLETE: Final = 10_000
"""Distinct values up to which a part keeps all of them with their counts."""


class _Unmerged:
    def __repr__(self) -> str:
        return "UNMERGED"


UNMERGED: Final = _Unmerged()
"""What a join gives when the states do not suffice, for example because a part has too many distinct values."""

Schema = Mapping[str, ColumnType]
Rows = Sequence[Sequence[Any]]


class Join(msgspec.Struct, frozen=True):
    """How a metric is put together: what is asked of each part, and how the answers join.

    Example:
        >>> join = join_of(Aggregate(column="x", function="mean"), {"x": ColumnType("float", "Float64")})
        >>> join.of([[6.0, 3], [1.0, 1]])
        1.75
    """

    asks: tuple[Metric, ...]
    of: Callable[[Rows], Any]
    """From the answers of each part, in the order of `asks`; `UNMERGED` when they do not suffice."""


def join_of(metric: Metric, schema: Schema) -> Join | None:
    """How a metric joins over parts; None when it needs all rows at once."""
    rowwise = is_of_a_row(metric.where) and is_of_a_row(getattr(metric, "predicate", None))
    return _of_rows(metric, schema) if rowwise else None


def _of_rows(metric: Metric, schema: Schema) -> Join | None:
    match metric:
        case Count():
            return Join((metric,), lambda rows: sum(row[0] for row in rows))
        case Aggregate():
            return _aggregate(metric, schema)
        case Moments():
            return Join((metric,), lambda rows: _finite(rows, _moments))
        case Comoments():
            return Join((metric,), lambda rows: _finite(rows, _comoments))
        case Histogram():
            return Join((metric,), lambda rows: [sum(each) for each in zip(*(row[0] for row in rows), strict=True)])
        case TextForms():
            return Join((metric,), lambda rows: dict(sum((Counter(row[0]) for row in rows), Counter())))
        case Frequent() | Distinct() | Grouping() | Quantile():
            return _counted(metric, schema)
    return None


def _aggregate(metric: Aggregate, schema: Schema) -> Join | None:
    present = Count(where=metric.where, predicate=Not(Missing(metric.column)))
    match metric.function:
        case "min" | "max" | "min_length" | "max_length":
            kind = "integer" if "length" in metric.function else _kind(metric.column, schema)
            key = _ORDERS.get(kind)
            choose = min if metric.function.startswith("min") else max
            return None if key is None else Join((metric,), lambda rows: _extreme(rows, choose, key))
        case "sum":
            return Join((metric,), lambda rows: _sum([row[0] for row in rows]))
        case "nulls" | "nans":
            return Join((metric,), lambda rows: sum(row[0] for row in rows))
        case "mean":
            total = msgspec.structs.replace(metric, function="sum")
            return Join((total, present), _mean)
        case "std":
            return Join((Moments(where=metric.where, column=metric.column), present), _std)


def _counted(metric: Frequent | Distinct | Grouping | Quantile, schema: Schema) -> Join | None:
    """What follows from all values and their counts, where a part has not too many."""
    columns = metric.columns if isinstance(metric, Distinct | Grouping) else (metric.column,)
    if len(columns) != 1:
        return None
    kind = _kind(columns[0], schema)
    able = {"integer", "bool"} if isinstance(metric, Quantile) else {"integer", "bool", "text", "date"}
    if isinstance(metric, Frequent) and metric.where is not None:
        able = {*able, "float", "datetime"}  # of some rows there are few, whatever the type
    if kind not in able or (isinstance(metric, Frequent) and metric.limit > COMPLETE):
        return None
    asked = Frequent(where=metric.where, column=columns[0], limit=COMPLETE)
    finish: Callable[[Counter[Any]], Any]
    match metric:
        case Frequent():
            finish = lambda counts: _top(counts, metric.limit)  # noqa: E731 -- one of four ways to end
        case Distinct():
            finish = len
        case Grouping():
            finish = _grouping
        case Quantile():
            finish = lambda counts: _quantile(counts, metric)  # noqa: E731 -- as above
    return Join((asked,), lambda rows: _from_counts(rows, finish))


# -- joining


def _finite(rows: Rows, join: Callable[[list[list[Fraction]]], list[Any]]) -> Any:
    leaves = [row[0] for row in rows]
    if not all(math.isfinite(value) for leaf in leaves for value in leaf):
        return UNMERGED
    return join([[Fraction(value) for value in leaf] for leaf in leaves])


def _moments(leaves: list[list[Fraction]]) -> list[Any]:
    n = s1 = s2 = s3 = s4 = Fraction(0)
    for count, mean, m2, m3, m4 in leaves:
        n += count
        s1 += count * mean
        s2 += m2 + count * mean**2
        s3 += m3 + 3 * mean * m2 + count * mean**3
        s4 += m4 + 4 * mean * m3 + 6 * mean**2 * m2 + count * mean**4
    if not n:
        return [0, 0.0, 0.0, 0.0, 0.0]
    mean = s1 / n
    m2 = s2 - n * mean**2
    m3 = s3 - 3 * mean * s2 + 2 * n * mean**3
    m4 = s4 - 4 * mean * s3 + 6 * mean**2 * s2 - 3 * n * mean**4
    return [int(n), _float(mean), _float(m2), _float(m3), _float(m4)]


def _comoments(leaves: list[list[Fraction]]) -> list[Any]:
    n = sx = sy = sxx = syy = sxy = Fraction(0)
    for count, mx, my, m2x, m2y, cxy in leaves:
        n += count
        sx += count * mx
        sy += count * my
        sxx += m2x + count * mx**2
        syy += m2y + count * my**2
        sxy += cxy + count * mx * my
    if not n:
        return [0, 0.0, 0.0, 0.0, 0.0, 0.0]
    mx, my = sx / n, sy / n
    return [int(n), *map(_float, (mx, my, sxx - n * mx**2, syy - n * my**2, sxy - n * mx * my))]


def _sum(values: Sequence[Any]) -> Any:
    there = [value for value in values if value is not None]
    if not there:
        return None
    if all(isinstance(value, int) for value in there):
        return sum(there)
    if not all(isinstance(value, int | float) for value in there):
        return UNMERGED
    if not all(math.isfinite(value) for value in there):
        return math.fsum(value for value in there if not math.isfinite(value)) if _one_sign(there) else math.nan
    return _float(sum((Fraction(value) for value in there), Fraction(0)))


def _one_sign(values: Sequence[Any]) -> bool:
    return len({value for value in values if not math.isfinite(value)}) == 1 and not any(map(math.isnan, values))


def _mean(rows: Rows) -> Any:
    count = sum(row[1] for row in rows)
    if not count:
        return None
    total = _sum([row[0] for row in rows if row[1]])
    if isinstance(total, _Unmerged) or total is None:
        return UNMERGED
    return _float(Fraction(total) / count) if math.isfinite(total) else total


def _std(rows: Rows) -> Any:
    joined = _finite(rows, _moments)
    if isinstance(joined, _Unmerged) or joined[0] != sum(row[1] for row in rows):
        return UNMERGED  # an infinite value: the engine says what it makes of it
    n, m2 = joined[0], joined[2]
    return math.sqrt(m2 / (n - 1)) if n > 1 else None


def _extreme(rows: Rows, choose: Any, key: Callable[[Any], Any]) -> Any:
    there = [row[0] for row in rows if row[0] is not None]
    try:
        return choose(there, key=key) if there else None
    except (TypeError, ValueError):
        return UNMERGED


def _from_counts(rows: Rows, finish: Callable[[Counter[Any]], Any]) -> Any:
    counts: Counter[Any] = Counter()
    for (answer,) in rows:
        if answer is UNMERGED or len(answer) >= COMPLETE:
            return UNMERGED
        for value, count in answer:
            counts[value] += count
    return finish(counts)


def _top(counts: Counter[Any], limit: int) -> list[list[Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], _text(item[0])))
    return [[value, count] for value, count in ordered[:limit]]


def _grouping(counts: Counter[Any]) -> dict[str, Any]:
    rows = sum(counts.values())
    entropy = -math.fsum(count / rows * math.log(count / rows) for count in counts.values()) if rows else 0.0
    singletons = sum(1 for count in counts.values() if count == 1)
    return {"rows": rows, "groups": len(counts), "singletons": singletons, "entropy": entropy}


def _quantile(counts: Counter[Any], metric: Quantile) -> Any:
    n = sum(counts.values())
    if not n:
        return None
    place = metric.q * (n - 1)
    low, high = math.floor(place), math.ceil(place)
    if metric.interpolation == "nearest":
        low = high = round(place)
    ends, seen = {}, 0
    for value, count in sorted(counts.items()):
        for end in (low, high):
            if seen <= end < seen + count:
                ends[end] = float(value)
        seen += count
    if metric.interpolation in ("lower", "higher"):
        return ends[low if metric.interpolation == "lower" else high]
    return ends[low] + (ends[high] - ends[low]) * (place - low)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(column: str, schema: Schema) -> str:
    return schema[column].kind if column in schema else ""


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _same(value: Any) -> Any:
    return value


_ORDERS: dict[str, Callable[[Any], Any]] = {
    "bool": _same,
    "integer": _same,
    "float": _same,
    "text": _same,
    "date": _same,
    "datetime": datetime.fromisoformat,  # as text, moments of two offsets would stand in the wrong order
}
"""How extremes of two parts are compared, where they can be."""
