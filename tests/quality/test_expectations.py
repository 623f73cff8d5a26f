"""Every kind of expectation against the same judgement in plain Python."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality import Expectation, validate_table
from mainspring.quality.expectations import KINDS, compile_expectation, described

NAN = float("nan")
BETWEEN = "column_values_to_be_between"
QUANTILES = "column_quantile_values_to_be_between"
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "x": st.one_of(st.none(), st.just(NAN), st.integers(-3, 6).map(lambda n: n / 2)),
            "y": st.one_of(st.none(), st.integers(-2, 3)),
            "s": st.one_of(st.none(), st.sampled_from(["a", "bb", "é1", "", "☃x"])),
        }
    ),
    max_size=12,
)


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def both(row):
    return not missing(row["x"]) and not missing(row["y"])


def frame_of(rows):
    return pl.DataFrame(rows, schema={"x": pl.Float64, "y": pl.Int64, "s": pl.String})


def there(rows, name):
    return [row[name] for row in rows if not missing(row[name])]


def steps(rows, name):
    """For each row the last value before it that is there."""
    last, found = None, []
    for row in rows:
        found.append(last)
        last = last if missing(row[name]) else row[name]
    return found


def row_kind(kind, arguments, holds, *, column="", columns=(), asked=None):
    names = (column,) if column else columns
    return pytest.param(
        Expectation(kind=kind, column=column, columns=columns, arguments=arguments),
        holds,
        asked or (lambda row: not any(missing(row[name]) for name in names)),
        id=f"{kind}-{arguments}",
    )


ROWS = [
    row_kind(
        "column_values_to_not_be_null", {}, lambda r, k: not missing(r[k]["x"]), column="x", asked=lambda row: True
    ),
    row_kind("column_values_to_be_null", {}, lambda r, k: missing(r[k]["x"]), column="x", asked=lambda row: True),
    row_kind(
        "column_values_to_be_between", {"min_value": 0, "max_value": 2}, lambda r, k: 0 <= r[k]["x"] <= 2, column="x"
    ),
    row_kind(
        "column_values_to_be_between", {"min_value": 0, "strict_min": True}, lambda r, k: r[k]["x"] > 0, column="x"
    ),
    row_kind(
        "column_values_to_be_between",
        {"max_value": 1, "strict_max": True},
        lambda r, k: r[k]["y"] < 1,
        column="y",
    ),
    row_kind(
        "column_values_to_be_in_set", {"value_set": ["a", "é1"]}, lambda r, k: r[k]["s"] in {"a", "é1"}, column="s"
    ),
    row_kind("column_values_to_not_be_in_set", {"value_set": [1, 2]}, lambda r, k: r[k]["y"] not in {1, 2}, column="y"),
    row_kind(
        "column_values_to_match_regex", {"regex": "^.b?$"}, lambda r, k: bool(re.search("^.b?$", r[k]["s"])), column="s"
    ),
    row_kind("column_values_to_not_match_regex", {"regex": "1"}, lambda r, k: "1" not in r[k]["s"], column="s"),
    row_kind("column_values_to_be_unique", {}, lambda r, k: there(r, "s").count(r[k]["s"]) == 1, column="s"),
    row_kind("column_value_lengths_to_be_between", {"min_value": 1}, lambda r, k: len(r[k]["s"]) >= 1, column="s"),
    row_kind("column_value_lengths_to_equal", {"value": 2}, lambda r, k: len(r[k]["s"]) == 2, column="s"),
    row_kind(
        "column_values_to_be_increasing",
        {},
        lambda r, k: steps(r, "x")[k] is None or r[k]["x"] >= steps(r, "x")[k],
        column="x",
    ),
    row_kind(
        "column_values_to_be_decreasing",
        {"strictly": True},
        lambda r, k: steps(r, "y")[k] is None or r[k]["y"] < steps(r, "y")[k],
        column="y",
    ),
    row_kind(
        "compound_columns_to_be_unique",
        {},
        lambda r, k: sum(o["y"] == r[k]["y"] and o["s"] == r[k]["s"] for o in r) == 1,
        columns=("y", "s"),
        asked=lambda row: row["y"] is not None or row["s"] is not None,
    ),
    row_kind(
        "column_pair_values_a_to_be_greater_than_b",
        {},
        lambda r, k: both(r[k]) and r[k]["x"] > r[k]["y"],
        columns=("x", "y"),
        asked=lambda row: not (missing(row["x"]) and missing(row["y"])),
    ),
    row_kind(
        "column_pair_values_a_to_be_greater_than_b",
        {"or_equal": True, "ignore_row_if": "either_value_is_missing"},
        lambda r, k: r[k]["x"] >= r[k]["y"],
        columns=("x", "y"),
    ),
    row_kind(
        "column_pair_values_to_be_equal",
        {"ignore_row_if": "never"},
        lambda r, k: both(r[k]) and r[k]["x"] == r[k]["y"],
        columns=("x", "y"),
        asked=lambda row: True,
    ),
    row_kind(
        "rows_to_satisfy",
        {"condition": "y >= 0"},
        lambda r, k: r[k]["y"] is not None and r[k]["y"] >= 0,
        asked=lambda row: True,
    ),
]


@pytest.mark.parametrize(("expectation", "holds", "asked"), ROWS)
@settings(max_examples=12, deadline=None)
@given(rows=rows_of, mostly=st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_a_check_of_rows_counts_what_plain_python_counts(expectation, holds, asked, rows, mostly):
    expectation = Expectation(
        kind=expectation.kind,
        column=expectation.column,
        columns=expectation.columns,
        arguments=expectation.arguments,
        mostly=mostly,
    )
    (result,) = validate_table(frame_of(rows), [expectation]).results
    places = [k for k, row in enumerate(rows) if asked(row)]
    bad = [k for k in places if not holds(rows, k)]
    assert (result.rows, result.evaluated, result.unexpected) == (len(rows), len(places), len(bad))
    assert result.missing == len(rows) - len(places)
    share = 1 - len(bad) / len(places) if places else 1.0
    passed = (len(places) - len(bad)) / len(places) >= mostly if places else True
    assert result.verdict == ("passed" if passed else "failed")
    assert result.observed == pytest.approx(share)
    assert [row["__row__"] for row in result.sample] == ([] if passed else bad[:20])
    if expectation.column and not passed:
        values = Counter(rows[k][expectation.column] for k in bad if not missing(rows[k][expectation.column]))
        assert dict(result.values) == dict(values)


@settings(max_examples=12, deadline=None)
@given(rows=rows_of)
def test_a_condition_leaves_only_its_rows_to_be_asked(rows):
    expectation = Expectation(kind="column_values_to_be_unique", column="s", where="y > 0")
    (result,) = validate_table(frame_of(rows), [expectation]).results
    inside = [row["s"] for row in rows if row["y"] is not None and row["y"] > 0 and row["s"] is not None]
    assert result.evaluated == len(inside)
    assert result.unexpected == sum(inside.count(word) > 1 for word in inside)


def mode_of(words):
    counts = Counter(words)
    return [word for word, count in counts.items() if count == max(counts.values())]


def mean(values, _rows):
    return statistics.fmean(values) if values else None


def median(values, _rows):
    return statistics.median(values) if values else None


def deviation(values, _rows):
    return statistics.stdev(values) if len(values) > 1 else None


def unique_share(values, _rows):
    return len(set(values)) / len(values) if values else None


AGGREGATES = [
    ("column_min", "y", {"min_value": -1}, lambda v, n: min(v, default=None), lambda o: o >= -1),
    ("column_max", "y", {"max_value": 2, "strict_max": True}, lambda v, n: max(v, default=None), lambda o: o < 2),
    ("column_max", "s", {"max_value": "b"}, lambda v, n: max(v, key=str.encode, default=None), lambda o: o <= "b"),
    ("column_mean", "x", {"min_value": 0, "max_value": 1}, mean, lambda o: 0 <= o <= 1),
    ("column_median", "y", {"min_value": 0}, median, lambda o: o >= 0),
    ("column_sum", "y", {"min_value": 1}, lambda v, n: sum(v), lambda o: o >= 1),
    ("column_stdev", "y", {"max_value": 1.3}, deviation, lambda o: o <= 1.3),
    ("column_unique_value_count", "s", {"min_value": 2}, lambda v, n: len(set(v)), lambda o: o >= 2),
    ("column_proportion_of_unique_values", "s", {"min_value": 0.7}, unique_share, lambda o: o >= 0.7),
    (
        "column_proportion_of_non_null_values",
        "x",
        {"min_value": 0.6},
        lambda v, n: len(v) / n if n else 1.0,
        lambda o: o >= 0.6,
    ),
]


@pytest.mark.parametrize(
    ("kind", "column", "arguments", "value", "holds"),
    AGGREGATES,
    ids=lambda each: "law" if callable(each) else str(each),
)
@settings(max_examples=12, deadline=None)
@given(rows=rows_of)
def test_a_check_of_an_aggregate_judges_what_plain_python_works_out(kind, column, arguments, value, holds, rows):
    expectation = Expectation(kind=f"{kind}_to_be_between", column=column, arguments=arguments)
    (result,) = validate_table(frame_of(rows), [expectation]).results
    expected = value(there(rows, column), len(rows))
    if expected is None:
        assert (result.verdict, result.observed) == ("failed", None)
        assert "every value is missing" in result.message
    else:
        assert result.observed == (expected if isinstance(expected, str) else pytest.approx(expected))
        assert result.verdict == ("passed" if holds(expected) else "failed")


@settings(max_examples=40, deadline=None)
@given(rows=rows_of)
def test_checks_of_the_set_of_values(rows):
    words = set(there(rows, "s"))
    wanted = {"a", "bb"}
    judged = {
        "column_distinct_values_to_be_in_set": words <= wanted,
        "column_distinct_values_to_contain_set": words >= wanted,
        "column_distinct_values_to_equal_set": words == wanted,
        "column_most_common_value_to_be_in_set": bool(words)
        and len(mode_of(there(rows, "s"))) == 1
        and set(mode_of(there(rows, "s"))) <= wanted,
    }
    suite = [Expectation(kind=kind, column="s", arguments={"value_set": sorted(wanted)}) for kind in judged]
    found = {
        result.expectation.kind: result.verdict == "passed" for result in validate_table(frame_of(rows), suite).results
    }
    assert found == judged


def test_ties_of_the_most_common_value():
    frame = pl.DataFrame({"s": ["a", "b"]})
    for ties_okay, verdict in ((False, "failed"), (True, "passed")):
        expectation = Expectation(
            kind="column_most_common_value_to_be_in_set",
            column="s",
            arguments={"value_set": ["a"], "ties_okay": ties_okay},
        )
        assert validate_table(frame, [expectation]).results[0].verdict == verdict


@pytest.mark.parametrize(
    ("kind", "about", "arguments", "verdict"),
    [
        ("column_to_exist", {"column": "x"}, {}, "passed"),
        ("column_to_exist", {"column": "x"}, {"column_index": 1}, "failed"),
        ("column_to_exist", {"column": "z"}, {}, "failed"),
        ("column_type_to_be", {"column": "x"}, {"type_": "float"}, "passed"),
        ("column_type_to_be", {"column": "y"}, {"type_": "Int64"}, "passed"),
        ("column_type_to_be", {"column": "s"}, {"type_": "integer"}, "failed"),
        ("column_values_to_be_in_type_list", {"column": "s"}, {"type_list": ["integer", "text"]}, "passed"),
        ("table_column_count_to_be_between", {}, {"max_value": 2}, "failed"),
        ("table_columns_to_match_ordered_list", {}, {"column_list": ["x", "y", "s"]}, "passed"),
        ("table_columns_to_match_ordered_list", {}, {"column_list": ["y", "x", "s"]}, "failed"),
        ("table_columns_to_match_set", {}, {"column_set": ["s", "y", "x"]}, "passed"),
        ("table_columns_to_match_set", {}, {"column_set": ["s"]}, "failed"),
        ("table_columns_to_match_set", {}, {"column_set": ["s"], "exact_match": False}, "passed"),
        ("table_row_count_to_be_between", {}, {"min_value": 2, "max_value": 2}, "passed"),
        ("table_row_count_to_be_between", {}, {"min_value": 3}, "failed"),
        (QUANTILES, {"column": "y"}, {"quantiles": [0, 0.5], "value_ranges": [[1, 1], [1, 2]]}, "passed"),
        (QUANTILES, {"column": "y"}, {"quantiles": [1.0], "value_ranges": [[None, 1]]}, "failed"),
    ],
)  # fmt: skip
def test_checks_of_shape_and_quantiles(kind, about, arguments, verdict):
    frame = frame_of([{"x": 0.5, "y": 1, "s": "a"}, {"x": None, "y": 2, "s": "b"}])
    result = validate_table(frame, [Expectation(kind=kind, arguments=arguments, **about)]).results[0]
    assert result.verdict == verdict
    assert bool(result.message) == (verdict != "passed")


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        (Expectation(kind="column_values_to_be_uniq", column="x"), "known: column_values_to_be_unique"),
        (Expectation(kind="column_values_to_be_unique"), "asked of one column, not of the whole table"),
        (Expectation(kind="table_row_count_to_be_between", column="x", arguments={"min_value": 1}), "the whole table"),
        (Expectation(kind="column_values_to_be_between", column="x"), "min_value, max_value or both"),
        (Expectation(kind=BETWEEN, column="x", arguments={"min_value": 2, "max_value": 1}), "not below"),
        (Expectation(kind="column_values_to_be_between", column="x", arguments={"min": 1}), "unknown field"),
        (Expectation(kind="column_values_to_be_in_set", column="x"), "value_set"),
        (Expectation(kind="column_values_to_match_regex", column="x", arguments={"regex": "("}), "regular expression"),
        (Expectation(kind="column_values_to_be_unique", column="x", mostly=1.5), "between 0 and 1"),
        (Expectation(kind=QUANTILES, column="x", arguments={"quantiles": [2], "value_ranges": [[0, 1]]}), "0 and 1"),
    ],
)  # fmt: skip
def test_an_expectation_that_cannot_be_is_refused_when_it_is_written(expectation, words):
    with pytest.raises((InvalidInput, NotFound), match=re.escape(words)):
        compile_expectation(expectation)


def test_the_name_with_expect_before_it_is_understood_and_every_kind_describes_itself():
    check, _ = compile_expectation(Expectation(kind="expect_column_values_to_not_be_null", column="x"))
    assert check.expected() == "to be there"
    assert len(KINDS) >= 35
    for parameters in ROWS:
        assert " expected to" in f"{described(parameters.values[0])}".replace("not to", "to")
