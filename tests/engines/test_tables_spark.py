# ruff: noqa: E501 -- lists of what is asked
"""Spark against the conformance suite, and beside DuckDB on the same rows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from mainspring.engines import tables as t

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]  # the first use starts a Java machine

_spec = importlib.util.spec_from_file_location("table_conformance", Path(__file__).with_name("table_conformance.py"))
conformance = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conformance)


@pytest.fixture(scope="module")
def spark():
    """One local session, in a time zone that is not ours."""
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        # Tables of a dozen rows: compiling Java for each of a thousand questions would take most of the time.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        # For the same reason Java's own second compiler, which pays off after minutes, stays away.
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.parquet.inferTimestampNTZ.enabled", "true")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


class TestSpark(conformance.TableConformance):
    ordered = False

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, spark, tmp_path_factory):
        def made(frame, others):
            folder = tmp_path_factory.mktemp("tables")
            frames = {}
            for name, each in {"table": frame, **others}.items():
                each.write_parquet(folder / f"{name}.parquet")
                frames[name] = spark.read.parquet(str(folder / f"{name}.parquet"))
            return t.open_table(frames.pop("table"), others=frames)

        return made


def test_rows_keep_their_number_over_partitions(spark):
    frame = spark.range(0, 1000, 1, 7).withColumnRenamed("id", "x")
    rows = t.open_table(frame).rows(t.In("x", (3, 500, 999)), limit=10)
    assert rows == [{"__row__": n, "x": n} for n in (3, 500, 999)]


def test_one_job_answers_all_that_shares_a_scan(spark, monkeypatch):
    from mainspring.engines import tables_spark

    asked = []
    run = tables_spark._SparkSession.run
    monkeypatch.setattr(tables_spark._SparkSession, "run", lambda self, sql: asked.append(sql) or run(self, sql))
    table = t.open_table(spark.range(100).withColumnRenamed("id", "x"))
    metrics = [t.Count(), t.Aggregate(column="x", function="mean"), t.Comoments(x="x", y="x")]
    assert table.compute(metrics)[metrics[1]] == 49.5
    assert len(asked) == 1


def test_quantiles_of_many_values_keep_few_of_them_in_memory(spark, monkeypatch):
    from mainspring.engines import tables_spark

    asked = []
    run = tables_spark._SparkSession.run
    monkeypatch.setattr(tables_spark._SparkSession, "run", lambda self, sql: asked.append(sql) or run(self, sql))
    table = t.open_table(spark.range(100_000).selectExpr("CAST(id * 7919 % 100003 AS DOUBLE) AS x", "id % 5 AS k"))
    metrics = [t.Quantile(column=c, q=q) for c in ("x", "k") for q in (0.0, 0.123, 0.5, 1.0)]
    said = list(table.compute(metrics).values())
    values = sorted(n * 7919 % 100_003 for n in range(100_000))
    at = 0.123 * 99_999
    assert said == [0.0, pytest.approx(values[int(at)] + (values[int(at) + 1] - values[int(at)]) * (at % 1)),
                    (values[49_999] + values[50_000]) / 2, 100_002.0, 0.0, 0.0, 2.0, 4.0]  # fmt: skip
    assert len(asked) == 3
    exact = [sql for sql in asked if "percentile(" in sql or "percentile_disc(" in sql]
    assert exact
    assert all(sql.count("percentile_disc(") == sql.count("ORDER BY CASE WHEN") for sql in exact)


def test_spark_and_duckdb_say_the_same_of_the_same_rows(spark, tmp_path):
    from mainspring.engines.tables_duckdb import DuckTable

    n = 20_000
    frame = pl.select(
        x=pl.int_range(n) * 7919 % 10_007 / 8, k=pl.int_range(n) % 97, s=(pl.int_range(n) % 1013).cast(pl.String)
    ).with_columns(x=pl.when(pl.col("k") != 3).then("x"))
    frame.write_parquet(tmp_path / "t.parquet")
    metrics = [
        t.Count(), *(t.Aggregate(column="x", function=f) for f in ("min", "max", "sum", "mean", "std", "nulls")),
        *(t.Quantile(column="x", q=q) for q in (0.01, 0.5, 0.99)), t.Distinct(columns=("s",)),
        t.Frequent(column="k", limit=5), t.Moments(column="x"), t.Comoments(x="x", y="k"), t.Grouping(columns=("k", "s")),
        t.Count(predicate=t.Matches("s", "^1[0-9]$")), t.Count(predicate=t.Between("x", 5, 100), where=t.In("k", (1, 2))),
    ]  # fmt: skip
    spark_says = t.open_table(spark.read.parquet(str(tmp_path / "t.parquet"))).compute(metrics)
    duck_says = DuckTable.of_files([tmp_path / "t.parquet"]).compute(metrics)
    for metric in metrics:
        said = duck_says[metric]
        exact = isinstance(said, int | list) and not isinstance(metric, t.Moments | t.Comoments)
        close = said if exact else pytest.approx(said, rel=1e-9)
        assert spark_says[metric] == close, metric


def test_many_texts_go_to_the_workers_as_a_set_that_needs_nothing_of_ours_there(spark, monkeypatch):
    from mainspring.engines import tables_spark

    monkeypatch.setattr(tables_spark, "_WRITTEN_OUT", 0)
    frame = spark.createDataFrame([("{}",), ("[",), (None,), ("3",), ("x",)], "s STRING")
    table = t.open_table(frame)
    reads = t.Count(predicate=t.Parses("s", "json"))
    not_so = t.Count(predicate=t.All((t.Not(t.Missing("s")), t.Not(t.Parses("s", "json")))))
    assert list(table.compute([reads, not_so]).values()) == [2, 2]
