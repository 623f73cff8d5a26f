"""YAML: everything that a suite says comes back, and errors say their line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.dqdl import read_dqdl
from mainspring.quality.formats.gx import expectation_of
from mainspring.quality.formats.yaml import read_yaml, write_yaml
from mainspring.quality.suite import expect
from mainspring.quality.types import Expectation, Suite

FACTS = json.loads((Path(__file__).parent / "gx_facts.json").read_text(encoding="utf-8"))


def test_every_recorded_expectation_of_great_expectations_comes_back():
    read = [
        expectation_of({"type": fact["name"], "kwargs": fact["kwargs"], "meta": {"é": [1, {"x": None}]}})
        for fact in FACTS["facts"]
        if "error" not in fact
    ]
    suite = Suite(name="all", expectations=tuple(read), meta={"owner": "me"})
    assert read_yaml(write_yaml(suite)) == suite


def test_suites_of_the_builder_and_of_dqdl_come_back():
    suite = (
        expect("flights").column("at").fresh(timedelta(hours=2)).between("2024-01-01", "2025-01-01")
        .table.any_of(expect("a").column("x").unique().not_null(), expect("b").table.row_count(3), severity="warning")
        .volume(factor=2).schema_evolves().determines("zip", "city").rows("a > 1 AND b = 'x: y'", where="c IS NULL")
    )  # fmt: skip
    assert read_yaml(write_yaml(suite.suite)) == suite.suite
    rules = read_dqdl('Rules = [ IsPrimaryKey "id", ColumnValues "s" in ["a", NULL] with threshold > 0.5 ]')
    assert read_yaml(write_yaml(rules)) == rules


def test_short_lines_comments_and_dates_are_read():
    suite = read_yaml(
        """
        # what must hold
        suite: flights
        meta: {owner: me}
        expectations:
          - table_row_count_to_be_between: {min_value: 1, severity: info}  # never empty
          - column: at
            expect: column_values_to_be_between
            min_value: 2024-01-01     # a date
            mostly: 0.9
          - all_of:
              expectations:
                - {column: id, expect: column_values_to_be_unique}
                - {columns: [a, b], expect: compound_columns_to_be_unique, where: a > 0}
          - {column: x, expect: column_mean_to_be_between, min_value: {$PARAMETER: least}}
        """
    )
    rows, dates, both, mean = suite.expectations
    assert (rows.severity, rows.arguments) == ("info", {"min_value": 1})
    assert (dates.arguments, dates.mostly) == ({"min_value": "2024-01-01"}, 0.9)
    assert [each["kind"] for each in both.arguments["expectations"]] == [
        "column_values_to_be_unique",
        "compound_columns_to_be_unique",
    ]
    assert mean.arguments["min_value"] == {"$PARAMETER": "least"}


def test_a_parameter_of_a_common_name_is_kept_apart():
    suite = Suite(name="s", expectations=(Expectation(kind="rows_to_satisfy", arguments={"condition": "a > 1"}),))
    text = write_yaml(suite)
    assert "condition: a > 1" in text
    assert read_yaml(text.replace("condition: a > 1", "arguments: {condition: a > 1}")) == suite


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("suite: [", "line 1, column 9: this is not YAML"),
        ("suite: x", "a suite has a name and expectations"),
        ("- a", "a suite has a name"),
        ("suite: x\nexpectation: []\nexpectations: []", "line 2: 'expectation' is no part"),
        ("suite: x\nexpectations:\n  - {column: a, expect: column_values_to_be_uniq}", "line 3: no kind"),
        ("suite: x\nexpectations:\n  - a_b: 3", "line 3: the parameters"),
        (
            "suite: x\nexpectations:\n\n  - {column: a, expect: column_values_to_be_between, min: 3}",
            "line 4: .*unknown",
        ),
        ("suite: x\nexpectations:\n  - {column: a, expect: column_values_to_be_unique, mostly: two}", "line 3: "),
        ("suite: x\nexpectations:\n  - {column: a, mostly: 1}", "line 3: an expectation says what it expects"),
        ("suite: x\nexpectations:\n  - &a [1]\n  - *a", "no anchors"),
        ("suite: x\nexpectations: " + "[" * 60 + "]" * 60, "nested too deeply"),
        ("suite: !!python/object:os.system x\nexpectations: []", "not YAML"),
    ],
)
def test_an_error_says_its_line(text, words):
    with pytest.raises(InvalidInput, match=words):
        read_yaml(text)
