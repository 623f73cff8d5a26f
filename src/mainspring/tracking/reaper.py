"""Finding runs whose process is gone without a word.

A run is dead when its heartbeat has not moved for a while by the *reaper's own* monotonic clock. No clock of
another machine is compared with ours, so a wrong clock or one that is set kills no healthy run.
"""

from __future__ import annotations

import weakref
from typing import Any

from mainspring.kernel.clock import from_micros, monotonic
from mainspring.kernel.context import Caller, acting_as
from mainspring.lineage.graph import get_run
from mainspring.lineage.listing import heartbeats
from mainspring.store.store import Store
from mainspring.tracking.runs import end_run, find_run

__all__ = ["Reaper", "tick"]

_reapers: weakref.WeakKeyDictionary[Store, Reaper] = weakref.WeakKeyDictionary()


class Reaper:
    """Watches the tracked runs of a store. `look` again and again; a few seconds apart will do.

    Args:
        store: The store.
        silence: Seconds without a heartbeat after which a run counts as crashed. Runs beat every 5 seconds.
    """

    def __init__(self, store: Store, *, silence: float = 45.0) -> None:
        self._store = store
        self._silence = silence
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self) -> list[str]:
        """Mark the runs that have been silent for too long as crashed; their ids."""
        moment = monotonic()
        with self._store.read() as tx:
            running = dict(tx.rows("SELECT run_id, workspace FROM tracked_run WHERE status = 'running'"))
            beating = heartbeats(tx, list(running))
        seen = {}
        crashed = []
        for run_id, beat in beating.items():
            before = self._seen.get(run_id)
            seen[run_id] = before if before is not None and before[0] == beat else (beat, moment)
            if moment - seen[run_id][1] > self._silence and self._mark(run_id, running[run_id], beat):
                crashed.append(run_id)
        self._seen = seen
        return crashed

    def _mark(self, run_id: str, workspace: str, beat: int) -> bool:
        with acting_as(Caller("mainspring", workspace, method="system")), self._store.write("tracking.reap") as tx:
            run = get_run(tx, run_id)
            if run.status != "running" or run.heartbeat_at != from_micros(beat):
                return False  # it has beaten, or ended, since we looked
            why = {"error": f"no heartbeat for {self._silence:g} s"}
            end_run(tx, find_run(tx, run_id), "crashed", metadata=why)
            return True


def tick(client: Any) -> None:
    """Look once; what the scheduler calls. What was seen before is kept in this process, per store."""
    store: Store = client.backend.store
    _reapers.setdefault(store, Reaper(store)).look()
