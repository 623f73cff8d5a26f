"""Runs that ended: which of them a schedule, a trigger or a backfill waits for.

The ends are read off the events behind the last look, so that a look costs what happened since, not what is open. A
full look, now and then, finds what told no event.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import msgspec

from mainspring.events.outbox import last_number
from mainspring.store.database import Database
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["OPEN_STATES", "Ends", "all_ended", "has_ended", "newly_ended", "note_seen"]

OPEN_STATES = ("queued", "running", "waiting", "paused")
_ENDS = "('flow.run.finished', 'flow.run.failed', 'flow.run.cancelled', 'flow.run.crashed')"
_OF_OPEN_BACKFILLS = "backfill_id IN (SELECT id FROM flow_backfill WHERE state IN ('running', 'paused')) AND "
_MOST = 2000
_AT_ONCE = 500
_seen: WeakKeyDictionary[Database, int] = WeakKeyDictionary()


class Ends(msgspec.Struct, frozen=True):
    """Runs that ended and are waited for."""

    fires: list[str]
    """Of schedules and triggers."""
    items: list[str]
    """Of backfills."""
    reached: int
    """The number of the last event that was looked at."""

    def __bool__(self) -> bool:
        return bool(self.fires or self.items)


def newly_ended(store: Store, tx: Transaction) -> Ends:
    """Those that ended since this process looked last."""
    newest, before = last_number(tx), _seen.get(store.database)
    if before is None or newest - before > _MOST:
        return all_ended(tx)
    if newest == before:
        return Ends([], [], newest)
    rows = tx.rows(
        f"SELECT data FROM event_outbox WHERE number > ? AND number <= ? AND kind IN {_ENDS}",  # noqa: S608 -- constant
        (before, newest),
    )
    ids = sorted({str(msgspec.json.decode(data).get("run", "")) for (data,) in rows})
    return Ends(_among(tx, "flow_fire", "outcome", ids), _among(tx, "flow_backfill_item", "state", ids), newest)


def _among(tx: Transaction, table: str, column: str, ids: list[str]) -> list[str]:
    found: list[str] = []
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(part))
        rows = tx.rows(f"SELECT run_id FROM {table} WHERE {column} = 'started' AND run_id IN ({marks})", part)  # noqa: S608 -- constants
        found += [str(row[0]) for row in rows]
    return found


def all_ended(tx: Transaction) -> Ends:
    """Every one that ended, found by looking at all that are waited for."""
    fires = _ended(tx, "flow_fire", "outcome")
    return Ends(fires, _ended(tx, "flow_backfill_item", "state", _OF_OPEN_BACKFILLS), last_number(tx))


def _ended(tx: Transaction, table: str, column: str, among: str = "") -> list[str]:
    rows = tx.rows(
        f"SELECT {table}.run_id FROM {table} LEFT JOIN flow_run ON flow_run.id = {table}.run_id"  # noqa: S608 -- constants
        f" WHERE {among}{table}.{column} = 'started'"
        f" AND (flow_run.state IS NULL OR flow_run.state NOT IN {OPEN_STATES}) LIMIT 1000"
    )
    return [str(row[0]) for row in rows]


def has_ended(tx: Transaction, run_id: str) -> bool:
    """Whether a run is over: one that failed in a worker which still holds its task may be tried again in a moment."""
    row = tx.row(
        "SELECT flow_run.state, queue_tasks.state FROM flow_run"
        " LEFT JOIN queue_tasks ON queue_tasks.id = flow_run.task_id WHERE flow_run.id = ?",
        (run_id,),
    )
    return row is None or not (row[0] in OPEN_STATES or (row[0] == "failed" and row[1] == "running"))


def note_seen(store: Store, ends: Ends) -> None:
    """Remember up to where this process has looked, once what it found is settled."""
    _seen[store.database] = ends.reached
