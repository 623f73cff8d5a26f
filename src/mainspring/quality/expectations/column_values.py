"""Expectations about each value of a column."""

from __future__ import annotations

from mainspring.engines.tables import (
    AnyPredicate,
    Between,
    Duplicated,
    In,
    Length,
    Matches,
    Missing,
    Not,
    Ordered,
    Scalar,
    check_regex,
)
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import RowCheck, Target, range_text

__all__ = [
    "LengthsBetween",
    "LengthsEqual",
    "ValuesBetween",
    "ValuesDecreasing",
    "ValuesInSet",
    "ValuesIncreasing",
    "ValuesMatchRegex",
    "ValuesNotInSet",
    "ValuesNotMatchRegex",
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
        if self.min_value is None and self.max_value is None:
            raise InvalidInput("a range needs min_value, max_value or both")
        ends = (self.min_value, self.max_value)
        texts = sum(isinstance(end, str) for end in ends)
        if None not in ends and (texts == 1 or self.min_value > self.max_value):  # type: ignore[operator]  # same type
            raise InvalidInput(f"min_value {self.min_value!r} is not below max_value {self.max_value!r}")

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
        return f"to be one of {_listed(self.value_set)}"


class ValuesNotInSet(RowCheck, frozen=True, kw_only=True):
    """Values are not members of a set."""

    value_set: tuple[Scalar, ...]

    def holds(self, target: Target) -> AnyPredicate:
        """The value is none of them."""
        return Not(In(target.column, self.value_set))

    def expected(self) -> str:
        """In words."""
        return f"to be none of {_listed(self.value_set)}"


class ValuesMatchRegex(RowCheck, frozen=True, kw_only=True):
    """Texts contain a match of a regular expression; write ^ and $ to match the whole."""

    regex: str

    def __post_init__(self) -> None:
        check_regex(self.regex)

    def holds(self, target: Target) -> AnyPredicate:
        """The text matches."""
        return Matches(target.column, self.regex)

    def expected(self) -> str:
        """In words."""
        return f"to match {self.regex!r}"


class ValuesNotMatchRegex(RowCheck, frozen=True, kw_only=True):
    """Texts contain no match of a regular expression."""

    regex: str

    def __post_init__(self) -> None:
        check_regex(self.regex)

    def holds(self, target: Target) -> AnyPredicate:
        """The text does not match."""
        return Not(Matches(target.column, self.regex))

    def expected(self) -> str:
        """In words."""
        return f"not to match {self.regex!r}"


class ValuesUnique(RowCheck, frozen=True, kw_only=True):
    """No value occurs twice; every row of a repeated value is unexpected."""

    def holds(self, target: Target) -> AnyPredicate:
        """No other row has the value."""
        return Not(Duplicated((target.column,)))

    def expected(self) -> str:
        """In words."""
        return "to be unique"


class LengthsBetween(RowCheck, frozen=True, kw_only=True):
    """Texts have a number of characters in a range."""

    min_value: int | None = None
    max_value: int | None = None

    def __post_init__(self) -> None:
        if self.min_value is None and self.max_value is None:
            raise InvalidInput("a range needs min_value, max_value or both")

    def holds(self, target: Target) -> AnyPredicate:
        """The text is as long as it should be."""
        return Length(target.column, self.min_value, self.max_value)

    def expected(self) -> str:
        """In words."""
        return f"to have a length {range_text(self.min_value, self.max_value)}"


class LengthsEqual(RowCheck, frozen=True, kw_only=True):
    """Texts have one number of characters."""

    value: int

    def holds(self, target: Target) -> AnyPredicate:
        """The text is as long as it should be."""
        return Length(target.column, self.value, self.value)

    def expected(self) -> str:
        """In words."""
        return f"to have a length equal to {self.value}"


class ValuesIncreasing(RowCheck, frozen=True, kw_only=True):
    """Values do not go back, in the order of the rows."""

    strictly: bool = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not below the one before."""
        return Ordered(target.column, descending=False, strict=self.strictly)

    def expected(self) -> str:
        """In words."""
        return "to increase strictly" if self.strictly else "not to go back"


class ValuesDecreasing(RowCheck, frozen=True, kw_only=True):
    """Values do not rise, in the order of the rows."""

    strictly: bool = False

    def holds(self, target: Target) -> AnyPredicate:
        """The value is not above the one before."""
        return Ordered(target.column, descending=True, strict=self.strictly)

    def expected(self) -> str:
        """In words."""
        return "to decrease strictly" if self.strictly else "not to rise"


def _listed(values: tuple[Scalar, ...], *, limit: int = 8) -> str:
    shown = ", ".join(repr(value) for value in values[:limit])
    return f"{shown} and {len(values) - limit} more" if len(values) > limit else shown or "nothing"
