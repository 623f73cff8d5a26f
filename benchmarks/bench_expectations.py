# ruff: noqa: E501 -- programs of other products, as their users write them
"""A suite of 40 and of 110 expectations on 5,000,000 rows of 20 columns in a Parquet file, reading included.

Beside the best query that a person would write by hand to learn the same numbers, in Polars and in DuckDB, and
beside Great Expectations on pandas, Pandera on Polars and Pointblank. Each runs in a process of its own, which
says its seconds, CPU seconds and greatest memory; what each imports, it imports before. Fewer rows:
MAINSPRING_BENCH_ROWS.

Reading is part of every figure. Pandera, Pointblank and we read with Polars, so that on checks that cost little
nobody can be faster than that: the row of reading alone says how far a ratio could go if checks took no time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import find_peer, run_peer
from row import Row

ROWS = int(os.environ.get("MAINSPRING_BENCH_ROWS", "5000000"))
TIMES = 3

FRAME = """
import sys
import numpy as np, polars as pl
def write(path, n):
    random = np.random.default_rng(7)
    columns = {}
    for k in range(10):
        values = random.normal(k, 1 + k, n)
        values = np.round(values, 3) if k % 2 else values
        columns[f"f{k}"] = pl.Series(values).to_frame("v").select(
            pl.when(pl.Series(random.random(n) >= 0.02)).then("v")).to_series()
    for k in range(5):
        columns[f"i{k}"] = pl.Series(random.integers(0, 10 ** (k + 1), n))
    for k, size in enumerate((3, 12, 48, 192)):
        columns[f"c{k}"] = pl.Series(random.integers(0, size, n)).cast(pl.String)
        columns[f"c{k}"] = "item-" + columns[f"c{k}"]
    columns["id"] = "user-" + pl.Series(random.integers(0, n, n)).cast(pl.String)
    pl.DataFrame(columns).write_parquet(path, row_group_size=250_000)
"""

MEASURE = """
import json, resource, time
def measure(work):
    start, cpu = time.perf_counter(), time.process_time()
    work()
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": wall, "cpu": used, "mb": peak}))
NUMBERS = [f"f{k}" for k in range(10)] + [f"i{k}" for k in range(5)]
TEXTS = [f"c{k}" for k in range(4)] + ["id"]
QUANTILES = (0.05, 0.5, 0.95)
PATTERN = r"^(item|user)-[0-9]+$"
"""

OURS = """
import polars
from mainspring.quality import validate_table
from mainspring.quality.types import Expectation, Suite
def suite(size):
    lines = [Expectation(kind="column_values_to_not_be_null", column=c, mostly=0.9) for c in NUMBERS + TEXTS]
    def say(kind, column, **arguments):
        lines.append(Expectation(kind=kind, column=column, arguments=arguments))
    for c in NUMBERS:
        say("column_values_to_be_between", c, min_value=-1000, max_value=1000000)
        if size == 110:
            say("column_mean_to_be_between", c, min_value=-10, max_value=1000000)
            say("column_stdev_to_be_between", c, min_value=0, max_value=1000000)
            say("column_max_to_be_between", c, min_value=-10, max_value=1000000)
            ranges = {"quantiles": list(QUANTILES), "value_ranges": [[-1000, 1000000]] * 3}
            say("column_quantile_values_to_be_between", c, quantile_ranges=ranges)
    for c in TEXTS:
        say("column_values_to_match_regex", c, regex=PATTERN)
        if size == 110:
            say("column_value_lengths_to_be_between", c, min_value=1, max_value=20)
            say("column_unique_value_count_to_be_between", c, min_value=1, max_value=10000000)
    assert len(lines) == size
    return Suite(name="bench", expectations=tuple(lines))
def work():
    report = validate_table(path, suite(size))
    assert report.verdict == "passed", [r.message for r in report.failures]
measure(work)
"""

READING = """
import polars as pl
def work():
    assert pl.read_parquet(path).height > 0
measure(work)
"""

POLARS = """
import polars as pl
def work():
    asked = [pl.len().alias("n")] + [pl.col(c).null_count().alias(f"null {c}") for c in NUMBERS + TEXTS]
    asked += [(~pl.col(c).is_between(-1000, 1000000)).sum().alias(f"out {c}") for c in NUMBERS]
    asked += [(~pl.col(c).str.contains(PATTERN)).sum().alias(f"no {c}") for c in TEXTS]
    if size == 110:
        for c in NUMBERS:
            asked += [pl.col(c).mean().alias(f"mean {c}"), pl.col(c).std().alias(f"std {c}"), pl.col(c).max().alias(f"max {c}")]
            asked += [pl.col(c).quantile(list(QUANTILES), "linear").alias(f"q {c}")]
        for c in TEXTS:
            asked += [(~pl.col(c).str.len_chars().is_between(1, 20)).sum().alias(f"len {c}"), pl.col(c).n_unique().alias(f"u {c}")]
    answers = pl.scan_parquet(path).select(asked).collect(engine="streaming")
    assert answers["n"].item() > 0
measure(work)
"""

DUCKDB = """
import duckdb
def work():
    asked = ["count(*)"] + [f"count({c})" for c in NUMBERS + TEXTS]
    asked += [f"count(*) filter (where not ({c} between -1000 and 1000000))" for c in NUMBERS]
    asked += [f"count(*) filter (where not regexp_matches({c}, '{PATTERN}'))" for c in TEXTS]
    if size == 110:
        for c in NUMBERS:
            asked += [f"avg({c})", f"stddev_samp({c})", f"max({c})", f"quantile_cont({c}, {list(QUANTILES)})"]
        for c in TEXTS:
            asked += [f"count(*) filter (where not length({c}) between 1 and 20)", f"count(distinct {c})"]
    answers = duckdb.connect().execute(f"select {', '.join(asked)} from read_parquet('{path}')").fetchall()
    assert answers[0][0] > 0
measure(work)
"""

GX = """
import pandas as pd
import great_expectations as gx
def work():
    frame = pd.read_parquet(path)
    context = gx.get_context(mode="ephemeral")
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("t").add_batch_definition_whole_dataframe("b")
    e = gx.expectations
    lines = [e.ExpectColumnValuesToNotBeNull(column=c, mostly=0.9) for c in NUMBERS + TEXTS]
    for c in NUMBERS:
        lines.append(e.ExpectColumnValuesToBeBetween(column=c, min_value=-1000, max_value=1000000))
        if size == 110:
            lines.append(e.ExpectColumnMeanToBeBetween(column=c, min_value=-10, max_value=1000000))
            lines.append(e.ExpectColumnStdevToBeBetween(column=c, min_value=0, max_value=1000000))
            lines.append(e.ExpectColumnMaxToBeBetween(column=c, min_value=-10, max_value=1000000))
            ranges = {"quantiles": list(QUANTILES), "value_ranges": [[-1000, 1000000]] * 3}
            lines.append(e.ExpectColumnQuantileValuesToBeBetween(column=c, quantile_ranges=ranges))
    for c in TEXTS:
        lines.append(e.ExpectColumnValuesToMatchRegex(column=c, regex=PATTERN))
        if size == 110:
            lines.append(e.ExpectColumnValueLengthsToBeBetween(column=c, min_value=1, max_value=20))
            lines.append(e.ExpectColumnUniqueValueCountToBeBetween(column=c, min_value=1, max_value=10000000))
    suite = gx.ExpectationSuite(name="s", expectations=lines)
    definition = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
    assert definition.statistics["evaluated_expectations"] == size
measure(work)
"""

PANDERA = """
import polars as pl
import pandera.polars as pa
def work():
    checks = {}
    for c in NUMBERS:
        tests = [pa.Check.in_range(-1000, 1000000)]
        checks[c] = pa.Column(checks=tests, nullable=True)
    for c in TEXTS:
        tests = [pa.Check.str_matches(PATTERN)]
        if size == 110:
            tests += [pa.Check.str_length(1, 20)]
        checks[c] = pa.Column(checks=tests, nullable=True)
    frame = pl.read_parquet(path)
    pa.DataFrameSchema(checks).validate(frame)
    frame.null_count()
    if size == 110:  # aggregates are no part of Pandera; a user writes them beside it
        asked = []
        for c in NUMBERS:
            asked += [pl.col(c).mean().alias(f"mean {c}"), pl.col(c).std().alias(f"std {c}"), pl.col(c).max().alias(f"max {c}")]
            asked += [pl.col(c).quantile(q, "linear").alias(f"{q} {c}") for q in QUANTILES]
        asked += [pl.col(c).n_unique().alias(f"u {c}") for c in TEXTS]
        frame.select(asked)
measure(work)
"""

POINTBLANK = """
import polars as pl
import pointblank as pb
def work():
    plan = pb.Validate(pl.read_parquet(path)).col_vals_not_null(columns=NUMBERS + TEXTS)
    plan = plan.col_vals_between(columns=NUMBERS, left=-1000, right=1000000, na_pass=True)
    plan = plan.col_vals_regex(columns=TEXTS, pattern=PATTERN)
    plan.interrogate(collect_extracts=False)
measure(work)
"""

SPARK = """
import math
from pyspark.sql import SparkSession
from mainspring.engines import tables as t
from mainspring.engines.tables_duckdb import DuckTable
from mainspring.quality.expectations.kinds import compile_expectation
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "2g")
         .config("spark.sql.shuffle.partitions", "4").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
metrics = []
for line in suite(size).expectations:
    check, target = compile_expectation(line)
    metrics += check.metrics(target)
start = time.perf_counter()
said = t.open_table(spark.read.parquet(path)).compute(metrics)
seconds = time.perf_counter() - start
status = open(f"/proc/{spark.sparkContext._gateway.proc.pid}/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
spark.stop()
duck = DuckTable.of_files([path]).compute(metrics)
for metric in said:
    assert math.isclose(said[metric], duck[metric], rel_tol=1e-9), (metric, said[metric], duck[metric])
print(json.dumps({"seconds": seconds, "mb": peak}))
"""


def rows() -> Iterator[Row]:
    """Both suites, ours beside every peer that is installed."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        path = Path(folder) / "table.parquet"
        run_peer(sys.executable, f"{FRAME}\nwrite({str(path)!r}, {ROWS})\nprint('{{}}')")
        for size in (40, 110):
            yield from _suite(path, size)
        yield _spark(path)


def _suite(path: Path, size: int) -> Iterator[Row]:
    ours = _median(sys.executable, OURS, path, size)
    for what, limit in (("seconds", ""), ("cpu", ""), ("mb", "ours < 1500")):
        yield Row(
            f"{size} expectations, {ROWS:,} rows: {what}", ours[what], limit=limit, unit="MB" if what == "mb" else "s"
        )
    reading = _median(sys.executable, READING, path, size)
    by_hand = {
        name: _median(sys.executable, code, path, size) for name, code in (("polars", POLARS), ("duckdb", DUCKDB))
    }
    best = min(by_hand, key=lambda name: by_hand[name]["seconds"])
    for name, figures in by_hand.items():
        ratio = figures["seconds"] / ours["seconds"]
        limit = "ratio >= 0.77" if name == best else ""
        note = f"CPU: {ours['cpu']:.2f} s, by hand {figures['cpu']:.2f} s; memory by hand {figures['mb']:.0f} MB"
        yield Row(f"{size}, by hand in {name}", ours["seconds"], figures["seconds"], name, ratio, limit, "s", note)
    peers = (
        ("great_expectations", GX, "ratio >= 5", ("great_expectations==1.24.1", "pandas<3", "numpy<2.3", "pyarrow")),
        ("pandera", PANDERA, "ratio >= 3", ("pandera[polars]==0.35.0", "pyarrow")),
        ("pointblank", POINTBLANK, "ratio >= 3" if size == 40 else "", ("pointblank[pl]==1.1.1", "pyarrow")),
    )
    for name, code, limit, requirements in peers:
        if name == "pointblank" and size == 110:
            continue  # it has no aggregates
        found = find_peer(name, *requirements)
        theirs = _run(found[0], code, path, size) if found else None
        ratio = theirs["seconds"] / ours["seconds"] if theirs else None
        note = (
            f"CPU: {ours['cpu']:.2f} s, theirs {theirs['cpu']:.2f} s, {theirs['mb']:.0f} MB; "
            f"reading alone: {reading['seconds']:.2f} s, CPU {reading['cpu']:.2f} s"
            if theirs
            else ""
        )
        seconds = theirs["seconds"] if theirs else None
        yield Row(f"{size}, {name}", ours["seconds"], seconds, found[1] if found else name, ratio, limit, "s", note)


def _spark(path: Path) -> Row:
    code = OURS.rpartition("def work")[0] + SPARK
    figures = _run(sys.executable, code, path, 110)
    note = f"every answer of Spark, local, is that of DuckDB; Java machine of 2 GB, at most {figures['mb']:.0f} MB"
    return Row(f"110 on Spark, {ROWS:,} rows", figures["seconds"], limit="ours > 0", unit="s", note=note)


def _run(python: str, code: str, path: Path, size: int) -> dict[str, float]:
    return run_peer(python, f"{MEASURE}\npath, size = {str(path)!r}, {size}\n{code}")


def _median(python: str, code: str, path: Path, size: int) -> dict[str, float]:
    taken = [_run(python, code, path, size) for _ in range(TIMES)]
    return {what: statistics.median(each[what] for each in taken) for what in ("seconds", "cpu", "mb")}


if __name__ == "__main__":
    for row in rows():
        print(
            json.dumps(
                {"workload": row.workload, "ours": row.ours, "peer": row.peer, "ratio": row.ratio, "note": row.note}
            )
        )
