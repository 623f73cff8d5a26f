"""Expectations about the texts of a column: patterns, lengths, and what they read as."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from mainspring.engines.tables import (
    All,
    AnyOf,
    AnyPredicate,
    FitsJsonSchema,
    Length,
    Like,
    Matches,
    Metric,
    Missing,
    Not,
    Parses,
    check_regex,
)
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import canonical_json
from mainspring.quality.expectations.base import Check, Known, Target, ValueCheck, check_range, listed, range_text

__all__ = [
    "LengthsBetween",
    "LengthsEqual",
    "ValuesFitJsonSchema",
    "ValuesMatchLike",
    "ValuesMatchLikeList",
    "ValuesMatchRegex",
    "ValuesMatchRegexList",
    "ValuesMatchStrftime",
    "ValuesNotMatchLike",
    "ValuesNotMatchLikeList",
    "ValuesNotMatchRegex",
    "ValuesNotMatchRegexList",
    "ValuesParseAsDate",
    "ValuesParseAsJson",
    "ValuesReadAs",
]


class ValuesMatchRegex(ValueCheck, frozen=True, kw_only=True):
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


class ValuesNotMatchRegex(ValueCheck, frozen=True, kw_only=True):
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


class ValuesMatchRegexList(ValueCheck, frozen=True, kw_only=True):
    """Texts contain a match of `any` of several regular expressions, or of `all` of them."""

    regex_list: tuple[str, ...]
    match_on: Literal["any", "all"] = "any"

    def __post_init__(self) -> None:
        _some(self.regex_list, "regex_list")
        for regex in self.regex_list:
            check_regex(regex)

    def holds(self, target: Target) -> AnyPredicate:
        """One, or every one, matches."""
        parts = tuple(Matches(target.column, regex) for regex in self.regex_list)
        return All(parts) if self.match_on == "all" else AnyOf(parts)

    def expected(self) -> str:
        """In words."""
        return f"to match {self.match_on} of {listed(self.regex_list)}"


class ValuesNotMatchRegexList(ValueCheck, frozen=True, kw_only=True):
    """Texts contain a match of none of several regular expressions."""

    regex_list: tuple[str, ...]

    def __post_init__(self) -> None:
        _some(self.regex_list, "regex_list")
        for regex in self.regex_list:
            check_regex(regex)

    def holds(self, target: Target) -> AnyPredicate:
        """None matches."""
        return Not(AnyOf(tuple(Matches(target.column, regex) for regex in self.regex_list)))

    def expected(self) -> str:
        """In words."""
        return f"to match none of {listed(self.regex_list)}"


class ValuesMatchLike(ValueCheck, frozen=True, kw_only=True):
    """Whole texts match a pattern of SQL's LIKE."""

    like_pattern: str
    escape: str | None = None

    def __post_init__(self) -> None:
        _check_escape(self.escape)

    def holds(self, target: Target) -> AnyPredicate:
        """The text matches."""
        return Like(target.column, self.like_pattern, self.escape or "")

    def expected(self) -> str:
        """In words."""
        return f"to be like {self.like_pattern!r}"


class ValuesNotMatchLike(ValuesMatchLike, frozen=True, kw_only=True):
    """Whole texts do not match a pattern of SQL's LIKE."""

    def holds(self, target: Target) -> AnyPredicate:
        """The text does not match."""
        return Not(Like(target.column, self.like_pattern, self.escape or ""))

    def expected(self) -> str:
        """In words."""
        return f"not to be like {self.like_pattern!r}"


class ValuesMatchLikeList(ValueCheck, frozen=True, kw_only=True):
    """Whole texts match `any` of several patterns of SQL's LIKE, or `all` of them."""

    like_pattern_list: tuple[str, ...]
    match_on: Literal["any", "all"] = "any"
    escape: str | None = None

    def __post_init__(self) -> None:
        _some(self.like_pattern_list, "like_pattern_list")
        _check_escape(self.escape)

    def holds(self, target: Target) -> AnyPredicate:
        """One, or every one, matches."""
        parts = tuple(Like(target.column, each, self.escape or "") for each in self.like_pattern_list)
        return All(parts) if self.match_on == "all" else AnyOf(parts)

    def expected(self) -> str:
        """In words."""
        return f"to be like {self.match_on} of {listed(self.like_pattern_list)}"


class ValuesNotMatchLikeList(ValueCheck, frozen=True, kw_only=True):
    """Whole texts match none of several patterns of SQL's LIKE."""

    like_pattern_list: tuple[str, ...]
    escape: str | None = None

    def __post_init__(self) -> None:
        _some(self.like_pattern_list, "like_pattern_list")
        _check_escape(self.escape)

    def holds(self, target: Target) -> AnyPredicate:
        """None matches."""
        parts = tuple(Like(target.column, each, self.escape or "") for each in self.like_pattern_list)
        return Not(AnyOf(parts))

    def expected(self) -> str:
        """In words."""
        return f"to be like none of {listed(self.like_pattern_list)}"


class ValuesMatchStrftime(ValueCheck, frozen=True, kw_only=True):
    """Texts are moments written in a format of `strftime`."""

    strftime_format: str

    def __post_init__(self) -> None:
        if "%" not in self.strftime_format:
            raise InvalidInput(f"{self.strftime_format!r} is no format of strftime", hint="for example %Y-%m-%d")

    def holds(self, target: Target) -> AnyPredicate:
        """The text reads in the format."""
        return Parses(target.column, "datetime", self.strftime_format)

    def expected(self) -> str:
        """In words."""
        return f"to be a moment written as {self.strftime_format}"


class ValuesParseAsDate(ValueCheck, frozen=True, kw_only=True):
    """Texts are moments in any of the forms that `dateutil` reads."""

    def holds(self, target: Target) -> AnyPredicate:
        """The text reads."""
        return Parses(target.column, "datetime")

    def expected(self) -> str:
        """In words."""
        return "to be a moment"


class ValuesParseAsJson(ValueCheck, frozen=True, kw_only=True):
    """Texts are JSON."""

    def holds(self, target: Target) -> AnyPredicate:
        """The text reads."""
        return Parses(target.column, "json")

    def expected(self) -> str:
        """In words."""
        return "to be JSON"


class ValuesReadAs(ValueCheck, frozen=True, kw_only=True):
    """Values are of a type, or are texts that read as it: what Deequ's data type and DQDL's ColumnDataType ask."""

    form: Literal["integer", "number", "boolean", "datetime", "json", "text"]

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        """The type of the column."""
        return {"": ()}

    def informed(self, target: Target, known: Known) -> Check:
        """A column of texts is read, one of another type is of the type or is not."""
        kind = known.schema[target.column].kind
        return _ReadAs(form=self.form, missing=self.missing, kind=kind)

    def holds(self, target: Target) -> AnyPredicate:
        """Asked as a column of texts."""
        return Not(Missing(target.column)) if self.form == "text" else Parses(target.column, self.form)

    def expected(self) -> str:
        """In words."""
        return f"to read as {self.form}"


class _ReadAs(ValuesReadAs, frozen=True, kw_only=True):
    kind: str

    def before(self, target: Target) -> Mapping[str, tuple[Metric, ...]]:
        return {}

    def holds(self, target: Target) -> AnyPredicate:
        if self.kind == "text":
            return super().holds(target)
        return Not(Missing(target.column)) if self.kind in _OF_FORM[self.form] else Missing(target.column)


_OF_FORM = {
    "integer": {"integer"},
    "number": {"integer", "float", "decimal"},
    "boolean": {"bool"},
    "datetime": {"date", "datetime"},
    "json": {"struct", "list"},
    "text": {"text"},
}
"""The kinds of columns that are of a form without being read."""


class ValuesFitJsonSchema(ValueCheck, frozen=True, kw_only=True):
    """Texts are JSON that a JSON Schema accepts."""

    json_schema: dict[str, Any]

    def holds(self, target: Target) -> AnyPredicate:
        """The schema accepts it."""
        return FitsJsonSchema(target.column, canonical_json(self.json_schema).decode())

    def expected(self) -> str:
        """In words."""
        return "to fit a JSON Schema"


class LengthsBetween(ValueCheck, frozen=True, kw_only=True):
    """Texts have a number of characters in a range."""

    min_value: int | float | None = None
    max_value: int | float | None = None
    strict_min: bool = False
    strict_max: bool = False

    def __post_init__(self) -> None:
        check_range(self.min_value, self.max_value)

    def holds(self, target: Target) -> AnyPredicate:
        """The text is as long as it should be."""
        low = None if self.min_value is None else math.ceil(self.min_value)
        high = None if self.max_value is None else math.floor(self.max_value)
        # Lengths are whole, so a strict end is the next whole number.
        if low is not None and self.strict_min and low == self.min_value:
            low += 1
        if high is not None and self.strict_max and high == self.max_value:
            high -= 1
        return Length(target.column, low, high)

    def expected(self) -> str:
        """In words."""
        text = range_text(self.min_value, self.max_value, strict_low=self.strict_min, strict_high=self.strict_max)
        return f"to have a length {text}"


class LengthsEqual(ValueCheck, frozen=True, kw_only=True):
    """Texts have one number of characters."""

    value: int

    def holds(self, target: Target) -> AnyPredicate:
        """The text is as long as it should be."""
        return Length(target.column, self.value, self.value)

    def expected(self) -> str:
        """In words."""
        return f"to have a length equal to {self.value}"


def _some(values: tuple[str, ...], name: str) -> None:
    if not values:
        raise InvalidInput(f"{name} is empty")


def _check_escape(escape: str | None) -> None:
    if escape and len(escape) != 1:
        raise InvalidInput(f"escape is one character, not {escape!r}")
