"""Forks: a run that begins where another one was at some step. Points stay there; latest values are found once."""

from __future__ import annotations

from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points
from mainspring.tracking.histories import points_of
from mainspring.tracking.ingest import state_of
from mainspring.tracking.keys import intern
from mainspring.tracking.tables import METRICS, RunRow

__all__ = ["inherit_metrics"]


def inherit_metrics(tx: Transaction, row: RunRow, origin: RunRow) -> None:
    """Give a fork the state that the metrics of its origin had at the step of the fork."""
    if row.fork_step is None:
        return
    names = tx.rows(
        "SELECT k.name, m.step FROM metric m JOIN run_key k ON k.id = m.key WHERE m.run = ? AND m.first_step <= ?",
        (origin.number, row.fork_step),
    )
    ids = intern(tx, row.experiment_id, "metric", [name for name, _ in names])
    states = []
    for name, _ in names:
        points: Points = points_of(tx, origin, name).until(row.fork_step)
        if len(points):
            states.append(state_of(row.number, ids[name], points))
    tx.insert_many(METRICS, states)
