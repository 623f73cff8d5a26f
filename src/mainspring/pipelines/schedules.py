"""Which moments of a schedule are started now, which are passed over, and when it is due again.

Each moment has a key of its own, unique in the database, so that any number of schedulers start it once, and a clock
that is set back starts nothing again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.pipelines.calendars import known_days
from mainspring.pipelines.schedules_moments import Moments
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.types_schedules import Schedule, Timing
from mainspring.store.transaction import Transaction

__all__ = [
    "Plan",
    "due",
    "find_schedule",
    "key_of",
    "moments_of",
    "move_on",
    "next_moment",
    "plan",
    "put_schedule",
    "reckoned",
]

LATE = timedelta(seconds=60)
"""A moment that is started later than this was missed."""
_AT_ONCE = 100
"""How many moments that were missed are started together; the others follow."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be done with the moments of a schedule that have come."""

    start: list[datetime]
    """Moments to be started, in order."""
    passed: tuple[datetime, datetime] | None
    """The first and the last moment that were missed and are not made up for."""
    next_at: datetime | None


def next_moment(*, after: datetime, cron: str = "", every: float = 0.0, tz: str = "UTC") -> datetime:
    """The first moment after `after` that cron fields mean, in UTC; with `every`, so many seconds after it.

    Raises:
        InvalidInput: Not exactly one of `cron` and `every`, or one that cannot be read, or an unknown zone.

    Example:
        >>> from datetime import UTC
        >>> str(next_moment(after=datetime(2026, 11, 1, 4, tzinfo=UTC), cron="15 1 * * *", tz="America/New_York"))
        '2026-11-01 05:15:00+00:00'
    """
    found = Moments(Timing(cron=cron, every=every, tz=tz, start=after if every else None)).after(after)
    if found is None:
        raise InvalidInput(f"cron {cron!r} never comes")
    return found.astimezone(after.tzinfo)


def moments_of(tx: Transaction, schedule: Schedule) -> Moments:
    """The moments of a schedule, with the calendars as they are now."""
    seed = f"{schedule.workspace}|{schedule.name}"
    return Moments(schedule.timing, known_days(tx), jitter=schedule.jitter, seed=seed)


def find_schedule(tx: Transaction, name: str) -> Schedule:
    """The schedule of that name."""
    found = tx.fetch_one(SCHEDULES, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if found is None:
        names = [row[0] for row in tx.rows("SELECT name FROM flow_schedule WHERE workspace = ?", (caller().workspace,))]
        raise NotFound(f"there is no schedule {name!r}", known=nearest(name, names))
    return found


def due(tx: Transaction, *, limit: int = 100) -> list[Schedule]:
    """Schedules of all workspaces whose moment has come."""
    return tx.fetch(SCHEDULES, "WHERE paused = 0 AND due_at <= ? ORDER BY due_at LIMIT ?", (tx.now_micros, limit))


def key_of(name: str, moment: datetime) -> str:
    """The key of the run of a moment: the same whoever starts it."""
    return f"schedule:{name}:{moment:%Y-%m-%dT%H:%M:%S}" + (f".{moment:%f}Z" if moment.microsecond else "Z")


def plan(schedule: Schedule, moments: Moments, now: datetime) -> Plan:
    """What is to be done at `now`, when the schedule's next moment has come."""
    first = schedule.next_at
    if first is None or moments.due(first) > now:
        return Plan([], None, first)
    horizon = now - max(timedelta(seconds=schedule.catch_up), LATE)
    begin = max(first, horizon)
    only = moments.after(first)
    if first >= horizon and (only is None or only > now):  # nearly always: one moment has come
        worth = schedule.make_up != "none" or now - moments.due(first) <= LATE
        return Plan([first] if worth else [], None if worth else (first, first), only)
    last = moments.last_until(now, not_before=begin - timedelta(microseconds=1))
    if last is not None and moments.due(last) > now:  # its share of the jitter has not passed
        following: datetime | None = last
        last = moments.last_until(last - timedelta(microseconds=1), not_before=begin - timedelta(microseconds=1))
    else:
        following = moments.after(now)
    if last is None:  # everything that came is too old
        return Plan([], (first, max(first, horizon)), following)
    if schedule.make_up == "all":
        return _each(moments, first, begin, last, following)
    worth = schedule.make_up == "one" or now - moments.due(last) <= LATE
    passed = (first, last) if first < last or not worth else None
    return Plan([last] if worth else [], passed, following)


def _each(moments: Moments, first: datetime, begin: datetime, last: datetime, following: datetime | None) -> Plan:
    wanted: list[datetime] = []
    for each in moments.between(begin, last):
        if len(wanted) == _AT_ONCE:
            following = each  # it is due still, and comes with the next look
            break
        wanted.append(each)
    return Plan(wanted, (first, begin) if wanted and first < wanted[0] else None, following)


def reckoned(schedule: Schedule, moments: Moments, next_at: datetime | None) -> Schedule:
    """The schedule with another next moment."""
    due_at = None if next_at is None else moments.due(next_at)
    return msgspec.structs.replace(schedule, next_at=next_at, due_at=due_at)


def put_schedule(tx: Transaction, schedule: Schedule) -> None:
    """Record a schedule as it is now, and have every scheduler look at when it is due."""
    tx.execute("DELETE FROM flow_schedule WHERE workspace = ? AND name = ?", (schedule.workspace, schedule.name))
    tx.insert(SCHEDULES, schedule)
    tx.announce()


def move_on(tx: Transaction, schedule: Schedule, moments: Moments, done: Plan) -> None:
    """Record what was done with the moments that had come."""
    moved = reckoned(schedule, moments, done.next_at)
    last = done.start[-1] if done.start else (done.passed[1] if done.passed else schedule.last_at)
    tx.execute(
        "UPDATE flow_schedule SET next_at = ?, due_at = ?, last_at = ? WHERE id = ?",
        (
            None if moved.next_at is None else to_micros(moved.next_at),
            None if moved.due_at is None else to_micros(moved.due_at),
            None if last is None else to_micros(last),
            schedule.id,
        ),
    )
