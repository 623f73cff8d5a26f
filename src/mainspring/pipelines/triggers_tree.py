"""Whether a trigger's condition is true now: its tree, asked about one event, or about a moment that has come.

What a condition has to know between two events lies in rows, one for each place in the tree: the events that came so
far, and the moment at which it is to be looked at again. So nothing is forgotten when a process ends, and what did
*not* happen is found by a row whose moment comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from mainspring.events.types import Emitted
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types_triggers import Absent, AllOf, AnyOf, Condition, Debounce, On, Trigger, Where
from mainspring.store.transaction import Transaction

__all__ = ["Expired", "armed", "check_condition", "fits", "hit", "is_missing", "leaves", "value_in"]

_MOST_LEAVES = 50
_MOST_DEEP = 10
_TEN_YEARS = 3660 * 86_400
_MOST_EVENTS = 1000
_MISSING = object()

Hit = tuple[int, ...]
"""Numbers of the events that made a condition true, the last of them last."""


class Expired(msgspec.Struct, frozen=True):
    """A row of a condition's memory whose moment has come."""

    path: str
    key: str
    events: Hit


def check_condition(condition: Condition, depth: int = 0) -> None:
    """Refuse a condition that makes no sense."""
    if depth > _MOST_DEEP or sum(1 for _ in leaves(condition)) > _MOST_LEAVES:
        raise InvalidInput(f"a condition has at most {_MOST_LEAVES} leaves, {_MOST_DEEP} deep")
    for leaf in leaves(condition) if depth == 0 else ():
        if not leaf.kind or len(leaf.kind) > 250 or len(leaf.subject) > 1000:
            raise InvalidInput("a condition needs the kind of an event", hint='on("dataset.version.created")')
        for each in leaf.where:
            _compare(each, 0)
    if isinstance(condition, AnyOf | AllOf) and not condition.of:
        raise InvalidInput("any_of and all_of need at least one condition")
    if isinstance(condition, AnyOf | AllOf):
        for inner in condition.of:
            check_condition(inner, depth + 1)
    if isinstance(condition, Debounce):
        check_condition(condition.of, depth + 1)
    for name in ("within", "seconds", "longest"):
        if not 0 <= getattr(condition, name, 0.0) <= _TEN_YEARS:
            raise InvalidInput(f"{name}: a length of time is between nothing and ten years")
    if getattr(condition, "seconds" if isinstance(condition, Debounce) else "within", 1.0) <= 0 and not isinstance(
        condition, AllOf
    ):
        raise InvalidInput("absent and debounce need a length of time", hint="within=3600, seconds=60")


def leaves(condition: Condition) -> Iterator[On]:
    """Every event that a condition looks for."""
    if isinstance(condition, On):
        yield condition
    elif isinstance(condition, AnyOf | AllOf):
        for each in condition.of:
            yield from leaves(each)
    elif isinstance(condition, Debounce):
        yield from leaves(condition.of)
    else:
        yield condition.of
        if condition.after is not None:
            yield condition.after


def fits(leaf: On, event: Emitted) -> bool:
    """Whether an event is one of those that a leaf looks for."""
    return (
        fnmatchcase(event.kind, leaf.kind)
        and fnmatchcase(event.subject, leaf.subject)
        and all(_compare(each, value_in(event, each.field)) for each in leaf.where)
    )


def value_in(event: Emitted, field: str) -> Any:
    """A field of an event: `data.rows`, `subject`; a name without such a beginning is one of `data`.

    A missing one is an object that equals nothing; see `is_missing`.
    """
    head, _, rest = field.partition(".")
    if head in ("kind", "subject", "by", "id", "number", "workspace") and not rest:
        return getattr(event, head)
    if head == "at" and not rest:
        return event.at.isoformat()
    found: Any = event.data
    if field == "data":
        return found
    parts = (rest if head == "data" else field).split(".")
    while parts:
        if isinstance(found, dict):
            whole = ".".join(parts)
            if whole in found:  # a metric's name may have dots
                return found[whole]
            found = found.get(parts.pop(0), _MISSING)
        elif isinstance(found, list) and parts[0].isdecimal() and int(parts[0]) < len(found):
            found = found[int(parts.pop(0))]
        else:
            return _MISSING
    return found


def is_missing(value: Any) -> bool:
    """Whether `value_in` found no such field."""
    return value is _MISSING


def hit(tx: Transaction, trigger: Trigger, stimulus: Emitted | Expired) -> list[Hit]:
    """What an event, or a moment that has come, makes of a trigger: the events of each firing."""
    found = _ask(tx, trigger.id, trigger.condition, "0", stimulus)
    return [] if found is None else [found]


def armed(tx: Transaction, trigger: Trigger, condition: Condition | None = None, path: str = "0") -> None:
    """Begin to wait for what should happen, when a trigger is made or goes on."""
    node = trigger.condition if condition is None else condition
    if isinstance(node, AnyOf | AllOf):
        for number, each in enumerate(node.of):
            armed(tx, trigger, each, f"{path}.{number}")
    elif isinstance(node, Debounce):
        armed(tx, trigger, node.of, f"{path}.0")
    elif isinstance(node, Absent) and node.after is None and not node.by:
        _remember(tx, trigger.id, path, "", (), tx.now_micros, tx.now_micros + int(node.within * 1e6))


def _ask(tx: Transaction, trigger: str, node: Condition, path: str, stimulus: Emitted | Expired) -> Hit | None:
    if isinstance(node, On):
        return (stimulus.number,) if isinstance(stimulus, Emitted) and fits(node, stimulus) else None
    if isinstance(node, AnyOf):
        hits = [_ask(tx, trigger, each, f"{path}.{number}", stimulus) for number, each in enumerate(node.of)]
        return next((each for each in hits if each is not None), None)
    if isinstance(node, AllOf):
        return _ask_all(tx, trigger, node, path, stimulus)
    if isinstance(node, Debounce):
        return _ask_debounce(tx, trigger, node, path, stimulus)
    return _ask_absent(tx, trigger, node, path, stimulus)


def _ask_all(tx: Transaction, trigger: str, node: AllOf, path: str, stimulus: Emitted | Expired) -> Hit | None:
    now = to_micros(stimulus.at) if isinstance(stimulus, Emitted) else tx.now_micros
    changed = False
    for number, each in enumerate(node.of):
        found = _ask(tx, trigger, each, f"{path}.{number}", stimulus)
        if found is not None:
            _remember(tx, trigger, path, str(number), found, now, None)
            changed = True
    if not changed:
        return None
    rows = tx.rows(
        "SELECT key, begun_at, events FROM flow_trigger_memory WHERE trigger_id = ? AND path = ?", (trigger, path)
    )
    least = now - int(node.within * 1e6) if node.within else 0
    valid = [(key, begun, events) for key, begun, events in rows if begun >= least]
    if len(valid) < len(node.of):
        return None
    tx.execute("DELETE FROM flow_trigger_memory WHERE trigger_id = ? AND path = ?", (trigger, path))
    events = {int(number) for _, _, text in valid for number in msgspec.json.decode(text)}
    return tuple(sorted(events))


def _ask_debounce(tx: Transaction, trigger: str, node: Debounce, path: str, stimulus: Emitted | Expired) -> Hit | None:
    if isinstance(stimulus, Expired) and stimulus.path == path:
        return stimulus.events
    found = _ask(tx, trigger, node.of, f"{path}.0", stimulus)
    if found is None:
        return None
    now = to_micros(stimulus.at) if isinstance(stimulus, Emitted) else tx.now_micros
    row = tx.row(
        "SELECT begun_at, events FROM flow_trigger_memory WHERE trigger_id = ? AND path = ? AND key = ''",
        (trigger, path),
    )
    begun, before = (now, []) if row is None else (row[0], msgspec.json.decode(row[1]))
    due = now + int(node.seconds * 1e6)
    if node.longest:
        due = min(due, begun + int(node.longest * 1e6))
    _remember(tx, trigger, path, "", tuple([*before, *found][-_MOST_EVENTS:]), begun, due)
    return None


def _ask_absent(tx: Transaction, trigger: str, node: Absent, path: str, stimulus: Emitted | Expired) -> Hit | None:
    if isinstance(stimulus, Expired):
        return stimulus.events if stimulus.path == path else None
    happened = fits(node.of, stimulus)
    begins = fits(node.after, stimulus) if node.after is not None else happened
    if not (happened or begins):
        return None
    found = value_in(stimulus, node.by) if node.by else ""
    if is_missing(found):
        return None
    key = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    if happened and node.after is not None:
        tx.execute(
            "DELETE FROM flow_trigger_memory WHERE trigger_id = ? AND path = ? AND key = ?", (trigger, path, key)
        )
    if begins and not (happened and node.after is not None):
        at = to_micros(stimulus.at)
        _remember(tx, trigger, path, key, (stimulus.number,), at, at + int(node.within * 1e6))
    return None


def _remember(tx: Transaction, trigger: str, path: str, key: str, events: Hit, begun: int, due: int | None) -> None:
    tx.execute(
        "INSERT INTO flow_trigger_memory (trigger_id, path, key, begun_at, due_at, events) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (trigger_id, path, key) DO UPDATE SET begun_at = excluded.begun_at, due_at = excluded.due_at,"
        " events = excluded.events",
        (trigger, path, key, begun, due, msgspec.json.encode(events).decode()),
    )


def _compare(check: Where, value: Any) -> bool:
    wanted = check.value
    if check.op == "in" and not isinstance(wanted, list | tuple):
        raise InvalidInput(f"{check.field}: `in` needs a list of values")
    if check.op == "like" and not isinstance(wanted, str):
        raise InvalidInput(f"{check.field}: `like` needs a pattern")
    if is_missing(value):
        return check.op == "!="
    if check.op in ("==", "!="):
        return bool(value == wanted) == (check.op == "==")
    if check.op == "in":
        return any(value == each for each in wanted)
    if check.op == "contains":
        return _contains(value, wanted)
    if check.op == "like":
        return isinstance(value, str) and fnmatchcase(value, wanted)
    return _ordered(check.op, value, wanted)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list | dict) and any(each == wanted for each in value)


def _ordered(op: str, value: Any, wanted: Any) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (value, wanted))
    if not numbers and not (isinstance(value, str) and isinstance(wanted, str)):
        return False
    if op == ">":
        return bool(value > wanted)
    if op == ">=":
        return bool(value >= wanted)
    return bool(value < wanted if op == "<" else value <= wanted)
