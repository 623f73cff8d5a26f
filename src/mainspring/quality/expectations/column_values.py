"""Expectations about each value of a column."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from mainspring.engines.tables import (
    AnyOf,
    AnyPredicate,
    Between,
    Duplicated,
    In,
    Metric,
    Missing,
    Not,
    Ordered,
    Scalar,
)
from mainspring.kernel import clock
from mainspring.quality.expectations.base import (
    Known,
    RowCheck,
    Target,
    ValueCheck,
    check_range,
    listed,
    moment,
    range_text,
)

__all__ = [
    "AgesBetween",
    "ValuesBetween",
    "ValuesDecreasing",
    "ValuesInSet",
    "ValuesIncreasing",
    "ValuesNotBetween",
    "ValuesNotInSet",
    "ValuesNotNull",
    "ValuesNull",
    "ValuesUnique",
]


class ValuesNotNull(RowCheck, frozen=True, kw_only=True):
    """No value is null or NaN."""

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Nothing: missing values are what is asked about."""
        return None

    def holds(self, target: Target) -> AnyPredicate:
        """The value is there."""
        return Not(Missing(target.column))

    def expected(self) -> str:
        """In words."""
        return "to be there"


class ValuesNull(RowCheck, frozen=True, kw_only=True):
    """Every value is null or NaN."""

    def ignored(self, target: Target) -> AnyPredicate | None:
        """Nothing: missing values are what is asked about."""
        return None

    def holds(self, target: Target) -> AnyPredicate:
        """The value is missing."""
        return Missing(target.column)

    def expected(self) -> str:
        """In words."""
        return "to be missing"


class ValuesBetween(ValueCheck, frozen=True, kw_only=True):
    """Values lie in a range. Moments are given as ISO 8601 text."""

    min_value: Scalar | None = None
    max_value: Scalar | None = None
    strict_min: bool = False
    strict_max: bool = False

    def __post_init__(self) -> None:
        check_range(self.min_value, self.max_value)

    def holds(self, target: Target) -> AnyPredicate:
        """The value is in the range."""
        return Between(target.column, self.min_value, self.max_value, self.strict_min, self.strict_max)

    def expected(self) -> str:
        """In words."""
        text = range_text(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return f"to be {text}"


class ValuesNotBetween(ValueCheck, frozen=True, kw_only=True):
    """Values lie outside a range; its ends are outside too, unless they are `strict`."""

    min_value: Scalar
    max_value: Scalar
    strict_min: bool = False
    strict_max: bool = False

    def __post_init__(self) -> None:
        check_range(self.min_value, self.max_value)

    def holds(self, target: Target) -> AnyPredicate:
        """The value is below the range, or above it."""
        below = Between(target.column, high=self.min_value, strict_high=self.strict_min)
        return AnyOf((below, Between(target.column, low=self.max_value, strict_low=self.strict_max)))

    def expected(self) -> str:
        """In words."""
        low = range_text(None, self.min_value, strict_high=self.strict_min)
        return f"to be {low} or {range_text(self.max_value, None, strict_low=self.strict_max)}"


class ValuesInSet(ValueCheck, frozen=True, kw_only=True):
    """Values are members of a set."""

    value_set: tuple[Scalar, ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The value is one of them."""
        return In(target.column, self.value_set)

    def expected(self) -> str:
        """In words."""
        return f"to be one of {listed(self.value_set)}"


class ValuesNotInSet(ValueCheck, frozen=True, kw_only=True):
    """Values are not members of a set."""

    value_set: tuple[Scalar, ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The value is none of them."""
        return Not(In(target.column, self.value_set))

    def expected(self) -> str:
        """In words."""
        return f"to be none of {listed(self.value_set)}"


class ValuesUnique(ValueCheck, frozen=True, kw_only=True):
    """No value occurs twice; every row of a repeated value is unexpected."""

    def holds(self, target: Target) -> AnyPredicate:
        """No other row has the value."""
        return Not(Duplicated((target.column,)))

    def expected(self) -> str:
        """In words."""
        return "to be unique"


class ValuesIncreasing(ValueCheck, frozen=True, kw_only=True):
    """Values do not go back, in the order of the rows."""

    strictly: bool | None = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not below the one before."""
        return Ordered(target.column, descending=False, strict=bool(self.strictly))

    def expected(self) -> str:
        """In words."""
        return "to increase strictly" if self.strictly else "not to go back"


class ValuesDecreasing(ValueCheck, frozen=True, kw_only=True):
    """Values do not rise, in the order of the rows."""

    strictly: bool | None = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not above the one before."""
        return Ordered(target.column, descending=True, strict=bool(self.strictly))

    def expected(self) -> str:
        """In words."""
        return "to decrease strictly" if self.strictly else "not to rise"


class AgesBetween(ValueCheck, frozen=True, kw_only=True):
    """Each value, a moment, is so many seconds old by the clock or by `now`; what is yet to come less than 0."""

    min_age: float | None = None
    max_age: float | None = None
    strict_min: bool = False
    strict_max: bool = False
    now: str | None = None

    def __post_init__(self) -> None:
        check_range(self.min_age, self.max_age)
        if self.now is not None:
            moment(self.now)

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The time at which it is asked."""
        return {"": ()} if self.now is None else {}

    def informed(self, target: Target, known: Known) -> RowCheck:
        """The same at a time that does not go on."""
        return msgspec.structs.replace(self, now=clock.now().isoformat())

    def holds(self, target: Target) -> AnyPredicate:
        """The value is in a range of time."""
        now = clock.now() if self.now is None else moment(self.now)
        low, high = (
            None if age is None else (now - timedelta(seconds=age)).isoformat() for age in (self.max_age, self.min_age)
        )
        return Between(target.column, low, high, self.strict_max, self.strict_min)

    def expected(self) -> str:
        """In words."""
        ends = (None if age is None else str(timedelta(seconds=age)) for age in (self.min_age, self.max_age))
        return f"to have an age {range_text(*ends, strict_low=self.strict_min, strict_high=self.strict_max)}"
