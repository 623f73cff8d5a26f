"""Is there anything new at an endpoint? Told from counts, without reading a prediction and without a table engine.

Watchers ask again and again, and most of the time the answer is no: it costs two aggregates over an index and a
`stat` of the append files of this machine.
"""

from __future__ import annotations

import functools
from pathlib import Path

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Damaged
from mainspring.serving.deployments import find_endpoint
from mainspring.serving.spool import SUFFIX, SpoolHead, count_spool
from mainspring.serving.types import Activity
from mainspring.store.store import Store

__all__ = ["activity"]

_LAST = "~"
"""Greater than any request id."""
_ANSWERED = ("champion", "challenger")


def activity(store: Store, endpoint: str, *, after: str = "", through: str = "") -> Activity:
    """See `Serving.activity`."""
    waiting = _waiting(store, endpoint)  # before the segments: what is sealed in between is counted once
    with store.read() as tx:
        plan = find_endpoint(tx, endpoint).plan
        unseen = plan.challenger.deployment if plan.challenger is not None and plan.mode == "shadow" else ""
        span = (tx.workspace, after, through or _LAST, endpoint)
        marks = ", ".join("?" * len(waiting)) or "''"
        known = tx.rows(f"SELECT spool FROM prediction_segment WHERE spool IN ({marks})", list(waiting))  # noqa: S608 -- marks only
        sealed = tx.value(
            "SELECT coalesce(sum(rows), 0) FROM prediction_segment"
            " WHERE workspace = ? AND last_id > ? AND first_id <= ? AND endpoint = ? AND deployment_id <> ?",
            (*span, unseen),
        )
        labels = tx.value(
            "SELECT coalesce(sum(rows), 0) FROM label_batch"
            " WHERE workspace = ? AND last_id > ? AND first_id <= ? AND endpoint = ?",
            span,
        )
    open_rows = sum(
        rows
        for name, (head, counts) in waiting.items()
        if (name,) not in known and head.deployment_id != unseen
        for request, rows in counts
        if after < request <= (through or _LAST)
    )
    return Activity(rows=int(sealed) + open_rows, labels=int(labels))


def _waiting(store: Store, endpoint: str) -> dict[str, tuple[SpoolHead, tuple[tuple[str, int], ...]]]:
    """The append files of an endpoint by name: whose they are, and how many rows of which request they hold."""
    found = {}
    for path in store.path("spool", "predictions").glob(f"*{SUFFIX}"):
        try:
            head, counts = _counted(path, path.stat().st_size)
        except (FileNotFoundError, Damaged):  # sealed meanwhile, or not ours to judge here
            continue
        if (head.workspace, head.endpoint) == (caller().workspace, endpoint):
            found[path.name] = head, counts
    return found


@functools.lru_cache(maxsize=64)
def _counted(path: Path, size: int) -> tuple[SpoolHead, tuple[tuple[str, int], ...]]:
    """What is in an append file of this size: a file that did not grow holds what it held."""
    head, entries = count_spool(path, size=size)
    return head, tuple((each.request, each.rows) for each in entries if each.arm in _ANSWERED)
