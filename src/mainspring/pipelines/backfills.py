"""Backfills: a run of a flow for each moment of a range, so many at a time, steered as a whole."""

from __future__ import annotations

import itertools
from datetime import datetime

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.clock import from_micros
from mainspring.kernel.context import Caller, acting_as, caller
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound
from mainspring.pipelines.deployments import placed
from mainspring.pipelines.ends import OPEN_STATES, has_ended
from mainspring.pipelines.firing import stop_run
from mainspring.pipelines.schedules import key_of
from mainspring.pipelines.schedules_moments import Moments
from mainspring.pipelines.starting import known_run, new_run, queue_flow
from mainspring.pipelines.tables_backfills import BACKFILL_ITEMS, BACKFILLS
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.pipelines.types import Cause, FlowRun
from mainspring.pipelines.types_backfills import Backfill, BackfillItem, BackfillPlan, BackfillProgress, Reprocess
from mainspring.store.queue import Queue
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = [
    "LONGEST",
    "cancelled",
    "divided",
    "fill",
    "find_backfill",
    "have_room",
    "items_of",
    "planned",
    "progress_of",
    "resting",
    "settle_items",
]

LONGEST = 100_000
"""Moments that a backfill has at most."""
_SHOWN = 1000
_AT_ONCE = 250
_OPEN_ITEMS = (
    f"flow_backfill_item.backfill_id = ? AND flow_backfill_item.state = 'started' AND flow_run.state IN {OPEN_STATES}"
)


def divided(
    tx: Transaction, flow: str, moments: Moments, first: datetime, last: datetime, schedule: str, reprocess: Reprocess
) -> list[tuple[datetime, str]]:
    """The moments of a range, each with the run that is kept for it; empty where it is to be run."""
    found = list(itertools.islice(moments.between(first, last), LONGEST + 1))
    if len(found) > LONGEST:
        raise InvalidInput(f"a backfill has at most {LONGEST} moments", hint="divide the range")
    if reprocess == "all":
        return [(moment, "") for moment in found]
    known = _known(tx, flow, schedule)
    good = ("finished", *OPEN_STATES)
    kept: list[tuple[datetime, str]] = []
    for moment in found:
        run_id, state = known.get(moment, ("", ""))
        kept.append((moment, run_id if state in good or (run_id and reprocess == "missing") else ""))
    return kept


def planned(moments: Moments, items: list[tuple[datetime, str]], *, backward: bool) -> BackfillPlan:
    """What a backfill over these moments would do."""
    wanted = [moment for moment, run in items if not run]
    ordered = wanted[::-1] if backward else wanted
    return BackfillPlan(ordered[:_SHOWN], len(wanted), len(items) - len(wanted), moments.words())


def have_room(tx: Transaction) -> bool:
    """Whether a backfill has moments that wait, and room for more open runs, or none left."""
    return any(_room(tx, each) > 0 or _is_over(tx, each) for each in _running(tx))


def fill(store: Store) -> int:
    """Queue the next runs of every backfill that has room; how many."""
    done = 0
    with store.read() as tx:
        ids = [each.id for each in _running(tx) if _room(tx, each) > 0 or _is_over(tx, each)]
    for backfill_id in ids:
        try:
            done += _fill(store, backfill_id)
        except MainspringError as error:
            done += 1
            _stop_broken(store, backfill_id, error)
    return done


def find_backfill(tx: Transaction, name: str) -> Backfill:
    """The backfill with that id, or the newest of that name."""
    where = "WHERE workspace = ? AND (id = ? OR name = ?) ORDER BY id DESC LIMIT 1"
    found = tx.fetch_one(BACKFILLS, where, (caller().workspace, name, name))
    if found is None:
        raise NotFound(f"there is no backfill {name!r}", hint="mainspring flow backfill list")
    return found


def progress_of(tx: Transaction, backfill: Backfill) -> BackfillProgress:
    """How far it is."""
    waiting = tx.value(
        "SELECT COUNT(*) FROM flow_backfill_item WHERE backfill_id = ? AND state = 'waiting'", (backfill.id,)
    )
    rows = tx.rows(
        "SELECT flow_run.state, COUNT(*) FROM flow_backfill_item"
        " JOIN flow_run ON flow_run.id = flow_backfill_item.run_id WHERE flow_backfill_item.backfill_id = ?"
        " AND flow_backfill_item.state IN ('started', 'ended') GROUP BY flow_run.state",
        (backfill.id,),
    )
    states = {str(state): int(count) for state, count in rows}
    return BackfillProgress(
        backfill=backfill,
        waiting=int(waiting),
        open=sum(states.get(each, 0) for each in OPEN_STATES),
        finished=states.get("finished", 0),
        failed=states.get("failed", 0) + states.get("crashed", 0),
        cancelled=states.get("cancelled", 0),
    )


def cancelled(queue: Queue, tx: Transaction, backfill: Backfill) -> Backfill:
    """End a backfill: its open runs are cancelled, and what waits is never started."""
    tx.execute(
        "UPDATE flow_backfill_item SET state = 'cancelled' WHERE backfill_id = ? AND state = 'waiting'", (backfill.id,)
    )
    for run in _open_runs(tx, backfill):
        stop_run(queue, tx, run)
    return _changed(tx, backfill, "cancelled")


def resting(queue: Queue, tx: Transaction, backfill: Backfill, *, paused: bool) -> Backfill:
    """Stop starting its runs, those that are queued included, or go on; what runs goes on in either case."""
    if paused:
        for run in _open_runs(tx, backfill):
            if run.state == "queued":
                queue.cancel(tx, run.task_id)
                tx.execute("UPDATE flow_run SET state = 'paused', task_id = '' WHERE id = ?", (run.id,))
        return _changed(tx, backfill, "paused")
    for run in _open_runs(tx, backfill):
        if run.state == "paused" and not run.task_id:
            queue_flow(queue, tx, run, max_attempts=backfill.max_attempts, fresh=False)
    tx.announce()
    return _changed(tx, backfill, "running")


def _known(tx: Transaction, flow: str, schedule: str) -> dict[datetime, tuple[str, str]]:
    """The newest run of a flow for each moment: of the schedule, or of earlier backfills of the same moments."""
    rows = tx.rows(
        "SELECT flow_fire.fire_at, flow_run.id, flow_run.state FROM flow_fire"
        " JOIN flow_run ON flow_run.id = flow_fire.run_id"
        " WHERE flow_fire.workspace = ? AND flow_fire.kind = 'schedule' AND flow_fire.name = ? AND flow_run.flow = ?"
        " UNION ALL SELECT flow_backfill_item.moment, flow_run.id, flow_run.state FROM flow_backfill_item"
        " JOIN flow_backfill ON flow_backfill.id = flow_backfill_item.backfill_id"
        " JOIN flow_run ON flow_run.id = flow_backfill_item.run_id"
        " WHERE flow_backfill.workspace = ? AND flow_backfill.schedule = ? AND flow_run.flow = ?",
        (caller().workspace, schedule, flow, caller().workspace, schedule, flow),
    )
    return {from_micros(moment): (run_id, state) for moment, run_id, state in sorted(rows, key=lambda row: row[1])}


def _running(tx: Transaction) -> list[Backfill]:
    return tx.fetch(BACKFILLS, "WHERE state = 'running' ORDER BY id")


def _waits(tx: Transaction, backfill: Backfill) -> bool:
    where = "SELECT 1 FROM flow_backfill_item WHERE backfill_id = ? AND state = 'waiting' LIMIT 1"
    return tx.row(where, (backfill.id,)) is not None


def _room(tx: Transaction, backfill: Backfill) -> int:
    """How many runs may be queued now, as far as it is asked."""
    if not _waits(tx, backfill):
        return 0
    return max(0, backfill.max_parallel - _open_count(tx, backfill)) if backfill.max_parallel else _AT_ONCE


def _is_over(tx: Transaction, backfill: Backfill) -> bool:
    if _waits(tx, backfill):
        return False
    where = "SELECT 1 FROM flow_backfill_item WHERE backfill_id = ? AND state = 'started' LIMIT 1"
    return tx.row(where, (backfill.id,)) is None


def _open_count(tx: Transaction, backfill: Backfill) -> int:
    """How many of its runs have not ended; never many, for those that have are marked."""
    where = "SELECT COUNT(*) FROM flow_backfill_item WHERE backfill_id = ? AND state = 'started'"
    return int(tx.value(where, (backfill.id,)))


def settle_items(tx: Transaction, run_ids: list[str]) -> int:
    """Mark the moments whose runs have ended."""
    return sum(
        tx.execute("UPDATE flow_backfill_item SET state = 'ended' WHERE run_id = ? AND state = 'started'", (run_id,))
        for run_id in run_ids
        if has_ended(tx, run_id)
    )


def _open_runs(tx: Transaction, backfill: Backfill) -> list[FlowRun]:
    joined = (
        f"JOIN flow_backfill_item ON flow_backfill_item.run_id = flow_run.id WHERE {_OPEN_ITEMS} ORDER BY flow_run.id"
    )
    return tx.fetch(FLOW_RUNS, joined, (backfill.id,))


def _fill(store: Store, backfill_id: str) -> int:
    """Queue runs in batches, each in a transaction of its own, until there is no room."""
    done = 0
    while True:
        with store.write("pipelines.tick") as tx:
            found = tx.fetch_one(BACKFILLS, "WHERE id = ? AND state = 'running'", (backfill_id,))
            if found is None:
                return done
            with acting_as(Caller(principal=found.created_by, workspace=found.workspace, method="system")):
                if _is_over(tx, found):
                    _changed(tx, found, "finished")
                    return done + 1
                count = _queue_next(store.queue, tx, found, min(_AT_ONCE, _room(tx, found)))
        done += count
        if count < _AT_ONCE:
            return done


def _queue_next(queue: Queue, tx: Transaction, backfill: Backfill, count: int) -> int:
    if count <= 0:
        return 0
    items = tx.fetch(
        BACKFILL_ITEMS,
        "WHERE backfill_id = ? AND state = 'waiting' ORDER BY number LIMIT ?",
        (backfill.id, count),
    )
    place = placed(tx, backfill.flow, backfill.deployment, backfill.location)
    runs: list[tuple[str, str, int]] = []
    for item in items:
        key = key_of(backfill.schedule, item.moment) if backfill.schedule else ""
        if not key or known_run(tx, backfill.flow, key) is not None:
            key = f"backfill:{backfill.id}:{item.number}"
        run = new_run(
            tx,
            backfill.flow,
            location=place.location,
            params=backfill.params,
            code=place.code,
            key=key,
            cause=Cause(kind="backfill", name=backfill.name, fire_at=item.moment),
            deployment=place.deployment,
            pool=backfill.pool,
            priority=backfill.priority,
            labels=backfill.labels,
        )
        runs.append(
            (queue_flow(queue, tx, run, max_attempts=backfill.max_attempts, note=False).id, backfill.id, item.number)
        )
    tx.many("UPDATE flow_backfill_item SET state = 'started', run_id = ? WHERE backfill_id = ? AND number = ?", runs)
    tx.note(f"backfill/{backfill.name}", flow=backfill.flow, queued=len(runs))
    return len(runs)


def _stop_broken(store: Store, backfill_id: str, error: MainspringError) -> None:
    """Pause a backfill that cannot start its runs: its deployment is gone."""
    with store.write("pipelines.tick") as tx:
        found = tx.fetch_one(BACKFILLS, "WHERE id = ? AND state = 'running'", (backfill_id,))
        if found is not None:
            with acting_as(Caller(principal=found.created_by, workspace=found.workspace, method="system")):
                _changed(tx, found, "paused")
                tx.note(f"backfill/{found.name}", paused=True, reason=error.message[:1000])


def _changed(tx: Transaction, backfill: Backfill, state: str) -> Backfill:
    tx.execute("UPDATE flow_backfill SET state = ? WHERE id = ?", (state, backfill.id))
    emit(
        tx,
        f"flow.backfill.{state}",
        subject=f"backfill/{backfill.name}",
        data={"id": backfill.id, "flow": backfill.flow},
    )
    tx.note(f"backfill/{backfill.name}", state=state)
    return msgspec.structs.replace(backfill, state=state)


def items_of(backfill: Backfill, items: list[tuple[datetime, str]]) -> list[BackfillItem]:
    """The rows of a new backfill, in the order in which they are started."""
    ordered = items[::-1] if backfill.backward else items
    return [
        BackfillItem(backfill.id, number, moment, "kept" if run else "waiting", run)
        for number, (moment, run) in enumerate(ordered)
    ]
