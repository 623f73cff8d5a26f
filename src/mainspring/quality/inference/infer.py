"""A first suite from data: what held so far, said so that it will hold of more data of the same kind.

Each line carries how sure it is and why. Shares come with Wilson's bound, so ten rows promise little and ten
thousand much; ranges get a margin; sets are proposed only where the data has hardly a value that it saw once
(Good and Turing: that share estimates what is still unseen). What cannot generalise is left out: the range of a
constant, the range of dates, the mean.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from mainspring.engines.tables import Frequent, Table, open_table
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.quality.evaluation.intervals import wilson
from mainspring.quality.inference.held_out import doubted
from mainspring.quality.inference.patterns import pattern_of
from mainspring.quality.inference.relations import dependencies, keys, orders, sure
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.types import ColumnProfile
from mainspring.quality.types import Expectation, Suite

__all__ = ["infer_column", "infer_suite", "rounded", "share_kept"]

_SET_LIMIT = 60  # values of a set that is proposed
_ONCE = 0.01  # share of values seen once above which a set is not closed yet
_EXAMPLES = 5000  # distinct texts from which a pattern is read
_FAR = 20.0  # a value this many times further from the median than the 1 % quantile is an accident, not the range
_GREATEST = sys.float_info.max


def infer_suite(
    source: Any,
    *,
    name: str,
    margin: float = 0.1,
    confidence: float = 0.5,
    relations: bool = True,
    held_out: bool = True,
) -> Suite:
    """Propose a suite that the table passes.

    Args:
        source: A polars frame, Parquet paths, an Arrow or pandas table.
        name: Of the suite, usually that of the dataset.
        margin: Ranges are widened by this share of their width.
        confidence: Lines less sure than this are left out.
        relations: Whether to look for keys, for order, and for columns that determine others.
        held_out: Whether to try on one half of the rows what is read from the other; what breaks loses confidence.

    Example:
        >>> import polars as pl
        >>> suite = infer_suite(pl.DataFrame({"id": range(100), "kind": ["a", "b"] * 50}), name="things")
        >>> [each.kind for each in suite.expectations if each.column == "kind"]
        ['column_values_to_be_in_type_list', 'column_values_to_not_be_null', 'column_values_to_be_in_set']
    """
    check_name(name, what="suite")
    if margin < 0 or not 0 <= confidence <= 1:
        raise InvalidInput(f"margin {margin} must not be negative and confidence {confidence} must lie in 0..1")
    rows, found = _lines(source, margin=margin, relations=relations)
    if held_out:
        found = doubted(found, source, lambda half: _lines(half, margin=margin, relations=relations)[1])
    kept = tuple(each for each in found if (each.confidence or 0.0) >= confidence)
    return Suite(name=name, expectations=kept, meta={"inferred": True, "rows": rows, "margin": margin})


def _lines(source: Any, *, margin: float, relations: bool) -> tuple[int, list[Expectation]]:
    """How many rows there are, and all that can be said of them."""
    profile = profile_frame(source)
    table = open_table(source)
    found = [
        Expectation(
            kind="table_columns_to_match_set",
            arguments={"column_set": list(profile.names), "exact_match": False},
            confidence=1.0,
            reason="the columns that are there",
        )
    ]
    for column in profile.columns:
        found += infer_column(column, table, margin=margin)
    if relations:
        found += [*keys(profile, table), *orders(profile, table), *dependencies(profile, table)]
    return profile.rows, found


def infer_column(column: ColumnProfile, table: Table, *, margin: float = 0.1) -> list[Expectation]:
    """What can be expected of one column."""
    found = list(_type(column, table))
    found += _completeness(column)
    if not column.present:
        return found
    if column.family == "number":
        found += _range(column, margin)
    elif column.family == "text":
        found += _set(column) or _texts(column, table)
    return found


def share_kept(bad: int, total: int) -> float:
    """The share of rows to demand when `bad` of `total` failed: twice Wilson's 99 % upper bound is allowed to fail.

    Example:
        >>> share_kept(0, 1000), share_kept(10, 1000)
        (1.0, 0.956)
    """
    if not bad:
        return 1.0
    allowed = 2.0 * wilson(bad, total, 0.99)[1]
    return max(0.0, math.floor((1.0 - allowed) * 1000) / 1000)


def _type(column: ColumnProfile, table: Table) -> Iterator[Expectation]:
    kind = table.schema()[column.name].kind
    if kind == "other":
        return
    accepted = ["integer", "float", "decimal"] if kind in {"float", "decimal"} else [kind]
    yield Expectation(
        kind="column_values_to_be_in_type_list",
        column=column.name,
        arguments={"type_list": accepted},
        confidence=1.0,
        reason=f"it is {column.dtype}",
    )


def _completeness(column: ColumnProfile) -> Iterator[Expectation]:
    if not column.count or not column.present:
        return
    mostly = share_kept(column.missing, column.count)
    if mostly > 0:
        yield Expectation(
            kind="column_values_to_not_be_null",
            column=column.name,
            mostly=mostly,
            confidence=sure(column.count, 0 if column.missing == 0 else column.missing) if mostly == 1.0 else 0.9,
            reason=f"{column.missing} of {column.count} were missing",
            severity="critical" if mostly == 1.0 else "warning",
        )


def _range(column: ColumnProfile, margin: float) -> Iterator[Expectation]:
    low, high = column.minimum, column.maximum
    if low is None or high is None or low == high or column.dtype == "Boolean":
        return
    low, high, outside = _fenced(column, low, high)
    room = (high - low) * margin
    wide_low, wide_high = low - room, high + room
    # A column that never was negative is rarely allowed to be: amounts, counts, distances, shares.
    least: float | int = max(0.0, wide_low) if low >= 0 else wide_low
    most: float | int = min(0.0, wide_high) if high <= 0 else wide_high
    if "Int" in column.dtype:
        least, most = math.floor(least), math.ceil(most)
    else:
        least, most = rounded(least, up=False), rounded(most, up=True)
    yield Expectation(
        kind="column_values_to_be_between",
        column=column.name,
        arguments={"min_value": least, "max_value": most},
        mostly=share_kept(outside, column.present),
        confidence=sure(column.present, outside),
        reason=f"{column.minimum:.6g} to {column.maximum:.6g} were seen, {margin:.0%} are added"
        + (f"; {outside} values far outside are taken for accidents" if outside else ""),
    )


def _fenced(column: ColumnProfile, low: float, high: float) -> tuple[float, float, int]:
    """The range without values absurdly far out, and how many those are."""
    points = column.sketch.points()
    middle = column.sketch.quantile(0.5)
    early, late = column.sketch.quantile(0.01), column.sketch.quantile(0.99)
    if middle is None or early is None or late is None:
        return low, high, 0
    upper = middle + _FAR * (late - middle) if late > middle else math.inf
    lower = middle - _FAR * (middle - early) if early < middle else -math.inf
    inside = [value for value, _ in points if lower <= value <= upper]
    outside = sum(count for value, count in points if not lower <= value <= upper)
    if not outside or not inside:
        return low, high, 0
    return (low if low >= lower else min(inside)), (high if high <= upper else max(inside)), outside


def rounded(value: float, *, up: bool) -> float:
    """Outwards to four significant digits, which is what a person would have written."""
    value = max(-_GREATEST, min(_GREATEST, value))
    near = float(f"{value:.3e}")
    if not (near < value if up else near > value):
        return max(-_GREATEST, min(_GREATEST, near))
    step = abs(value) * 1e-3
    return float(f"{value + (step if up else -step):.3e}")


def _set(column: ColumnProfile) -> list[Expectation]:
    values = column.frequent
    if not values.is_exact or not values.values or len(values.values) > _SET_LIMIT:
        return []
    once = sum(1 for _, count in values.values if count == 1)
    if once / column.present > _ONCE or len(values.values) > column.present / 5:
        return []
    return [
        Expectation(
            kind="column_values_to_be_in_set",
            column=column.name,
            arguments={"value_set": [value for value, _ in sorted(values.values)]},
            mostly=share_kept(once, column.present),
            confidence=sure(column.present, once),
            reason=f"{len(values.values)} values in {column.present} rows, {once} of them seen once",
        )
    ]


def _texts(column: ColumnProfile, table: Table) -> Iterator[Expectation]:
    metric = Frequent(column=column.name, limit=_EXAMPLES)
    counted = {str(value): count for value, count in table.compute([metric])[metric]}
    pattern = pattern_of(counted)
    if pattern is not None:
        regex, bad = pattern
        yield Expectation(
            kind="column_values_to_match_regex",
            column=column.name,
            arguments={"regex": regex},
            mostly=share_kept(bad, sum(counted.values())),
            confidence=sure(len(counted), bad if bad <= len(counted) else 0),
            reason=f"the shape of {len(counted)} distinct values",
        )
    elif column.minimum is not None and column.maximum is not None:
        yield Expectation(
            kind="column_value_lengths_to_be_between",
            column=column.name,
            arguments={"min_value": min(1, int(column.minimum)), "max_value": math.ceil(column.maximum * 2)},
            confidence=sure(column.present),
            reason=f"{column.minimum:.0f} to {column.maximum:.0f} characters were seen",
        )
