"""What is said of one column: `expect("flights").column("dep_delay").between(-120, 1440).not_null(mostly=0.9)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import msgspec

from mainspring.engines.tables import Scalar
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.patterns import whole
from mainspring.quality.types import Expectation, Severity, Suite

if TYPE_CHECKING:
    from mainspring.quality.suite import SuiteBuilder

__all__ = [
    "ColumnExpectations",
    "Options",
    "Range",
    "Value",
    "factor_range",
    "given",
    "plain_value",
    "range_of",
    "seconds_of",
]

Value = Scalar | date | datetime
"""What may be written where a value of a column is meant."""


class Options(TypedDict, total=False):
    """What every expectation may say besides its parameters."""

    mostly: float
    severity: Severity
    where: str
    meta: dict[str, Any]


class Range(Options, total=False):
    """What an expectation of a range may say besides its ends."""

    strict_min: bool
    strict_max: bool


class ColumnExpectations:
    """A suite in the making, speaking of one column. Every method adds one expectation and hands itself back."""

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

    def to(
        self, kind: str, arguments: Mapping[str, Any] | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """Add a kind by its full name, for example `to("column_sum_to_be_between", {"min_value": 0})`."""
        self._builder.add(Expectation(kind=kind, column=self._column, arguments=dict(arguments or {}), **options))
        return self

    # -- the column

    def exists(self, index: int | None = None, **options: Unpack[Options]) -> ColumnExpectations:
        """The column is there, as the one with this number if one is given."""
        return self.to("column_to_exist", given(column_index=index), **options)

    def of_type(self, *types: str, **options: Unpack[Options]) -> ColumnExpectations:
        """Its type is one of these: a kind (`integer`), an engine's own name (`Int64`) or another's (`BIGINT`)."""
        return self.to("column_values_to_be_in_type_list", {"type_list": list(types)}, **options)

    # -- its values

    def not_null(self, **options: Unpack[Options]) -> ColumnExpectations:
        """No value is null or NaN."""
        return self.to("column_values_to_not_be_null", **options)

    def null(self, **options: Unpack[Options]) -> ColumnExpectations:
        """Every value is null or NaN."""
        return self.to("column_values_to_be_null", **options)

    def unique(self, **options: Unpack[Options]) -> ColumnExpectations:
        """No value occurs twice."""
        return self.to("column_values_to_be_unique", **options)

    def between(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """Values lie in a range, ends included unless they are strict."""
        return self._range("column_values_to_be_between", min_value, max_value, options)

    def not_between(self, min_value: Value, max_value: Value, **options: Unpack[Range]) -> ColumnExpectations:
        """Values lie outside a range, or at its ends unless they are strict."""
        return self._range("column_values_to_not_be_between", min_value, max_value, options)

    def in_set(self, values: Iterable[Value], **options: Unpack[Options]) -> ColumnExpectations:
        """Values are members of a set."""
        return self.to("column_values_to_be_in_set", {"value_set": [plain_value(each) for each in values]}, **options)

    def not_in_set(self, values: Iterable[Value], **options: Unpack[Options]) -> ColumnExpectations:
        """Values are not members of a set."""
        return self.to(
            "column_values_to_not_be_in_set", {"value_set": [plain_value(each) for each in values]}, **options
        )

    def in_table(self, table: str, key: str = "", **options: Unpack[Options]) -> ColumnExpectations:
        """Values occur in a column of another table, as a foreign key does."""
        arguments = given(table=table, keys=[key] if key else None)
        return self.to("values_to_be_in_table", arguments, **options)

    def increasing(self, *, strictly: bool = False, **options: Unpack[Options]) -> ColumnExpectations:
        """Values do not go back, in the order of the rows."""
        return self.to("column_values_to_be_increasing", {"strictly": strictly}, **options)

    def decreasing(self, *, strictly: bool = False, **options: Unpack[Options]) -> ColumnExpectations:
        """Values do not rise, in the order of the rows."""
        return self.to("column_values_to_be_decreasing", {"strictly": strictly}, **options)

    def not_outliers(
        self, *, method: Literal["iqr", "std"] = "iqr", multiplier: float = 1.5, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """No value lies far outside the quartiles (`iqr`), or far from the mean (`std`)."""
        arguments = {"method": method, "multiplier": multiplier}
        return self.to("column_values_to_not_be_outliers", arguments, **options)

    def z_scores(
        self, threshold: float, *, double_sided: bool = True, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """Values lie less than so many standard deviations from the mean."""
        arguments = {"threshold": threshold, "double_sided": double_sided}
        return self.to("column_value_z_scores_to_be_less_than", arguments, **options)

    # -- its texts

    def matches(self, *regexes: str, any_of: bool = True, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts contain a match of a regular expression; of one of several, or of all of them."""
        if len(regexes) == 1:
            return self.to("column_values_to_match_regex", {"regex": regexes[0]}, **options)
        arguments = {"regex_list": list(regexes), "match_on": "any" if any_of else "all"}
        return self.to("column_values_to_match_regex_list", arguments, **options)

    def not_matches(self, *regexes: str, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts contain no match of any of these regular expressions."""
        if len(regexes) == 1:
            return self.to("column_values_to_not_match_regex", {"regex": regexes[0]}, **options)
        return self.to("column_values_to_not_match_regex_list", {"regex_list": list(regexes)}, **options)

    def like(self, *patterns: str, escape: str = "", **options: Unpack[Options]) -> ColumnExpectations:
        """Whole texts match one of these patterns of SQL's LIKE."""
        arguments = given(like_pattern_list=list(patterns), escape=escape or None)
        return self.to("column_values_to_match_like_pattern_list", arguments, **options)

    def length(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """Texts have a number of characters in a range."""
        return self._range("column_value_lengths_to_be_between", min_value, max_value, options)

    def email(self, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts are addresses of electronic mail."""
        return self.to("column_values_to_match_regex", {"regex": whole("email")}, **options)

    def url(self, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts are addresses that begin with http, https or ftp."""
        return self.to("column_values_to_match_regex", {"regex": whole("url")}, **options)

    def uuid(self, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts are UUIDs."""
        return self.to("column_values_to_match_regex", {"regex": whole("uuid")}, **options)

    def reads_as(
        self, form: Literal["integer", "number", "boolean", "datetime", "json", "text"], **options: Unpack[Options]
    ) -> ColumnExpectations:
        """Texts read as a type."""
        return self.to("column_values_to_read_as", {"form": form}, **options)

    def moment(self, strftime_format: str = "", **options: Unpack[Options]) -> ColumnExpectations:
        """Texts are moments, written in a format of `strftime`, or in any form that is commonly read."""
        if strftime_format:
            return self.to("column_values_to_match_strftime_format", {"strftime_format": strftime_format}, **options)
        return self.to("column_values_to_be_dateutil_parseable", **options)

    def json(self, schema: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> ColumnExpectations:
        """Texts are JSON, which a JSON Schema accepts if one is given."""
        if schema is None:
            return self.to("column_values_to_be_json_parseable", **options)
        return self.to("column_values_to_match_json_schema", {"json_schema": dict(schema)}, **options)

    # -- its numbers

    def number(
        self, measure: str, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """A number of the column lies in a range: `skewness`, `entropy`, `range`, ... as in the names of kinds."""
        return self._range(f"column_{measure}_to_be_between", min_value, max_value, options)

    def mean(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The mean lies in a range."""
        return self._range("column_mean_to_be_between", min_value, max_value, options)

    def median(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The median lies in a range."""
        return self._range("column_median_to_be_between", min_value, max_value, options)

    def sum(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The sum lies in a range."""
        return self._range("column_sum_to_be_between", min_value, max_value, options)

    def standard_deviation(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The standard deviation (dividing by n - 1) lies in a range."""
        return self._range("column_stdev_to_be_between", min_value, max_value, options)

    def minimum(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The least value lies in a range."""
        return self._range("column_min_to_be_between", min_value, max_value, options)

    def maximum(
        self, min_value: Value | None = None, max_value: Value | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The greatest value lies in a range."""
        return self._range("column_max_to_be_between", min_value, max_value, options)

    def quantile(
        self, q: float, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """A quantile lies in a range."""
        arguments = {"quantiles": [q], "value_ranges": [[min_value, max_value]]}
        return self.to("column_quantile_values_to_be_between", arguments, **options)

    def completeness(
        self, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The share of rows whose value is there lies in a range."""
        return self._range("column_proportion_of_non_null_values_to_be_between", min_value, max_value, options)

    def distinct(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Range]
    ) -> ColumnExpectations:
        """The number of distinct values lies in a range."""
        return self._range("column_unique_value_count_to_be_between", min_value, max_value, options)

    def distinct_values(
        self,
        values: Iterable[Value],
        *,
        relation: Literal["in", "contain", "equal"] = "equal",
        **options: Unpack[Options],
    ) -> ColumnExpectations:
        """The set of distinct values equals a set, lies in it, or contains it."""
        verb = {"in": "be_in", "contain": "contain", "equal": "equal"}[relation]
        members = [plain_value(each) for each in values]
        return self.to(f"column_distinct_values_to_{verb}_set", {"value_set": members}, **options)

    def most_common(
        self, values: Iterable[Value], *, ties_okay: bool = False, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The most frequent value is a member of a set."""
        arguments = {"value_set": [plain_value(each) for each in values], "ties_okay": ties_okay}
        return self.to("column_most_common_value_to_be_in_set", arguments, **options)

    def divergence(
        self, partition: Mapping[str, Any], threshold: float, *, holdout: float = 0.0, **options: Unpack[Options]
    ) -> ColumnExpectations:
        """The Kullback-Leibler divergence from a partition is at most a threshold."""
        arguments = {"partition_object": dict(partition), "threshold": threshold, "tail_weight_holdout": holdout}
        return self.to("column_kl_divergence_to_be_less_than", arguments, **options)

    # -- time and the version before

    def fresh(self, max_age: timedelta | float, **options: Unpack[Options]) -> ColumnExpectations:
        """The newest value is at most so old, by the clock: a duration or seconds."""
        return self.to("column_values_to_be_fresh", {"max_age": seconds_of(max_age)}, **options)

    def near_previous(
        self,
        measure: str,
        *,
        factor: float | None = None,
        change: float | None = None,
        table: str = "previous",
        **options: Unpack[Options],
    ) -> ColumnExpectations:
        """A number of the column is within a factor of, or no further than a change from, the version before."""
        arguments = given(measure=measure, max_change=change, table=None if table == "previous" else table)
        if factor is not None:
            arguments |= factor_range(factor)
        return self.to("column_metric_to_be_near_other", arguments, **options)

    def _range(self, kind: str, low: Value | None, high: Value | None, options: Range) -> ColumnExpectations:
        plain: dict[str, Any] = dict(options)
        strict = {name: plain.pop(name) for name in ("strict_min", "strict_max") if name in plain}
        return self.to(kind, range_of(low, high) | strict, **plain)


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in arguments.items() if value is not None}


def factor_range(factor: float) -> dict[str, float]:
    """A factor as the ends of a ratio."""
    if factor < 1:
        raise InvalidInput(f"a factor is at least 1, {factor} is not", hint="2 means between a half and twice as much")
    return {"min_ratio": 1 / factor, "max_ratio": factor}


def plain_value(value: Value) -> Scalar:
    """A value as JSON has it."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    plain = value
    if not isinstance(plain, bool | int | float | str):
        raise InvalidInput(f"{value!r} is not a value that a column can be compared with")
    return plain


def range_of(low: Value | None, high: Value | None) -> dict[str, Any]:
    """The ends of a range that are given."""
    ends = {"min_value": low, "max_value": high}
    plain: dict[str, Any] = msgspec.to_builtins({k: plain_value(end) for k, end in ends.items() if end is not None})
    return plain


def seconds_of(duration: timedelta | float) -> float:
    """A duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
