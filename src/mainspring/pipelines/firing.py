"""What a moment or a trigger comes to: a run is started, put off until another has ended, or not started, and why.

The decision, its record and the run are written in one transaction. The record has a key that is unique, so whatever
looks a second time finds that it was decided.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from mainspring.events.outbox import emit
from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.ids import new_id
from mainspring.pipelines.deployments import placed
from mainspring.pipelines.ends import OPEN_STATES, has_ended
from mainspring.pipelines.records import end_flow
from mainspring.pipelines.starting import known_run, new_run, queue_flow
from mainspring.pipelines.tables_runs import FLOW_RUNS
from mainspring.pipelines.tables_schedules import FIRES
from mainspring.pipelines.types import Cause, FlowRun, Location
from mainspring.pipelines.types_schedules import Fire, Overlap
from mainspring.store.queue import Queue
from mainspring.store.transaction import Transaction

__all__ = [
    "Shot",
    "Source",
    "as_owner",
    "fire",
    "note_missed",
    "released",
    "settled",
    "stop_run",
]

_MOST_BUFFERED = 1000
_KEPT_MICROS = 90 * 86_400 * 1_000_000
"""How long what came of each moment is kept."""


class Source(Protocol):
    """What starts flows by itself: a schedule or a trigger."""

    @property
    def id(self) -> str: ...
    @property
    def workspace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def flow(self) -> str: ...
    @property
    def location(self) -> Location: ...
    @property
    def overlap(self) -> Overlap: ...
    @property
    def deployment(self) -> str: ...
    @property
    def pool(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def created_by(self) -> str: ...


class Shot(msgspec.Struct, frozen=True):
    """One firing."""

    kind: Literal["schedule", "trigger"]
    number: int
    """Unique for its source: the moment in microseconds, or the number of an event."""
    fire_at: datetime
    key: str
    """The key of the run; empty for none."""
    params: dict[str, Any]
    events: tuple[int, ...] = ()


def as_owner(source: Source) -> Any:
    """Act as who made a schedule or a trigger, in its workspace."""
    return acting_as(Caller(principal=source.created_by, workspace=source.workspace, method="system"))


def fire(queue: Queue, tx: Transaction, source: Source, shot: Shot) -> Fire | None:
    """Decide one firing, and record it; None when that was done before. To be called `as_owner`."""
    if tx.row("SELECT 1 FROM flow_fire WHERE source_id = ? AND number = ?", (source.id, shot.number)):
        return None
    if known_run(tx, source.flow, shot.key) is not None:
        return None
    decided = _decide(queue, tx, source, shot)
    tx.insert(FIRES, decided)
    tx.execute(
        "DELETE FROM flow_fire WHERE source_id = ? AND fire_at < ? AND outcome IN ('skipped', 'missed', 'ended')",
        (source.id, tx.now_micros - _KEPT_MICROS),
    )
    if decided.outcome == "skipped":
        data = {"moment": shot.fire_at, "reason": decided.reason}
        emit(tx, f"flow.{shot.kind}.skipped", subject=f"{shot.kind}/{source.name}", data=msgspec.to_builtins(data))
    return decided


def note_missed(tx: Transaction, source: Source, passed: tuple[datetime, datetime]) -> None:
    """Record that moments were passed over."""
    first, last = passed
    reason = f"what was missed between {first:%Y-%m-%d %H:%M:%S}Z and {last:%Y-%m-%d %H:%M:%S}Z is not made up for"
    if not tx.row("SELECT 1 FROM flow_fire WHERE source_id = ? AND number = ?", (source.id, to_micros(first))):
        made = _fire_of(tx, source, Shot("schedule", to_micros(first), first, "", {}))
        tx.insert(FIRES, msgspec.structs.replace(made, outcome="missed", reason=reason))
    data = {"first": first, "last": last}
    emit(tx, "flow.schedule.missed", subject=f"schedule/{source.name}", data=msgspec.to_builtins(data))


def settled(tx: Transaction, run_ids: list[str]) -> list[tuple[Fire, str]]:
    """Firings whose runs have ended, now marked so, with how these ended."""
    found: list[tuple[Fire, str]] = []
    for run_id in run_ids:
        fired = tx.fetch_one(FIRES, "WHERE run_id = ? AND outcome = 'started'", (run_id,))
        state = tx.value("SELECT state FROM flow_run WHERE id = ?", (run_id,))
        if fired is None or not has_ended(tx, run_id):
            continue
        tx.execute("UPDATE flow_fire SET outcome = 'ended' WHERE id = ?", (fired.id,))
        found.append((fired, str(state or "gone")))
    return sorted(found, key=lambda each: each[0].number)


def released(queue: Queue, tx: Transaction, source: Source) -> Fire | None:
    """Start the first that waits, when no run of this source is open any more. To be called `as_owner`."""
    if _open_runs(tx, source.id):
        return None
    waiting = tx.fetch_one(FIRES, "WHERE outcome = 'buffered' AND source_id = ? ORDER BY number LIMIT 1", (source.id,))
    if waiting is None:
        return None
    shot = Shot(waiting.kind, waiting.number, waiting.fire_at, waiting.key, waiting.params, waiting.events)
    run = _start(queue, tx, source, shot)
    tx.execute(
        "UPDATE flow_fire SET outcome = 'started', run_id = ?, at = ? WHERE source_id = ? AND number = ?",
        (run.id, tx.now_micros, source.id, waiting.number),
    )
    return msgspec.structs.replace(waiting, outcome="started", run_id=run.id)


def stop_run(queue: Queue, tx: Transaction, run: FlowRun) -> FlowRun:
    """Cancel an open run, whatever executes it."""
    if run.task_id:
        queue.cancel(tx, run.task_id)
    return end_flow(tx, run, "cancelled")


def _fire_of(tx: Transaction, source: Source, shot: Shot) -> Fire:
    return Fire(
        id=new_id(),
        source_id=source.id,
        number=shot.number,
        workspace=source.workspace,
        kind=shot.kind,
        name=source.name,
        fire_at=shot.fire_at,
        at=tx.now,
        outcome="started",
        events=shot.events,
        key=shot.key,
    )


def _decide(queue: Queue, tx: Transaction, source: Source, shot: Shot) -> Fire:
    made = _fire_of(tx, source, shot)
    running = [] if source.overlap == "allow_all" else _open_runs(tx, source.id)
    if running and source.overlap == "skip":
        return msgspec.structs.replace(made, outcome="skipped", reason=f"run {running[0].id} has not ended")
    if running and source.overlap in ("buffer_one", "buffer_all"):
        count = tx.value("SELECT COUNT(*) FROM flow_fire WHERE outcome = 'buffered' AND source_id = ?", (source.id,))
        most = 1 if source.overlap == "buffer_one" else _MOST_BUFFERED
        if count >= most:
            reason = f"run {running[0].id} has not ended, and {count} wait already"
            return msgspec.structs.replace(made, outcome="skipped", reason=reason)
        reason = f"run {running[0].id} has not ended"
        return msgspec.structs.replace(made, outcome="buffered", reason=reason, params=shot.params)
    for each in running:  # cancel_other
        stop_run(queue, tx, each)
    return msgspec.structs.replace(made, run_id=_start(queue, tx, source, shot).id)


def _start(queue: Queue, tx: Transaction, source: Source, shot: Shot) -> FlowRun:
    place = placed(tx, source.flow, source.deployment, source.location)
    run = new_run(
        tx,
        source.flow,
        location=place.location,
        params=shot.params,
        code=place.code,
        key=shot.key,
        cause=Cause(kind=shot.kind, name=source.name, fire_at=shot.fire_at, events=shot.events),
        deployment=place.deployment,
        pool=source.pool,
        priority=source.priority,
        labels=source.labels,
    )
    return queue_flow(queue, tx, run, max_attempts=source.max_attempts)


def _open_runs(tx: Transaction, source_id: str) -> list[FlowRun]:
    return tx.fetch(
        FLOW_RUNS,
        f"JOIN flow_fire ON flow_fire.run_id = flow_run.id WHERE flow_fire.outcome = 'started'"
        f" AND flow_fire.source_id = ? AND flow_run.state IN {OPEN_STATES} ORDER BY flow_run.id",
        (source_id,),
    )
