"""DQDL: what a rule means, that what was read is written as it was, and where an error is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.dqdl import dynamic_parameters, read_dqdl, write_dqdl
from mainspring.quality.suite import expect
from mainspring.quality.validation import quarantine, validate_table

NOW = datetime.now(UTC)
FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "s": ["a", "b", None, " "],
        "n": [1.0, 2.0, None, 4.0],
        "at": [NOW - timedelta(hours=each) for each in (1, 5, 30, 100)],
        "day": ["2024-01-01", "2024-02-01", "x", None],
        "dup": [1, 1, 2, 2],
    }
)
OTHERS = {"ref": pl.DataFrame({"id": [1, 2, 3, 9], "s": ["a", "b", "c", "d"]})}

RULES = [
    ("RowCount = 4", True),
    ("RowCount > 4", False),
    ("RowCount between 4 and 9", False),  # ends are outside
    ("RowCount between 3 and 5", True),
    ("RowCount not between 3 and 5", False),
    ("RowCount not between 4 and 5", True),
    ("RowCount in [1, 4]", True),
    ("RowCount not in [1, 4]", False),
    ("RowCount != 4", False),
    ("RowCount > 1 + 2", True),
    ("RowCount > (1 + 2) * 2", False),
    ("ColumnCount = 6", True),
    ('ColumnExists "id"', True),
    ('ColumnExists "nope"', False),
    ('IsComplete "id"', True),
    ('IsComplete "s"', False),
    ('IsComplete "s" where "id < 3"', True),
    ('Completeness "s" > 0.7', True),
    ('IsUnique "id"', True),
    ('IsUnique "dup"', False),
    ('IsPrimaryKey "id"', True),
    ('IsPrimaryKey "id" "dup"', True),
    ('IsPrimaryKey "n"', False),
    ('Uniqueness "dup" = 0', True),
    ('UniqueValueRatio "id" = 1.0', True),
    ('DistinctValuesCount "dup" = 2', True),
    ('DuplicateRowCount "dup" = 2', True),
    ("DuplicateRowCount = 0", True),
    ('ColumnValues "n" >= 1', False),  # a missing value fails
    ('ColumnValues "n" >= 1 with threshold >= 0.75', True),
    ('ColumnValues "n" >= 1 with threshold > 0.75', False),
    ('ColumnValues "n" >= 1 with threshold between 0.7 and 0.8', True),
    ('ColumnValues "n" between 0 and 5 where "n IS NOT NULL"', True),
    ('ColumnValues "n" not between 5 and 6 where "id <> 3"', True),
    ('ColumnValues "id" not in [9, 10]', True),
    ('ColumnValues "s" in ["a", "b", " "]', False),
    ('ColumnValues "s" in ["a", "b", " ", NULL]', True),
    ('ColumnValues "s" in ["a", "b", NULL, WHITESPACES_ONLY]', True),
    ('ColumnValues "s" != NULL', False),
    ('ColumnValues "s" not in [EMPTY]', True),
    ('ColumnValues "s" matches "[ab ]"', False),
    ('ColumnValues "s" matches "[ab ]" where "id <> 3"', True),
    ('ColumnValues "s" not matches "[xyz]" where "id <> 3"', True),
    ('ColumnValues "day" = "2024-01-01" where "id = 1"', True),
    ('ColumnValues "day" > "2024-01-15" where "id = 2"', True),
    ('ColumnValues "at" > (now() - 4 days)', False),
    ('ColumnValues "at" > (now() - 5 days)', True),
    ('ColumnValues "at" between (now() - 5 days) and now()', True),
    ('DataFreshness "at" <= 24 hours', False),
    ('DataFreshness "at" < 5 days', True),
    ('ColumnLength "s" = 1', True),
    ('ColumnLength "day" between 5 and 20', False),
    ('ColumnDataType "id" = "Integer"', True),
    ('ColumnDataType "s" = "Date"', False),
    ('ColumnNamesMatchPattern "[a-z]+"', True),
    ('ColumnNamesMatchPattern "[a-m]+"', False),
    ('ColumnCorrelation "id" "n" > 0.9', True),
    ('Mean "id" = 2.5', True),
    ('Sum "id" = 10', True),
    ('StandardDeviation "id" between 1.1 and 1.12', True),
    ('Variance "id" = 1.25', True),
    ('Skewness "id" = 0', True),
    ('Kurtosis "id" < -1', True),
    ('Range "id" = 3', True),
    ('ZerosCount "id" = 0', True),
    ('InterquartileRange "id" = 1.5', True),
    ('Entropy "dup" between 0.69 and 0.7', True),
    ('CustomSql "select count(*) from primary where id > 2" = 2', True),
    ('CustomSql "select id from primary where id > 2"', False),
    ('CustomSql "select id from primary where id > 2" with threshold >= 0.5', True),
    ('ReferentialIntegrity "id" "ref.{id}" = 1.0', False),
    ('ReferentialIntegrity "id" "ref.id" >= 0.75', True),
    ('DatasetMatch "ref" "id" "s" > 0.4', True),
    ('DatasetMatch "ref" "id->id" "s->s" > 0.5', False),
    ('SchemaMatch "ref" = 1.0', True),
    ('RowCountMatch "ref" = 1.0', True),
    ('AggregateMatch "sum(id)" "sum(ref.id)" < 0.7', True),
    ('(RowCount > 100) or (IsUnique "id")', True),
    ('(RowCount > 100) and (IsUnique "id")', False),
    ('(RowCount = 4) or ((RowCount > 100) and (IsUnique "dup"))', True),
    ('IsComplete "id" and IsUnique "id"', True),
]


@pytest.mark.parametrize(("rule", "holds"), RULES, ids=[rule for rule, _ in RULES])
def test_a_rule_means_what_it_means_in_deequ(rule, holds):
    suite = read_dqdl(f"Rules = [ {rule} ]")
    (result,) = validate_table(FRAME, suite, others=OTHERS).results
    assert (result.verdict, result.message) == (("passed", "") if holds else ("failed", result.message))
    again = read_dqdl(write_dqdl(suite))
    assert again == suite


def test_all_sections_comments_and_variables_are_read_and_written():
    text = """
    Metadata = { "Version": "1.0", "Owners": ["me", "you"] }   # who
    DataSources = { "Primary": "p" }
    letters = ["a", "b", " "]
    one = "a"
    Rules = [ ColumnValues "s" in $letters, ColumnValues "s" in ["b", $one, NULL, " "] ]
    Analyzers = [ RowCount, Mean "n" ]"""
    suite = read_dqdl(text, name="mine")
    assert suite.name == "mine"
    assert suite.meta["dqdl"]["Metadata"] == {"Version": "1.0", "Owners": ["me", "you"]}
    assert [each.verdict for each in validate_table(FRAME, suite).results] == ["failed", "passed"]
    written = write_dqdl(suite)
    assert '"Owners"' in written
    assert "Mean" in written
    assert [each.arguments for each in read_dqdl(written).expectations] == [
        each.arguments for each in suite.expectations
    ]


def test_dynamic_rules_are_reckoned_from_history():
    suite = read_dqdl(
        'Rules = [ RowCount >= avg(last(3)) * 0.5, Mean "id" > max(last(2)) - 1, RowCount in [index(last(3), 0), 4] ]'
    )
    history = {"table_row_count_to_be_between": [100, 4, 8, 6], "column_mean_to_be_between": [2.0, 3.0]}
    found = dynamic_parameters(suite, lambda each: history[each.kind])
    assert sorted(found.values()) == [2.0, 3.0, 4]
    report = validate_table(FRAME, suite, parameters=found)
    assert [each.verdict for each in report.results] == ["passed", "passed", "passed"]
    nothing = dynamic_parameters(suite, lambda each: [])
    assert set(nothing.values()) == {None}
    assert validate_table(FRAME, suite, parameters=nothing).verdict == "passed"
    with pytest.raises(InvalidInput, match="has no value"):
        validate_table(FRAME, suite)
    with pytest.raises(InvalidInput, match="a list of values"):
        dynamic_parameters(read_dqdl("Rules = [ RowCount > last(3) ]"), lambda each: [1, 2, 3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1: there are no rules"),
        ("Rules = [ Foo ]", "line 1, column 11: Foo is no type of rule"),
        ("Rules = [\n  RowCount >> 1 ]", "line 2, column 13: a value is expected, not >"),
        ('Rules = [\n\n IsComplete "x', "line 3, column 13: a text that does not end"),
        ("Rules = [ RowCount > 1", "',' is expected"),
        ("Rules = [ (RowCount > 1 ]", r"'\)' is expected"),
        ("Rules = [ RowCount > foo(1) ]", "foo is no function"),
        ('Rules = [ RowCount "x" > 1 ]', "takes 0 parameters"),
        ("Rules = [ RowCount ]", "needs a condition"),
        ('Rules = [ RowCount > "x" ]', "compared with numbers"),
        ('Rules = [ ColumnValues "s" in $no ]', "the variable no has no value"),
        ('Rules = [ Mean "n" > 1 with threshold > 0.5 ]', "takes no threshold"),
        ('Rules = [ ColumnValues "n" > 1 with threshold > 5 ]', "share between 0 and 1"),
        ('Rules = [ ColumnDataType "n" = "Thing" ]', "no type of DQDL"),
        ('Rules = [ ColumnValues "s" matches "(" ]', "regular expression"),
        ('Rules = [ DataFreshness "at" > 3 ]', "durations"),
        ("Rules = [ RowCount > 1 / 0 ]", "divides by 0"),
        ("Rules = [ RowCount not > 1 ]", "not is followed by"),
        ('Rules = [ ReferentialIntegrity "id" "ref" = 1.0 ]', "no columns of another dataset"),
    ],
)
def test_an_error_says_where_it_is(text, words):
    with pytest.raises(InvalidInput, match=words):
        read_dqdl(text)


def test_suites_of_the_builder_are_written_as_rules_that_mean_the_same():
    suite = (
        expect("t")
        .column("id").not_null().unique().between(1, 9).mean(1, 3)
        .column("n").between(0, 5, mostly=1.0).not_null(mostly=0.7)
        .column("s").in_set(["a", "b", " "], where="id < 4").not_in_set(["z"]).matches("^(?:[ab ])$").length(1, 1)
        .table.row_count(4, 4).rows("id > 0").any_of(
            expect("x").table.row_count(9), expect("x").column("id").unique()
        ).column("id").quantile(0.5, 1, 4)
    ).suite  # fmt: skip
    strange = [suite.expectations[-1]]
    with pytest.raises(InvalidInput, match="no rule for column_quantile_values_to_be_between"):
        write_dqdl(suite)
    again = read_dqdl(write_dqdl(suite, leave_out=True))
    kept = [each for each in suite.expectations if each not in strange]
    verdicts = [each.verdict for each in validate_table(FRAME, again).results]
    assert verdicts == [each.verdict for each in validate_table(FRAME, kept).results]
    assert len(again.expectations) == len(kept)


def test_rules_about_rows_divide_them():
    suite = read_dqdl('Rules = [ IsPrimaryKey "dup", ColumnValues "s" in ["a", "b"] ]')
    good, bad = quarantine(FRAME, suite)
    assert (good.height, bad.height) == (0, 4)
    assert msgspec.to_builtins(suite.expectations[0])["arguments"]["per_row"]
