"""Suites written in Python: `expect("flights").column("dep_delay").between(-120, 1440)`.

A builder keeps adding to one suite and hands itself back; each line is checked when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Unpack

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.quality.expectations.kinds import compile_expectation, is_parametrised, kind_of
from mainspring.quality.suite_columns import ColumnExpectations, Options, factor_range, given, range_of
from mainspring.quality.types import Expectation, Suite

__all__ = ["ColumnExpectations", "Options", "SuiteBuilder", "as_suite", "expect"]


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
        if not is_parametrised(expectation.arguments):
            compile_expectation(expectation)
        self._expectations.append(expectation)
        return self

    def column(self, name: str) -> ColumnExpectations:
        """Speak of one column from here on."""
        return ColumnExpectations(self, name)

    def to(
        self,
        kind: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        columns: Iterable[str] = (),
        **options: Unpack[Options],
    ) -> SuiteBuilder:
        """Add a kind by its full name, of the table or of several columns."""
        return self.add(Expectation(kind=kind, columns=tuple(columns), arguments=dict(arguments or {}), **options))

    # -- several columns

    def unique(self, *columns: str, **options: Unpack[Options]) -> SuiteBuilder:
        """No two rows agree in all these columns."""
        return self.to("compound_columns_to_be_unique", columns=columns, **options)

    def complete(self, *columns: str, need: Literal["all", "any"] = "all", **options: Unpack[Options]) -> SuiteBuilder:
        """In each row all of these columns are there, or any of them."""
        return self.to("columns_to_be_complete", {"need": need}, columns=columns, **options)

    def greater(self, left: str, right: str, *, or_equal: bool = False, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row `left` is greater than `right`."""
        kind = "column_pair_values_a_to_be_greater_than_b"
        return self.to(kind, {"or_equal": or_equal}, columns=(left, right), **options)

    def equal(self, left: str, right: str, *more: str, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row the columns are equal."""
        if more:
            return self.to("multicolumn_values_to_be_equal", columns=(left, right, *more), **options)
        return self.to("column_pair_values_to_be_equal", columns=(left, right), **options)

    def pairs(
        self, left: str, right: str, values: Iterable[tuple[Any, Any]], **options: Unpack[Options]
    ) -> SuiteBuilder:
        """In each row the two columns together are one of these pairs."""
        arguments = {"value_pairs_set": [list(pair) for pair in values]}
        return self.to("column_pair_values_to_be_in_set", arguments, columns=(left, right), **options)

    def sum_to(self, total: float, *columns: str, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row the columns add up to a number."""
        return self.to("multicolumn_sum_to_equal", {"sum_total": total}, columns=columns, **options)

    def different(self, *columns: str, **options: Unpack[Options]) -> SuiteBuilder:
        """In each row no two of the columns hold the same value."""
        return self.to("select_column_values_to_be_unique_within_record", columns=columns, **options)

    def correlation(
        self, x: str, y: str, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """Pearson's correlation of two columns lies in a range."""
        kind = "column_pair_correlation_to_be_between"
        return self.to(kind, range_of(min_value, max_value), columns=(x, y), **options)

    def determines(
        self, columns: str | Iterable[str], *dependent: str, max_violations: int = 0, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """Rows that agree in the columns agree in the dependent ones, too."""
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        arguments = {"dependent": list(dependent), "max_violations": max_violations}
        return self.to("columns_to_determine", arguments, columns=names, **options)

    def foreign_key(
        self, columns: Iterable[str], table: str, keys: Iterable[str] = (), **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The columns together occur in another table."""
        arguments = {"table": table, "keys": list(keys)}
        return self.to("values_to_be_in_table", arguments, columns=columns, **options)

    # -- rows and shape

    def rows(self, condition: str, **options: Unpack[Options]) -> SuiteBuilder:
        """A condition in SQL holds of every row."""
        return self.to("rows_to_satisfy", {"condition": condition}, **options)

    def no_rows(self, query: str, **options: Unpack[Options]) -> SuiteBuilder:
        """A query in SQL, with `{batch}` for the table, finds no row."""
        return self.to("unexpected_rows_expectation", {"unexpected_rows_query": query}, **options)

    def query(
        self, query: str, min_value: float | None = None, max_value: float | None = None, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The one number that a query in SQL gives lies in a range."""
        return self.to("query_value_to_be_between", {"query": query} | range_of(min_value, max_value), **options)

    def row_count(
        self, min_value: int | None = None, max_value: int | None = None, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The table has a number of rows in a range."""
        if min_value is None and max_value is None:
            raise InvalidInput("a range needs min_value, max_value or both")
        return self.to("table_row_count_to_be_between", range_of(min_value, max_value), **options)

    def duplicates(
        self, min_value: int | None = 0, max_value: int | None = 0, *columns: str, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The number of rows that repeat another lies in a range; none may, when nothing is said."""
        kind = "table_duplicate_row_count_to_be_between"
        return self.to(kind, range_of(min_value, max_value), columns=columns, **options)

    def columns(
        self, *names: str, exact: bool = True, ordered: bool = False, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """The table has these columns, with `exact` no others, and with `ordered` in this order."""
        if ordered:
            return self.to("table_columns_to_match_ordered_list", {"column_list": list(names)}, **options)
        arguments = {"column_set": list(names), "exact_match": exact}
        return self.to("table_columns_to_match_set", arguments, **options)

    # -- the version before

    def volume(
        self,
        *,
        factor: float | None = None,
        min_ratio: float | None = None,
        max_ratio: float | None = None,
        table: str = "previous",
        **options: Unpack[Options],
    ) -> SuiteBuilder:
        """The number of rows is within a factor of that of the version before."""
        ends = factor_range(factor) if factor is not None else given(min_ratio=min_ratio, max_ratio=max_ratio)
        return self.to("table_row_count_to_be_near_other", {"table": table, **ends}, **options)

    def schema_evolves(
        self,
        *,
        new_columns: bool = True,
        missing_columns: bool = False,
        reordering: bool = True,
        type_changes: Literal["none", "widening", "any"] = "widening",
        table: str = "previous",
        **options: Unpack[Options],
    ) -> SuiteBuilder:
        """The columns changed against the version before only in ways that are allowed."""
        arguments = {
            "new_columns": new_columns,
            "missing_columns": missing_columns,
            "reordering": reordering,
            "type_changes": type_changes,
            "table": table,
        }
        return self.to("table_schema_to_evolve", arguments, **options)

    # -- combinations

    def all_of(
        self, *parts: SuiteBuilder | ColumnExpectations | Expectation, per_row: bool = False, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """Every part holds; in each row with `per_row`. A part is an expectation, or all those of a builder."""
        return self._combined("all_of", parts, per_row, options)

    def any_of(
        self, *parts: SuiteBuilder | ColumnExpectations | Expectation, per_row: bool = False, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """At least one part holds; in each row with `per_row`."""
        return self._combined("any_of", parts, per_row, options)

    def none_of(
        self, *parts: SuiteBuilder | ColumnExpectations | Expectation, per_row: bool = False, **options: Unpack[Options]
    ) -> SuiteBuilder:
        """No part holds; in no row with `per_row`."""
        return self._combined("none_of", parts, per_row, options)

    def _combined(self, kind: str, parts: Iterable[Any], per_row: bool, options: Options) -> SuiteBuilder:  # noqa: FBT001
        inner: list[Any] = []
        for part in parts:
            held = (part,) if isinstance(part, Expectation) else part.suite.expectations
            if not held:
                raise InvalidInput(f"a part of {kind} expects nothing")
            whole = (
                held[0]
                if len(held) == 1
                else Expectation(
                    kind="all_of", arguments={"expectations": [each.to_dict() for each in held], "per_row": per_row}
                )
            )
            inner.append(whole.to_dict())
        arguments = {"expectations": inner} | ({"per_row": True} if per_row else {})
        return self.add(Expectation(kind=kind, arguments=arguments, **options))
