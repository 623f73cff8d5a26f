"""What is found another way on tables of many rows: the same answers as on few."""

from __future__ import annotations

import math

import polars as pl
import pytest

from mainspring.engines import tables as t
from mainspring.engines import tables_polars

N = 120_000


def wanted(values, q, how):
    """The quantile of sorted values, in plain Python."""
    position = q * (len(values) - 1)
    low, high = values[math.floor(position)], values[math.ceil(position)]
    if how != "linear":
        return {"lower": low, "higher": high, "nearest": values[round(position)]}[how]
    return low if low == high else low + (high - low) * (position % 1)


def shapes():
    number = pl.int_range(N)
    scattered = number * 7919 % 100_003
    yield "scattered", pl.select(x=scattered / 7).to_series()
    yield "ascending", pl.select(x=number.cast(pl.Float64)).to_series()
    yield "few values", pl.select(x=(scattered % 5).cast(pl.Int32)).to_series()
    yield "two thirds missing", pl.select(x=pl.when(number % 3 == 0).then(scattered).cast(pl.Float32)).to_series()
    yield (
        "NaN and infinities",
        pl.select(
            x=pl.when(number % 4 == 1).then(math.nan).when(number % 4 == 2).then(math.inf).otherwise(-scattered / 3)
        ).to_series(),
    )
    # Every value that a sample of equal steps takes is of the greatest: it misleads about all the others.
    yield "misleading", pl.select(x=scattered + pl.when(number % 30 == 0).then(10**6).otherwise(0)).to_series()


@pytest.mark.parametrize(("shape", "column"), list(shapes()), ids=lambda each: each if isinstance(each, str) else "")
def test_quantiles_of_many_values_are_those_of_the_sorted_values(shape, column):
    values = sorted(column.cast(pl.Float64).fill_nan(None).drop_nulls().to_list())
    metrics = [
        t.Quantile(column="x", q=q, interpolation=how)
        for q in (0.0, 0.0001, 0.05, 0.5, 0.666_667, 0.95, 1.0)
        for how in ("linear", "lower", "higher", "nearest")
    ]
    said = t.open_table({"x": column}).compute(metrics)
    for metric in metrics:
        assert said[metric] == wanted(values, metric.q, metric.interpolation), (shape, metric)


def test_texts_that_repeat_are_asked_once_and_counted_by_row(monkeypatch, tmp_path):
    from mainspring.engines.tables_texts import texts_that_hold

    number = pl.int_range(30_000)
    frame = pl.select(
        s=pl.when(number % 7 != 3).then(pl.concat_str(pl.lit("item-"), number % 40)),
        u=pl.concat_str(pl.lit("user-"), number),
        k=number % 3,
    )
    frame.write_parquet(tmp_path / "t.parquet")
    there, ones = t.Not(t.Missing("s")), t.Matches("s", "1$")
    asked = [
        t.Missing("s"), ones, t.Not(ones), t.All((there, t.Not(ones))), t.AnyOf((t.Missing("s"), t.Like("s", "%-2_"))),
        t.In("s", ("item-3", "item-39")), t.Length("s", 7, None), t.Between("s", "item-10", "item-2"),
        t.Parses("s", "json"), t.Matches("u", "0$"), t.All((ones, t.In("k", (1,)))),
    ]  # fmt: skip
    metrics = [
        t.Count(), *(t.Count(predicate=each) for each in asked), t.Count(predicate=ones, where=t.In("k", (1,))),
        t.Distinct(columns=("s",)), t.Frequent(column="s", limit=3), t.Aggregate(column="s", function="max_length"),
        t.Aggregate(column="s", function="nulls"),
    ]  # fmt: skip
    batches = []
    monkeypatch.setattr(
        "mainspring.engines.tables_polars_rows.texts_that_hold",
        lambda predicate, values: batches.append(len(values)) or texts_that_hold(predicate, values),
    )
    grouped = t.open_table(tmp_path / "t.parquet").compute(metrics)
    assert sum(batches) <= 40 + batches.count(1)  # each distinct text, and what tries the predicate
    assert grouped == t.open_table(frame.lazy()).compute(metrics) == t.open_table(frame).compute(metrics)
    assert list(grouped) == metrics


def test_texts_that_are_all_different_are_not_grouped():
    frame = pl.select(u=pl.concat_str(pl.lit("user-"), pl.int_range(20_000)), c=pl.lit("x"))
    table = t.open_table(frame)
    assert isinstance(table, tables_polars.PolarsTable)
    assert table._repeated(["u", "c", "nowhere"], table._scope()) == ["c"]
