"""Suites from data, and what newer data would have them give up."""

from __future__ import annotations

import random
import re

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.kernel.errors import InvalidInput, InvalidName
from mainspring.quality import Expectation, Suite, expect, validate_table
from mainspring.quality.inference import infer_suite, update_suite
from mainspring.quality.inference.infer import share_kept
from mainspring.quality.inference.patterns import pattern_of


def table(seed, rows=400):
    draw = random.Random(seed)
    return pl.DataFrame(
        {
            "id": range(rows),
            "plane": [f"N{draw.randrange(10, 99999)}" for _ in range(rows)],
            "carrier": [draw.choice(["AA", "B6", "UA"]) for _ in range(rows)],
            "delay": [None if draw.random() < 0.05 else draw.gauss(10, 30) for _ in range(rows)],
            "distance": [draw.randrange(80, 2500) for _ in range(rows)],
            "year": [2013] * rows,
            "note": ["".join(draw.choices("abc DE12?!", k=draw.randrange(1, 40))) for _ in range(rows)],
        }
    )


def lines(suite, column):
    return {each.kind: each for each in suite.expectations if each.column == column}


def test_a_suite_says_what_holds_and_how_sure_it_is():
    suite = infer_suite(table(1), name="planes")
    assert lines(suite, "plane")["column_values_to_match_regex"].arguments == {"regex": "^[A-Z][0-9]{3,5}$"}
    assert lines(suite, "carrier")["column_values_to_be_in_set"].arguments == {"value_set": ["AA", "B6", "UA"]}
    assert lines(suite, "id")["column_values_to_be_unique"].confidence > 0.9
    assert lines(suite, "distance")["column_values_to_be_between"].arguments["min_value"] == 0
    assert 0.8 < lines(suite, "delay")["column_values_to_not_be_null"].mostly < 0.95
    assert "column_values_to_be_between" not in lines(suite, "year")  # a constant tells no range
    assert "column_value_lengths_to_be_between" in lines(suite, "note")
    assert all(0.5 <= each.confidence <= 1 and each.reason for each in suite.expectations)


def test_a_suite_holds_of_more_of_the_same_and_not_of_broken_data():
    suite = infer_suite(table(1), name="planes")
    assert validate_table(table(1), suite).verdict == "passed"
    later = validate_table(table(2), suite)
    assert [each.expectation.subject for each in later.failures] in ([], ["delay"])  # 400 rows do not tell a tail
    broken = table(3).with_columns(distance=pl.col("distance") * 1000, carrier=pl.lit("??"), delay=None)
    failed = {each.expectation.subject for each in validate_table(broken, suite).failures}
    assert {"distance", "carrier", "delay"} <= failed


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=False)),
            st.one_of(st.none(), st.text(max_size=3)),
            st.one_of(st.none(), st.booleans()),
        ),
        max_size=40,
    )
)
def test_any_table_passes_the_suite_inferred_from_it(rows):
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "s": pl.String, "b": pl.Boolean}, orient="row")
    suite = infer_suite(frame, name="any", confidence=0.0)
    report = validate_table(frame, suite)
    assert report.failures == ()


def test_an_accident_does_not_stretch_the_range():
    frame = pl.DataFrame({"wind": [float(k % 40) for k in range(5000)] + [1048.0]})
    found = lines(infer_suite(frame, name="w"), "wind")["column_values_to_be_between"]
    assert found.arguments["max_value"] < 50
    assert 0.99 < found.mostly < 1
    assert "accidents" in found.reason


def test_a_pair_of_columns_is_found_as_the_key():
    frame = pl.DataFrame({"place": ["a", "b"] * 50, "hour": [k // 2 for k in range(100)], "x": [1] * 100})
    keys = [each for each in infer_suite(frame, name="k").expectations if each.kind == "compound_columns_to_be_unique"]
    assert [set(each.columns) for each in keys] == [{"place", "hour"}]
    assert not [each for each in infer_suite(frame, name="k", relations=False).expectations if "unique" in each.kind]


def test_few_rows_promise_little():
    few = infer_suite(table(1, rows=8), name="few", confidence=0.9)
    assert {each.kind for each in few.expectations} <= {
        "column_values_to_be_in_type_list",
        "table_columns_to_match_set",
    }
    assert share_kept(0, 10) == 1.0
    assert share_kept(5, 10) == 0.0
    with pytest.raises(InvalidName):
        infer_suite(table(1), name="")
    with pytest.raises(InvalidInput, match="margin"):
        infer_suite(table(1), name="t", margin=-1)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.from_regex(r"[A-C]{1,2}-?[0-9]{1,3}", fullmatch=True), min_size=1, max_size=30))
def test_a_pattern_matches_the_texts_that_it_came_from(texts):
    counts = {text: texts.count(text) for text in texts}
    pattern = pattern_of(counts)
    assert pattern is not None
    regex, bad = pattern
    assert sum(not re.fullmatch(regex.strip("^$"), text) for text in texts) == bad


def test_prose_has_no_pattern():
    draw = random.Random(0)
    prose = {"".join(draw.choices("aA1 ,.?", k=12)): 1 for _ in range(50)}
    assert pattern_of(prose) is None
    assert pattern_of({"": 3}) is None
    assert pattern_of({"a(b": 2, "c(d": 1}) == (r"^[a-z]\([a-z]$", 0)


def test_an_update_shows_each_thing_that_it_would_loosen():
    suite = (
        expect("t")
        .column("x").between(0, 10).of_type("integer").mean(0, 5)
        .column("s").in_set(["a"]).matches("^a$")
        .column("gone").not_null()
        .table.row_count(1, 2)
    ).suite  # fmt: skip
    frame = pl.DataFrame({"x": [1.0, 20.0, 9.0], "s": ["a", "b", "a"]})
    update = update_suite(suite, frame)
    actions = {(each.before.kind, each.before.subject): each for each in update.proposals}
    assert actions["column_values_to_not_be_null", "gone"].action == "remove"
    assert actions["column_values_to_be_in_set", "s"].after.arguments == {"value_set": ["a", "b"]}
    assert actions["column_values_to_be_between", "x"].after.arguments["max_value"] > 20
    assert actions["column_values_to_be_between", "x"].after.arguments["min_value"] == 0
    assert actions["column_values_to_match_regex", "s"].action == "remove"  # a third of three rows cannot be a rule
    assert validate_table(frame, update.apply()).verdict == "passed"
    assert update.apply([]) == suite
    assert "->" in str(actions["column_values_to_be_in_set", "s"])


def test_an_inferred_suite_gains_lines_for_new_columns():
    suite = infer_suite(pl.DataFrame({"x": range(50)}), name="t")
    update = update_suite(suite, pl.DataFrame({"x": range(50), "y": ["a", "b"] * 25}))
    added = [each.after for each in update.proposals if each.action == "add"]
    assert {each.column for each in added} == {"y"}
    plain = Suite(name="t", expectations=(Expectation(kind="column_to_exist", column="x"),))
    assert update_suite(plain, pl.DataFrame({"x": [1], "y": [1]})).proposals == ()


def test_order_and_dependencies_are_found_where_chance_would_not_make_them():
    draw = random.Random(5)
    rows = 600
    airports = {f"A{k}": (f"city {k % 7}", "EU" if k % 7 < 3 else "US") for k in range(20)}
    picked = [draw.choice(list(airports)) for _ in range(rows)]
    frame = pl.DataFrame(
        {
            "tick": [k // 2 for k in range(rows)],
            "airport": picked,
            "city": [airports[each][0] for each in picked],
            "region": [airports[each][1] for each in picked],
            "noise": [draw.choice("xyz") for _ in range(rows)],
        }
    )
    found = {each.kind: [] for each in infer_suite(frame, name="f").expectations}
    for each in infer_suite(frame, name="f").expectations:
        found[each.kind].append(each)
    assert [each.column for each in found["column_values_to_be_increasing"]] == ["tick"]
    determined = {each.column: each.arguments["dependent"] for each in found["columns_to_determine"]}
    assert determined == {"airport": ["city"], "city": ["region"]}  # airport -> region goes without saying
    assert all(each.severity == "warning" and 0.5 < each.confidence < 1 for each in found["columns_to_determine"])
    assert validate_table(frame, infer_suite(frame, name="f")).verdict == "passed"
    broken = frame.with_columns(city=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("?")).otherwise("city"))
    failed = {each.expectation.kind for each in validate_table(broken, infer_suite(frame, name="f")).failures}
    assert "columns_to_determine" in failed


def test_what_one_half_does_not_keep_for_the_other_loses_its_confidence():
    # Every other row is far out, so that the range of one half says nothing of the other.
    frame = pl.DataFrame({"x": [float(k) if k % 2 else 1e6 + k * 1000.0 for k in range(600)]})
    doubted = lines(infer_suite(frame, name="t", confidence=0.0), "x")["column_values_to_be_between"]
    plain = lines(infer_suite(frame, name="t", confidence=0.0, held_out=False), "x")["column_values_to_be_between"]
    assert doubted.arguments == plain.arguments
    assert doubted.confidence < 0.5 < plain.confidence
    assert "the other half broke it" in doubted.reason
    assert "column_values_to_be_between" not in lines(infer_suite(frame, name="t"), "x")


def test_newer_data_may_be_told_more_narrowly_and_each_line_is_taken_by_itself():
    suite = expect("t").column("x").between(0, 1000).column("s").in_set(["a", "b", "c"]).not_null(mostly=0.5).suite
    frame = pl.DataFrame({"x": [k % 100 for k in range(400)], "s": ["a", "b"] * 200})
    update = update_suite(suite, frame)
    assert [each.action for each in update.proposals] == ["tighten"] * 3
    assert update.apply() == suite  # nothing had to give way
    one = update.apply([0]).expectations
    assert one[0].arguments == {"min_value": 0, "max_value": 109}
    assert one[1:] == suite.expectations[1:]
    assert update.apply([1, 2]).expectations[1].arguments == {"value_set": ["a", "b"]}
    assert update.diff().splitlines()[:3] == [
        "@@ 0: tighten (0 to 99 were seen, 10% are added)",
        "- values of x are expected to be at least 0 and at most 1000",
        "+ values of x are expected to be at least 0 and at most 109",
    ]
    assert update_suite(suite, frame, tighten=False).proposals == ()
    with pytest.raises(InvalidInput, match="no proposal 7"):
        update.apply([7])
