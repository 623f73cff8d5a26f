"""Our answers beside those of Great Expectations 1.24.1, recorded by `record_gx.py`."""

from __future__ import annotations

import functools
import json
import math
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.kinds import CORE_KINDS
from mainspring.quality.formats.gx import expectation_of
from mainspring.quality.suite import expect
from mainspring.quality.validation import validate_table

FACTS = json.loads((Path(__file__).parent / "gx_facts.json").read_text(encoding="utf-8"))

DIFFERENT = {
    "types of values": "a column has one type here, so that a check of its type says that type and counts no values; "
    "pandas keeps texts as objects, and GX looks at each",
    "names of types": "the names of other systems are understood: Timestamp and INTEGER are types of a frame, too",
    "names of the index": "GX leaves unexpected_index_column_names out of one kind, column_values_to_be_null",
    "counts": "in SUMMARY GX counts the values of the first partial_unexpected_count rows, here those of all rows; and "
    "where values are missing it counts each NaN as a value of its own, here they are one",
    "order of values": "GX shows distinct values as pandas sorts them, here they are sorted as text",
    "missing": "NaN and NaT are written as null",
    "index 0": "GX does not look at a column_index that it takes for false (not in the facts)",
    "quantiles": "GX accepts a quantile within 0.01 % of its range (not in the facts)",
    "texts of numbers": "GX on pandas matches patterns against numbers as text; here that is refused, as databases do",
}
"""Where an answer is not the same, each with its reason; everything else must be."""


@functools.cache
def frame():
    columns = dict(FACTS["table"])
    columns["at"] = [None if each is None else datetime.fromisoformat(each) for each in columns["at"]]
    return pl.DataFrame(columns)


def same(ours, theirs):
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and set(ours) == set(theirs) and all(same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, list | tuple):
        return isinstance(ours, list | tuple) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if theirs == "NaT" or (isinstance(theirs, float) and math.isnan(theirs)):
        return ours is None
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return ours is theirs
    if isinstance(theirs, int | float) and isinstance(ours, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)
    return ours == theirs


def differs(fact, ours):
    """What of both must agree, where they may differ; see `DIFFERENT`."""
    kind, theirs, mine = fact["name"].removeprefix("expect_"), dict(fact["result"]), dict(ours)
    if kind in {"column_values_to_be_of_type", "column_values_to_be_in_type_list"}:
        return {}, {}
    if kind == "column_values_to_be_null":
        mine.pop("unexpected_index_column_names", None)
    counts = [{json.dumps(plain(each["value"])): each["count"] for each in side.pop("partial_unexpected_counts", ())}
              for side in (mine, theirs)]  # fmt: skip
    if fact["format"]["result_format"] == "COMPLETE":
        names = {json.dumps(plain(each["value"])) for each in fact["result"].get("partial_unexpected_counts", ())}
        total = sum(each["count"] for each in fact["result"].get("partial_unexpected_counts", ()))
        mine["counts"], theirs["counts"] = (sorted(counts[0]), sum(counts[0].values())), (sorted(names), total)
    if "distinct_values" in kind:
        for name in ("partial_unexpected_list", "partial_missing_list"):
            for side in (mine, theirs):
                if name in side:
                    side[name] = sorted(map(str, side[name]))
    return mine, theirs


def plain(value):
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "NaT" or value != value else value  # noqa: PLR0124 -- NaN


def answer(fact):
    expectation = expectation_of({"type": fact["name"], "kwargs": fact["kwargs"]})
    report = validate_table(frame(), [expectation], sample=None, explain_passed=True)
    return report.results[0].to_gx(fact["format"])


def name_of(fact):
    shape = "" if fact["format"] == {"result_format": "COMPLETE"} else json.dumps(fact["format"])
    return f"{fact['name'].removeprefix('expect_')}-{json.dumps(fact['kwargs'], ensure_ascii=True)}{shape}"


def test_every_answer_is_the_one_of_great_expectations():
    wrong = []
    for fact in FACTS["facts"]:
        if "error" in fact:
            continue
        ours = answer(fact)
        allowed = expected_success(fact)
        expected = fact["success"] if allowed is None else allowed
        if ours["exception_info"]["raised_exception"] or ours["success"] != expected:
            wrong.append(f"{name_of(fact)}: success {ours['success']} {ours['exception_info']['exception_message']}")
            continue
        if not same(*differs(fact, ours["result"])):
            wrong.append(f"{name_of(fact)}:\n   ours {ours['result']}\n theirs {fact['result']}")
    assert not wrong, f"{len(wrong)} of {len(FACTS['facts'])}\n" + "\n".join(wrong[:12])


def expected_success(fact):
    """Our verdict where it is meant to be another than theirs."""
    kind, kwargs = fact["name"].removeprefix("expect_"), fact["kwargs"]
    if kind == "column_values_to_be_of_type" and (kwargs["column"], kwargs["type_"]) in {
        ("at", "Timestamp"),
        ("n", "INTEGER"),
    }:
        return True
    if kind == "column_values_to_be_in_type_list" and kwargs["column"] == "n":
        return True
    return None


def test_every_core_expectation_was_asked_or_needs_another_table():
    asked = {fact["name"].removeprefix("expect_") for fact in FACTS["facts"] if "error" not in fact}
    elsewhere = {
        "query_results_to_match_comparison", "table_row_count_to_equal_other_table", "unexpected_rows_expectation",
        "column_values_to_match_like_pattern", "column_values_to_match_like_pattern_list",
        "column_values_to_not_match_like_pattern", "column_values_to_not_match_like_pattern_list", "column_type_to_be",
    }  # fmt: skip
    assert asked | elsewhere == CORE_KINDS
    assert len(CORE_KINDS) == 59


def test_what_is_not_a_result_format_is_refused():
    with pytest.raises(InvalidInput, match="no result format"):
        answer({"name": "expect_column_to_exist", "kwargs": {"column": "n"}, "format": "ALL"})


def test_a_report_has_the_shape_and_the_statistics_of_great_expectations():
    suite = (
        expect("mine")
        .column("n").between(0, 9).fresh(60).mean(0).column("zz").not_null()
        .table.rows("n > 0", mostly=0.5).no_rows("SELECT * FROM {batch} WHERE n > 9").unique("a", "b")
    )  # fmt: skip
    report = validate_table(frame(), suite)
    found = report.to_gx("COMPLETE")
    assert json.loads(json.dumps(found)) == found
    assert found["success"] is False
    assert found["statistics"] == {
        "evaluated_expectations": 7,
        "successful_expectations": 2,
        "unsuccessful_expectations": 5,
        "success_percent": pytest.approx(200 / 7),
    }
    between, fresh, mean, missing, rows, query, unique = found["results"]
    assert between["result"]["unexpected_list"] == [-2, 10]
    assert [each["exception_info"]["raised_exception"] for each in (fresh, missing)] == [True, True]
    assert "no column 'zz'" in missing["exception_info"]["exception_message"]
    assert mean["result"] == {"observed_value": pytest.approx(49 / 12)}
    assert rows["expectation_config"]["type"] == "expect_rows_to_satisfy"
    assert query["result"]["observed_value"] == 1
    assert query["result"]["details"]["unexpected_rows"][0]["n"] == 10
    assert unique["result"]["unexpected_index_list"] == [5, 11]
