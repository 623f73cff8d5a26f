"""Validation as a whole: one scan, errors that do not spread, samples, quarantine, reports."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.engines.tables import open_table
from mainspring.kernel.errors import CheckFailed, InvalidInput, NotFound
from mainspring.quality import Expectation, Suite, expect, quarantine, require, validate_table

FRAME = pl.DataFrame(
    {"id": [1, 2, 3, 3], "kind": ["a", "b", None, "zz"], "price": [1.0, -5.0, float("nan"), 9.0], "at": ["x"] * 4}
)


class Counting:
    """A table that counts how often it was asked."""

    def __init__(self, frame):
        self.inner = open_table(frame)
        self.asked = []
        self.looked = 0

    def schema(self):
        return self.inner.schema()

    def compute(self, metrics):
        self.asked.append(list(metrics))
        return self.inner.compute(metrics)

    def rows(self, *args, **kwargs):
        self.looked += 1
        return self.inner.rows(*args, **kwargs)

    def split(self, reasons):
        return self.inner.split(reasons)


def test_a_suite_that_holds_is_one_scan_and_each_metric_is_asked_once():
    table = Counting(FRAME)
    suite = (
        expect("t")
        .column("price")
        .between(-10, 10)
        .mean(0, 9)
        .minimum(-5)
        .column("price")
        .between(-10, 10)
        .not_null(mostly=0.7)
    )
    assert validate_table(table, suite).verdict == "passed"
    assert len(table.asked) == 1
    assert len(table.asked[0]) == len(set(table.asked[0]))
    assert table.looked == 0


def test_only_what_failed_is_looked_at_a_second_time():
    table = Counting(FRAME)
    report = validate_table(
        table, expect("t").column("price").between(0, 10).not_null(mostly=0.5).column("id").unique()
    )
    assert [result.verdict for result in report.results] == ["failed", "passed", "failed"]
    # The values are asked once for all; rows once for each check that failed.
    assert (len(table.asked), table.looked) == (2, 2)
    price, _, ids = report.results
    assert price.values == ((-5.0, 1),)
    assert price.sample == ({"__row__": 1, "id": 2, "kind": "b", "price": -5.0, "at": "x"},)
    assert [row["__row__"] for row in ids.sample] == [2, 3]


def test_what_cannot_be_asked_is_an_error_of_its_own_line():
    suite = (
        expect("t")
        .column("nothing").not_null()
        .column("kind").between(0, 1)
        .column("price").matches("a")
        .column("id").between(0, 9)
        .column("kind").maximum(3)
        .table.rows("id >")
    )  # fmt: skip
    report = validate_table(FRAME, suite)
    assert [result.verdict for result in report.results] == ["error", "error", "error", "passed", "error", "error"]
    assert "no column 'nothing'" in report.results[0].message
    assert all(result.message for result in report.results if result.verdict == "error")
    assert (report.verdict, report.rows, report.columns) == ("failed", 4, 4)


@pytest.mark.parametrize(("severity", "verdict"), [("critical", "failed"), ("warning", "warning"), ("info", "passed")])
def test_severity_decides_the_verdict(severity, verdict):
    report = validate_table(FRAME, expect("t").column("id").unique(severity=severity))
    assert report.verdict == verdict
    if verdict == "failed":
        with pytest.raises(CheckFailed, match="values of id are expected to be unique") as caught:
            require(report)
        assert caught.value.details["failed"] == 1
    else:
        assert require(report) is report


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_no_row_and_of_one(rows):
    frame = FRAME.head(rows)
    suite = (
        expect("t")
        .column("id")
        .unique()
        .between(0, 5)
        .not_null()
        .increasing()
        .column("kind")
        .in_set(["a"])
        .table.unique("id", "kind")
        .rows("id > 0")
    )
    assert validate_table(frame, suite).verdict == "passed"
    assert validate_table(frame, expect("t").table.row_count(1)).verdict == ("passed" if rows else "failed")


def test_quarantine_divides_the_rows_and_says_why():
    suite = expect("t").column("price").between(0, 10).not_null().column("kind").in_set(["a", "b"], where="id < 3")
    good, bad = quarantine(FRAME, suite)
    assert good.get_column("id").to_list() == [1, 3]
    assert good.columns == FRAME.columns
    assert bad.get_column("__reasons__").to_list() == [
        ["values of price are expected to be at least 0 and at most 10"],
        ["values of price are expected to be there"],
    ]
    assert quarantine(FRAME, expect("t").table.row_count(1))[1].height == 0
    with pytest.raises(NotFound, match="nothing"):
        quarantine(FRAME, expect("t").column("nothing").not_null())


def test_the_report_is_json_and_says_its_verdict():
    report = validate_table(FRAME, expect("t").column("price").between(0, 10), dataset="prices")
    plain = report.to_dict()
    assert (plain["verdict"], plain["dataset"], plain["results"][0]["unexpected_percent"]) == (
        "failed",
        "prices",
        100 / 3,
    )
    assert validate_table(FRAME, report.results[0].expectation and [report.results[0].expectation]).suite == "unnamed"


def test_a_lazy_file_gives_the_same_results(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    suite = expect("t").column("price").between(0, 10).column("kind").in_set(["a", "b"]).column("id").unique()
    assert validate_table(tmp_path / "t.parquet", suite).results == validate_table(FRAME, suite).results


def test_the_builder_writes_the_expectations_and_refuses_nonsense_at_once():
    suite = (
        expect("flights")
        .column("a").exists().of_type("integer").between(1).in_set([1, 2]).not_in_set([3]).length(1, 2)
        .quantile(0.5, 0, 1).distinct(1, 5).mean(0).maximum(max_value=9, severity="info", meta={"owner": "me"})
        .not_matches("x").matches("y").increasing(strictly=True).to("column_sum_to_be_between", {"min_value": 0})
        .table.unique("a", "b").greater("a", "b", or_equal=True).equal("a", "b").columns("a", exact=False)
        .add(Expectation(kind="column_values_to_be_unique", column="a"))
        .suite
    )  # fmt: skip
    assert isinstance(suite, Suite)
    assert len(suite.expectations) == 19
    assert suite.expectations[9].meta == {"owner": "me"}
    assert suite.expectations[14].columns == ("a", "b")
    with pytest.raises(InvalidInput):
        expect("t").column("a").between()
    with pytest.raises(InvalidInput, match="not a value"):
        expect("t").column("a").in_set([object()])
    with pytest.raises(InvalidInput):
        expect("../t")


def test_infinities_are_judged_and_written_as_text():
    frame = pl.DataFrame({"x": [float("inf"), float("nan"), 1.0]})
    report = validate_table(frame, expect("t").column("x").maximum(0, 5).minimum(1).mean(0))
    assert [(each.verdict, each.observed) for each in report.results] == [
        ("failed", "inf"),
        ("passed", 1.0),
        ("passed", "inf"),
    ]


def test_numbers_of_every_width_are_compared_by_value():
    for dtype in (pl.Int8, pl.UInt8, pl.UInt64, pl.Float32, pl.Decimal(10, 2)):
        frame = pl.DataFrame({"x": pl.Series([1, 2, 3]).cast(dtype)})
        suite = expect("t").column("x").in_set([1, 2.0, 2.5, 2**63, -1, 10**30]).between(-(10**30), 2.5)
        assert [each.unexpected for each in validate_table(frame, suite).results] == [1, 1]
