"""What the adapters share about values: literals in the type of a column, ranges, and what may be asked of what.

An adapter that took the values of a check as they are would inherit its engine's casts, and each engine
casts otherwise: here a value becomes one of the column's own type, exactly, or is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from mainspring.engines.tables_types import ColumnType
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

__all__ = [
    "Range",
    "check_number",
    "check_ordered",
    "check_text",
    "comparable",
    "interpolate",
    "is_aware",
    "is_null",
    "json_value",
    "known",
    "literal",
    "member",
    "range_of",
    "within_bits",
]

Schema = Mapping[str, ColumnType]


class Range(NamedTuple):
    """A range in values of the column's own type; `never` when nothing can be in it."""

    low: Any
    high: Any
    strict_low: bool
    strict_high: bool
    never: bool = False


def known(column: str, schema: Schema) -> str:
    """The name of a column that is there; `NotFound` naming the nearest otherwise."""
    if column not in schema:
        raise NotFound(f"the table has no column {column!r}", known=nearest(column, schema))
    return column


def is_null(kind: ColumnType) -> bool:
    """Whether the column is of the type that holds nothing but null, of which everything may be asked."""
    return kind.dtype.lower() in {"null", '"null"', "void"}


def is_aware(kind: ColumnType) -> bool:
    """Whether the moments of the column are instants, and not the reading of some clock."""
    name = kind.dtype.lower()
    return kind.kind == "datetime" and (
        "time_zone='" in name or 'time_zone="' in name or "with time zone" in name or name == "timestamp_ltz"
    )


def check_number(column: str, schema: Schema) -> ColumnType:
    """The type of a column of numbers; `InvalidInput` for any other."""
    kind = schema[known(column, schema)]
    if not kind.is_number and kind.kind != "bool" and not is_null(kind):
        raise InvalidInput(f"column {column!r} is {kind.dtype}, not a number")
    return kind


def check_ordered(column: str, schema: Schema) -> ColumnType:
    """The type of a column whose values have a least and a greatest; `InvalidInput` for any other."""
    kind = schema[known(column, schema)]
    if not kind.is_ordered and not is_null(kind):
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values have no order")
    return kind


def check_text(column: str, schema: Schema) -> ColumnType:
    """The type of a column of text; `InvalidInput` for any other."""
    kind = schema[known(column, schema)]
    if kind.kind != "text" and not is_null(kind):
        raise InvalidInput(f"column {column!r} is {kind.dtype}, and only text has characters")
    return kind


def comparable(columns: Sequence[str], schema: Schema) -> None:
    """Raise `InvalidInput` unless values of the columns can equal each other."""
    first, *others = [schema[known(name, schema)] for name in columns]
    for name, other in zip(columns[1:], others, strict=True):
        numbers = all(kind.is_number for kind in (first, other))
        moments = all(kind.is_moment for kind in (first, other)) and is_aware(first) == is_aware(other)
        if is_null(first) or is_null(other) or numbers or moments:
            continue
        if first.kind != other.kind or is_aware(first) != is_aware(other):
            raise InvalidInput(
                f"columns {columns[0]!r} and {name!r} cannot be compared: one is {first.dtype}, the other {other.dtype}"
            )


def literal(value: Any, column: str, kind: ColumnType) -> Any:
    """A JSON value in the type of the column it is compared with; numbers of a decimal column are exact decimals."""
    wrong = InvalidInput(f"{value!r} cannot be compared with column {column!r}, which is {kind.dtype}")
    if is_null(kind):
        return None
    if kind.is_number or kind.kind in {"bool", "duration"}:
        if isinstance(value, str) or (isinstance(value, float) and math.isnan(value)):
            raise wrong
        if kind.kind == "decimal" and math.isfinite(value):
            return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return timedelta(seconds=value) if kind.kind == "duration" else value
    if not isinstance(value, str):
        raise wrong
    try:
        return _moment(value, kind)
    except ValueError:
        raise wrong from None


def _moment(value: str, kind: ColumnType) -> Any:
    if kind.kind == "date":
        return date.fromisoformat(value)
    if kind.kind == "time":
        return time.fromisoformat(value)
    if kind.kind == "datetime":
        moment = datetime.fromisoformat(value)
        if is_aware(kind):
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value


def range_of(column: str, kind: ColumnType, low: Any, high: Any, *, strict_low: bool, strict_high: bool) -> Range:
    """The range in the column's type: whole numbers get whole ends, so that no engine compares them as floats."""
    ends = [None if end is None else literal(end, column, kind) for end in (low, high)]
    if kind.kind in {"integer", "decimal", "bool"}:
        lowest, highest = ends
        never = lowest == math.inf or highest == -math.inf
        lowest, highest = (None if end in {-math.inf, math.inf} else end for end in ends)
        if kind.kind != "decimal":
            if isinstance(lowest, float):
                strict_low, lowest = strict_low and lowest.is_integer(), math.ceil(lowest)
            if isinstance(highest, float):
                strict_high, highest = strict_high and highest.is_integer(), math.floor(highest)
            lowest, highest = (None if end is None else int(end) for end in (lowest, highest))
        return Range(lowest, highest, strict_low, strict_high, never)
    return Range(ends[0], ends[1], strict_low, strict_high)


def within_bits(ends: Range, bits: int) -> Range:
    """The range without ends that no whole number of so many bits passes: engines differ in what they make of those."""
    most = 2 ** (bits - 1)
    low, high = ends.low, ends.high
    never = (low is not None and low >= most) or (high is not None and high < -most)
    low = None if low is not None and low < -most else low
    high = None if high is not None and high >= most else high
    return ends._replace(low=low, high=high, never=ends.never or never)


def member(value: Any, column: str, kind: ColumnType) -> Any:
    """A value of a set in the column's type; None when no value of the column can equal it."""
    if kind.kind in {"list", "struct", "binary", "other"} and not is_null(kind):
        raise InvalidInput(f"column {column!r} is {kind.dtype}, whose values cannot be members of a set")
    if isinstance(value, float) and math.isnan(value):
        return None  # NaN equals nothing
    plain = literal(value, column, kind)
    if kind.kind == "float":
        try:
            near = float(plain)
        except OverflowError:
            return None
        return near if near == plain else None
    if kind.kind in {"integer", "bool"}:
        if isinstance(plain, float):
            plain = int(plain) if plain.is_integer() else None
        if kind.kind == "bool":
            return bool(plain) if plain in {0, 1} else None
        return None if plain is None else int(plain)
    if kind.kind == "decimal" and not isinstance(plain, Decimal):
        return None  # an infinity
    return plain


def interpolate(low: float, high: float, fraction: float) -> float:
    """The value between two neighbours; it is theirs where they are the same, infinite or not."""
    if low == high or fraction == 0:
        return low
    return (
        low * (1 - fraction) + high * fraction if math.isinf(low) or math.isinf(high) else low + (high - low) * fraction
    )


def json_value(value: Any) -> Any:  # noqa: PLR0911 -- one line for each type
    """A value as JSON types: moments as ISO text (instants in UTC), NaN and infinities as text, bytes by size."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {str(name): json_value(inner) for name, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [json_value(inner) for inner in value]
    return value
