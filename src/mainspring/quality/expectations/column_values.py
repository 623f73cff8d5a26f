"""Expectations about each value of a column."""

from __future__ import annotations

from mainspring.engines.tables import AnyPredicate, Between, Duplicated, In, Missing, Not, Ordered, Scalar
from mainspring.quality.expectations.base import RowCheck, Target, check_range, listed, range_text

__all__ = [
    "ValuesBetween",
    "ValuesDecreasing",
    "ValuesInSet",
    "ValuesIncreasing",
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


class ValuesBetween(RowCheck, frozen=True, kw_only=True):
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


class ValuesInSet(RowCheck, frozen=True, kw_only=True):
    """Values are members of a set."""

    value_set: tuple[Scalar, ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The value is one of them."""
        return In(target.column, self.value_set)

    def expected(self) -> str:
        """In words."""
        return f"to be one of {listed(self.value_set)}"


class ValuesNotInSet(RowCheck, frozen=True, kw_only=True):
    """Values are not members of a set."""

    value_set: tuple[Scalar, ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The value is none of them."""
        return Not(In(target.column, self.value_set))

    def expected(self) -> str:
        """In words."""
        return f"to be none of {listed(self.value_set)}"


class ValuesUnique(RowCheck, frozen=True, kw_only=True):
    """No value occurs twice; every row of a repeated value is unexpected."""

    def holds(self, target: Target) -> AnyPredicate:
        """No other row has the value."""
        return Not(Duplicated((target.column,)))

    def expected(self) -> str:
        """In words."""
        return "to be unique"


class ValuesIncreasing(RowCheck, frozen=True, kw_only=True):
    """Values do not go back, in the order of the rows."""

    strictly: bool | None = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not below the one before."""
        return Ordered(target.column, descending=False, strict=bool(self.strictly))

    def expected(self) -> str:
        """In words."""
        return "to increase strictly" if self.strictly else "not to go back"


class ValuesDecreasing(RowCheck, frozen=True, kw_only=True):
    """Values do not rise, in the order of the rows."""

    strictly: bool | None = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not above the one before."""
        return Ordered(target.column, descending=True, strict=bool(self.strictly))

    def expected(self) -> str:
        """In words."""
        return "to decrease strictly" if self.strictly else "not to rise"
