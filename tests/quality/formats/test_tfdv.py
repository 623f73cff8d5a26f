"""TFDV's schema: what it says as expectations, the anomalies by their names, what would accept them, and back."""

from __future__ import annotations

import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.tfdv import parse_schema, read_tfdv, write_tfdv
from mainspring.quality.formats.tfdv_anomalies import accept, anomalies
from mainspring.quality.suite import expect
from mainspring.quality.validation import validate_table

SCHEMA = """
feature { name: "payment" type: BYTES domain: "payments" presence { min_fraction: 1.0 min_count: 2 }
          value_count { min: 1 max: 1 } }
feature { name: "company" type: BYTES distribution_constraints { min_domain_mass: 0.75 }
          string_domain { value: "a" value: "b" } drift_comparator { infinity_norm { threshold: 0.2 } } }
feature { name: "fare" type: FLOAT float_domain { min: 0 max: 100 disallow_nan: true disallow_inf: true }
          skew_comparator { jensen_shannon_divergence { threshold: 0.3 } } }
feature { name: "seats" type: INT int_domain { min: 1 max: 8 } unique_constraints { min: 2 max: 3 } }
feature { name: "flag" type: INT bool_domain { } }
feature { name: "tips" type: FLOAT not_in_environment: "SERVING" presence { min_fraction: 0.5 } }
feature { name: "old" type: INT lifecycle_stage: DEPRECATED presence { min_count: 1 } }
feature { name: "plan" type: INT lifecycle_stage: PLANNED presence { min_count: 1 } }
feature { name: "vector" type: FLOAT shape { dim { size: 2 } } presence { min_fraction: 1.0 }
          annotation { tag: "kept" } }
string_domain { name: "payments" value: "Cash" value: "Card" }
default_environment: "TRAINING" default_environment: "SERVING"
dataset_constraints { min_examples_count: 3 max_examples_count: 10
  num_examples_drift_comparator { min_fraction_threshold: 0.5 max_fraction_threshold: 2.0 } }
"""
GOOD = pl.DataFrame(
    {
        "payment": ["Cash", "Card", "Cash", "Card"],
        "company": ["a", "b", "a", "other"],
        "fare": [1.0, 20.0, 50.0, 99.0],
        "seats": [1, 2, 2, 8],
        "flag": [0, 1, 1, 0],
        "tips": [0.5, None, 1.0, None],
        "vector": [[0.0, 1.0]] * 4,
    }
)


def judged(frame, *, environment="", others=None):
    suite = read_tfdv(SCHEMA, name="taxi", environment=environment)
    tables = {"previous": None, "serving": None} | (others or {})
    report = validate_table(frame, suite, others=tables, sample=None)
    return suite, report, anomalies(report, suite)


def test_data_as_the_schema_says_has_no_anomaly():
    _, report, found = judged(GOOD)
    assert found == []
    assert report.verdict == "passed"
    assert len(report.results) >= 25


CHANGES = [
    ({"payment": ["Cash", "Card", "Cheque", "Card"]}, [("payment", "ENUM_TYPE_UNEXPECTED_STRING_VALUES")]),
    ({"payment": ["Cash", "Card", None, "Card"]}, [("payment", "FEATURE_TYPE_LOW_FRACTION_PRESENT")]),
    ({"payment": ["Cash", None, None, None]},
     [("payment", "FEATURE_TYPE_LOW_FRACTION_PRESENT"), ("payment", "FEATURE_TYPE_LOW_NUMBER_PRESENT")]),
    ({"payment": None}, [("payment", "SCHEMA_MISSING_COLUMN")]),
    ({"company": None}, []),  # its presence is not asked for
    ({"company": ["a", "x", "y", "z"]}, [("company", "ENUM_TYPE_UNEXPECTED_STRING_VALUES")]),
    ({"fare": [-1.0, 1.0, 2.0, 3.0]}, [("fare", "FLOAT_TYPE_SMALL_FLOAT")]),
    ({"fare": [1.0, 1.0, 2.0, 300.0]}, [("fare", "FLOAT_TYPE_BIG_FLOAT")]),
    ({"fare": [1.0, float("nan"), 2.0, 3.0]}, [("fare", "FLOAT_TYPE_HAS_NAN")]),
    ({"fare": [1.0, float("-inf"), 2.0, 3.0]}, [("fare", "FLOAT_TYPE_HAS_INF"), ("fare", "FLOAT_TYPE_SMALL_FLOAT")]),
    ({"fare": ["1", "2", "3", "4"]}, [("fare", "FLOAT_TYPE_STRING_NOT_FLOAT")]),
    ({"seats": [0, 1, 2, 2]}, [("seats", "INT_TYPE_SMALL_INT")]),
    ({"seats": [1, 2, 2, 9]}, [("seats", "INT_TYPE_BIG_INT")]),
    ({"seats": [1, 1, 1, 1]}, [("seats", "FEATURE_TYPE_LOW_UNIQUE")]),
    ({"seats": [1, 2, 3, 4]}, [("seats", "FEATURE_TYPE_HIGH_UNIQUE")]),
    ({"seats": [1.5, 2.0, 2.0, 8.0]}, [("seats", "INT_TYPE_INT_EXPECTED")]),
    ({"flag": [0, 1, 2, 0]}, [("flag", "BOOL_TYPE_BIG_INT")]),
    ({"flag": [0, 1, -1, 0]}, [("flag", "BOOL_TYPE_SMALL_INT")]),
    ({"tips": [None, None, None, 1.0]}, [("tips", "FEATURE_TYPE_LOW_FRACTION_PRESENT")]),
    ({"vector": [[0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]}, [("vector", "INVALID_FEATURE_SHAPE")]),
    ({"extra": [1, 2, 3, 4]}, [("", "SCHEMA_NEW_COLUMN")]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[str(change)[:60] for change, _ in CHANGES])
def test_what_is_not_as_the_schema_says_is_an_anomaly_of_its_name(change, expected):
    columns = {name: column for name, column in {**GOOD.to_dict(), **change}.items() if column is not None}
    suite, report, found = judged(pl.DataFrame(columns, strict=False))
    types = [(each.feature, each.type) for each in found if "DOMAIN" not in each.type]
    wrong_type = {"fare", "seats"} & {name for name, kind in expected if "INT_EXPECTED" in kind or "STRING_NOT" in kind}
    assert sorted(set(types)) == sorted(expected) or (wrong_type and set(expected) <= set(types))
    loosened = accept(report, suite)
    if expected and not wrong_type and "INVALID_FEATURE_SHAPE" not in expected[0] and "flag" not in change:
        assert all(each.diff for each in found)
        again = read_tfdv(loosened)
        tables = {"previous": None, "serving": None}
        assert (
            validate_table(pl.DataFrame(columns, strict=False), again, others=tables, sample=None).verdict == "passed"
        )


def test_environments_say_which_features_are_expected_where():
    without = GOOD.drop("tips")
    assert [each.type for each in judged(without, environment="TRAINING")[2]] == ["SCHEMA_MISSING_COLUMN"]
    assert judged(without, environment="SERVING")[2] == []


def test_comparators_measure_against_the_version_before_and_against_serving():
    before = GOOD.with_columns(company=pl.Series(["a", "a", "a", "a"]))
    serving = GOOD.with_columns(fare=pl.Series([0.0, 0.5, 0.7, 0.9]))
    _, report, found = judged(GOOD, others={"previous": before, "serving": serving})
    assert {(each.feature, each.type) for each in found} == {
        ("company", "COMPARATOR_L_INFTY_HIGH"),
        ("fare", "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"),
    }
    seen = {each.expectation.column: each.observed for each in report.results if each.verdict != "passed"}
    assert seen["company"] == pytest.approx(0.5)
    # Ten bins between 0 and 99, as scipy has the distance (the root of the divergence).
    left, right = [1, 0, 1, 0, 0, 1, 0, 0, 0, 1], [4] + [0] * 9
    assert seen["fare"] == pytest.approx(jensenshannon(left, right, base=2) ** 2)
    assert judged(GOOD, others={"previous": GOOD, "serving": GOOD})[2] == []
    assert "0.5" in next(each.diff for each in found if each.feature == "company")


def test_the_number_of_examples_is_asked_alone_and_against_the_version_before():
    assert [each.type for each in judged(GOOD.head(2))[2] if not each.feature] == ["DATASET_LOW_NUM_EXAMPLES"]
    many = pl.concat([GOOD] * 3)
    types = {each.type for each in judged(many, others={"previous": GOOD})[2]}
    assert {"DATASET_HIGH_NUM_EXAMPLES", "COMPARATOR_HIGH_NUM_EXAMPLES"} <= types


def test_a_schema_is_written_as_it_was_read_and_read_from_bytes():
    suite = read_tfdv(SCHEMA)
    written = write_tfdv(suite)
    assert parse_schema(written) == parse_schema(SCHEMA)
    assert 'tag: "kept"' in written
    assert read_tfdv(parse_schema(SCHEMA).SerializeToString()) == suite


def test_suites_of_the_builder_become_schemas():
    suite = (
        expect("t").column("a").of_type("integer").between(0, 9).not_null().distinct(1, 5)
        .column("s").in_set(["x", "y"], mostly=0.9).table.row_count(1, 9).columns("a", "s")
    )  # fmt: skip
    again = read_tfdv(write_tfdv(suite.suite))
    frame = pl.DataFrame({"a": [1, 2], "s": ["x", "y"]})
    assert validate_table(frame, again).verdict == "passed"
    assert validate_table(frame.with_columns(a=pl.lit(20)), again).verdict == "failed"
    with pytest.raises(InvalidInput, match="cannot say column_mean_to_be_between"):
        write_tfdv(expect("t").column("a").mean(0, 1).suite)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("feature {\n nam: 3 }", "2:"),
        (b"\xff\xff", "no schema of TFDV"),
        ('feature { name: "x" type: BYTES domain: "gone" }', "which is not there"),
    ],
)
def test_what_is_no_schema_is_refused(text, words):
    with pytest.raises(InvalidInput, match=words):
        read_tfdv(text)


def test_anomalies_are_of_suites_that_were_read_from_a_schema():
    suite = expect("t").column("a").not_null().suite
    report = validate_table(pl.DataFrame({"a": [1]}), suite)
    with pytest.raises(InvalidInput, match="not read from a schema"):
        anomalies(report, suite)
