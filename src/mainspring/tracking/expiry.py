"""Giving up runs that were deleted so long ago that they cannot be restored: their rows, and so their bytes.

The lineage keeps the run itself, so that what it made still says where it came from.
"""

from __future__ import annotations

from mainspring.store.transaction import Transaction

__all__ = ["expire_deleted"]

_OF_RUN = (("metric_chunk", "run"), ("metric", "run"), ("run_value", "run"), ("run_file", "run"))
_AT_ONCE = 500


def expire_deleted(tx: Transaction, before: int, write: bool) -> int:  # noqa: FBT001 -- a hook's signature
    """Remove runs and experiments that were deleted before a moment; how many.

    A run that a living one was forked from stays: its points are the beginning of that one's history.

    Args:
        tx: The transaction of a collection of garbage.
        before: Microseconds since 1970 UTC.
        write: Whether to do it, or only to count.
    """
    gone = tx.rows(
        "SELECT number, run_id FROM tracked_run d WHERE deleted_at IS NOT NULL AND deleted_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM tracked_run f WHERE f.forked_from = d.number AND (f.deleted_at IS NULL OR f.deleted_at >= ?))",
        (before, before),
    )
    emptied = [
        number
        for (number,) in tx.rows(
            "SELECT id FROM experiment e WHERE status = 'deleted' AND updated_at < ? AND NOT EXISTS (SELECT 1"
            " FROM tracked_run r WHERE r.experiment_id = e.id AND (r.deleted_at IS NULL OR r.deleted_at >= ?))",
            (before, before),
        )
    ]
    if write:
        for start in range(0, len(gone), _AT_ONCE):
            _remove_runs(tx, gone[start : start + _AT_ONCE])
        for number in emptied:
            if not tx.value("SELECT 1 FROM tracked_run WHERE experiment_id = ? LIMIT 1", (number,)):
                for table, column in (
                    ("run_key", "experiment_id"),
                    ("experiment_tag", "experiment_id"),
                    ("experiment", "id"),
                ):
                    tx.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))  # noqa: S608 -- names of our own
        if gone or emptied:
            tx.note("tracking/expired", runs=len(gone), experiments=len(emptied))
    return len(gone) + len(emptied)


def _remove_runs(tx: Transaction, rows: list[tuple[int, str]]) -> None:
    numbers, ids = [number for number, _ in rows], [run_id for _, run_id in rows]
    marks = ", ".join("?" * len(rows))
    for table, column in _OF_RUN:
        tx.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", numbers)  # noqa: S608 -- names of our own
    tx.execute(f"DELETE FROM run_writer WHERE run_id IN ({marks})", ids)  # noqa: S608 -- only marks
    tx.execute(f"DELETE FROM tracked_run WHERE number IN ({marks})", numbers)  # noqa: S608 -- only marks
