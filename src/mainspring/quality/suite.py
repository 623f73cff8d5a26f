"""Suites written in Python: `expect("flights").column("dep_delay").between(-120, 1440)`.

A builder keeps adding to one suite and hands itself back; each line is checked when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypedDict, Unpack

import msgspec

from mainspring.engines.tables import Scalar
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.quality.expectations.kinds import compile_expectation, is_parametrised, kind_of
from mainspring.quality.types import Expectation, Severity, Suite

__all__ = ["ColumnExpectations", "Options", "SuiteBuilder", "as_suite", "expect"]

Value = Scalar | date | datetime
"""What may be written where a value of a column is meant."""


class Options(TypedDict, total=False):
    """What every expectation may say besides its parameters."""

    mostly: float
    severity: Severity
    where: str
    meta: dict[str, Any]


def expect(name: str) -> SuiteBuilder:
    """Begin a suite, usually named after the dataset it is for.

    Example:
        >>> suite = expect("flights").column("dep_delay").between(-120, 1440, mostly=0.999).not_null(mostly=0.9).suite
        >>> [each.kind for each in suite.expectations]
        ['column_values_to_be_between', 'column_values_to_not_be_null']
    """
    return SuiteBuilder(check_name(name, what="suite"))


def as_suite(
    suite: Suite | SuiteBuilder | ColumnExpectations | Iterable[Expectation], *, complete: bool = False
) -> Suite:
    """The suite behind a builder, a list of expectations, or a suite; every line is checked.

    A line with parameters that a validation gives values is checked then, or now when it should be `complete`.
    """
    if isinstance(suite, SuiteBuilder | ColumnExpectations):
        return suite.suite
    if not isinstance(suite, Suite):
        suite = Suite(name="unnamed", expectations=tuple(suite))
    for expectation in suite.expectations:
        if complete or not is_parametrised(expectation.arguments):
            compile_expectation(expectation)
        else:
            kind_of(expectation.kind)
    return suite


class SuiteBuilder:
    """A suite in the making. Every method adds one expectation and returns the builder."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._expectations: list[Expectation] = []

    @property
    def suite(self) -> Suite:
        """What was said so far."""
        return Suite(name=self._name, expectations=tuple(self._expectations))

    @property
    def table(self) -> SuiteBuilder:
        """This builder, which speaks of the table; so that a sentence may begin with it."""
        return self

    def add(self, expectation: Expectation) -> SuiteBuilder:
        """Add any expectation by value."""
        compile_expectation(expectation)
        self._expectations.append(expectation)
        return self

    def column(self, name: str) -> ColumnExpectations:
        """Speak of one column from here on."""
        return ColumnExpectations(self, name)

    def unique(self, *columns: str, **options: Unpack[Options]) -> SuiteBuilder:
        """No two rows agree in all these columns."""
        return self.add(Expectation(kind="compound_columns_to_be_unique", columns=columns, **options))

    def greater(self, left: str, right: str, *, or_equal: bool = False, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row `left` is greater than `right`."""
        arguments = {"or_equal": or_equal}
        kind = "column_pair_values_a_to_be_greater_than_b"
        return self.add(Expectation(kind=kind, columns=(left, right), arguments=arguments, **options))

    def equal(self, left: str, right: str, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row the two columns are equal."""
        return self.add(Expectation(kind="column_pair_values_to_be_equal", columns=(left, right), **options))

    def rows(self, condition: str, **options: Unpack[Options]) -> SuiteBuilder:
        """A condition in SQL holds of every row."""
        return self.add(Expectation(kind="rows_to_satisfy", arguments={"condition": condition}, **options))

    def row_count(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The table has a number of rows in a range."""
        arguments = _range(min_value, max_value)
        return self.add(Expectation(kind="table_row_count_to_be_between", arguments=arguments, **options))

    def columns(self, *names: str, exact: bool = True, **options: Unpack[Options]) -> SuiteBuilder:
        """The table has these columns, in any order, and with `exact` no others."""
        arguments = {"column_set": list(names), "exact_match": exact}
        return self.add(Expectation(kind="table_columns_to_match_set", arguments=arguments, **options))


class ColumnExpectations:
    """The same suite, speaking of one column."""

    def __init__(self, builder: SuiteBuilder, name: str) -> None:
        self._builder = builder
        self._column = name

    @property
    def suite(self) -> Suite:
        """What was said so far, of every column."""
        return self._builder.suite

    @property
    def table(self) -> SuiteBuilder:
        """Speak of the table again."""
        return self._builder

    def column(self, name: str) -> ColumnExpectations:
        """Speak of another column from here on."""
        return self._builder.column(name)

    def to(self, kind: str, arguments: dict[str, Any] | None = None, **options: Unpack[Options]) -> ColumnExpectations:
        """Add a kind by its full name, for example `to("column_sum_to_be_between", {"min_value": 0})`."""
        self._builder.add(Expectation(kind=kind, column=self._column, arguments=arguments or {}, **options))
        return self

    def exists(self, **options: Unpack[Options]) -> ColumnExpectations:
        """The column is there."""
        return self.to("column_to_exist", **options)

    def of_type(self, *types: str, **options: Unpack[Options]) -> ColumnExpectations:
        """Its type is one of these: a kind (`integer`) or an engine's own name (`Int64`)."""
        return self.to("column_values_to_be_in_type_list", {"type_list": list(types)}, **options)

    def not_null(self, **options: Unpack[Options]) -> ColumnExpectations:
        """No value is null or NaN."""
        return self.to("column_values_to_not_be_null", **options)

    def unique(self, **options: Unpack[Options]) -> ColumnExpectations:
        """No value occurs twice."""
        return self.to("column_values_to_be_unique", **options)

    def between(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """Values lie in a range, ends included."""
        return self.to("column_values_to_be_between", _range(min_value, max_value), **options)

    def in_set(self, values: Iterable[Value], **options: Unpack[Options]) -> ColumnExpectations:
        """Values are members of a set."""
        return self.to("column_values_to_be_in_set", {"value_set": [_plain(each) for each in values]}, **options)

    def not_in_set(self, values: Iterable[Value], **options: Unpack[Options]) -> ColumnExpectations:
        """Values are not members of a set."""
        return self.to("column_values_to_not_be_in_set", {"value_set": [_plain(each) for each in values]}, **options)

    def matches(self, regex: str, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts contain a match of a regular expression."""
        return self.to("column_values_to_match_regex", {"regex": regex}, **options)

    def not_matches(self, regex: str, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts contain no match of a regular expression."""
        return self.to("column_values_to_not_match_regex", {"regex": regex}, **options)

    def length(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """Texts have a number of characters in a range."""
        return self.to("column_value_lengths_to_be_between", _range(min_value, max_value), **options)

    def increasing(self, *, strictly: bool = False, **options: Unpack[Options]) -> ColumnExpectations:
        """Values do not go back, in the order of the rows."""
        return self.to("column_values_to_be_increasing", {"strictly": strictly}, **options)

    def mean(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The mean lies in a range."""
        return self.to("column_mean_to_be_between", _range(min_value, max_value), **options)

    def minimum(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The least value lies in a range."""
        return self.to("column_min_to_be_between", _range(min_value, max_value), **options)

    def maximum(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The greatest value lies in a range."""
        return self.to("column_max_to_be_between", _range(min_value, max_value), **options)

    def quantile(
        self, q: float, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """A quantile lies in a range."""
        arguments = {"quantiles": [q], "value_ranges": [[min_value, max_value]]}
        return self.to("column_quantile_values_to_be_between", arguments, **options)

    def distinct(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The number of distinct values lies in a range."""
        return self.to("column_unique_value_count_to_be_between", _range(min_value, max_value), **options)


def _plain(value: Value) -> Scalar:
    if isinstance(value, date | datetime):
        return value.isoformat()
    plain = value
    if not isinstance(plain, bool | int | float | str):
        raise InvalidInput(f"{value!r} is not a value that a column can be compared with")
    return plain


def _range(low: Value | None, high: Value | None) -> dict[str, Any]:
    ends = {"min_value": low, "max_value": high}
    return msgspec.to_builtins({name: _plain(end) for name, end in ends.items() if end is not None})  # type: ignore[no-any-return]  # a dict of builtins is one
