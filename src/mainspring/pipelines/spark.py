"""Steps that compute on Spark: the session that belongs to a step, and frames of Spark as its results.

A step does not run *in* Spark: its body is the driver, or a client of Spark Connect, and says what Spark is to compute.
So it is a step like any other, with `where=`, retries and limits.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from mainspring.kernel.errors import MissingDependency, TooLarge
from mainspring.pipelines.codecs import FrameCodec
from mainspring.pipelines.context import current_step

__all__ = ["SparkFrameCodec", "spark"]

_MOST_BYTES = 2 << 30
_TAG = "mainspring-"


def spark(**config: Any) -> Any:
    """The Spark session of the step that runs here.

    It is the one that is active, that of Spark Connect where `SPARK_REMOTE` names one (`sc://host:15002`), the cluster
    of `SPARK_MASTER`, or one on this machine. What Spark does from now on carries the step's name, so that
    Spark's pages and logs say which step asked for it.

    Args:
        config: Settings of a session that is made here, with `_` for `.`: `spark_sql_shuffle_partitions=8`.

    Example:
        A step that Spark computes:

            @ms.step
            def delays(url: str) -> DataFrame:
                return ms.spark().read.parquet(url).groupBy("carrier").avg("delay")
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as missing:
        raise MissingDependency("pyspark", extra="spark") from missing
    session = SparkSession.getActiveSession()
    if session is None:
        session = _made(SparkSession.builder, {key.replace("_", "."): value for key, value in config.items()})
    step = current_step()
    if step is not None:
        label = f"{step.flow}/{step.name}" + (f" [{step.item}]" if step.item >= 0 else "")
        if ".connect." in type(session).__module__:
            for tag in session.getTags():
                if tag.startswith(_TAG):  # of the step before, in the same session
                    session.removeTag(tag)
            session.addTag(_TAG + step.step_id)
        else:
            session.sparkContext.setJobGroup(step.step_id, label)
    return session


def _made(builder: Any, config: dict[str, Any]) -> Any:
    for key, value in config.items():
        builder = builder.config(key, value)
    if remote := os.environ.get("SPARK_REMOTE", ""):
        return builder.remote(remote).getOrCreate()
    cores = os.cpu_count() or 1
    builder = builder.master(os.environ.get("SPARK_MASTER", f"local[{cores}]")).appName("mainspring")
    if "spark.ui.enabled" not in config:
        builder = builder.config("spark.ui.enabled", "false")
    return builder.getOrCreate()


class SparkFrameCodec:
    """Frames of Spark as Parquet; read again in the session of the step that gets them.

    What a step returns is brought to where its body runs, and must fit there. A larger result stays where Spark writes
    it: commit the address (`client.data.commit("delays", "s3://...")`) and return the version.
    """

    name = "spark"
    canonical = False

    def handles(self, value: object) -> bool:
        """Whether it is a frame of Spark, classic or Connect."""
        return "pyspark" in sys.modules and any(
            each.__module__.startswith("pyspark.sql") and each.__name__ == "DataFrame" for each in type(value).__mro__
        )

    def encode(self, value: Any) -> tuple[bytes, dict[str, Any]]:
        """The Parquet file."""
        import polars as pl

        table = value.toArrow()
        if table.nbytes > _MOST_BYTES:
            raise TooLarge(
                f"a frame of Spark with {table.nbytes} bytes is the result of a step",
                hint='write it with Spark, commit where it is: client.data.commit("name", "s3://...")',
            )
        data, _ = FrameCodec().encode(pl.from_arrow(table))
        return data, {"schema": value.schema.json()}

    def decode(self, data: bytes, extra: dict[str, Any]) -> Any:
        """The frame, in this step's session."""
        from pyspark.sql.types import StructType

        table = FrameCodec().decode(data, {}).to_arrow()
        return spark().createDataFrame(table, schema=StructType.fromJson(json.loads(extra["schema"])))

    def digest(self, value: Any) -> str:
        """None: rows of Spark have no order, and looking at them would compute them twice."""
        del value
        return ""
