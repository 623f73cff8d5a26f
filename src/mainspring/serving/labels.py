"""Labels: what turned out to be true, days later, sometimes corrected; and predictions joined with it.

Labels that arrive together are one small Parquet blob. For one prediction the label that was given for the
latest moment holds; of equal moments, the one that arrived last.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.ids import new_id
from mainspring.serving.segments import Span, read_log
from mainspring.serving.tables import LABELS
from mainspring.serving.types import LabelBatch
from mainspring.store.store import Store

__all__ = ["joined", "label_frame", "labels_of", "predictions_of", "store_labels"]

_NOTHING: dict[str, Any] = {
    "request": pl.String,
    "row": pl.UInt32,
    "arm": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "deployment": pl.String,
}
_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}-\d{1,9}$"


def label_frame(ids: Sequence[str], values: Sequence[Any], at: Sequence[datetime] | datetime) -> pl.DataFrame:
    """Labels as a frame with `request`, `row`, `label`, `labelled_at`; raises `InvalidInput` for one that cannot be."""
    if len(ids) != len(values) or (not isinstance(at, datetime) and len(at) != len(ids)):
        raise InvalidInput(f"{len(ids)} prediction ids and {len(values)} labels: there must be one for each")
    keys = pl.Series("id", ids, dtype=pl.String).str.strip_prefix("prediction/")
    wrong = keys.filter(~keys.str.contains(_ID))
    if len(wrong):
        raise InvalidInput(f"{wrong[0]!r} is not the id of a prediction", hint="write <request id>-<row>")
    try:
        label = pl.Series("label", values, strict=True)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(f"labels must be all numbers, all booleans or all texts: {error}") from None
    if label.dtype.is_numeric() or label.dtype in (pl.Boolean, pl.Null):
        label = label.cast(pl.Float64)
    elif label.dtype != pl.String:
        raise InvalidInput(f"labels must be numbers, booleans or texts, not {label.dtype}")
    moments = pl.Series(
        "labelled_at", [at] * len(ids) if isinstance(at, datetime) else list(at), pl.Datetime("us", "UTC")
    )
    return pl.DataFrame([keys, label, moments]).select(
        pl.col("id").str.slice(0, 36).alias("request"),
        pl.col("id").str.slice(37).cast(pl.UInt32).alias("row"),
        "label",
        "labelled_at",
    )


def store_labels(store: Store, endpoint: str, frame: pl.DataFrame) -> LabelBatch:
    """Keep a batch of labels; durable when this returns."""
    frame = frame.sort("request", "row")
    data = io.BytesIO()
    frame.write_parquet(data, compression="zstd")
    digest = store.blobs.put(data.getvalue())
    with store.write() as tx:
        batch = LabelBatch(
            id=new_id(),
            workspace=caller().workspace,
            endpoint=endpoint,
            first_id=frame["request"][0],
            last_id=frame["request"][-1],
            rows=frame.height,
            digest=digest,
            created_at=tx.now,
            created_by=caller().principal,
        )
        tx.insert(LABELS, batch)
        tx.note(f"endpoint/{endpoint}", labels=frame.height)
    return batch


def labels_of(store: Store, endpoint: str, *, first: str = "", last: str = "") -> pl.DataFrame:
    """The label in force of each prediction between two request ids, both included."""
    with store.read() as tx:
        batches = tx.fetch(
            LABELS,
            "WHERE workspace = ? AND endpoint = ? AND last_id >= ? AND first_id <= ? ORDER BY id",
            (caller().workspace, endpoint, first, last or "~"),
        )
    frames = [pl.read_parquet(io.BytesIO(store.blobs.get(batch.digest))) for batch in batches]
    if not frames:
        return label_frame([], [], [])
    kinds = {frame.schema["label"] for frame in frames}
    if len(kinds) > 1:
        frames = [frame.with_columns(pl.col("label").cast(pl.String)) for frame in frames]
    whole = pl.concat(frames).with_row_index("arrived")
    newest = whole.sort("labelled_at", "arrived").group_by("request", "row", maintain_order=True).last()
    return newest.drop("arrived")


def predictions_of(store: Store, span: Span, *, columns: Sequence[str] = ()) -> pl.DataFrame:
    """The logged predictions of a span: `id`, `request`, `row`, `at`, `model`, `arm` and the logged columns."""
    frames = [
        part.frame.with_columns(
            pl.lit(part.head.model).alias("model"), pl.lit(part.head.deployment_id).alias("deployment")
        )
        for part in read_log(store, span, columns=columns)
    ]
    frames = frames or [pl.DataFrame(schema=_NOTHING)]
    whole: pl.DataFrame = pl.concat(frames, how="diagonal_relaxed")
    return whole.select(pl.format("{}-{}", "request", "row").alias("id"), pl.all()).sort("request", "row")


def joined(store: Store, span: Span, *, columns: Sequence[str] = (), labelled: bool = False) -> pl.DataFrame:
    """The predictions of a span with their labels; with `labelled`, only those that have one."""
    predictions = predictions_of(store, span, columns=columns)
    first, last = ("", "") if predictions.is_empty() else (predictions["request"][0], predictions["request"][-1])
    labels = labels_of(store, span.endpoint, first=first, last=last)
    return predictions.join(labels, on=["request", "row"], how="inner" if labelled else "left", maintain_order="left")
