"""Reading histories out of chunks: exact, or in stretches; a fork's begins with its parent's, by pointer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mainspring.kernel.errors import NotFound, nearest
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points, decode_points
from mainspring.tracking.history import bucketed
from mainspring.tracking.keys import known_keys
from mainspring.tracking.runs import find_run
from mainspring.tracking.tables import RUNS, RunRow
from mainspring.tracking.types import Series

__all__ = ["points_of", "series_of"]


def points_of(tx: Transaction, row: RunRow, key: str) -> Points:
    """The whole history of a metric of a run; `NotFound` with the nearest names when there is none."""
    found = _points(tx, row, key)
    if not len(found):
        rows = tx.rows(
            "SELECT k.name FROM metric m JOIN run_key k ON k.id = m.key WHERE m.run = ? ORDER BY k.name LIMIT 1000",
            (row.number,),
        )
        raise NotFound(f"run {row.run_id} has no metric {key!r}", known=nearest(key, [name for (name,) in rows]))
    return found


def series_of(
    tx: Transaction,
    run_ids: Sequence[str],
    keys: Sequence[str],
    *,
    buckets: int,
    x: str,
    method: Literal["minmax", "lttb"],
    since: str,
) -> list[Series]:
    """The histories of metrics in runs, in stretches; a run without a metric is left out for it."""
    del x, method, since
    found = []
    for run_id in run_ids:
        row = find_run(tx, run_id)
        for key in keys:
            points = _points(tx, row, key)
            if len(points):
                found.append(bucketed(row.run_id, key, points, buckets))
    return found


def _points(tx: Transaction, row: RunRow, key: str) -> Points:
    whole = Points()
    if row.forked_from is not None and row.fork_step is not None:
        parent = tx.fetch_one(RUNS, "WHERE number = ?", (row.forked_from,))
        if parent is not None:
            before = _points(tx, parent, key)
            for step, at, value in zip(before.steps, before.times, before.values, strict=True):
                if step <= row.fork_step:
                    whole.add(step, at, value)
    ids = known_keys(tx, row.experiment_id, "metric", [key])
    if key in ids:
        for (data,) in tx.rows(
            "SELECT points FROM metric_chunk WHERE run = ? AND key = ? ORDER BY number", (row.number, ids[key])
        ):
            whole.extend(decode_points(bytes(data)))
    return whole
