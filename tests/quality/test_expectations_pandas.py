"""Every kind of expectation against brute force: nulls, NaN, empty, one row, Unicode, decimals, zones, lists."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
from dateutil import parser as dates
from hypothesis import HealthCheck, given, settings
from scipy import stats

from mainspring.quality.expectations.kinds import CORE_KINDS, KINDS
from mainspring.quality.types import Expectation
from mainspring.quality.validation import validate_table

TABLE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROWS = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZONE = timezone(timedelta(hours=2))
TEXTS = ["", "a", "bb", "é1", "☃x", "a%b", "a_b", "12", "-3.5", "true", "2024-02-29", "2023-02-29", "5 May 2024",
         '{"a": 1}', '{"a": "x"}', "[1]", "{", "null", " \t"]  # fmt: skip
NUMBERS = [None, float("nan"), -1.5, 0.0, 1.0, 2.0, 2.5, 100.0]
SCHEMA = {
    "x": pl.Float64,
    "y": pl.Float64,
    "n": pl.Int64,
    "s": pl.String,
    "d": pl.Decimal(10, 2),
    "t": pl.Datetime("us", "UTC"),
    "u": pl.Datetime("us"),
    "day": pl.Date,
    "b": pl.Boolean,
    "l": pl.List(pl.Int64),
    "z": pl.Struct({"k": pl.Int64}),
}
MOMENTS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=each) for each in (0, 1, 30, 24 * 60)]


def maybe(values):
    return st.one_of(st.none(), values)


ROW = st.fixed_dictionaries(
    {
        "x": st.sampled_from(NUMBERS),
        "y": st.sampled_from(NUMBERS),
        "n": maybe(st.integers(-2, 4)),
        "s": maybe(st.sampled_from(TEXTS)),
        "d": maybe(st.sampled_from([Decimal("-1.10"), Decimal("0.00"), Decimal("2.25")])),
        "t": maybe(st.sampled_from(MOMENTS)),
        "u": maybe(st.sampled_from([each.replace(tzinfo=None) for each in MOMENTS])),
        "day": maybe(st.sampled_from([each.date() for each in MOMENTS])),
        "b": maybe(st.booleans()),
        "l": maybe(st.lists(st.integers(0, 2), max_size=3)),
        "z": maybe(st.fixed_dictionaries({"k": maybe(st.integers(0, 2))})),
    }
)
TABLES = st.lists(ROW, max_size=12)


def both(rows):
    """The same rows for us, and as columns of Python's own objects for the brute force."""
    frame = pl.DataFrame(rows, schema=SCHEMA)
    return frame, pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in SCHEMA})


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def reads(function):
    def holds(text):
        try:
            function(text)
        except (ValueError, OverflowError):
            return False
        return True

    return holds


def fits(text):
    return is_json(text) and isinstance(json.loads(text), dict) and isinstance(json.loads(text).get("a"), int)


def duplicated(column):
    counts = Counter(column)
    return lambda value: counts[value] == 1


# kind, column, arguments, what holds of a value that is there (given the column without what is missing)
VALUES = [
    ("column_values_to_be_between", "x", {"min_value": 0, "max_value": 2}, lambda c: lambda v: 0 <= v <= 2),
    ("column_values_to_be_between", "d", {"min_value": 0, "strict_min": True}, lambda c: lambda v: v > 0),
    ("column_values_to_be_between", "d", {"max_value": 2.25}, lambda c: lambda v: v <= Decimal("2.25")),
    ("column_values_to_be_between", "t", {"min_value": "2024-01-01T03:00:00+02:00", "max_value": "2024-01-03"},
     lambda c: lambda v: datetime(2024, 1, 1, 3, tzinfo=ZONE) <= v <= datetime(2024, 1, 3, tzinfo=UTC)),
    ("column_values_to_be_between", "u", {"max_value": "2024-01-01T01:00:00", "strict_max": True},
     lambda c: lambda v: v < MOMENTS[1].replace(tzinfo=None)),
    ("column_values_to_be_between", "day", {"min_value": "2024-01-02"}, lambda c: lambda v: v >= date(2024, 1, 2)),
    ("column_values_to_not_be_between", "x", {"min_value": 0, "max_value": 2}, lambda c: lambda v: v <= 0 or v >= 2),
    ("column_values_to_be_in_set", "n", {"value_set": [1, 2.0, 2.5]}, lambda c: lambda v: v in {1, 2}),
    ("column_values_to_be_in_set", "day", {"value_set": ["2024-01-02"]}, lambda c: lambda v: v == date(2024, 1, 2)),
    ("column_values_to_be_in_set", "b", {"value_set": [True]}, lambda c: lambda v: v is True),
    ("column_values_to_not_be_in_set", "s", {"value_set": ["", "☃x"]}, lambda c: lambda v: v not in {"", "☃x"}),
    ("column_values_to_be_unique", "s", {}, duplicated),
    ("column_values_to_be_unique", "t", {}, duplicated),
    ("column_values_to_be_unique", "d", {}, duplicated),
    ("column_values_to_match_regex", "s", {"regex": "^[a-zé]"}, lambda c: lambda v: bool(re.search("^[a-zé]", v))),
    ("column_values_to_not_match_regex", "s", {"regex": r"\d"}, lambda c: lambda v: not re.search("[0-9]", v)),
    ("column_values_to_match_regex_list", "s", {"regex_list": ["a", "b"], "match_on": "all"},
     lambda c: lambda v: "a" in v and "b" in v),
    ("column_values_to_match_regex_list", "s", {"regex_list": ["^a", "☃"]},
     lambda c: lambda v: v.startswith("a") or "☃" in v),
    ("column_values_to_not_match_regex_list", "s", {"regex_list": ["a", "1"]},
     lambda c: lambda v: "a" not in v and "1" not in v),
    ("column_values_to_match_like_pattern", "s", {"like_pattern": "_%"}, lambda c: lambda v: len(v) >= 1),
    ("column_values_to_match_like_pattern", "s", {"like_pattern": "a!%%", "escape": "!"},
     lambda c: lambda v: v.startswith("a%")),
    ("column_values_to_not_match_like_pattern", "s", {"like_pattern": "a_b"},
     lambda c: lambda v: not re.fullmatch("a.b", v, re.DOTALL)),
    ("column_values_to_match_like_pattern_list", "s", {"like_pattern_list": ["a%", "%b"], "match_on": "all"},
     lambda c: lambda v: v.startswith("a") and v.endswith("b")),
    ("column_values_to_match_like_pattern_list", "s", {"like_pattern_list": ["a%", "%b"]},
     lambda c: lambda v: v.startswith("a") or v.endswith("b")),
    ("column_values_to_not_match_like_pattern_list", "s", {"like_pattern_list": ["a%", "%b"]},
     lambda c: lambda v: not (v.startswith("a") or v.endswith("b"))),
    ("column_values_to_match_strftime_format", "s", {"strftime_format": "%Y-%m-%d"},
     lambda c: reads(lambda v: time.strptime(v, "%Y-%m-%d"))),
    ("column_values_to_be_dateutil_parseable", "s", {}, lambda c: reads(dates.parse)),
    ("column_values_to_be_json_parseable", "s", {}, lambda c: is_json),
    ("column_values_to_match_json_schema", "s",
     {"json_schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}}, lambda c: fits),
    ("column_values_to_read_as", "s", {"form": "integer"}, lambda c: lambda v: bool(re.fullmatch("[+-]?[0-9]+", v))),
    ("column_values_to_read_as", "n", {"form": "number"}, lambda c: lambda v: True),
    ("column_values_to_read_as", "b", {"form": "integer"}, lambda c: lambda v: False),
    ("column_value_lengths_to_be_between", "s", {"min_value": 1, "max_value": 3, "strict_min": True},
     lambda c: lambda v: 1 < len(v) <= 3),
    ("column_value_lengths_to_equal", "s", {"value": 2}, lambda c: lambda v: len(v) == 2),
    ("column_value_ages_to_be_between", "t", {"max_age": 86400, "now": "2024-01-02T07:00:00Z"},
     lambda c: lambda v: (datetime(2024, 1, 2, 7, tzinfo=UTC) - v).total_seconds() <= 86400),
    ("column_list_lengths_to_be_between", "l", {"min_value": 1, "max_value": 2}, lambda c: lambda v: 1 <= len(v) <= 2),
    ("column_value_z_scores_to_be_less_than", "x", {"threshold": 1.0, "double_sided": True},
     lambda c: z_scores(c, 1.0, double=True)),
    ("column_value_z_scores_to_be_less_than", "n", {"threshold": 0.5}, lambda c: z_scores(c, 0.5, double=False)),
    ("column_values_to_not_be_outliers", "x", {"multiplier": 0.5}, lambda c: iqr(c, 0.5)),
    ("column_values_to_not_be_outliers", "n", {"method": "std", "multiplier": 1.0}, lambda c: deviations(c, 1.0)),
]  # fmt: skip


def z_scores(column, threshold, *, double):
    if len(column) < 2 or np.std([float(v) for v in column]) == 0:
        return lambda value: True
    mean, std = np.mean([float(v) for v in column]), np.std([float(v) for v in column], ddof=1)
    high, low = mean + threshold * std, mean - threshold * std
    return lambda value: value < high and (not double or value > low)


def iqr(column, multiplier):
    if not column:
        return lambda value: True
    low, high = np.quantile([float(v) for v in column], [0.25, 0.75])
    return lambda value: low - multiplier * (high - low) <= value <= high + multiplier * (high - low)


def deviations(column, multiplier):
    if len(column) < 2:
        return lambda value: True
    mean, std = np.mean([float(v) for v in column]), np.std([float(v) for v in column], ddof=1)
    return lambda value: abs(value - mean) < multiplier * std if std else value == mean


@TABLE
@given(rows=TABLES, missing=st.sampled_from(["ignored", "expected", "unexpected"]), mostly=st.sampled_from([0.5, 1.0]))
def test_checks_of_values(rows, missing, mostly):
    frame, plain = both(rows)
    suite = []
    for kind, column, arguments, _ in VALUES:
        more = {"missing": missing} if "missing" in KINDS[kind].__struct_fields__ else {}
        suite.append(Expectation(kind=kind, column=column, arguments=arguments | more, mostly=mostly))
    for result, (_, column, _, law) in zip(validate_table(frame, suite, sample=None).results, VALUES, strict=True):
        counts = result.expectation.arguments.get("missing", "ignored")
        gone = plain[column].isna()
        holds = law(list(plain[column][~gone]))
        bad = [place for place, (value, absent) in enumerate(zip(plain[column], gone, strict=True))
               if (counts == "unexpected" if absent else not holds(value))]  # fmt: skip
        asked = len(rows) - (int(gone.sum()) if counts == "ignored" else 0)
        assert (result.evaluated, result.unexpected) == (asked, len(bad)), result
        passed = (asked - len(bad)) / asked >= mostly if asked else True
        assert result.verdict == ("passed" if passed else "failed"), result
        assert [row["__row__"] for row in result.sample] == ([] if passed else bad), result


def pair(kind, arguments, law, ignore="both_values_are_missing"):
    return kind, ("x", "y"), arguments | {"ignore_row_if": ignore}, law


def multi(kind, arguments, law, ignore="all_values_are_missing"):
    return kind, ("x", "y", "n"), arguments | {"ignore_row_if": ignore}, law


def null(value):
    return None if value is None or value != value else value  # noqa: PLR0124 -- NaN


def known(row):
    return all(value is not None for value in row)


PAIRS = {(1.0, 1.0), (2.0, None), (0.0, 2.5)}
GROUPS = [
    *(pair("column_pair_values_to_be_equal", {}, lambda r: known(r) and r[0] == r[1], each)
      for each in ("both_values_are_missing", "either_value_is_missing", "never")),
    pair("column_pair_values_a_to_be_greater_than_b", {"or_equal": True}, lambda r: known(r) and r[0] >= r[1]),
    pair("column_pair_values_a_to_be_greater_than_b", {}, lambda r: r[0] > r[1], "either_value_is_missing"),
    pair("column_pair_values_to_stand_in_relation", {"relation": "!="}, lambda r: known(r) and r[0] != r[1]),
    pair("column_pair_values_to_be_in_set", {"value_pairs_set": [list(each) for each in PAIRS]}, lambda r: r in PAIRS),
    *(multi("multicolumn_sum_to_equal", {"sum_total": 3}, lambda r: known(r) and sum(r) == 3, each)
      for each in ("all_values_are_missing", "any_value_is_missing", "never")),
    multi("multicolumn_values_to_be_equal", {}, lambda r: len(set(r)) == 1),
    multi("select_column_values_to_be_unique_within_record", {}, lambda r: len(set(r)) == len(r)),
]  # fmt: skip


@TABLE
@given(rows=TABLES)
def test_checks_of_several_columns_of_a_row(rows):
    frame, _ = both(rows)
    suite = [Expectation(kind=kind, columns=columns, arguments=arguments) for kind, columns, arguments, _ in GROUPS]
    for result, (_, columns, arguments, law) in zip(
        validate_table(frame, suite, sample=None).results, GROUPS, strict=True
    ):
        values = [tuple(null(row[name]) for name in columns) for row in rows]
        ignore = arguments["ignore_row_if"]
        skipped = {"never": lambda r: False, "both_values_are_missing": lambda r: set(r) == {None},
                   "all_values_are_missing": lambda r: set(r) == {None}}.get(ignore, lambda r: None in r)  # fmt: skip
        asked = [row for row in values if not skipped(row)]
        bad = [place for place, row in enumerate(values) if not skipped(row) and not law(row)]
        assert (result.evaluated, result.unexpected) == (len(asked), len(bad)), result
        assert [row["__row__"] for row in result.sample] == bad, result


@ROWS
@given(rows=TABLES, ignore=st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"]))
def test_keys_of_several_columns(rows, ignore):
    frame, _ = both(rows)
    columns = ("n", "s")
    about = Expectation(kind="compound_columns_to_be_unique", columns=columns, arguments={"ignore_row_if": ignore})
    (result,) = validate_table(frame, [about], sample=None).results
    keys = [tuple(row[name] for name in columns) for row in rows]
    skip = {"never": lambda k: False, "all_values_are_missing": lambda k: set(k) == {None}}.get(
        ignore, lambda k: None in k
    )
    counts = Counter(keys)
    bad = [place for place, key in enumerate(keys) if not skip(key) and counts[key] > 1]
    assert [row["__row__"] for row in result.sample] == bad


def numbers(plain, name):
    return [float(value) for value in plain[name] if null(value) is not None]


def entropy(values):
    return float(stats.entropy(list(Counter(values).values()))) if values else None


def moments(function):
    return lambda v: float(function(v)) if len(v) and np.std(v) > 0 else None


FIGURES = [
    ("column_max", "x", lambda v: max(v, default=None)),
    ("column_min", "d", lambda v: min(v, default=None)),
    ("column_mean", "n", lambda v: float(np.mean(v)) if v else None),
    ("column_mean", "d", lambda v: float(np.mean(v)) if v else None),
    ("column_median", "x", lambda v: float(np.median(v)) if v else None),
    ("column_sum", "n", sum),
    ("column_stdev", "x", lambda v: float(np.std(v, ddof=1)) if len(v) > 1 else None),
    ("column_variance", "x", lambda v: float(np.var(v, ddof=1)) if len(v) > 1 else None),
    ("column_skewness", "x", moments(stats.skew)),
    ("column_kurtosis", "x", moments(stats.kurtosis)),
    ("column_range", "n", lambda v: max(v) - min(v) if v else None),
    ("column_interquartile_range", "x", lambda v: float(np.subtract(*np.quantile(v, [0.75, 0.25]))) if v else None),
    ("column_zeros_count", "x", lambda v: v.count(0.0)),
    ("column_value_count", "x", len),
    ("column_unique_value_count", "x", lambda v: len(set(v))),
    ("column_entropy", "n", entropy),
    ("column_uniqueness", "n", lambda v: sum(c == 1 for c in Counter(v).values()) / len(v) if v else None),
    ("column_distinctness", "n", lambda v: len(set(v)) / len(v) if v else None),
    ("column_unique_value_ratio", "n", lambda v: sum(c == 1 for c in Counter(v).values()) / len(set(v)) if v else None),
]


@TABLE
@given(rows=TABLES, low=st.sampled_from([0, 0.5, 1, 2]))
def test_checks_of_a_number_of_a_column(rows, low):
    frame, plain = both(rows)
    suite = [
        Expectation(kind=f"{measure}_to_be_between", column=column, arguments={"min_value": low})
        for measure, column, _ in FIGURES
    ]
    for result, (_, column, law) in zip(validate_table(frame, suite).results, FIGURES, strict=True):
        expected = law(numbers(plain, column))
        if expected is None:
            assert (result.verdict, result.observed) == ("failed", None), result
        else:
            assert result.observed == pytest.approx(expected, abs=1e-9), result
            if not math.isclose(expected, low, abs_tol=1e-9):
                assert result.verdict == ("passed" if expected >= low else "failed"), result


@ROWS
@given(rows=TABLES)
def test_checks_of_two_columns_together(rows):
    frame, _ = both(rows)
    pairs = [(row["x"], row["n"]) for row in rows if null(row["x"]) is not None and row["n"] is not None]
    kinds = {
        "column_pair_correlation_to_be_between": lambda x, n: np.corrcoef(x, n)[0, 1],
        "column_pair_mutual_information_to_be_between": lambda x, n: entropy(x) + entropy(n) - entropy(pairs),
    }
    suite = [Expectation(kind=kind, columns=("x", "n")) for kind in kinds]
    found = dict(zip(kinds, validate_table(frame, suite).results, strict=True))
    x, n = [float(each[0]) for each in pairs], [float(each[1]) for each in pairs]
    if len(pairs) > 1 and np.std(x) > 0 and np.std(n) > 0:
        for kind, law in kinds.items():
            assert found[kind].observed == pytest.approx(law(x, n), abs=1e-9)
    sums = numbers(both(rows)[1], "x"), numbers(both(rows)[1], "n")
    ratio = Expectation(kind="column_pair_ratio_of_sums_to_be_between", columns=("x", "n"))
    seen = validate_table(frame, [ratio]).results[0].observed
    assert seen == (pytest.approx(sum(sums[0]) / sum(sums[1])) if sum(sums[1]) else None)


@ROWS
@given(rows=TABLES)
def test_a_functional_dependency(rows):
    frame, _ = both(rows)
    (result,) = validate_table(
        frame, [Expectation(kind="columns_to_determine", columns=("n",), arguments={"dependent": ["s"]})]
    ).results
    depends = {}
    for row in rows:
        if row["n"] is not None:
            depends.setdefault(row["n"], set()).add(row["s"])
    extra = sum(len(each) - 1 for each in depends.values())
    assert (result.verdict, result.observed) == ("passed" if extra == 0 else "failed", extra)


@ROWS
@given(rows=TABLES)
def test_a_foreign_key(rows):
    frame, _ = both(rows)
    other = pl.DataFrame({"k": [1, 2, None], "w": ["a", None, "bb"]})
    suite = [
        Expectation(kind="values_to_be_in_table", column="n", arguments={"table": "o", "keys": ["k"]}),
        Expectation(kind="values_to_be_in_table", columns=("n", "s"), arguments={"table": "o", "keys": ["k", "w"]}),
    ]
    one, two = validate_table(frame, suite, others={"o": other}, sample=None).results
    there = [row["n"] for row in rows if row["n"] is not None]
    assert (one.evaluated, one.unexpected) == (len(there), sum(value not in {1, 2} for value in there))
    keys = [(row["n"], row["s"]) for row in rows if row["n"] is not None and row["s"] is not None]
    assert (two.evaluated, two.unexpected) == (len(keys), sum(key != (1, "a") for key in keys))


@ROWS
@given(rows=TABLES)
def test_divergence_is_that_of_scipy(rows):
    frame, plain = both(rows)
    values = [value for value in plain["n"] if null(value) is not None]
    partition = {"values": [0, 1, 2, 3, 4, -1, -2], "weights": [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}
    about = Expectation(kind="column_kl_divergence_to_be_less_than", column="n",
                        arguments={"partition_object": partition, "threshold": 0.5})  # fmt: skip
    (result,) = validate_table(frame, [about]).results
    if values:
        seen = [values.count(each) / len(values) for each in partition["values"]]
        expected = stats.entropy(seen, partition["weights"])
        assert result.observed == pytest.approx(expected)
        assert result.verdict == ("passed" if expected <= 0.5 else "failed")


@ROWS
@given(rows=TABLES)
def test_values_that_are_lists_and_structs_are_there_or_not(rows):
    frame, _ = both(rows)
    suite = [Expectation(kind="column_values_to_not_be_null", column=name) for name in ("l", "z", "b", "t")]
    for result, name in zip(validate_table(frame, suite).results, ("l", "z", "b", "t"), strict=True):
        assert result.unexpected == sum(row[name] is None for row in rows)
    refused = validate_table(frame, [Expectation(kind="column_max_to_be_between", column="l")]).results[0]
    assert refused.verdict == "error"


def test_every_core_kind_is_here_or_in_the_other_tests():
    asked = {each[0] for each in VALUES} | {f"{each[0]}_to_be_between" for each in FIGURES}
    asked |= {each[0] for each in GROUPS}
    rest = {kind for kind in CORE_KINDS if kind not in asked}
    # Sets, shapes, quantiles and order are in test_expectations.py, other tables in test_expectations_others.py.
    words = "set|null|count|columns|exist|type|quantile|increasing|decreasing|unique|query|rows_expec|kl_"
    assert all(re.search(words, kind) for kind in rest), rest
