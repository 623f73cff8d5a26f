"""Great Expectations' suites: read, written without loss, and loaded there (recorded by `record_gx_loading.py`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.gx import read_gx, write_gx
from mainspring.quality.formats.gx_conditions import condition_to_gx, condition_to_sql
from mainspring.quality.formats.gx_windows import window_parameters
from mainspring.quality.suite import expect
from mainspring.quality.validation import validate_table

HERE = Path(__file__).parent
GX_1 = {
    "name": "orders",
    "id": "0f1e",
    "notes": "ours",
    "meta": {"great_expectations_version": "1.24.1", "owner": {"team": "é"}},
    "suite_parameters": {"least": 1},
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "n", "min_value": 0, "max_value": 9.5, "mostly": 0.9, "condition_parser": "pandas",
                       "row_condition": 'n != 3 and s == "a"', "catch_exceptions": True},
            "meta": {"why": ["because"]},
            "id": "abc",
            "severity": "warning",
            "notes": ["n1"],
            "description": "d",
            "rendered_content": None,
        },
        {
            "type": "expect_column_max_to_be_between",
            "kwargs": {"column": "n", "max_value": {"$PARAMETER": "most"}, "windows": [
                {"constraint_fn": "mean", "parameter_name": "most", "range": 5,
                 "offset": {"positive": 0.1, "negative": 0.1}, "strict": False}]},
            "meta": {},
            "severity": "critical",
        },
    ],
}  # fmt: skip


def test_a_suite_comes_back_as_it_was():
    suite = read_gx(json.dumps(GX_1))
    first, second = suite.expectations
    assert (first.severity, first.mostly, first.meta["why"]) == ("warning", 0.9, ["because"])
    assert first.where == 'COALESCE("n" <> 3, TRUE) AND "s" = \'a\''
    assert second.arguments == {"max_value": {"$PARAMETER": "most"}}
    assert json.loads(write_gx(suite)) == GX_1
    assert read_gx(write_gx(suite)) == suite


def test_parameters_get_their_values_from_the_validation():
    suite = read_gx(GX_1)
    frame = pl.DataFrame({"n": [1, 3, 50], "s": ["a", "a", "b"]})
    with pytest.raises(InvalidInput, match="'most' of the suite has no value"):
        validate_table(frame, suite)
    assert [each.verdict for each in validate_table(frame, suite, parameters={"most": 60}).results] == ["passed"] * 2
    assert validate_table(frame, suite, parameters={"most": 6}).results[1].verdict == "failed"


def test_windows_give_parameters_from_history():
    suite = read_gx(GX_1)
    history = [1.0, 10.0, 20.0, 30.0, 20.0, 20.0]
    assert window_parameters(suite, lambda each: history) == {"most": pytest.approx(22.0)}
    assert window_parameters(suite, lambda each: []) == {"most": None}
    window = {"constraint_fn": "min", "parameter_name": "p", "range": 3, "offset": {"positive": 1, "negative": 0.5}}
    line = {"type": "expect_column_mean_to_be_between", "kwargs": {
        "column": "n", "min_value": {"$PARAMETER": "p"}, "windows": [window | {"strict": True}]}}  # fmt: skip
    strict = read_gx({"name": "s", "expectations": [line]})
    assert window_parameters(strict, lambda each: [-4, -2, -2]) == {"p": -6}
    with pytest.raises(InvalidInput, match="of 3 runs 2 are known"):
        window_parameters(strict, lambda each: [1, 2])
    with pytest.raises(InvalidInput, match="no function of a window"):
        line["kwargs"]["windows"] = [window | {"constraint_fn": "p99"}]
        window_parameters(read_gx({"name": "s", "expectations": [line]}), lambda each: [1])


def test_a_suite_of_version_0_is_read():
    suite = read_gx({
        "expectation_suite_name": "old.suite",
        "data_asset_type": None,
        "expectations": [
            {"expectation_type": "expect_multicolumn_values_to_be_unique", "kwargs": {"column_list": ["a", "b"]}},
            {"expectation_type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "a", "column_B": "b"}},
        ],
    })  # fmt: skip
    assert suite.name == "old.suite"
    assert [(each.kind, each.columns) for each in suite.expectations] == [
        ("select_column_values_to_be_unique_within_record", ("a", "b")),
        ("column_pair_values_to_be_equal", ("a", "b")),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("{}", "no suite"),
        ('{"expectations": [{"kwargs": {}}]}', "expectation 1: an expectation has a type"),
        ('{"expectations": [{"type": "expect_column_values_to_be_between", "kwargs": {"column": "a"}}]}', "min_value"),
        ('{"expectations": [{"type": "expect_column_to_exist", "kwargs": {}, "severity": "bad"}]}', "no severity"),
    ],
)  # fmt: skip
def test_what_is_no_suite_is_refused(text, words):
    with pytest.raises(InvalidInput, match=words):
        read_gx(text)


CONDITIONS = [
    ("n > 3", "pandas", [False, False, True, False]),
    ("n != 3", "pandas", [True, False, True, True]),
    ("not n > 3", "pandas", [True, True, False, True]),
    ("~(n > 3) & s == 'a'", "pandas", [True, False, False, False]),
    ("n not in [1, 3]", "pandas", [False, False, True, True]),
    ("1 <= n < 3 or s.isnull()", "pandas", [True, False, True, False]),
    ("n.between(1, 3)", "pandas", [True, True, False, False]),
    ("s.isin(['a', 'b']) and n + 1 > 2", "pandas", [False, True, False, False]),
    ("`my col` == 2", "pandas", [False, True, False, False]),
    ("s.str.startswith('a')", "pandas", [True, False, False, False]),
    ("s.str.contains('[bc]')", "pandas", [False, True, False, True]),
    ('col("n") >= 3', "great_expectations", [False, True, True, False]),
    ('col("s").notNull()', "great_expectations", [True, True, False, True]),
    ("`my col` = 2 OR s = 'it`s'", "spark", [False, True, False, False]),
]


@pytest.mark.parametrize(("condition", "parser", "rows"), CONDITIONS, ids=[each[0] for each in CONDITIONS])
def test_a_row_condition_leaves_the_rows_that_pandas_leaves(condition, parser, rows):
    frame = pl.DataFrame({"n": [1, 3, 7, None], "s": ["a", "b", None, "c"], "my col": [1, 2, 3, 4], "k": [0, 1, 2, 3]})
    where = condition_to_sql(condition, parser)
    (result,) = validate_table(frame, expect("t").column("k").between(9, 9, where=where)).results
    assert [row["__row__"] for row in result.sample] == [place for place, kept in enumerate(rows) if kept]


@pytest.mark.parametrize("text", ["n >", "open('f')", "n @ 3", "n > @x", "import os", "n.to_csv('x')", "n in m"])
def test_what_is_no_row_condition_is_refused(text):
    with pytest.raises(InvalidInput, match="row condition"):
        condition_to_sql(text, "pandas")


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("a > 1", {"type": "comparison", "column": {"name": "a"}, "operator": ">", "parameter": 1}),
        ("a IS NOT NULL", {"type": "nullity", "column": {"name": "a"}, "is_null": False}),
        ("a NOT IN (1, 2)", {"type": "comparison", "column": {"name": "a"}, "operator": "NOT_IN", "parameter": [1, 2]}),
        ("a > 1 AND (b = 'x' AND c < -1.5)", {"type": "and", "conditions": [
            {"type": "comparison", "column": {"name": "a"}, "operator": ">", "parameter": 1},
            {"type": "comparison", "column": {"name": "b"}, "operator": "==", "parameter": "x"},
            {"type": "comparison", "column": {"name": "c"}, "operator": "<", "parameter": -1.5}]}),
    ],
)  # fmt: skip
def test_a_condition_in_sql_is_written_as_objects_where_it_can_be(sql, written):
    assert condition_to_gx(sql) == {"row_condition": written}
    assert condition_to_gx("a + 1 > 2")["condition_parser"] == "spark"
    assert condition_to_gx("a > 1 AND (b > 1 OR c > 1)")["condition_parser"] == "spark"


DEFAULTS = {"match_on": ["any"], "method": ["iqr"], "multiplier": [1.5], "strict_min": [False], "strict_max": [False],
            "ignore_row_if": ["both_values_are_missing", "all_values_are_missing"], "exact_match": [True],
            "allow_relative_error": [False], "tail_weight_holdout": [0]}  # fmt: skip
"""What Great Expectations leaves out of a suite because it would be so anyway."""


def our_suite():
    """A suite of our own builder and of every recorded case, with names that GX has."""
    facts = json.loads((HERE / "gx_facts.json").read_text(encoding="utf-8"))["facts"]
    seen, lines = set(), []
    for fact in facts:
        if "error" not in fact and fact["name"] not in seen:
            seen.add(fact["name"])
            lines.append({"type": fact["name"], "kwargs": fact["kwargs"], "meta": {"from": "facts"}})
    mine = (
        expect("ours")
        .column("n").between(0, 9, mostly=0.9, where="n > 1 AND s IS NOT NULL").like("a%", "b_", severity="warning")
        .quantile(0.5, 1, 2).of_type("integer").z_scores(3.0).not_outliers(method="std", multiplier=2.0)
        .divergence({"values": ["a"], "weights": [1.0]}, 0.5)
        .table.rows("n > 0", where="s = 'a'").no_rows("SELECT * FROM {batch} WHERE n < 0").unique("a", "b")
        .to("table_row_count_to_equal_other_table", {"other_table_name": "o"})
        .to("query_results_to_match_comparison", {"base_query": "SELECT 1", "comparison_query": "SELECT 1",
                                                  "comparison_data_source_name": "o"})
    ).suite  # fmt: skip
    both = read_gx({"name": "ours", "meta": {"owner": "me"}, "expectations": lines})
    return type(both)(name="ours", expectations=both.expectations + mine.expectations, meta=both.meta)


def test_great_expectations_loads_what_is_written():
    written = (HERE / "gx_written.json").read_text(encoding="utf-8")
    assert write_gx(our_suite()) == written, "write it again, and record what Great Expectations makes of it"
    loaded = json.loads((HERE / "gx_loaded.json").read_text(encoding="utf-8"))
    plain = json.loads(written)["expectations"]
    assert loaded["great_expectations"] == "1.24.1"
    assert [each["type"] for each in loaded["expectations"]] == [each["type"] for each in plain]
    for ours, theirs in zip(plain, loaded["expectations"], strict=True):
        for key, value in ours["kwargs"].items():
            assert theirs["kwargs"].get(key, value if value in DEFAULTS.get(key, ()) else None) == value
        assert (theirs["meta"] or {}) == ours["meta"]
        assert theirs["severity"] == ours["severity"]


def test_what_great_expectations_has_no_name_for_is_told():
    suite = expect("t").column("a").fresh(60).not_null().suite
    with pytest.raises(InvalidInput, match="no name for column_values_to_be_fresh"):
        write_gx(suite)
    assert len(read_gx(write_gx(suite, leave_out=True)).expectations) == 1


if __name__ == "__main__":
    sys.stdout.write(write_gx(our_suite()))
