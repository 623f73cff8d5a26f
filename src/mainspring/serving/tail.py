"""Reading the prediction log onward from a request, a bounded piece at a time, for those who look at all of it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from mainspring.serving.predictions import ANSWERED
from mainspring.serving.segments import Span, read_log
from mainspring.store.store import Store

__all__ = ["tail"]

_NOTHING: dict[str, Any] = {
    "request": pl.String,
    "row": pl.UInt32,
    "arm": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "deployment": pl.String,
}


def tail(store: Store, endpoint: str, *, after: str, rows: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """See `Serving.tail`. Reads pieces in the order of their first requests, and no more of them than it takes."""
    held: list[pl.DataFrame] = []
    wanted = [] if columns is None else ["request", *columns]
    for part in read_log(store, Span(endpoint, after_id=after), columns=wanted):
        if sum(int((frame["request"] < part.first_id).sum()) for frame in held) >= rows:
            break  # whatever comes begins later than what is held already
        head = pl.lit(part.head.model).alias("model"), pl.lit(part.head.deployment_id).alias("deployment")
        held.append(part.frame.filter(pl.col("arm").is_in(ANSWERED)).with_columns(head))
    whole: pl.DataFrame = pl.concat(held or [pl.DataFrame(schema=_NOTHING)], how="diagonal_relaxed")
    whole = whole.sort("request", "row")
    return whole if whole.height <= rows else whole.filter(pl.col("request") <= whole["request"][rows - 1])
