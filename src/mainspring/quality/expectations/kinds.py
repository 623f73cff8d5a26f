"""Every kind of expectation by the name that the field knows it by.

The names are those of Great Expectations without the leading `expect_`, so that a suite can be carried over
by name; what it has no name for is named in the same manner. Third parties add kinds under the entry-point group
`mainspring.expectations`, programs of one's own with `register`.
"""

from __future__ import annotations

import msgspec

from mainspring.engines.tables import Sql
from mainspring.kernel.errors import AlreadyExists, InvalidInput, NotFound, nearest
from mainspring.kernel.hooks import registered
from mainspring.kernel.names import check_name
from mainspring.quality.anomalies_check import NORMAL_KINDS
from mainspring.quality.expectations import column_aggregates as aggregates
from mainspring.quality.expectations import column_distribution as distribution
from mainspring.quality.expectations import column_groups as groups
from mainspring.quality.expectations import column_sets as sets
from mainspring.quality.expectations import column_spread as spread
from mainspring.quality.expectations import column_statistics as statistics
from mainspring.quality.expectations import column_texts as texts
from mainspring.quality.expectations import column_values as values
from mainspring.quality.expectations import composite, distances, other_tables, queries, shares
from mainspring.quality.expectations import table_shape as shape
from mainspring.quality.expectations.base import Check, Target
from mainspring.quality.types import Expectation

__all__ = ["CORE_KINDS", "KINDS", "compile_expectation", "described", "is_parametrised", "kind_of", "register"]

_CORE: dict[str, type[Check]] = {
    "column_distinct_values_to_be_in_set": sets.DistinctInSet,
    "column_distinct_values_to_contain_set": sets.DistinctContainSet,
    "column_distinct_values_to_equal_set": sets.DistinctEqualSet,
    "column_kl_divergence_to_be_less_than": distribution.DivergenceBelow,
    "column_max_to_be_between": aggregates.MaxBetween,
    "column_mean_to_be_between": aggregates.MeanBetween,
    "column_median_to_be_between": aggregates.MedianBetween,
    "column_min_to_be_between": aggregates.MinBetween,
    "column_most_common_value_to_be_in_set": sets.MostCommonInSet,
    "column_pair_values_a_to_be_greater_than_b": groups.PairGreater,
    "column_pair_values_to_be_equal": groups.PairEqual,
    "column_pair_values_to_be_in_set": groups.PairInSet,
    "column_proportion_of_non_null_values_to_be_between": aggregates.ProportionNonNull,
    "column_proportion_of_unique_values_to_be_between": aggregates.ProportionUnique,
    "column_quantile_values_to_be_between": aggregates.QuantilesBetween,
    "column_stdev_to_be_between": aggregates.StdBetween,
    "column_sum_to_be_between": aggregates.SumBetween,
    "column_to_exist": shape.ColumnExists,
    "column_type_to_be": shape.ColumnTypeIs,
    "column_unique_value_count_to_be_between": aggregates.UniqueCountBetween,
    "column_value_lengths_to_be_between": texts.LengthsBetween,
    "column_value_lengths_to_equal": texts.LengthsEqual,
    "column_value_z_scores_to_be_less_than": spread.ZScoresBelow,
    "column_values_to_be_between": values.ValuesBetween,
    "column_values_to_be_dateutil_parseable": texts.ValuesParseAsDate,
    "column_values_to_be_decreasing": values.ValuesDecreasing,
    "column_values_to_be_in_set": values.ValuesInSet,
    "column_values_to_be_in_type_list": shape.ColumnTypeIn,
    "column_values_to_be_increasing": values.ValuesIncreasing,
    "column_values_to_be_json_parseable": texts.ValuesParseAsJson,
    "column_values_to_be_null": values.ValuesNull,
    "column_values_to_be_of_type": shape.ColumnTypeIs,
    "column_values_to_be_unique": values.ValuesUnique,
    "column_values_to_match_json_schema": texts.ValuesFitJsonSchema,
    "column_values_to_match_like_pattern": texts.ValuesMatchLike,
    "column_values_to_match_like_pattern_list": texts.ValuesMatchLikeList,
    "column_values_to_match_regex": texts.ValuesMatchRegex,
    "column_values_to_match_regex_list": texts.ValuesMatchRegexList,
    "column_values_to_match_strftime_format": texts.ValuesMatchStrftime,
    "column_values_to_not_be_in_set": values.ValuesNotInSet,
    "column_values_to_not_be_null": values.ValuesNotNull,
    "column_values_to_not_be_outliers": spread.ValuesNotOutliers,
    "column_values_to_not_match_like_pattern": texts.ValuesNotMatchLike,
    "column_values_to_not_match_like_pattern_list": texts.ValuesNotMatchLikeList,
    "column_values_to_not_match_regex": texts.ValuesNotMatchRegex,
    "column_values_to_not_match_regex_list": texts.ValuesNotMatchRegexList,
    "compound_columns_to_be_unique": groups.CompoundUnique,
    "multicolumn_sum_to_equal": groups.RowSumEquals,
    "multicolumn_values_to_be_equal": groups.SameWithinRow,
    "query_results_to_match_comparison": queries.ResultsMatch,
    "select_column_values_to_be_unique_within_record": groups.UniqueWithinRow,
    "table_column_count_to_be_between": shape.ColumnCountBetween,
    "table_column_count_to_equal": shape.ColumnCountEquals,
    "table_columns_to_match_ordered_list": shape.ColumnsMatchOrderedList,
    "table_columns_to_match_set": shape.ColumnsMatchSet,
    "table_row_count_to_be_between": shape.RowCountBetween,
    "table_row_count_to_equal": shape.RowCountEquals,
    "table_row_count_to_equal_other_table": other_tables.RowCountEqualsOther,
    "unexpected_rows_expectation": queries.NoUnexpectedRows,
}

CORE_KINDS = frozenset(_CORE)
"""The kinds that Great Expectations 1.24 knows, all of them."""

KINDS: dict[str, type[Check]] = {
    **_CORE,
    # Deequ's analyzers, where Great Expectations has no name for them.
    "column_distinctness_to_be_between": statistics.DistinctnessBetween,
    "column_entropy_to_be_between": statistics.EntropyBetween,
    "column_interquartile_range_to_be_between": statistics.InterquartileRangeBetween,
    "column_kurtosis_to_be_between": statistics.KurtosisBetween,
    "column_max_length_to_be_between": aggregates.MaxLengthBetween,
    "column_min_length_to_be_between": aggregates.MinLengthBetween,
    "column_pair_correlation_to_be_between": statistics.CorrelationBetween,
    "column_pair_mutual_information_to_be_between": statistics.MutualInformationBetween,
    "column_pair_ratio_of_sums_to_be_between": statistics.RatioOfSumsBetween,
    "column_pair_values_to_stand_in_relation": groups.PairRelation,
    "column_range_to_be_between": statistics.RangeBetween,
    "column_skewness_to_be_between": statistics.SkewnessBetween,
    "column_text_form_share_to_be_between": statistics.TextFormShareBetween,
    "column_unique_value_ratio_to_be_between": statistics.UniqueValueRatioBetween,
    "column_uniqueness_to_be_between": statistics.UniquenessBetween,
    "column_value_share_to_be_between": sets.ValueShareBetween,
    "column_values_to_read_as": texts.ValuesReadAs,
    "column_variance_to_be_between": aggregates.VarianceBetween,
    "column_zeros_count_to_be_between": statistics.ZerosCountBetween,
    "columns_to_be_complete": groups.ColumnsComplete,
    "query_value_to_be_between": queries.QueryValueBetween,
    "table_column_names_to_match_regex": shape.ColumnNamesMatch,
    "table_compliance_to_be_between": shape.ComplianceBetween,
    "table_duplicate_row_count_to_be_between": shape.DuplicateRowsBetween,
    "column_value_ages_to_be_between": values.AgesBetween,
    "column_values_to_not_be_between": values.ValuesNotBetween,
    "query_rows_share_to_be_between": queries.QueryRowsShareBetween,
    "share_of_rows_to_be_between": shares.ShareBetween,
    "table_schema_to_match_other": other_tables.SchemaMatches,
    # What TFDV's schema says besides.
    "column_distribution_to_be_near_other": distances.DistributionNearOther,
    "column_list_lengths_to_be_between": distances.ListLengthsBetween,
    "column_nan_count_to_be_between": statistics.NanCountBetween,
    "column_value_count_to_be_between": statistics.ValueCountBetween,
    "table_columns_to_be_among": shape.ColumnsAmong,
    # Keys, time, and the version before.
    "column_metric_to_be_near_other": other_tables.NearOther,
    "column_values_to_be_fresh": other_tables.FreshValues,
    "columns_to_determine": groups.ColumnsDetermine,
    "rows_to_satisfy": shape.RowsSatisfy,
    "table_row_count_to_be_near_other": other_tables.RowCountNearOther,
    "table_schema_to_evolve": other_tables.SchemaEvolves,
    "values_to_be_in_table": groups.ForeignKey,
    # Combinations.
    "all_of": composite.AllOf,
    "any_of": composite.AnyOfThem,
    "none_of": composite.NoneOf,
    # Numbers with a history.
    **NORMAL_KINDS,
}
"""The built-in kinds."""

_DEEPEST = 100
_NESTS = (dict, list, tuple)
_REGISTERED: dict[str, type[Check]] = {}
_SUBJECTS = {"column": "one column", "columns": "several columns", "table": "the whole table"}


def register(name: str, kind: type[Check]) -> None:
    """Make a class of one's own a kind, for as long as this process lives."""
    check_name(name, what="kind of expectation")
    known = KINDS.get(name) or _REGISTERED.get(name)
    if known is not None and known is not kind:
        raise AlreadyExists(f"a kind of expectation is called {name!r} already")
    _REGISTERED[name] = kind


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
    found = kind_of(expectation.kind)
    if is_parametrised(expectation.arguments):
        raise InvalidInput(
            f"{expectation.kind} of {expectation.subject} has parameters without a value",
            hint="pass parameters={name: value} to the validation",
        )
    try:
        check = msgspec.convert(expectation.arguments, found, strict=True)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        reason = cause.message if isinstance(cause, InvalidInput) else str(error)
        raise InvalidInput(f"{expectation.kind} of {expectation.subject}: {reason}") from None
    target = Target(
        expectation.column,
        expectation.columns,
        Sql(expectation.where) if expectation.where else None,
        expectation.mostly,
    )
    _check_subject(expectation, check, target)
    return check, target


def described(expectation: Expectation) -> str:
    """An expectation as one sentence.

    Example:
        >>> described(Expectation(kind="column_values_to_not_be_null", column="tail", mostly=0.9))
        'values of tail are expected to be there, for at least 90 %'
    """
    if is_parametrised(expectation.arguments):
        return f"{expectation.kind} of {expectation.subject} with {expectation.arguments}"
    check, _ = compile_expectation(expectation)
    if expectation.column:
        subject = f"values of {expectation.column} are"
    else:
        subject = f"{' and '.join(expectation.columns)} are" if expectation.columns else "the table is"
    share = f", for at least {expectation.mostly * 100:.6g} %" if expectation.mostly < 1 else ""
    where = f", where {expectation.where}" if expectation.where else ""
    return f"{subject} expected {check.expected()}{share}{where}"


def is_parametrised(arguments: object) -> bool:
    """Whether a value somewhere inside is `{"$PARAMETER": name}`, which a validation gives a value.

    Raises `InvalidInput` for arguments that are nested beyond what can be gone through.
    """
    level, found = [arguments], False
    for _ in range(_DEEPEST):
        found = found or any(isinstance(each, dict) and "$PARAMETER" in each for each in level)
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, _NESTS)]
        level = [value for each in inner for value in each if isinstance(value, _NESTS)]
        if not level:
            return found
    raise InvalidInput(f"the arguments of an expectation are nested more than {_DEEPEST} deep")


def kind_of(name: str) -> type[Check]:
    """The class behind the name of a kind, with or without `expect_` before it."""
    plain = name.removeprefix("expect_")
    for known in (name, plain):
        if known in KINDS:
            return KINDS[known]
        if known in _REGISTERED:
            return _REGISTERED[known]
    try:
        found: type[Check] = registered("expectations", {}, name)
    except NotFound:
        raise NotFound(f"no kind of expectation is called {name!r}", known=nearest(name, KINDS, limit=5)) from None
    return found


def _check_subject(expectation: Expectation, check: Check, target: Target) -> None:
    given = "column" if expectation.column else "columns" if expectation.columns else "table"
    possible = check.subjects or (check.subject,)
    if given not in possible or (expectation.column and expectation.columns):
        asked = " or ".join(_SUBJECTS[each] for each in possible)
        raise InvalidInput(
            f"{expectation.kind} is asked of {asked}, not of {_SUBJECTS[given]}",
            hint={"column": "give column=", "columns": "give columns=", "table": "give neither"}[possible[0]],
        )
    if not 0.0 <= expectation.mostly <= 1.0:
        raise InvalidInput(f"mostly is a share between 0 and 1, not {expectation.mostly}")
    check.check_subject(target)
