"""The table port against the same answers in plain Python, on frames, lazy frames and Parquet files."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from mainspring.engines import tables as t
from mainspring.kernel.errors import InvalidInput, NotFound, UnsupportedFormat

NAN = float("nan")
floats = st.one_of(st.none(), st.just(NAN), st.floats(-50, 50).map(lambda x: round(x, 2)), st.just(math.inf))
texts = st.one_of(st.none(), st.text("aé1 ☃", max_size=4))
rows_of = st.lists(st.tuples(floats, texts, st.one_of(st.none(), st.integers(-5, 5))), max_size=25)


def frame_of(rows):
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    schema = {"x": pl.Float64, "s": pl.String, "i": pl.Int64}
    return pl.DataFrame([list(c) for c in columns], schema=schema, orient="col")


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def present(rows, place):
    return [row[place] for row in rows if not missing(row[place])]


PREDICATES = [
    (t.Missing("x"), lambda rows, k: missing(rows[k][0])),
    (t.Between("x", 0, 10), lambda rows, k: not missing(rows[k][0]) and 0 <= rows[k][0] <= 10),
    (t.Between("x", 0, None, strict_low=True), lambda rows, k: not missing(rows[k][0]) and rows[k][0] > 0),
    (t.Between("i", None, 2, strict_high=True), lambda rows, k: rows[k][2] is not None and rows[k][2] < 2),
    (t.Between("s", "a", "é"), lambda rows, k: rows[k][1] is not None and b"a" <= rows[k][1].encode() <= "é".encode()),
    (t.In("s", ("a", "é", "")), lambda rows, k: rows[k][1] in {"a", "é", ""}),
    (t.In("i", (1, 2.0, 2.5)), lambda rows, k: rows[k][2] in {1, 2}),
    (t.In("x", ()), lambda rows, k: False),
    (t.Matches("s", "^a.$"), lambda rows, k: rows[k][1] is not None and bool(re.search(r"^a.$", rows[k][1]))),
    (t.Length("s", 1, 2), lambda rows, k: rows[k][1] is not None and 1 <= len(rows[k][1]) <= 2),
    (
        t.Compare("x", "<", "i"),
        lambda rows, k: not missing(rows[k][0]) and rows[k][2] is not None and rows[k][0] < rows[k][2],
    ),
    (t.Compare("i", "!=", "i"), lambda rows, k: False),
    (t.Duplicated(("i",)), lambda rows, k: sum(r[2] == rows[k][2] for r in rows) > 1),
    (t.Duplicated(("i", "s")), lambda rows, k: sum(r[1:] == rows[k][1:] for r in rows) > 1),
    (t.Sql("i > 0 AND s = 'a'"), lambda rows, k: rows[k][2] is not None and rows[k][2] > 0 and rows[k][1] == "a"),
    (t.Sql("1 = 1"), lambda rows, k: True),
    (t.Not(t.Between("i", 0, 3)), lambda rows, k: not (rows[k][2] is not None and 0 <= rows[k][2] <= 3)),
    (t.All((t.Between("i", 0, 3), t.In("s", ("a",)))), lambda rows, k: rows[k][2] in range(4) and rows[k][1] == "a"),
    (t.AnyOf((t.Missing("i"), t.Missing("s"))), lambda rows, k: rows[k][2] is None or rows[k][1] is None),
]


@pytest.mark.parametrize(
    ("predicate", "holds"), PREDICATES, ids=lambda p: str(p)[:40] if isinstance(p, t.Predicate) else ""
)
@settings(max_examples=12, deadline=None)
@given(rows=rows_of)
def test_a_predicate_counts_selects_and_splits_the_rows_that_plain_python_finds(predicate, holds, rows):
    table = t.open_table(frame_of(rows))
    expected = [k for k in range(len(rows)) if holds(rows, k)]
    assert table.compute([t.Count(predicate=predicate)]) == {t.Count(predicate=predicate): len(expected)}
    assert [row["__row__"] for row in table.rows(predicate, limit=100)] == expected
    good, bad = table.split({"why": (predicate, None)})
    assert (good.height, bad.height) == (len(rows) - len(expected), len(expected))


@settings(max_examples=40, deadline=None)
@given(rows=rows_of)
def test_ordered_compares_with_the_last_value_that_is_there(rows):
    expected, last = [], None
    for k, row in enumerate(rows):
        value = row[0]
        if missing(value):
            continue
        if last is None or value >= last:
            expected.append(k)
        last = value
    assert [r["__row__"] for r in t.open_table(frame_of(rows)).rows(t.Ordered("x"), limit=100)] == expected


@settings(max_examples=60, deadline=None)
@given(rows=rows_of)
def test_aggregates_are_those_of_plain_python(rows):
    table = t.open_table(frame_of(rows))
    numbers = present(rows, 2)
    words = present(rows, 1)
    metrics = {
        t.Count(): len(rows),
        t.Aggregate(column="i", function="min"): min(numbers, default=None),
        t.Aggregate(column="i", function="max"): max(numbers, default=None),
        t.Aggregate(column="i", function="sum"): sum(numbers),
        t.Aggregate(column="i", function="nulls"): sum(row[2] is None for row in rows),
        t.Aggregate(column="x", function="nans"): sum(isinstance(r[0], float) and math.isnan(r[0]) for r in rows),
        t.Aggregate(column="i", function="nans"): 0,
        t.Aggregate(column="s", function="max_length"): max(map(len, words), default=None),
        t.Distinct(columns=("s",)): len(set(words)),
        t.Distinct(columns=("s", "i")): len({r[1:] for r in rows if r[1] is not None and r[2] is not None}),
        t.Frequent(column="i", limit=99): [
            list(p) for p in sorted(Counter(numbers).items(), key=lambda p: (-p[1], p[0]))
        ],
        t.Histogram(column="i", edges=(0, 2)): [
            sum(n < 0 for n in numbers), sum(0 <= n < 2 for n in numbers), sum(n >= 2 for n in numbers)
        ],
    }  # fmt: skip
    assert table.compute(list(metrics)) == metrics
    rest = table.compute(
        [
            t.Aggregate(column="i", function="mean"),
            t.Aggregate(column="i", function="std"),
            t.Quantile(column="i", q=0.5),
        ]
    )
    mean, std, median = rest.values()
    assert mean == (pytest.approx(statistics.fmean(numbers)) if numbers else None)
    assert std == (pytest.approx(statistics.stdev(numbers)) if len(numbers) > 1 else None)
    assert median == (pytest.approx(statistics.median(numbers)) if numbers else None)


@settings(max_examples=40, deadline=None)
@given(rows=rows_of)
def test_moments_leave_out_what_is_not_finite(rows):
    values = [v for v in present(rows, 0) if math.isfinite(v)]
    (found,) = t.open_table(frame_of(rows)).compute([t.Moments(column="x")]).values()
    mean = statistics.fmean(values) if values else 0.0
    assert found[0] == len(values)
    assert found[1] == pytest.approx(mean)
    assert found[2:] == pytest.approx([sum((v - mean) ** k for v in values) for k in (2, 3, 4)], rel=1e-6, abs=1e-6)


def test_where_narrows_before_a_window_looks():
    table = t.open_table(pl.DataFrame({"g": ["a", "a", "b"], "v": [1, 2, 1]}))
    inside = t.Count(where=t.Sql("g = 'a'"), predicate=t.Duplicated(("v",)))
    assert table.compute([inside, t.Count(predicate=t.Duplicated(("v",)))]) == {
        inside: 0,
        t.Count(predicate=t.Duplicated(("v",))): 2,
    }
    assert table.rows(t.Duplicated(("v",)), where=t.Sql("g = 'a'"), limit=9) == []
    good, bad = table.split({"twice": (t.Duplicated(("v",)), t.Sql("g = 'a'"))})
    assert (good.height, bad.height) == (3, 0)


def test_moments_in_time_are_written_as_iso_text():
    frame = pl.DataFrame({"d": ["2013-01-01", "2013-06-01", None], "z": ["2013-01-01T05:00:00Z"] * 3}).with_columns(
        pl.col("d").str.to_date(), pl.col("z").str.to_datetime(time_zone="UTC")
    )
    table = t.open_table(frame)
    asked = [
        t.Count(predicate=t.Between("d", "2013-02-01")),
        t.Count(predicate=t.In("d", ("2013-01-01",))),
        t.Count(predicate=t.Between("z", "2013-01-01T04:00:00", "2013-01-01T07:00:00+02:00")),
        t.Aggregate(column="d", function="max"),
    ]
    assert list(table.compute(asked).values()) == [1, 1, 3, "2013-06-01"]


def test_dictionary_text_decimals_and_booleans_compare_by_value():
    frame = pl.DataFrame({"c": ["u", "v"], "n": ["1.50", "2.50"], "b": [True, None]}).with_columns(
        pl.col("c").cast(pl.Categorical), pl.col("n").cast(pl.Decimal(10, 2))
    )
    asked = [
        t.Count(predicate=t.In("c", ("u",))),
        t.Count(predicate=t.Between("n", 2, 3)),
        t.Count(predicate=t.In("b", (True,))),
        t.Aggregate(column="n", function="max"),
    ]
    assert list(t.open_table(frame).compute(asked).values()) == [1, 1, 1, 2.5]


def test_a_column_of_nothing_but_null_answers_everything():
    table = t.open_table(pl.DataFrame({"n": [None, None]}))
    asked = [
        t.Count(predicate=t.Missing("n")),
        t.Count(predicate=t.Between("n", 0, 1)),
        t.Count(predicate=t.In("n", (1,))),
        t.Count(predicate=t.Matches("n", "a")),
        t.Aggregate(column="n", function="max"),
        t.Aggregate(column="n", function="mean"),
    ]
    assert list(table.compute(asked).values()) == [2, 0, 0, 0, None, None]


def test_sources_are_frames_lazy_frames_parquet_and_arrow(tmp_path):
    frame = pl.DataFrame({"x": [1, 2, 3]})
    for part in (0, 1):
        frame.write_parquet(tmp_path / f"{part}.parquet")
    assert [
        t.open_table(source).compute([t.Count()])[t.Count()]
        for source in (
            frame,
            frame.lazy(),
            tmp_path / "0.parquet",
            str(tmp_path / "*.parquet"),
            [tmp_path / "0.parquet", tmp_path / "1.parquet"],
        )
    ] == [3, 3, 3, 6, 6]
    table = t.open_table(frame)
    assert t.open_table(table) is table
    with pytest.raises(UnsupportedFormat, match="int is not a table"):
        t.open_table(3)


@pytest.mark.parametrize(
    ("metric", "error", "words"),
    [
        (t.Count(predicate=t.Missing("wage")), NotFound, "known: age"),
        (t.Count(predicate=t.Between("name", 0, 1)), InvalidInput, "cannot be compared"),
        (t.Count(predicate=t.Between("age", "a", "b")), InvalidInput, "cannot be compared"),
        (t.Count(predicate=t.Between("when", "soon")), InvalidInput, "cannot be compared"),
        (t.Count(predicate=t.Matches("age", "a")), InvalidInput, "only text"),
        (t.Count(predicate=t.Between("many", 0)), InvalidInput, "no order"),
        (t.Count(predicate=t.Sql("age >")), InvalidInput, "not a condition"),
        (t.Count(predicate=t.Sql("wage > 1")), NotFound, "no column 'wage'"),
        (t.Count(predicate=t.All(())), InvalidInput, "not a predicate"),
        (t.Aggregate(column="name", function="mean"), InvalidInput, "not a number"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(metric, error, words):
    frame = pl.DataFrame({"age": [1], "name": ["a"], "many": [[1]], "when": ["2013-01-01"]}).with_columns(
        pl.col("when").str.to_date()
    )
    with pytest.raises(error, match=re.escape(words)):
        t.open_table(frame).compute([metric])


def test_rows_are_json_and_a_metric_is_a_value():
    frame = pl.DataFrame({"x": [NAN], "b": [b"ab"], "l": [[1.5]]})
    assert t.open_table(frame).rows(t.Missing("x"), limit=1) == [
        {"__row__": 0, "x": "nan", "b": "<2 bytes>", "l": [1.5]}
    ]
    assert t.open_table(frame).rows(t.Missing("x"), limit=1, columns=["l"]) == [{"__row__": 0, "l": [1.5]}]
    assert len({t.Count(predicate=t.In("x", (1,))), t.Count(predicate=t.In("x", (1,)))}) == 1


@pytest.mark.parametrize("pattern", ["(", "(?=a)"])
def test_a_pattern_that_the_engine_cannot_run_is_refused(pattern):
    with pytest.raises(InvalidInput, match="not a regular expression"):
        t.check_regex(pattern)
    assert t.check_regex(r"^\p{L}+$")


@pytest.mark.parametrize("what", ["csv", "tsv", "csv.gz", "jsonl", "ndjson", "arrow", "parquet", "no-suffix"])
def test_files_of_every_format_are_one_table(tmp_path, what):
    import gzip

    frame = pl.DataFrame(
        {"x": [1, None, 3], "s": ["a", "é", None], "d": ["2020-01-01", None, "1969-12-31"]}
    ).with_columns(pl.col("d").str.to_date())
    writers = {
        "csv": frame.write_csv, "tsv": lambda path: frame.write_csv(path, separator="\t"),
        "csv.gz": lambda path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
        "jsonl": frame.write_ndjson, "ndjson": frame.write_ndjson, "arrow": frame.write_ipc,
        "parquet": frame.write_parquet, "no-suffix": frame.write_parquet,
    }  # fmt: skip
    paths = [tmp_path / f"{name}.{what}" if what != "no-suffix" else tmp_path / name for name in "ab"]
    for path in paths:
        writers[what](path)
    asked = [
        t.Count(),
        t.Aggregate(column="x", function="sum"),
        t.Count(predicate=t.Missing("s")),
        t.Distinct(columns=("d",)),
    ]
    assert list(t.open_table(paths).compute(asked).values()) == [6, 8, 2, 2]
    assert list(t.open_table(str(paths[0])).compute(asked).values()) == [3, 4, 1, 2]


def test_columns_numpy_and_pandas_are_tables():
    import numpy as np
    import pandas as pd

    columns = {"x": [1.0, NAN, 3.0], "k": [1, 2, 3]}
    rows = np.array([(1.0, 1), (NAN, 2), (3.0, 3)], dtype=[("x", "f8"), ("k", "i8")])
    asked = [t.Count(), t.Count(predicate=t.Missing("x")), t.Aggregate(column="k", function="sum")]
    for source in (columns, rows, pd.DataFrame(columns), pl.DataFrame(columns).to_arrow()):
        assert list(t.open_table(source).compute(asked).values()) == [3, 1, 6]


def test_files_that_would_not_fit_into_memory_are_scanned_by_duckdb(tmp_path, monkeypatch):
    from mainspring.engines import tables_sources
    from mainspring.engines.tables_duckdb import DuckTable

    frame = pl.DataFrame({"x": [1, None, 3], "s": ["a", "é", None]})
    asked = [t.Count(), t.Aggregate(column="x", function="sum"), t.Quantile(column="x", q=0.5), t.Frequent(column="s")]
    monkeypatch.setitem(tables_sources._GROWTH, "parquet", 10**12)
    monkeypatch.setitem(tables_sources._GROWTH, "tsv", 10**12)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.tsv", separator="\t")
    for name in ("t.parquet", "t.tsv"):
        table = t.open_table(tmp_path / name)
        assert isinstance(table, DuckTable)
        assert list(table.compute(asked).values()) == [3, 4, 2.0, [["a", 1], ["é", 1]]]
        good, bad = table.split({"missing": (t.Missing("s"), None)})
        assert (pl.DataFrame(good).height, pl.DataFrame(bad)["__reasons__"].to_list()) == (2, [["missing"]])


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [(["none.parquet"], NotFound, "no file"), (["a.xlsx"], UnsupportedFormat, "not a table of a format"),
     (["a.csv", "a.parquet"], UnsupportedFormat, "different formats"), (["a.parquet"], InvalidInput, "cannot be read")],
)  # fmt: skip
def test_files_that_are_no_table_are_refused(tmp_path, names, error, words):
    for name in ("a.xlsx", "a.csv", "a.parquet"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(error, match=words):
        t.open_table([tmp_path / name for name in names]).schema()
