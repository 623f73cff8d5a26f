"""Validation by parts: each file of a version, each value of a column, or each period of a column of moments.

All parts are asked in one scan. The result of each is kept beside that of the whole, without the rows that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

from mainspring.engines.tables import (
    Aggregate,
    AnyPredicate,
    Between,
    ColumnType,
    Count,
    Frequent,
    In,
    Metric,
    Missing,
    Predicate,
    Scalar,
    Table,
)
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, nearest
from mainspring.quality.parts import PartLine, PartResult
from mainspring.quality.states_table import NarrowedTable, narrowed
from mainspring.quality.types import ExpectationResult, Suite, ValidationReport
from mainspring.quality.validation import validate_table

__all__ = ["PERIODS", "parts_of_column", "validate_parts", "without_rows"]

_MOST = 1000  # parts: more than that are rows, not parts

PERIODS = ("day", "week", "month", "quarter", "year")
"""What may stand behind a column of moments."""


def validate_parts(
    table: Table,
    suite: Suite,
    by: str,
    *,
    others: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[PartResult, ...]:
    """The result of each part of a table; `by` is a column, or `column:month`.

    Args:
        table: One that keeps answers for as long as it lives: all parts are asked at once, and then judged.
        suite: What is asked.
        by: How the table is divided.
        others: Other tables by name.
        parameters: Values that the suite leaves open.

    Raises:
        NotFound, InvalidInput: There is no such column, it has no periods, or it has more than a thousand parts.
    """
    parts = parts_of_column(table, by)
    asked = _asked(table, suite, parameters)
    wanted = [narrowed(metric, part) for part in parts.values() for metric in (Count(), *asked)]
    with suppress(MainspringError):  # what cannot be asked is found, and said, in the part itself
        table.compute(wanted)
    found = []
    for name, part in parts.items():
        report = validate_table(NarrowedTable(table, part), suite, sample=0, others=others, parameters=parameters)
        if report.rows:
            found.append(without_rows(name, report))
    return tuple(found)


def without_rows(name: str, report: ValidationReport) -> PartResult:
    """What is kept of the validation of a part."""
    lines = [_line(place, each) for place, each in enumerate(report.results)]
    return PartResult(name=name, rows=report.rows, verdict=report.verdict, lines=tuple(lines))


def parts_of_column(table: Table, by: str) -> dict[str, AnyPredicate]:
    """The parts of a table by name, in the order of their values, missing ones last."""
    column, colon, period = by.rpartition(":")
    if not colon or period not in PERIODS:
        column, period = by, ""
    schema = table.schema()
    if column not in schema:
        raise NotFound(f"the table has no column {column!r} to divide it by", known=nearest(column, schema))
    parts = _periods(table, column, schema[column], period) if period else _values(table, column)
    parts["(missing)" if "missing" in parts else "missing"] = Missing(column)  # "missing" may be a value, too
    return parts


def _values(table: Table, column: str) -> dict[str, AnyPredicate]:
    metric = Frequent(column=column, limit=_MOST + 1)
    counted = table.compute([metric])[metric]
    if len(counted) > _MOST:
        raise InvalidInput(
            f"column {column!r} has more than {_MOST} values, which are too many parts",
            hint=f"divide a column of moments by period, for example {column}:month",
        )
    values: list[Scalar] = sorted((value for value, _ in counted), key=lambda value: (str(type(value)), value))
    return {str(value): In(column, (value,)) for value in values}


def _periods(table: Table, column: str, kind: ColumnType, period: str) -> dict[str, AnyPredicate]:
    if not kind.is_moment:
        raise InvalidInput(f"column {column!r} is {kind.dtype}, which has no {period}s", hint="give the column alone")
    ends = [Aggregate(column=column, function=function) for function in ("min", "max")]
    answers = table.compute(ends)
    if answers[ends[0]] is None:
        return {}
    first, last = (_moment(answers[end]) for end in ends)
    found: dict[str, AnyPredicate] = {}
    start = _begin(first, period)
    while start <= last:
        after = _next(start, period)
        if len(found) >= _MOST:
            raise InvalidInput(f"column {column!r} spans more than {_MOST} {period}s", hint="take a longer period")
        low, high = (_text(each, kind) for each in (start, after))
        found[_name(start, period)] = Between(column, low=low, high=high, strict_high=True)
        start = after
    return found


def _moment(text: str) -> datetime:
    found = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    return found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)  # noqa: DTZ001 -- a date


def _text(moment: datetime, kind: ColumnType) -> str:
    return moment.date().isoformat() if kind.kind == "date" else moment.isoformat()


def _begin(moment: datetime, period: str) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _next(start: datetime, period: str) -> datetime:
    if period in ("day", "week"):
        return start + timedelta(days=1 if period == "day" else 7)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    year, month = divmod(start.month - 1 + months, 12)
    return start.replace(year=start.year + year, month=month + 1)


def _name(start: datetime, period: str) -> str:
    match period:
        case "year":
            return f"{start.year}"
        case "quarter":
            return f"{start.year} Q{(start.month - 1) // 3 + 1}"
        case "month":
            return f"{start:%Y-%m}"
        case "week":
            return f"{start:%G-W%V}"
    return f"{start:%Y-%m-%d}"


def _line(place: int, result: ExpectationResult) -> PartLine:
    seen = result.observed
    number = float(seen) if isinstance(seen, int | float) and not isinstance(seen, bool) else None
    return PartLine(
        line=place, verdict=result.verdict, observed=number, unexpected=result.unexpected, message=result.message
    )


class _Captured(Exception):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__()
        self.metrics = metrics


class _Asking:
    """A table that only learns what it would be asked."""

    def __init__(self, schema: Callable[[], Mapping[str, ColumnType]]) -> None:
        self.schema = schema

    def compute(self, metrics: Sequence[Metric]) -> NoReturn:
        """Say what was asked."""
        raise _Captured(metrics)

    def rows(self, predicate: Predicate, **_: Any) -> list[dict[str, Any]]:
        """Nothing is here."""
        del predicate
        return []

    def split(self, reasons: Any) -> tuple[Any, Any]:
        """Nothing is here."""
        del reasons
        return None, None


def _asked(table: Table, suite: Suite, parameters: Mapping[str, Any] | None) -> Sequence[Metric]:
    try:
        validate_table(_Asking(table.schema), suite, sample=0, parameters=parameters)
    except _Captured as captured:
        return captured.metrics
    return ()
