"""Writing down what runs wait for, and how that ended, inside the caller's transaction.

Whoever resolves a wait does it in one transaction with what resolves it (the answer, the event, the timer's task), and
puts the run back into the queue there, when no process holds it. So nothing can be answered and not go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from mainspring.events.outbox import emit, events_since, matches
from mainspring.events.types import Emitted
from mainspring.kernel.context import Caller, acting_as, caller
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.lineage.graph import finish_run
from mainspring.pipelines.endings import URGENT
from mainspring.pipelines.records import find_flow, save_steps
from mainspring.pipelines.starting import queue_flow, task_kind
from mainspring.pipelines.tables_waits import WAITS
from mainspring.pipelines.types import FlowRun, StepRecord
from mainspring.pipelines.types_waits import Wait, Wanted
from mainspring.store.queue_entry import enqueue, find_task

if TYPE_CHECKING:
    from mainspring.store.queue import Queue
    from mainspring.store.transaction import Transaction

__all__ = ["check_wanted", "expire", "find_wait", "happened", "put_wait", "requeue", "resolve_wait", "step_name"]

_LONGEST = 100 * 365 * 86_400.0
_WILD = frozenset("*?[")


class _QueueEntry:
    """The part of a queue that starting a run needs, for who has no store."""

    enqueue = staticmethod(enqueue)


def step_name(wanted: Wanted) -> Literal["sleep", "ask", "wait"]:
    """What the step is called that a wait is."""
    return "wait" if wanted.kind == "event" else wanted.kind


def check_wanted(wanted: Wanted) -> None:
    """Refuse what nobody can wait for."""
    if wanted.after is not None and not 0 <= wanted.after <= _LONGEST:
        raise InvalidInput(f"a wait of {wanted.after:g} seconds", hint="between 0 seconds and 100 years")
    if wanted.kind == "sleep" and wanted.after is None and wanted.until is None:
        raise InvalidInput("a sleep without an end", hint="ms.sleep(seconds) or ms.sleep(until=...)")
    if wanted.kind == "ask" and not wanted.question.strip():
        raise InvalidInput("there is no question", hint='ms.ask("Publish it?")')
    if "\0" in wanted.event + wanted.subject:
        raise InvalidInput("kinds and subjects of events have no NUL in them")
    if wanted.kind == "event" and not wanted.event:
        raise InvalidInput("which kind of event is waited for?", hint='ms.wait_for("model.alias.set")')


def put_wait(tx: Transaction, run: FlowRun, path: str, wanted: Wanted, step: StepRecord) -> Wait:
    """The wait at a place of a run that executes: as it is recorded, brought up to now, or a new one.

    Args:
        tx: The transaction.
        run: The run.
        path: The place.
        wanted: What it waits for. A wait for something else that was recorded there is forgotten.
        step: How a new one is shown among the steps; its id, times and state are set here.
    """
    known = tx.fetch_one(WAITS, "WHERE run_id = ? AND path = ?", (run.id, path))
    if known is not None and _same(known.wanted, wanted):
        if known.state == "open":
            _show(tx, run, known, step)
            known = _bring_up(tx, run, known)
        return known
    if known is not None:
        forget_wait(tx, run, known)
    due = _due(tx, wanted)
    wild = bool(_WILD & {*wanted.event})
    made = Wait(
        id=new_id(),
        workspace=run.workspace,
        run_id=run.id,
        flow=run.flow,
        path=path,
        state="open",
        wanted=wanted,
        exact_kind=("*" if wild else wanted.event) if wanted.kind == "event" else "",
        exact_subject="*" if _WILD & {*wanted.subject} else wanted.subject,
        opened_at=tx.now,
        due_at=due,
    )
    tx.execute("DELETE FROM flow_step WHERE run_id = ? AND path = ? AND item = -1", (run.id, path))
    _show(tx, run, made, step)
    tx.insert(WAITS, made)
    if due is not None:
        timer = {"run_id": run.id, "wake": True}
        enqueue(
            tx, task_kind(run.pool), timer, key=f"wait:{made.id}", priority=URGENT, not_before=due, max_attempts=100
        )
    if wanted.kind == "ask":
        emit(tx, "flow.ask.opened", subject=f"flow/{run.flow}", data=_told(made))
    tx.note(f"run/{made.id}", wait=wanted.kind, question=wanted.question)
    return _bring_up(tx, run, made)


def resolve_wait(
    tx: Transaction, wait: Wait, *, answer: Any = None, event: int = 0, by: str = "", expired: bool = False
) -> Wait:
    """End an open wait, and have its run go on when no process holds it."""
    state: Literal["done", "expired"] = "expired" if expired else "done"
    ended = msgspec.structs.replace(
        wait, state=state, answer=answer, event=event, resolved_at=tx.now, resolved_by=by or caller().principal
    )
    tx.execute(
        "UPDATE flow_wait SET state = ?, answer = ?, event = ?, resolved_at = ?, resolved_by = ? WHERE id = ?",
        (state, _json(answer), event, tx.now_micros, ended.resolved_by, wait.id),
    )
    error = expiry(ended).payload() if expired else None
    tx.execute(
        "UPDATE flow_step SET state = ?, finished_at = ?, output = ?, error = ? WHERE id = ?",
        ("failed" if expired else "finished", tx.now_micros, _json(answer), error and _json(error), wait.id),
    )
    with acting_as(Caller(principal=caller().principal, workspace=wait.workspace, method="system")):
        finish_run(tx, wait.id, status="failed" if expired else "finished")
        run = find_flow(tx, wait.run_id)
        _drop_timer(tx, run, wait)
        if wait.wanted.kind == "ask":
            data = _told(ended) | {"answer": answer, "by": ended.resolved_by}
            emit(tx, "flow.ask.answered", subject=f"flow/{wait.flow}", data=data)
    if run.state == "waiting":
        requeue(tx, run)
    tx.announce()
    tx.note(f"run/{wait.id}", state=state)
    return ended


def requeue(tx: Transaction, run: FlowRun, queue: Queue | None = None) -> FlowRun:
    """Have a worker go on with a run that no process holds, as the one who started it.

    A run that no worker can import stays as it is: it goes on where somebody resumes it.
    """
    if not run.location.address and not run.deployment:
        return run
    entry = queue if queue is not None else cast("Queue", _QueueEntry())
    attempts = tx.value("SELECT max_attempts FROM queue_tasks WHERE id = ?", (run.task_id,))
    with acting_as(Caller(principal=run.created_by, workspace=run.workspace, method="system")):
        return queue_flow(entry, tx, run, fresh=False, max_attempts=max(int(attempts or 0), 5))


def expire(tx: Transaction, wait: Wait) -> Wait:
    """End an open wait whose moment has come: a sleep is over, an answer is the default or an error."""
    if wait.wanted.kind == "sleep":
        return resolve_wait(tx, wait, by="clock")
    if "value" in wait.wanted.default:
        return resolve_wait(tx, wait, answer=wait.wanted.default["value"], by="deadline")
    return resolve_wait(tx, wait, by="deadline", expired=True)


def expiry(wait: Wait) -> DeadlineExceeded:
    """What the body of a flow gets to see of a wait that expired."""
    wanted = wait.wanted
    what = f"nobody answered {wanted.question!r}" if wanted.kind == "ask" else f"no event {wanted.event!r} came"
    return DeadlineExceeded(
        f"{what} until {wait.due_at:%Y-%m-%d %H:%M:%S}Z",
        hint="give a default, or catch DeadlineExceeded",
        details={"wait": wait.id},
    )


def happened(tx: Transaction, event: Emitted) -> None:
    """Resolve what waits for an event, in the transaction in which it happens; called for every event."""
    found = tx.fetch(
        WAITS,
        "WHERE workspace = ? AND state = 'open' AND exact_kind <> ''"
        " AND exact_kind IN (?, '*') AND exact_subject IN (?, '*') ORDER BY id",
        (event.workspace, event.kind, event.subject),
    )
    taken: set[str] = set()
    for wait in found:
        # of the waits of one run, an event is for the first: who waits for three orders wants three
        if wait.run_id not in taken and _is_wanted(wait.wanted, event):
            taken.add(wait.run_id)
            resolve_wait(tx, wait, answer=msgspec.to_builtins(event), event=event.number, by=event.by)


def find_wait(tx: Transaction, wait_id: str) -> Wait:
    """The wait with this id."""
    found = tx.fetch_one(WAITS, "WHERE id = ? AND workspace = ?", (wait_id.removeprefix("run/"), caller().workspace))
    if found is None:
        raise NotFound(f"nothing waits under {wait_id!r}", hint="mainspring flow waits")
    return found


def forget_wait(tx: Transaction, run: FlowRun, wait: Wait) -> None:
    """Remove a wait, so that its place asks anew."""
    tx.execute("DELETE FROM flow_wait WHERE id = ?", (wait.id,))
    _drop_timer(tx, run, wait)


def _bring_up(tx: Transaction, run: FlowRun, wait: Wait) -> Wait:
    """Resolve an open wait by what has happened since the run began, or by its moment, if that has come."""
    if wait.wanted.kind == "event" and (event := _already(tx, run, wait)) is not None:
        return resolve_wait(tx, wait, answer=msgspec.to_builtins(event), event=event.number, by=event.by)
    if wait.due_at is not None and wait.due_at <= tx.now:
        return expire(tx, wait)
    return wait


def _already(tx: Transaction, run: FlowRun, wait: Wait) -> Emitted | None:
    """The first event since the run began that is wanted and was given to no other wait of the run."""
    taken = {number for (number,) in tx.rows("SELECT event FROM flow_wait WHERE run_id = ?", (run.id,))}
    position = run.position
    while page := events_since(tx, position, [wait.wanted.event], limit=500):
        for event in page:
            if event.number not in taken and _is_wanted(wait.wanted, event):
                return event
        position = page[-1].number
    return None


def _is_wanted(wanted: Wanted, event: Emitted) -> bool:
    return (
        matches(event.kind, [wanted.event])
        and fnmatchcase(event.subject, wanted.subject)
        and all(_at(event.data, name) == value for name, value in wanted.where.items())
    )


def _at(data: Any, name: str) -> Any:
    """The value at `a.b.c`, or what equals nothing."""
    if isinstance(data, Mapping) and name in data:
        return data[name]
    for part in name.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return ...
        data = data[part]
    return data


def _show(tx: Transaction, run: FlowRun, wait: Wait, step: StepRecord) -> None:
    shown = msgspec.structs.replace(
        step, id=wait.id, run_id=run.id, path=wait.path, item=-1, state="waiting", started_at=wait.opened_at, attempt=1
    )
    save_steps(tx, run, [shown], {}, {})


def _same(recorded: Wanted, now: Wanted) -> bool:
    """Whether two wait for the same; when it ends is what the first one said."""
    plain: dict[str, Any] = {"after": None, "until": None, "default": {}, "assignees": ()}
    return msgspec.structs.replace(recorded, **plain) == msgspec.structs.replace(now, **plain)


def _due(tx: Transaction, wanted: Wanted) -> datetime | None:
    if wanted.until is not None:
        return wanted.until
    return None if wanted.after is None else tx.now + timedelta(seconds=wanted.after)


def _told(wait: Wait) -> dict[str, Any]:
    wanted = wait.wanted
    told = {"wait": wait.id, "run": wait.run_id, "question": wanted.question, "assignees": list(wanted.assignees)}
    return told | ({"deadline": wait.due_at.isoformat()} if wait.due_at else {})


def _drop_timer(tx: Transaction, run: FlowRun, wait: Wait) -> None:
    if wait.due_at is not None and (timer := find_task(tx, task_kind(run.pool), f"wait:{wait.id}")) is not None:
        tx.execute("DELETE FROM queue_tasks WHERE id = ? AND state IN ('waiting', 'ready')", (timer.id,))


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
