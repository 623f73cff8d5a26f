"""Every kind of expectation by the name that the field knows it by.

The names are those of Great Expectations without the leading `expect_`, so that a suite can be carried over
by name. Third parties add kinds under the entry-point group `mainspring.expectations`.
"""

from __future__ import annotations

import msgspec

from mainspring.engines.tables import Sql
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.hooks import registered
from mainspring.quality.expectations import column_aggregates as aggregates
from mainspring.quality.expectations import column_values as values
from mainspring.quality.expectations import table_shape as shape
from mainspring.quality.expectations.base import Check, Target
from mainspring.quality.types import Expectation

__all__ = ["KINDS", "compile_expectation", "described"]

KINDS: dict[str, type[Check]] = {
    "column_distinct_values_to_be_in_set": aggregates.DistinctInSet,
    "column_distinct_values_to_contain_set": aggregates.DistinctContainSet,
    "column_distinct_values_to_equal_set": aggregates.DistinctEqualSet,
    "column_max_to_be_between": aggregates.MaxBetween,
    "column_mean_to_be_between": aggregates.MeanBetween,
    "column_median_to_be_between": aggregates.MedianBetween,
    "column_min_to_be_between": aggregates.MinBetween,
    "column_most_common_value_to_be_in_set": aggregates.MostCommonInSet,
    "column_pair_values_a_to_be_greater_than_b": shape.PairGreater,
    "column_pair_values_to_be_equal": shape.PairEqual,
    "column_proportion_of_non_null_values_to_be_between": aggregates.ProportionNonNull,
    "column_proportion_of_unique_values_to_be_between": aggregates.ProportionUnique,
    "column_quantile_values_to_be_between": aggregates.QuantilesBetween,
    "column_stdev_to_be_between": aggregates.StdBetween,
    "column_sum_to_be_between": aggregates.SumBetween,
    "column_to_exist": shape.ColumnExists,
    "column_type_to_be": shape.ColumnTypeIs,
    "column_unique_value_count_to_be_between": aggregates.UniqueCountBetween,
    "column_value_lengths_to_be_between": values.LengthsBetween,
    "column_value_lengths_to_equal": values.LengthsEqual,
    "column_values_to_be_between": values.ValuesBetween,
    "column_values_to_be_decreasing": values.ValuesDecreasing,
    "column_values_to_be_in_set": values.ValuesInSet,
    "column_values_to_be_in_type_list": shape.ColumnTypeIn,
    "column_values_to_be_increasing": values.ValuesIncreasing,
    "column_values_to_be_null": values.ValuesNull,
    "column_values_to_be_unique": values.ValuesUnique,
    "column_values_to_match_regex": values.ValuesMatchRegex,
    "column_values_to_not_be_in_set": values.ValuesNotInSet,
    "column_values_to_not_be_null": values.ValuesNotNull,
    "column_values_to_not_match_regex": values.ValuesNotMatchRegex,
    "compound_columns_to_be_unique": shape.CompoundUnique,
    "rows_to_satisfy": shape.RowsSatisfy,
    "table_column_count_to_be_between": shape.ColumnCountBetween,
    "table_columns_to_match_ordered_list": shape.ColumnsMatchOrderedList,
    "table_columns_to_match_set": shape.ColumnsMatchSet,
    "table_row_count_to_be_between": shape.RowCountBetween,
}
"""The built-in kinds."""


def compile_expectation(expectation: Expectation) -> tuple[Check, Target]:
    """The check and its target behind an expectation.

    Raises:
        NotFound: The kind is not known; the nearest kinds are named.
        InvalidInput: A parameter is missing, unknown or of a wrong type, or the subject does not fit the kind.

    Example:
        >>> check, target = compile_expectation(Expectation(kind="column_values_to_be_unique", column="id"))
        >>> check.expected(), target.column
        ('to be unique', 'id')
    """
    found = _kind(expectation.kind)
    try:
        check = msgspec.convert(expectation.arguments, found, strict=True)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        reason = cause.message if isinstance(cause, InvalidInput) else str(error)
        raise InvalidInput(f"{expectation.kind} of {expectation.subject}: {reason}") from None
    _check_subject(expectation, check)
    where = Sql(expectation.where) if expectation.where else None
    return check, Target(expectation.column, expectation.columns, where, expectation.mostly)


def described(expectation: Expectation) -> str:
    """An expectation as one sentence.

    Example:
        >>> described(Expectation(kind="column_values_to_not_be_null", column="tail", mostly=0.9))
        'values of tail are expected to be there, for at least 90 %'
    """
    check, _ = compile_expectation(expectation)
    subject = {"column": f"values of {expectation.column} are", "table": "the table is"}.get(
        check.subject, f"{' and '.join(expectation.columns)} are"
    )
    share = f", for at least {expectation.mostly * 100:.6g} %" if expectation.mostly < 1 else ""
    where = f", where {expectation.where}" if expectation.where else ""
    return f"{subject} expected {check.expected()}{share}{where}"


def _kind(name: str) -> type[Check]:
    if name in KINDS:
        return KINDS[name]
    plain = name.removeprefix("expect_")
    try:
        found: type[Check] = KINDS[plain] if plain in KINDS else registered("expectations", {}, name)
    except NotFound:
        raise NotFound(f"no kind of expectation is called {name!r}", known=nearest(name, KINDS, limit=5)) from None
    return found


def _check_subject(expectation: Expectation, check: Check) -> None:
    given = "column" if expectation.column else "columns" if expectation.columns else "table"
    if given != check.subject:
        raise InvalidInput(
            f"{expectation.kind} is asked of {_SUBJECTS[check.subject]}, not of {_SUBJECTS[given]}",
            hint={"column": "give column=", "columns": "give columns=", "table": "give neither"}[check.subject],
        )
    if not 0.0 <= expectation.mostly <= 1.0:
        raise InvalidInput(f"mostly is a share between 0 and 1, not {expectation.mostly}")


_SUBJECTS = {"column": "one column", "columns": "several columns", "table": "the whole table"}
