"""Asking the prediction log: one prediction by its id, the newest, and outcomes joined with labels."""

from __future__ import annotations

import io
import operator
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from mainspring.kernel.errors import NotFound
from mainspring.serving.labels import joined, labels_of
from mainspring.serving.segments import Span, find_rows, read_log, split_id
from mainspring.serving.spool import SpoolHead
from mainspring.serving.types import Prediction
from mainspring.store.store import Store

__all__ = ["ANSWERED", "as_file", "find_prediction", "newest", "outcomes"]

_PIECE = 1 << 20

ANSWERED = ("champion", "challenger")
"""The arms whose answers somebody got."""


def find_prediction(store: Store, prediction_id: str) -> Prediction:
    """The answer that was given for one row, with its label; `NotFound` when nobody logged it."""
    request, row = split_id(prediction_id)
    answers = [found for found in find_rows(store, request, row) if found[2]["arm"] in ANSWERED]
    if not answers:
        raise NotFound(f"there is no prediction {request}-{row}", hint="ids are <request id>-<row>, rows from 0")
    head, segment_id, found = answers[0]
    labels = labels_of(store, head.endpoint, first=request, last=request)
    label = labels.filter((pl.col("request") == request) & (pl.col("row") == row))
    value, at = label.select("label", "labelled_at").row(0) if label.height else (None, None)
    return _prediction(head, segment_id, found, label=value, labelled_at=at)


def newest(
    store: Store, endpoint: str, *, since: datetime | None, until: datetime | None, limit: int
) -> list[Prediction]:
    """The newest predictions of a span, newest request first, its rows in order; without labels."""
    found: list[tuple[str, int, Prediction]] = []
    for part in read_log(store, Span(endpoint, since, until)):
        rows = (
            part.frame.filter(pl.col("arm").is_in(ANSWERED))
            .sort("request", "row", descending=[True, False])
            .head(limit)
        )
        found += [
            (row["request"], -row["row"], _prediction(part.head, part.segment_id, row))
            for row in rows.iter_rows(named=True)
        ]
    return [each for *_, each in sorted(found, key=operator.itemgetter(0, 1), reverse=True)[:limit]]


def outcomes(
    store: Store,
    endpoint: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    models: Sequence[str] = (),
    labelled: bool = False,
    shadow: bool = False,
    columns: Sequence[str] | None = None,
    after: str = "",
    through: str = "",
) -> pl.DataFrame:
    """See `Serving.outcomes`."""
    span = Span(endpoint, since, until, tuple(models), after_id=after, through_id=through)
    wanted = [] if columns is None else ["caller", "latency_us", *columns]
    frame = joined(store, span, columns=wanted, labelled=labelled)
    if shadow:
        return frame.filter(pl.col("arm") != "failed")
    return frame.filter(pl.col("arm").is_in(ANSWERED))


def as_file(frame: pl.DataFrame) -> Iterator[bytes]:
    """A frame as a Parquet file, in pieces."""
    file = io.BytesIO()
    frame.write_parquet(file, compression="zstd", compression_level=1)
    data = file.getbuffer()
    return (bytes(data[start : start + _PIECE]) for start in range(0, len(data), _PIECE))


def _prediction(
    head: SpoolHead, segment_id: str, row: dict[str, Any], *, label: Any = None, labelled_at: datetime | None = None
) -> Prediction:
    def part(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}

    return Prediction(
        id=f"{row['request']}-{row['row']}",
        endpoint=head.endpoint,
        at=row["at"],
        model=head.model,
        model_id=head.model_id,
        arm=row["arm"],
        deployment_id=head.deployment_id,
        segment_id=segment_id,
        inputs=part("input."),
        features=part("feature."),
        outputs=part("output."),
        latency_us=row["latency_us"],
        caller=row["caller"],
        label=label,
        labelled_at=labelled_at,
    )
