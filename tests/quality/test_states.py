"""States of parts: they join to the answer for the whole in any order, and what is known is not scanned again."""

from __future__ import annotations

import math
import random

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.engines.tables import (
    Aggregate,
    Between,
    ColumnType,
    Count,
    Distinct,
    Duplicated,
    Frequent,
    Histogram,
    Missing,
    Moments,
    Ordered,
    Quantile,
    Sql,
    open_table,
)
from mainspring.quality import expect, validate_table
from mainspring.quality.states import UNMERGED, join_of
from mainspring.quality.states_memory import LocalMemory
from mainspring.quality.states_stable import is_of_a_row, is_of_content
from mainspring.quality.states_table import KnownTable, Part

SCHEMA = {"x": pl.Float64, "n": pl.Int64, "s": pl.String, "b": pl.Boolean, "d": pl.Date}
ROW = st.tuples(
    st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6)),
    st.one_of(st.none(), st.integers(-50, 50)),
    st.one_of(st.none(), st.text("aé\U0001f600 ", max_size=3)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.dates()),
)
PARTS = st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=4)
METRICS = [
    Count(),
    Count(predicate=Missing("x")),
    Count(where=Sql("n > 0"), predicate=Between("x", -10.0, 10.0)),
    *(Aggregate(column="x", function=f) for f in ("min", "max", "sum", "mean", "std", "nulls", "nans")),
    *(Aggregate(column="n", function=f) for f in ("min", "max", "sum", "mean")),
    *(Aggregate(column="s", function=f) for f in ("min", "max", "min_length", "max_length")),
    *(Aggregate(column="d", function=f) for f in ("min", "max")),
    Moments(column="x"),
    Histogram(column="x", edges=(-100.0, 0.0, 100.0)),
    Distinct(columns=("s",)),
    Frequent(column="n", limit=3),
    Frequent(column="s", limit=100),
    Quantile(column="n", q=0.3),
    Quantile(column="n", q=1.0),
]


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def answers(rows, metric, table_schema):
    asks = join_of(metric, table_schema).asks
    found = open_table(frame(rows)).compute(asks)
    return [found[ask] for ask in asks]


def near(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(near(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, int | float):
        return a == b or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-3) or (math.isnan(a) and math.isnan(b))
    return a == b


@settings(max_examples=40, deadline=None)
@given(parts=PARTS, seed=st.integers(0, 10))
def test_joining_equals_the_whole_scan_and_does_not_depend_on_the_order(parts, seed):
    schema = open_table(frame([])).schema()
    whole = open_table(frame([row for part in parts for row in part])).compute(METRICS)
    for metric in METRICS:
        leaves = [answers(part, metric, schema) for part in parts]
        join = join_of(metric, schema)
        joined = join.of(leaves)
        if isinstance(metric, Moments):  # third and fourth powers of a million are compared by their size
            joined, expected = joined[:3], whole[metric][:3]
            assert near(joined[:2], expected[:2]), metric
            assert math.isclose(joined[2], expected[2], rel_tol=1e-6, abs_tol=1.0)
        elif isinstance(metric, Frequent):  # among ties the engine may choose
            assert [count for _, count in joined] == [count for _, count in whole[metric]], metric
            assert metric.limit < 100 or dict(joined) == dict(whole[metric])
        else:
            assert near(joined, whole[metric]), metric
        shuffled = leaves[:]
        random.Random(seed).shuffle(shuffled)
        again = join.of(shuffled)
        assert (again[:3] if isinstance(metric, Moments) else again) == joined  # to the last bit


@settings(max_examples=30, deadline=None)
@given(
    leaves=st.lists(st.tuples(st.integers(1, 1000), st.floats(-1e9, 1e9), st.floats(0, 1e12)), min_size=3, max_size=3)
)
def test_joining_moments_is_associative_before_it_is_rounded(leaves):
    join = join_of(Moments(column="x"), {"x": ColumnType("float", "Float64")})
    rows = [[[n, mean, m2, 0.0, m2 * m2]] for n, mean, m2 in leaves]
    left = join.of([[join.of(rows[:2])], rows[2]])
    right = join.of([rows[0], [join.of(rows[1:])]])
    scale = join.of(rows)
    for a, b, c in zip(left[:3], right[:3], scale[:3], strict=True):
        bound = 1e-9 * max(abs(c), scale[2], 1.0, *(abs(mean) ** 2 * n for n, mean, _ in leaves))
        assert abs(a - b) <= bound


def test_what_needs_all_rows_or_too_many_values_does_not_join():
    schema = {"x": ColumnType("float", "Float64"), "s": ColumnType("text", "String")}
    assert join_of(Count(predicate=Duplicated(("x",))), schema) is None
    assert join_of(Count(predicate=Ordered("x")), schema) is None
    assert join_of(Count(where=Sql("x > avg(x)")), schema) is None
    assert join_of(Quantile(column="x", q=0.5), schema) is None
    assert join_of(Distinct(columns=("x", "s")), schema) is None
    many = [[f"v{k}", 1] for k in range(10_000)]
    assert join_of(Distinct(columns=("s",)), schema).of([[many]]) is UNMERGED
    assert join_of(Aggregate(column="x", function="std"), schema).of([[[1, 0.0, 0.0, 0.0, 0.0], 2]]) is UNMERGED


@pytest.mark.parametrize(
    ("text", "row", "content"),
    [
        ("x > 0 AND lower(s) = 'now()'", True, True),
        ("x BETWEEN (1) AND (2)", True, True),
        ("x > avg(x) OVER ()", False, True),
        ("x < current_date", False, False),
        ("x > random()", False, False),
        ("x IN (SELECT y FROM other)", False, False),
        ("my_function(x)", False, False),
    ],
)
def test_sql_that_is_not_known_to_be_of_the_row_is_neither_joined_nor_kept(text, row, content):
    assert is_of_a_row(Sql(text)) is row
    assert is_of_content(Count(where=Sql(text))) is content


class Counting:
    """A table that says how often it was asked."""

    def __init__(self, name, table, log):
        self._name, self._table, self._log = name, table, log

    def schema(self):
        return self._table.schema()

    def compute(self, metrics):
        self._log.append(self._name)
        return self._table.compute(metrics)

    def rows(self, predicate, **kwargs):
        self._log.append(f"{self._name} rows")
        return self._table.rows(predicate, **kwargs)

    def split(self, reasons):
        return self._table.split(reasons)


def known(frames, memory, log):
    def part(name, each):
        return Part(name, name, lambda: Counting(name, open_table(each), log))

    return KnownTable(
        lambda: Counting("whole", open_table(pl.concat(frames.values())), log),
        content="+".join(frames),
        memory=memory,
        parts=lambda: [part(name, each) for name, each in frames.items()],
        files=len(frames),
    )


SUITE = (
    expect("t").column("x").between(0, 25).mean(0, 100).not_null(mostly=0.5).quantile(0.5, 0, 100, severity="info")
    .column("s").in_set(["a", "b"]).column("n").quantile(0.5, 1, 8).distinct(1, 20)
)  # fmt: skip
FRAMES = {
    f"f{k}": pl.DataFrame({"x": [float(i + k * 10) for i in range(10)], "s": ["a", "b"] * 5, "n": list(range(10))})
    for k in range(4)
}
MERGING = expect("t").column("x").between(0, 25).mean(0, 100).not_null(mostly=0.5).column("s").in_set(["a", "b"])


def test_known_data_is_not_scanned_and_of_more_data_only_what_is_new():
    memory, log = LocalMemory(), []
    three = {name: FRAMES[name] for name in ("f0", "f1", "f2")}
    first = known(three, memory, log)
    one = validate_table(first, MERGING)
    assert first.scan.rows_scanned == 30
    log.clear()
    second = known(three, memory, log)
    two = validate_table(second, MERGING)
    assert (log, str(second.scan)) == ([], f"nothing was scanned: all {second.scan.metrics} numbers were known")
    assert two.results == one.results
    third = known(FRAMES, memory, log)
    three_and_one = validate_table(third, MERGING)
    assert {each.split()[0] for each in log if "rows" not in each} == {"f3"}
    assert "whole" not in log
    assert (third.scan.files_scanned, third.scan.rows, third.scan.whole) == (2, 40, ())  # f3, and f2 for its rows
    assert three_and_one.results == validate_table(pl.concat(FRAMES.values()), MERGING).results


def test_what_does_not_merge_is_scanned_and_named():
    memory, log = LocalMemory(), []
    table = known(FRAMES, memory, log)
    report = validate_table(table, SUITE)
    assert report.results == validate_table(pl.concat(FRAMES.values()), SUITE).results
    assert table.scan.whole == ("quantile (x)",)
    assert log.count("whole") == 1


def test_parts_of_other_forms_are_scanned_together():
    frames = {"f0": FRAMES["f0"], "g": FRAMES["f1"].with_columns(n=pl.col("n").cast(pl.Int32))}
    log = []
    table = KnownTable(
        lambda: Counting("whole", open_table(pl.concat(frames.values(), how="vertical_relaxed")), log),
        content="both",
        memory=LocalMemory(),
        parts=lambda: [Part(name, name, lambda each=each: open_table(each)) for name, each in frames.items()],
        files=2,
    )
    assert validate_table(table, MERGING).rows == 20
    assert set(log) <= {"whole", "whole rows"}
    assert "whole" in log


@pytest.mark.databases("sqlite")
def test_states_are_kept_in_the_store_and_over_http(any_client, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, each in list(FRAMES.items())[:3]:
        each.write_parquet(folder / f"{name}.parquet")
    any_client.data.commit("t", folder)
    first = any_client.quality.validate("t", MERGING)
    assert (first.scan.files, first.scan.rows_scanned) == (3, 30)
    second = any_client.quality.validate("t", MERGING, by="file")
    assert second.scan.rows_scanned == 0
    assert [(part.name, part.rows, part.verdict) for part in second.parts] == [
        ("f0.parquet", 10, "passed"), ("f1.parquet", 10, "passed"), ("f2.parquet", 10, "failed"),
    ]  # fmt: skip
    FRAMES["f3"].write_parquet(folder / "f3.parquet")
    any_client.data.commit("t", folder)
    third = any_client.quality.validate("t", MERGING, sample=0)
    assert (third.scan.files, third.scan.files_scanned, third.scan.rows_scanned) == (4, 1, 10)


@pytest.mark.databases("sqlite")
def test_forgetting_rows_forgets_what_was_learnt_of_them(client):
    client.data.commit("t", pl.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 9000.0]}))
    suite = expect("t").column("x").between(0, 100)
    client.quality.validate("t", suite)
    known = client.quality.forget_answers()
    assert known > 0
    plan = client.data.forget("id = 3", reason="asked")
    assert any("remembered answers" in line for line in plan.elsewhere)
    assert client.quality.forget_answers() == known
    client.data.forget("id = 3", reason="asked", dry_run=False)
    assert client.quality.forget_answers() == 0
    assert client.quality.validate("t", suite).verdict == "passed"


@pytest.mark.databases("sqlite")
def test_states_of_bytes_that_are_gone_expire(client, store):
    from mainspring.quality.states_expiry import expire_states

    client.data.commit("t", pl.DataFrame({"x": [1.0]}))
    client.quality.validate("t", expect("t").column("x").between(0, 100))
    known = client.quality.forget_answers()
    client.quality.keep_answers({"f" * 64: {"e" * 64: "1"}})
    with store.bookkeeping() as tx:
        assert expire_states(tx, 0, write=True) == 0  # what is young may be on its way
        assert expire_states(tx, tx.now_micros + 1, write=False) == 1
        assert expire_states(tx, tx.now_micros + 1, write=True) == 1
    assert client.quality.forget_answers() == known
