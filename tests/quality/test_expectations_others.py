"""Checks that need more than one scan or more than one table, combinations, and kinds of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from mainspring.engines.tables import open_table
from mainspring.kernel.errors import AlreadyExists, InvalidInput, NotFound
from mainspring.quality.expectations import register
from mainspring.quality.expectations.base import RowCheck
from mainspring.quality.expectations.programs import BatchCheck, ExpressionCheck
from mainspring.quality.expectations.references import other_tables
from mainspring.quality.expectations.type_names import canonical
from mainspring.quality.suite import expect
from mainspring.quality.types import Expectation
from mainspring.quality.validation import quarantine, validate_table

NOW = datetime.now(UTC)
FRAME = pl.DataFrame(
    {
        "n": [1, 2, 3, 4, 100],
        "s": ["a", "b", None, "a", "c"],
        "at": [NOW - timedelta(hours=each) for each in (50, 40, 30, 20, 10)],
    }
)


class Counting:
    """A table that counts how often it was asked."""

    def __init__(self, frame, **others):
        self.inner = open_table(frame, others=others)
        self.asked = []
        self.looked = []

    def schema(self):
        return self.inner.schema()

    def compute(self, metrics):
        self.asked.append(list(metrics))
        return self.inner.compute(metrics)

    def rows(self, *args, **kwargs):
        return self.inner.rows(*args, **kwargs)

    def samples(self, asked):
        self.looked.append(len(asked))
        return self.inner.samples(asked)

    def split(self, reasons):
        return self.inner.split(reasons)


def judge(suite, frame=FRAME, **others):
    return [each.verdict for each in validate_table(frame, suite, others=others).results]


# -- waves


def test_what_must_be_known_first_is_asked_with_the_rest_and_explained_with_the_next():
    table = Counting(FRAME)
    suite = (
        expect("t")
        .column("n").z_scores(1.5).not_outliers().between(0, 3).mean(0, 50)
        .column("s").in_set(["a"])
    )  # fmt: skip
    report = validate_table(table, suite)
    assert [each.verdict for each in report.results] == ["failed", "failed", "failed", "passed", "failed"]
    # One scan for spreads and plain checks; one for what the spreads made possible and for what failed; one to explain
    # what failed then. The rows of each wave are fetched together.
    assert len(table.asked) == 3
    assert table.looked == [2, 2]
    assert [row["n"] for row in report.results[0].sample] == [100]
    assert "standard deviations from the mean (above" in report.results[0].expected


def test_nothing_is_asked_twice():
    table = Counting(FRAME)
    validate_table(table, expect("t").column("n").z_scores(1.5).z_scores(3.0).not_outliers(method="std").mean(0))
    metrics = [metric for wave in table.asked for metric in wave]
    assert len(metrics) == len(set(metrics))


def test_all_rows_are_kept_when_all_are_asked_for():
    frame = pl.DataFrame({"n": range(100)})
    suite = expect("t").column("n").between(90, 99, mostly=0.05)
    (few,) = validate_table(frame, suite.suite).results
    assert (few.verdict, len(few.sample)) == ("passed", 0)
    (kept,) = validate_table(frame, suite.suite, sample=None, explain_passed=True).results
    assert (kept.verdict, len(kept.sample), len(kept.values)) == ("passed", 90, 90)


def test_quarantine_works_out_spreads_first():
    good, bad = quarantine(FRAME, expect("t").column("n").not_outliers())
    assert good.get_column("n").to_list() == [1, 2, 3, 4]
    assert "interquartile" in bad.get_column("__reasons__").to_list()[0][0]


# -- other tables


def test_rows_against_another_table():
    suite = expect("t").table.to("table_row_count_to_equal_other_table", {"other_table_name": "o"})
    assert judge(suite, o=FRAME) == ["passed"]
    assert judge(suite, o=FRAME.head(2)) == ["failed"]
    (result,) = validate_table(FRAME, suite, others={"o": FRAME.head(2)}).results
    assert result.observed == {"self": 5, "other": 2}
    (unknown,) = validate_table(FRAME, suite).results
    assert (unknown.verdict, "no other table 'o'" in unknown.message) == ("error", True)


@pytest.mark.parametrize(
    ("rows", "verdicts"),
    [
        (5, ["passed"] * 3),
        (2, ["failed", "failed", "passed"]),
        (3, ["passed", "failed", "passed"]),
        (None, ["passed"] * 3),
    ],
)
def test_volume_against_the_version_before(rows, verdicts):
    suite = expect("t").table.volume(factor=2).volume(min_ratio=0.9, max_ratio=1.1).volume(max_ratio=9)
    previous = None if rows is None else FRAME.head(rows)
    assert judge(suite, previous=previous) == verdicts


def test_numbers_against_the_version_before():
    suite = (
        expect("t")
        .column("n").near_previous("mean", factor=1.5).near_previous("maximum", change=5)
        .column("s").near_previous("completeness", change=0.1).near_previous("distinct", factor=1)
    )  # fmt: skip
    assert judge(suite, previous=FRAME) == ["passed"] * 4
    before = pl.DataFrame({"n": [1, 2], "s": ["a", None]})
    assert judge(suite, previous=before) == ["failed"] * 4
    (result, *_) = validate_table(FRAME, suite, others={"previous": before}).results
    assert result.observed == {"value": 22.0, "previous": 1.5, "ratio": pytest.approx(22 / 1.5)}
    empty = FRAME.clear()
    assert judge(suite, frame=empty, previous=empty)[:2] == ["passed", "passed"]
    assert judge(suite, frame=FRAME, previous=empty)[0] == "failed"


@pytest.mark.parametrize(
    ("options", "change", "verdict"),
    [
        ({}, {}, "passed"),
        ({}, {"new": pl.lit(1)}, "passed"),
        ({"new_columns": False}, {"new": pl.lit(1)}, "failed"),
        ({}, {"n": pl.col("n").cast(pl.Float64)}, "passed"),
        ({}, {"n": pl.col("n").cast(pl.Int8)}, "failed"),
        ({}, {"n": pl.col("n").cast(pl.Int128)}, "passed"),
        ({"type_changes": "none"}, {"n": pl.col("n").cast(pl.Float64)}, "failed"),
        ({}, {"n": pl.col("n").cast(pl.String)}, "failed"),
        ({"type_changes": "any"}, {"n": pl.col("n").cast(pl.String)}, "passed"),
    ],
)
def test_a_schema_changes_as_it_may(options, change, verdict):
    assert judge(expect("t").table.schema_evolves(**options), FRAME.with_columns(**change), previous=FRAME) == [verdict]


def test_columns_that_go_or_move():
    suite = expect("t").table.schema_evolves().schema_evolves(missing_columns=True).schema_evolves(reordering=False)
    assert judge(suite, FRAME.drop("s"), previous=FRAME) == ["failed", "passed", "failed"]
    assert judge(suite, FRAME.select("s", "n", "at"), previous=FRAME) == ["passed", "passed", "failed"]


def test_age_against_a_clock():
    suite = expect("t").column("at").fresh(timedelta(hours=11)).fresh(3600 * 9)
    assert judge(suite) == ["passed", "failed"]
    ahead = FRAME.with_columns(at=pl.lit(NOW + timedelta(hours=1)))
    assert judge(suite, ahead) == ["failed", "failed"]
    assert judge(suite, FRAME.clear()) == ["failed", "failed"]
    naive = FRAME.with_columns(at=pl.col("at").dt.replace_time_zone(None))
    assert judge(suite, naive) == ["passed", "failed"]


def test_queries_see_this_table_and_the_others():
    other = pl.DataFrame({"k": [1, 2, 3, 4, 5], "s": ["a", "b", None, "a", "d"]})
    query = "SELECT s, count(*) AS c FROM {batch} GROUP BY s"
    same = {"base_query": query, "comparison_query": query, "comparison_data_source_name": "o"}
    suite = (
        expect("t")
        .table.no_rows("SELECT * FROM {batch} WHERE n > 50")
        .no_rows("SELECT * FROM {batch} JOIN o ON n = k WHERE k > 9")
        .query("SELECT max(n) FROM {batch}", 100, 100)
        .to("query_results_to_match_comparison", same)
        .to("query_results_to_match_comparison", same, mostly=0.75)
    )
    report = validate_table(FRAME, suite, others={"o": other})
    assert [each.verdict for each in report.results] == ["failed", "passed", "passed", "failed", "passed"]
    assert report.results[0].sample[0]["n"] == 100
    assert report.results[3].unexpected == 1
    assert report.results[3].details == {"missing_rows": ['["d",1]'], "unexpected_rows": ['["c",1]']}


# -- combinations


def test_combinations_of_verdicts_and_of_rows():
    small, known = expect("a").column("n").between(0, 3), expect("b").column("s").in_set(["a", "c"])
    suite = (
        expect("t")
        .table.all_of(small, known).any_of(small, expect("c").table.row_count(5))
        .none_of(expect("d").table.row_count(9))
        .any_of(small, known, per_row=True).all_of(small, known, per_row=True).none_of(small, known, per_row=True)
    )  # fmt: skip
    report = validate_table(FRAME, suite, sample=None)
    verdicts = [each.verdict for each in report.results]
    assert verdicts == ["failed", "passed", "passed", "passed", "failed", "failed"]
    assert [row["__row__"] for row in report.results[4].sample] == [1, 3, 4]
    # A value that is not asked holds, alone as in a combination: the third row has no s.
    assert [row["__row__"] for row in report.results[5].sample] == [0, 1, 2, 3, 4]
    good, bad = quarantine(FRAME, expect("t").table.all_of(small, known, per_row=True))
    assert (good.height, bad.height) == (2, 3)
    with pytest.raises(InvalidInput, match="every part must be about rows"):
        expect("t").table.all_of(expect("d").table.row_count(9), per_row=True)


def test_a_combination_waits_for_the_slowest_of_its_parts():
    suite = expect("t").table.any_of(
        expect("a").column("n").not_outliers(), expect("b").table.volume(factor=2), expect("c").column("n").mean(0, 1)
    )
    assert judge(suite, previous=FRAME) == ["passed"]
    assert judge(suite, previous=FRAME.head(1)) == ["failed"]
    rows = expect("t").table.all_of(expect("a").column("n").not_outliers().not_null(), per_row=True, where="n < 50")
    assert judge(rows) == ["passed"]


@pytest.mark.parametrize("depth", [20, 3000])
@pytest.mark.parametrize("key", ["expectations", "expectation"])
def test_combinations_stand_inside_each_other_only_so_deep(key, depth):
    inner = Expectation(kind="table_row_count_to_be_between", arguments={"min_value": 1}).to_dict()
    for _ in range(depth):
        outer = "all_of" if key == "expectations" else "share_of_rows_to_be_between"
        inner = {"kind": outer, "arguments": {key: [inner] if key == "expectations" else inner}}
    with pytest.raises(InvalidInput, match=r"more than \d+ deep"):
        expect("t").table.to(inner["kind"], inner["arguments"])


def test_a_share_with_both_ends():
    inner = Expectation(kind="column_values_to_be_between", column="n", arguments={"max_value": 3}).to_dict()
    for ends, verdict in (({"min_value": 0.6}, "passed"), ({"min_value": 0.6, "strict_min": True}, "failed"),
                          ({"max_value": 0.7}, "passed"), ({"max_value": 0.5}, "failed")):  # fmt: skip
        suite = expect("t").table.to("share_of_rows_to_be_between", {"expectation": inner, **ends})
        assert judge(suite) == [verdict]


# -- kinds of one's own


class Even(ExpressionCheck, frozen=True, kw_only=True):
    """Values divide by a number."""

    by: int = 2

    def holds(self, target):
        return pl.col(target.column) % self.by == 0

    def expected(self):
        return f"to divide by {self.by}"


class Known(BatchCheck, frozen=True, kw_only=True):
    """Texts that Python says are letters."""

    def holds(self, batch, target):
        return [value is not None and value.isalpha() for value in batch.get_column(target.column)]

    def expected(self):
        return "to be letters"


class Wrong(BatchCheck, frozen=True, kw_only=True):
    def holds(self, batch, target):
        return [True]

    def expected(self):
        return "to be wrong"


class Positive(RowCheck, frozen=True, kw_only=True):
    def holds(self, target):
        from mainspring.engines.tables import Between

        return Between(target.column, 0, None, strict_low=True)

    def expected(self):
        return "to be positive"


def test_programs_are_kinds_like_any_other():
    for name, kind in (("even", Even), ("letters", Known), ("wrong", Wrong), ("positive", Positive)):
        register(name, kind)
        register(name, kind)
    with pytest.raises(AlreadyExists):
        register("even", Known)
    suite = (
        expect("t").column("n").to("even", mostly=0.6).to("even", {"by": 1}).to("even", where="n > 3").to("wrong")
        .to("positive").column("s").to("letters")
    )  # fmt: skip
    report = validate_table(FRAME, suite)
    assert [each.verdict for each in report.results] == ["passed", "passed", "passed", "error", "passed", "passed"]
    assert (report.results[0].evaluated, report.results[0].unexpected) == (5, 2)
    assert (report.results[2].evaluated, report.results[5].missing) == (2, 1)
    (bad,) = validate_table(FRAME, expect("t").column("n").to("even")).results
    assert [row["__row__"] for row in bad.sample] == [0, 2]
    assert "gave 1 answers for" in report.results[3].message
    with pytest.raises(InvalidInput, match="cannot divide"):
        quarantine(FRAME, expect("t").column("n").to("even"))
    with pytest.raises(NotFound, match="no kind"):
        expect("t").column("n").to("odd")
    with pytest.raises(InvalidInput, match="Expected `int`"):
        expect("t").column("n").to("even", {"by": "x"})


def test_programs_see_the_rows_of_other_engines():
    import duckdb

    suite = [Expectation(kind="column_list_lengths_to_be_between", column="l", arguments={"min_value": 1})]
    frame = pl.DataFrame({"l": [[1], [], None, [1, 2]]})
    with duckdb.connect() as connection:
        relation = connection.from_arrow(frame.to_arrow())
        (there,) = validate_table(relation, suite).results
    assert there == validate_table(frame, suite).results[0]
    assert [row["__row__"] for row in there.sample] == [1]


# -- names of types


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("VARCHAR(20)", "text"), ("character varying(3)", "text"), ("StringType()", "text"), ("large_string", "text"),
        ("DECIMAL(10,2)", "decimal"), ("NUMERIC", "decimal"), ("double precision", "float"), ("pl.Float32", "float"),
        ("datetime64[ns, UTC]", "datetime"), ("TIMESTAMP WITH TIME ZONE", "datetime"), ("TimestampNTZType", "datetime"),
        ("date32[day]", "date"), ("Int64Dtype", "integer"), ("HUGEINT", "integer"), ("bool_", "bool"),
        ("array<int>", "list"), ("STRUCT(a INTEGER)", "struct"), ("BYTEA", "binary"), ("timedelta64[ns]", "duration"),
    ],
)  # fmt: skip
def test_names_of_types_of_other_systems_are_understood(name, kind):
    assert canonical(name).kind == kind


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (["BIGINT"], "passed"),
        (["int32"], "failed"),
        (["int"], "passed"),
        (["LongType", "str"], "passed"),
        (["x"], "failed"),
    ],
)
def test_a_width_counts_where_the_name_has_one(names, verdict):
    assert judge(expect("t").column("n").of_type(*names)) == [verdict]


def test_the_other_tables_of_a_suite_are_known_before_it_is_asked():
    suite = (
        expect("t")
        .column("n").in_table("keys").near_previous("mean", factor=2)
        .table.volume(min_ratio={"$PARAMETER": "least"})
        .query("WITH c AS (SELECT * FROM {batch}) SELECT count(*) FROM c JOIN more ON c.n = more.n")
        .any_of(expect("a").table.to("table_row_count_to_equal_other_table", {"other_table_name": "o"}))
        .to("query_results_to_match_comparison", {"base_query": "SELECT 1", "comparison_query": "SELECT * FROM {batch}",
                                                  "comparison_data_source_name": "source"})
    ).suite  # fmt: skip
    assert other_tables(suite.expectations) == ["keys", "previous", "more", "o", "source"]
