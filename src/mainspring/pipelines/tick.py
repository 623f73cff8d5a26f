"""What begins by itself, and what ends: due schedules, triggers, backfills with room, runs whose process is no more.

Every part writes what it decides in one transaction, so that any number of processes may call it at any moment.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.clock import now_micros, to_micros
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import MainspringError
from mainspring.pipelines import backfills, triggers
from mainspring.pipelines.ends import OPEN_STATES, Ends, all_ended, newly_ended, note_seen
from mainspring.pipelines.firing import (
    Shot,
    as_owner,
    fire,
    note_missed,
    released,
    settled,
)
from mainspring.pipelines.records import end_flow
from mainspring.pipelines.schedules import due, key_of, moments_of, move_on, plan
from mainspring.pipelines.starting import TASK_KIND, queue_flow
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.tables_triggers import TRIGGERS
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["TASK_KIND", "fire_due", "look", "next_due", "queue_flow", "tick"]

_AT_ONCE = 100
_ROUNDS = 100  # what one start brings about is looked at again, yet not for ever
_log = logging.getLogger("mainspring.scheduler")


def tick(store: Store) -> int:
    """Take tasks of lost workers back, end runs that nobody will finish, start what is due; how much was done."""
    done = len(store.queue.reap())
    with store.read() as tx:
        orphans = _orphans(tx)
    if orphans:
        with store.write("pipelines.tick") as tx:
            done += sum(_end_orphan(tx, run) for run in _orphans(tx))
    with store.read() as tx:
        ended = all_ended(tx)
    done += _settle(store, ended)
    return done + fire_due(store)


def fire_due(store: Store) -> int:
    """Start everything whose moment or whose events have come; how many starts were decided.

    Cheap when there is nothing: a read of a few indexes.
    """
    done = 0
    for _ in range(_ROUNDS):
        with store.read() as tx:
            schedules = [each.id for each in due(tx, limit=_AT_ONCE)]
            ended, fill, happened = newly_ended(store, tx), backfills.have_room(tx), triggers.have_work(store, tx)
        count = _fire_batch(store, schedules) if schedules else 0
        count += _settle(store, ended)
        if happened:
            count += triggers.evaluate(store)
        if fill:
            count += backfills.fill(store)
        done += count
        if count == 0:
            break
    return done


def next_due(store: Store) -> float | None:
    """Seconds until something is due by the clock, 0 when something is; None when nothing waits for a moment."""
    with store.read() as tx:
        if triggers.have_work(store, tx) or backfills.have_room(tx) or newly_ended(store, tx):
            return 0.0
        first = tx.value("SELECT MIN(due_at) FROM flow_schedule WHERE paused = 0")
        deadline = triggers.next_deadline(tx)
    moments = [each for each in (first, deadline) if each is not None]
    return max(0.0, (min(moments) - now_micros()) / 1e6) if moments else None


def _fire_batch(store: Store, ids: list[str]) -> int:
    """Start the due moments of some schedules together; one by one where one of them cannot be started."""
    try:
        with store.write("pipelines.tick") as tx:
            return sum(_fire_schedule(store, tx, each) for each in ids)
    except MainspringError as error:
        if len(ids) == 1:
            _give_up(store, ids[0], error)
            return 1
        return sum(_fire_batch(store, [each]) for each in ids)


def _fire_schedule(store: Store, tx: Transaction, schedule_id: str) -> int:
    found = tx.fetch_one(SCHEDULES, "WHERE id = ? AND paused = 0 AND due_at <= ?", (schedule_id, tx.now_micros))
    if found is None:
        return 0  # another scheduler was quicker
    with as_owner(found):
        moments = moments_of(tx, found)
        decided = plan(found, moments, tx.now)
        if decided.passed is not None:
            note_missed(tx, found, decided.passed)
        for moment in decided.start:
            key = key_of(found.name, moment)
            fire(store.queue, tx, found, Shot("schedule", to_micros(moment), moment, key, found.params))
        move_on(tx, found, moments, decided)
    return max(1, len(decided.start))


def _give_up(store: Store, schedule_id: str, error: MainspringError) -> None:
    """Pause a schedule that cannot be started: its calendar or its deployment is gone."""
    _log.error("a schedule cannot start its flow and is paused: %s", error)
    with store.write("pipelines.tick") as tx:
        found = tx.fetch_one(SCHEDULES, "WHERE id = ?", (schedule_id,))
        if found is not None:
            with as_owner(found):
                _pause(tx, found, f"it could not start {found.flow}: {error.message}")


def _pause(tx: Transaction, schedule: Schedule, reason: str) -> None:
    tx.execute("UPDATE flow_schedule SET paused = 1, paused_because = ? WHERE id = ?", (reason[:1000], schedule.id))
    data = {"flow": schedule.flow, "reason": reason[:1000]}
    emit(tx, "flow.schedule.paused", subject=f"schedule/{schedule.name}", data=data)
    tx.note(f"schedule/{schedule.name}", paused=True, reason=reason[:1000])


def _settle(store: Store, ended: Ends) -> int:
    """Look at runs that ended: count failures, and start what waited for them; how many there were."""
    if not ended:
        note_seen(store, ended)
        return 0
    # That a run ended was told when it did; what follows from it is told here.
    with store.write("pipelines.tick") if _matters(store, ended) else store.bookkeeping() as tx:
        count = backfills.settle_items(tx, ended.items)
        found = settled(tx, ended.fires)
        for fired, state in found:
            table: Any = SCHEDULES if fired.kind == "schedule" else TRIGGERS
            source = tx.fetch_one(table, "WHERE id = ?", (fired.source_id,))
            if source is None:
                continue
            with as_owner(source):
                if fired.kind == "schedule":
                    _count(tx, source, state)
                if not (fired.kind == "schedule" and source.paused):
                    released(store.queue, tx, source)
    note_seen(store, ended)
    return count + len(found)


def _matters(store: Store, ended: Ends) -> bool:
    """Whether something waits for one of these runs, or counts its failures."""
    with store.read() as tx:
        sources = {str(tx.value("SELECT source_id FROM flow_fire WHERE run_id = ?", (each,))) for each in ended.fires}
        return any(
            tx.row("SELECT 1 FROM flow_fire WHERE outcome = 'buffered' AND source_id = ? LIMIT 1", (each,))
            or tx.row("SELECT 1 FROM flow_schedule WHERE id = ? AND pause_after > 0", (each,))
            for each in sorted(sources)
        )


def _count(tx: Transaction, schedule: Schedule, state: str) -> None:
    """Count how many runs failed in a row, and pause the schedule when these are too many."""
    if state not in ("finished", "failed", "crashed"):
        return
    failures = 0 if state == "finished" else schedule.failures + 1
    if failures != schedule.failures:
        tx.execute("UPDATE flow_schedule SET failures = ? WHERE id = ?", (failures, schedule.id))
    if schedule.pause_after and failures >= schedule.pause_after and not schedule.paused:
        _pause(tx, schedule, f"{failures} runs failed in a row")


def _orphans(tx: Transaction) -> list[FlowRun]:
    """Open runs that nothing will finish: their worker is gone, or their task is dead or cancelled."""
    return tx.fetch(
        FLOW_RUNS,
        "LEFT JOIN queue_tasks ON queue_tasks.id = flow_run.task_id"
        " LEFT JOIN queue_workers ON queue_workers.id = flow_run.worker"
        f" WHERE flow_run.state IN {OPEN_STATES}"  # the index's own words
        " AND flow_run.state IN ('queued', 'running') AND ("
        "   (flow_run.task_id = '' AND flow_run.worker <> '' AND queue_workers.id IS NULL)"
        "   OR queue_tasks.state IN ('dead', 'cancelled'))",
    )


def _end_orphan(tx: Transaction, run: FlowRun) -> int:
    task = tx.row("SELECT state, error FROM queue_tasks WHERE id = ?", (run.task_id,))
    error = {
        "code": "MS-6003",
        "message": "the process that executed the flow was lost, and there are no attempts left",
        "hint": f"mainspring flow retry {run.id}",
        "known": [],
        "details": {"last": msgspec.json.decode(task[1]) if task and task[1] else None},
    }
    with acting_as(Caller(principal=run.created_by, workspace=run.workspace, method="system")):
        if task and task[0] == "cancelled":
            end_flow(tx, run, "cancelled")
        else:
            end_flow(tx, run, "crashed", error=error)
    return 1


def look(client: Any) -> None:
    """What the scheduler calls again and again."""
    client.pipelines.tick()
