"""What a kind of expectation is: parameters, the metrics it needs, and the judgement over their answers.

A kind is a frozen struct of its parameters. It never sees a row: it names metrics, an engine answers
them, and it judges. A kind that is about rows (`RowCheck`) gives a predicate instead; counting, sampling
and quarantine all follow from it.

A kind that must know something before it can be asked (a mean before z-scores, another table's rows) says so
with `before`, and `informed` gives the check that those answers make of it. All checks of a suite share the
scans of each of these waves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec

from mainspring.engines.tables import All, AnyOf, AnyPredicate, ColumnType, Count, Metric, Missing, Not
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

__all__ = [
    "Answers",
    "Check",
    "IgnoreRowIf",
    "Judgement",
    "Known",
    "RowCheck",
    "Schema",
    "Subject",
    "Target",
    "ValueCheck",
    "check_range",
    "in_range",
    "listed",
    "missing_rows",
    "moment",
    "range_text",
    "short",
]

Answers = Mapping[Metric, Any]
"""What the engine answered."""

Schema = Mapping[str, ColumnType]
"""The columns of the table and their types."""

Subject = Literal["column", "columns", "table"]

IgnoreRowIf = Literal[
    "never", "both_values_are_missing", "either_value_is_missing", "all_values_are_missing", "any_value_is_missing"
]
"""Which rows a check of several columns does not ask."""


class Target(msgspec.Struct, frozen=True):
    """What a check is asked about."""

    column: str = ""
    columns: tuple[str, ...] = ()
    where: AnyPredicate | None = None
    mostly: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that it speaks of."""
        return (self.column, *self.columns) if self.column else self.columns


class Judgement(msgspec.Struct, frozen=True):
    """Whether it holds, what was seen, and for rows the counts."""

    passed: bool
    observed: Any = None
    message: str = ""
    evaluated: int | None = None
    missing: int | None = None
    unexpected: int | None = None
    details: dict[str, Any] = {}
    """More of what was seen, by name."""
    sample: tuple[dict[str, Any], ...] = ()
    """Rows that a check has seen itself, because no predicate finds them."""


class Known(msgspec.Struct, frozen=True):
    """What is known of a table before a check is asked, and of the other tables by name."""

    answers: Answers
    schema: Schema
    others: Mapping[str, Known | None] = {}
    """None for a table that is known not to be there, for example the version before the first."""

    def other(self, name: str) -> Known | None:
        """What is known of another table; `NotFound` when nobody said what it is."""
        if name not in self.others:
            raise NotFound(
                f"there is no other table {name!r}", known=sorted(self.others), hint="pass others={name: ...}"
            )
        return self.others[name]


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of expectation. Subclasses add parameters as fields.

    `subject` says what it is asked of: one column, several, or the table (`subjects` where several are possible).
    `needs_columns` is False for the checks that are about whether a column is there.
    """

    subject: ClassVar[Subject] = "column"
    subjects: ClassVar[tuple[Subject, ...]] = ()
    needs_columns: ClassVar[bool] = True

    @property
    def is_of_rows(self) -> bool:
        """Whether it holds or not of each row."""
        return False

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """What must be known before it can be asked: metrics of this table (under "") and of others by name."""
        return {}

    def informed(self, target: Target, known: Known) -> Check:
        """The check that can be asked, once what it asked for with `before` is known."""
        return self

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """What it needs to know; nothing when the schema is enough."""
        raise NotImplementedError

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Whether the answers are as expected."""
        raise NotImplementedError

    def expected(self) -> str:
        """What is expected, in words that follow "the values are expected"."""
        raise NotImplementedError

    def check_subject(self, target: Target) -> None:
        """Raise `InvalidInput` when the columns are not as many as the kind is about."""

    def check_target(self, target: Target, schema: Schema) -> None:
        """Raise `NotFound` when a column that it needs is not in the table."""
        for name in target.names:
            if self.needs_columns and name not in schema:
                raise NotFound(f"the table has no column {name!r}", known=nearest(name, schema))


class RowCheck(Check, frozen=True, kw_only=True):
    """A kind that holds or not of each row. Rows where the value is missing are not asked."""

    @property
    def is_of_rows(self) -> bool:
        """Of each row."""
        return True

    def holds(self, target: Target) -> AnyPredicate:
        """What must be true of a row."""
        raise NotImplementedError

    def ignored(self, target: Target) -> AnyPredicate | None:
        """The rows that are not asked; None when all are."""
        return Missing(target.column)

    def unexpected(self, target: Target) -> AnyPredicate:
        """The rows that are asked and do not hold."""
        ignored = self.ignored(target)
        return Not(self.holds(target)) if ignored is None else All((Not(ignored), Not(self.holds(target))))

    def metrics(self, target: Target) -> tuple[Metric, ...]:
        """Rows, rows not asked, rows that do not hold."""
        ignored = self.ignored(target)
        counts = [Count(where=target.where), Count(where=target.where, predicate=self.unexpected(target))]
        if ignored is not None:
            counts.append(Count(where=target.where, predicate=ignored))
        return tuple(counts)

    def judge(self, target: Target, answers: Answers, schema: Schema) -> Judgement:
        """Enough of the rows asked hold. With no row to ask, it holds."""
        ignored = self.ignored(target)
        rows = answers[Count(where=target.where)]
        bad = answers[Count(where=target.where, predicate=self.unexpected(target))]
        missing = answers[Count(where=target.where, predicate=ignored)] if ignored is not None else 0
        evaluated = rows - missing
        share = (evaluated - bad) / evaluated if evaluated else 1.0
        return Judgement(
            passed=share >= target.mostly,
            observed=share,
            message="" if share >= target.mostly else f"{bad} of {evaluated} rows ({1 - share:.3%}) do not hold",
            evaluated=evaluated,
            missing=missing,
            unexpected=bad,
        )


class ValueCheck(RowCheck, frozen=True, kw_only=True):
    """A kind about each value of a column.

    What is missing is not asked, unless `missing` says that it is `unexpected`, or `expected`, so that it counts among
    the values that hold.
    """

    missing: Literal["ignored", "expected", "unexpected"] = "ignored"

    def ignored(self, target: Target) -> AnyPredicate | None:
        """What is missing, unless it counts."""
        return Missing(target.column) if self.missing == "ignored" else None

    def unexpected(self, target: Target) -> AnyPredicate:
        """The values that do not hold."""
        if self.missing == "unexpected":
            return AnyOf((Missing(target.column), Not(self.holds(target))))
        return All((Not(Missing(target.column)), Not(self.holds(target))))


def missing_rows(columns: tuple[str, ...], ignore: IgnoreRowIf) -> AnyPredicate | None:
    """The rows that `ignore_row_if` leaves out."""
    if ignore == "never":
        return None
    each = tuple(Missing(name) for name in columns)
    return All(each) if ignore in {"both_values_are_missing", "all_values_are_missing"} else AnyOf(each)


def in_range(value: Any, low: Any, high: Any, *, strict_low: bool = False, strict_high: bool = False) -> bool:
    """Whether a value lies between two ends, either of which may be open (None)."""
    above = low is None or (value > low if strict_low else value >= low)
    below = high is None or (value < high if strict_high else value <= high)
    return bool(above and below)


def range_text(low: Any, high: Any, *, strict_low: bool = False, strict_high: bool = False) -> str:
    """A range in words.

    Example:
        >>> range_text(0, None)
        'at least 0'
    """
    if low is not None and low == high:
        return f"equal to {low}"
    lower = "" if low is None else f"above {low}" if strict_low else f"at least {low}"
    upper = "" if high is None else f"below {high}" if strict_high else f"at most {high}"
    return " and ".join(part for part in (lower, upper) if part) or "of any value"


def check_range(low: Any, high: Any) -> None:
    """Raise `InvalidInput` unless a range has an end, and its ends are of one kind and in order."""
    if low is None and high is None:
        raise InvalidInput("a range needs min_value, max_value or both")
    if low is not None and high is not None and (isinstance(low, str) != isinstance(high, str) or low > high):
        raise InvalidInput(f"min_value {low!r} is not below max_value {high!r}")


def moment(value: Any) -> datetime:
    """A moment given as ISO 8601 text, in UTC where it says nothing of a zone; `InvalidInput` when it is none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(f"{value!r} is not a moment in ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def listed(values: tuple[Any, ...], *, limit: int = 8) -> str:
    """The first of some values, in words."""
    shown = ", ".join(repr(value) for value in values[:limit])
    return f"{shown} and {len(values) - limit} more" if len(values) > limit else shown or "nothing"


def short(value: Any) -> str:
    """A number with six digits, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
