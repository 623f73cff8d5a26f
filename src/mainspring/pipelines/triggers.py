"""Triggers: flows that start because something happened, or did not.

One cursor goes over the events of the store. What an event makes of every trigger that looks for its kind, the runs
that come of it, and the cursor's next place are written in one transaction: so each firing starts one run, however many
processes look, and whenever they are killed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from mainspring.events.outbox import emit, last_number
from mainspring.events.tables import EVENTS
from mainspring.events.types import Emitted
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, MainspringError, NotFound, nearest
from mainspring.pipelines.firing import Shot, as_owner, fire
from mainspring.pipelines.tables_triggers import TRIGGERS
from mainspring.pipelines.triggers_tree import Expired, armed, hit, is_missing, leaves, value_in
from mainspring.pipelines.types_triggers import Trigger
from mainspring.store.database import Database
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["evaluate", "filled", "find_trigger", "have_work", "next_deadline", "put_trigger", "take_away"]

_CURSOR = "triggers"
_AT_ONCE = 200
_SELDOM = 1000
_passed: WeakKeyDictionary[Database, int] = WeakKeyDictionary()
_log = logging.getLogger("mainspring.scheduler")


def have_work(store: Store, tx: Transaction) -> bool:
    """Whether there are triggers, and events that they have not seen or moments that have come."""
    if tx.row("SELECT 1 FROM flow_trigger_kind LIMIT 1") is None:
        return False
    deadline = next_deadline(tx)
    return _position(store, tx) < last_number(tx) or (deadline is not None and deadline <= tx.now_micros)


def _position(store: Store, tx: Transaction) -> int:
    """Up to which event everything is decided: as it is recorded, or, of what is for nobody, as this process knows."""
    return max(_recorded(tx), _passed.get(store.database, 0))


def _recorded(tx: Transaction) -> int:
    return int(tx.value("SELECT position FROM flow_cursor WHERE name = ?", (_CURSOR,)) or 0)


def next_deadline(tx: Transaction) -> int | None:
    """The next moment at which a trigger is to be looked at, in microseconds."""
    found = tx.value("SELECT MIN(due_at) FROM flow_trigger_memory WHERE due_at IS NOT NULL")
    return None if found is None else int(found)


def evaluate(store: Store) -> int:
    """Give triggers the next events, and then the moments that have come; how much was done."""
    broken: dict[str, str] = {}
    if _pass_over(store):
        return 0
    while True:
        try:
            with store.write("pipelines.tick") as tx:
                count = _events(store, tx, broken)
                return count or _deadlines(store, tx, broken)
        except _Broken as error:
            # Only a start that is refused takes the transaction back; it is tried again without that trigger.
            broken[error.trigger] = error.message


def _pass_over(store: Store) -> bool:
    """Whether the next events are for no trigger, and no moment has come: nothing is written for these."""
    while True:
        with store.read() as tx:
            newest, begin, recorded = last_number(tx), _position(store, tx), _recorded(tx)
            events = tx.fetch(EVENTS, "WHERE number > ? ORDER BY number LIMIT ?", (begin, _AT_ONCE))
            deadline = next_deadline(tx)
            if (deadline is not None and deadline <= tx.now_micros) or any(_candidates(tx, each) for each in events):
                return False
        reached = newest if len(events) < _AT_ONCE else events[-1].number
        # A trigger that is made from now on has no eye for events up to now, so none of these can be for it.
        _passed[store.database] = reached
        if reached - recorded > _SELDOM:
            with store.bookkeeping() as tx:
                _advance(tx, max(reached, _recorded(tx)))
        if reached == newest:
            return True


class _Broken(Exception):
    def __init__(self, trigger: str, message: str) -> None:
        super().__init__(message)
        self.trigger, self.message = trigger, message


def _events(store: Store, tx: Transaction, broken: dict[str, str]) -> int:
    position = _position(store, tx)
    newest = last_number(tx)
    if position >= newest:
        return 0
    events = tx.fetch(EVENTS, "WHERE number > ? ORDER BY number LIMIT ?", (position, _AT_ONCE))
    reached = newest if len(events) < _AT_ONCE else events[-1].number
    for event in events:
        for trigger in _candidates(tx, event):
            _stimulate(store, tx, trigger, event, broken)
    _advance(tx, reached)
    return max(1, len(events))


def _deadlines(store: Store, tx: Transaction, broken: dict[str, str]) -> int:
    rows = tx.rows(
        "SELECT trigger_id, path, key, due_at, events FROM flow_trigger_memory"
        " WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, trigger_id LIMIT ?",
        (tx.now_micros, _AT_ONCE),
    )
    for trigger_id, path, key, _, events in rows:
        tx.execute(
            "DELETE FROM flow_trigger_memory WHERE trigger_id = ? AND path = ? AND key = ?", (trigger_id, path, key)
        )
        trigger = tx.fetch_one(TRIGGERS, "WHERE id = ? AND paused = 0", (trigger_id,))
        if trigger is not None:
            numbers = msgspec.json.decode(events, type=tuple[int, ...])
            _stimulate(store, tx, trigger, Expired(path, key, numbers), broken)
    return len(rows)


def _candidates(tx: Transaction, event: Emitted) -> list[Trigger]:
    """The triggers that look for events of this kind, and are not too young for it."""
    rows = tx.rows(
        "SELECT trigger_id, kind FROM flow_trigger_kind WHERE workspace = ? AND kind = ?"
        " UNION SELECT trigger_id, kind FROM flow_trigger_kind WHERE workspace = ? AND wild = 1",
        (event.workspace, event.kind, event.workspace),
    )
    ids = sorted({trigger for trigger, kind in rows if fnmatchcase(event.kind, kind)})
    found = (tx.fetch_one(TRIGGERS, "WHERE id = ? AND paused = 0 AND since < ?", (each, event.number)) for each in ids)
    return [each for each in found if each is not None]


def _stimulate(
    store: Store, tx: Transaction, trigger: Trigger, stimulus: Emitted | Expired, broken: dict[str, str]
) -> None:
    if isinstance(stimulus, Emitted) and _is_own(trigger, stimulus):
        return
    with as_owner(trigger):
        for numbers in hit(tx, trigger, stimulus):
            if trigger.id in broken:
                _note_failure(tx, trigger, broken[trigger.id], numbers)
                continue
            last = stimulus if isinstance(stimulus, Emitted) else _event(tx, numbers)
            try:
                shot = _shot(tx, trigger, stimulus, last, numbers)
                fire(store.queue, tx, trigger, shot)
            except MainspringError as error:
                raise _Broken(trigger.id, error.message) from error
            if trigger.error:
                tx.execute("UPDATE flow_trigger SET error = '' WHERE id = ?", (trigger.id,))


def _is_own(trigger: Trigger, event: Emitted) -> bool:
    """Whether an event is of a run that this trigger started: such a trigger would start itself for ever."""
    cause = event.data.get("cause") if event.kind.startswith("flow.run.") else None
    return isinstance(cause, dict) and cause.get("kind") == "trigger" and cause.get("name") == trigger.name


def _shot(
    tx: Transaction, trigger: Trigger, stimulus: Emitted | Expired, last: Emitted | None, numbers: tuple[int, ...]
) -> Shot:
    number = stimulus.number if isinstance(stimulus, Emitted) else tx.now_micros
    while tx.row("SELECT 1 FROM flow_fire WHERE source_id = ? AND number = ?", (trigger.id, number)):
        if isinstance(stimulus, Emitted):
            break  # this event was decided before
        number += 1  # two deadlines of one trigger in one microsecond
    key = f"trigger:{trigger.name}:{number}"
    if trigger.key:
        key = f"trigger:{trigger.name}:{filled(trigger.key, last, numbers)}"[:1000]
    params = {name: filled(value, last, numbers) for name, value in trigger.params.items()}
    fire_at = last.at if isinstance(stimulus, Emitted) and last is not None else tx.now
    return Shot("trigger", number, fire_at, key, params, numbers)


def filled(value: Any, event: Emitted | None, numbers: Sequence[int]) -> Any:
    """A parameter with the fields of the event in place of `$event...`; `$$` stands for a plain `$` at the beginning.

    Raises:
        InvalidInput: The event has no such field, or there is no event: what did not happen has none.
    """
    if isinstance(value, dict):
        return {name: filled(each, event, numbers) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, event, numbers) for each in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value.startswith("$$"):
        return value[1:]
    if value == "$events":
        return list(numbers)
    if not value.startswith("$event."):
        return value
    if event is None:
        raise InvalidInput(f"{value}: there is no event to take it from")
    found = value_in(event, value.removeprefix("$event."))
    if is_missing(found):
        raise InvalidInput(f"{value}: event {event.number} ({event.kind}) has no such field", known=sorted(event.data))
    return found


def _note_failure(tx: Transaction, trigger: Trigger, message: str, numbers: tuple[int, ...]) -> None:
    _log.error("the trigger %s could not start %s: %s", trigger.name, trigger.flow, message)
    tx.execute("UPDATE flow_trigger SET error = ? WHERE id = ?", (message[:1000], trigger.id))
    data = {"flow": trigger.flow, "reason": message[:1000], "events": list(numbers)}
    emit(tx, "flow.trigger.failed", subject=f"trigger/{trigger.name}", data=data)


def _event(tx: Transaction, numbers: Sequence[int]) -> Emitted | None:
    return tx.fetch_one(EVENTS, "WHERE number = ?", (numbers[-1],)) if numbers else None


def _advance(tx: Transaction, position: int) -> None:
    tx.execute(
        "INSERT INTO flow_cursor (name, position) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        (_CURSOR, position),
    )


def find_trigger(tx: Transaction, name: str) -> Trigger:
    """The trigger of that name."""
    found = tx.fetch_one(TRIGGERS, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if found is None:
        names = [row[0] for row in tx.rows("SELECT name FROM flow_trigger WHERE workspace = ?", (caller().workspace,))]
        raise NotFound(f"there is no trigger {name!r}", known=nearest(name, names))
    return found


def put_trigger(tx: Transaction, trigger: Trigger) -> None:
    """Record a trigger that is new or changed: it begins with the next event."""
    if tx.row("SELECT 1 FROM flow_trigger_kind LIMIT 1") is None:
        _advance(tx, last_number(tx))  # nobody looked for a while; what was before is for nobody
    take_away(tx, trigger)
    tx.insert(TRIGGERS, trigger)
    if not trigger.paused:
        kinds = sorted({each.kind for each in leaves(trigger.condition)})
        rows = [(trigger.id, trigger.workspace, kind, int(any(mark in kind for mark in "*?["))) for kind in kinds]
        tx.many("INSERT INTO flow_trigger_kind (trigger_id, workspace, kind, wild) VALUES (?, ?, ?, ?)", rows)
        armed(tx, trigger)
    tx.announce()


def take_away(tx: Transaction, trigger: Trigger) -> None:
    """Forget a trigger and what it remembers."""
    for table in ("flow_trigger_kind", "flow_trigger_memory"):
        tx.execute(f"DELETE FROM {table} WHERE trigger_id = ?", (trigger.id,))  # noqa: S608 -- constants
    tx.execute("DELETE FROM flow_trigger WHERE id = ?", (trigger.id,))
