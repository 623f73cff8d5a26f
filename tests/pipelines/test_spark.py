"""Steps that compute on Spark."""

from __future__ import annotations

from pathlib import Path

import pytest

import mainspring as ms
from mainspring.client.client import Client
from mainspring.kernel.errors import TooLarge
from mainspring.pipelines.context import StepContext, inside_step

pyspark = pytest.importorskip("pyspark")
pytestmark = [pytest.mark.engines, pytest.mark.databases("sqlite")]


def test_what_spark_connect_does_is_tagged_with_the_step_that_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"the user's", "mainspring-before"}
    double = {
        "getTags": lambda _: set(tags),
        "addTag": lambda _, tag: tags.add(tag),
        "removeTag": lambda _, tag: tags.remove(tag),
    }
    session = type("SparkSession", (), {**double, "__module__": "pyspark.sql.connect.session"})()
    monkeypatch.setattr(pyspark.sql.SparkSession, "getActiveSession", lambda: session)
    context = StepContext(step_id="s1", run_id="r", flow="f", name="n", path="0", item=-1, attempt=1)
    with inside_step(context):
        assert ms.spark() is session
    assert tags == {"the user's", "mainspring-s1"}


def test_frames_of_spark_go_from_step_to_step_and_are_recorded(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    pl.DataFrame({"carrier": ["AA", "UA", "AA"], "delay": [1, 2, 4]}).write_parquet(tmp_path / "flights.parquet")
    groups = []

    @ms.step
    def delays(path: str) -> object:
        session = ms.spark(spark_sql_shuffle_partitions=1)
        groups.append(session.sparkContext.getLocalProperty("spark.job.description"))
        return session.read.parquet(path).groupBy("carrier").sum("delay").orderBy("carrier")

    @ms.step
    def total(frame: object) -> list[object]:
        assert type(frame).__module__.startswith("pyspark")
        return [tuple(row) for row in frame.collect()]  # type: ignore[attr-defined]

    fail = {"now": True}

    @ms.step
    def last(rows: list[object]) -> int:
        if fail.pop("now", False):
            raise RuntimeError("once")
        return len(rows)

    @ms.flow
    def nightly(path: str) -> int:
        return last(total(delays(path)))

    with pytest.raises(RuntimeError, match="once"):
        nightly.run(client, str(tmp_path / "flights.parquet"))
    run = client.pipelines.runs(flow="nightly")[0]
    assert nightly.resume(client, run.id) == 2
    assert groups == ["nightly/delays"], "what is known is not computed again"

    monkeypatch.setattr("mainspring.pipelines.spark._MOST_BYTES", 1)

    @ms.flow
    def large(path: str) -> None:
        delays(path)

    with pytest.raises(TooLarge, match="a frame of Spark"):
        large.run(client, str(tmp_path / "flights.parquet"))
