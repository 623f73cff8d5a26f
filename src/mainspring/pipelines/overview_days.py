"""Schedules at a glance: in words, and what each does on the days of a month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.context import caller
from mainspring.pipelines.schedules import moments_of
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.types_overview import DayMarks, ScheduleOutlook
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.transaction import Transaction

__all__ = ["days_of_schedules", "outlook", "schedules_named"]

_MOST_MOMENTS = 3000
"""Of one schedule in a range: those of every quarter of an hour for a month."""
_MOST_FIRES = 50_000
_Day = tuple[date, str, str]


def schedules_named(tx: Transaction, name: str, limit: int) -> list[Schedule]:
    """The schedule of this name, or all of them by name."""
    where = "WHERE workspace = ? AND (? = '' OR name = ?) ORDER BY name LIMIT ?"
    return tx.fetch(SCHEDULES, where, (caller().workspace, name, name, limit))


def outlook(tx: Transaction, schedule: Schedule, count: int) -> ScheduleOutlook:
    """A schedule in words, with its next moments; one that is paused has none."""
    moments = moments_of(tx, schedule)
    found: list[datetime] = []
    following = None if schedule.paused else moments.after(tx.now)
    while following is not None and len(found) < count:
        found.append(following)
        following = moments.after(following)
    return ScheduleOutlook(schedule, moments.words(), found)


def days_of_schedules(
    tx: Transaction, schedules: Sequence[Schedule], first: date, last: date, zone: ZoneInfo, name: str
) -> list[DayMarks]:
    """What each schedule did, and will do, on each day from `first` to `last`, both included."""
    begin, end = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (first, last + timedelta(days=1)))
    past = _past(tx, {each.name: each.flow for each in schedules}, begin, end, zone, name)
    ahead: dict[_Day, list[datetime]] = {}
    for each in schedules:
        for moment in _ahead(tx, each, begin, end):
            ahead.setdefault((moment.astimezone(zone).date(), each.name, each.flow), []).append(moment)
    found = []
    for day, schedule, flow in sorted({*past, *ahead}):
        moments = ahead.get((day, schedule, flow), [])
        counts, run = past.get((day, schedule, flow), ({}, ""))
        found.append(DayMarks(day, schedule, flow, len(moments), moments[0] if moments else None, counts, run))
    return found


def _past(
    tx: Transaction, flows: dict[str, str], begin: datetime, end: datetime, zone: ZoneInfo, name: str
) -> dict[_Day, tuple[dict[str, int], str]]:
    rows = tx.rows(
        "SELECT f.name, f.fire_at, f.outcome, f.run_id, r.flow, r.state FROM flow_fire f"
        " LEFT JOIN flow_run r ON r.id = f.run_id WHERE f.workspace = ? AND f.kind = 'schedule'"
        " AND f.at >= ? AND f.fire_at >= ? AND f.fire_at < ? AND (? = '' OR f.name = ?) ORDER BY f.fire_at LIMIT ?",
        (caller().workspace, to_micros(begin), to_micros(begin), to_micros(end), name, name, _MOST_FIRES),
    )
    found: dict[_Day, tuple[dict[str, int], str]] = {}
    for schedule, at, outcome, run, flow, state in rows:
        day = from_micros(int(at)).astimezone(zone).date()
        key = (day, str(schedule), str(flow or flows.get(str(schedule), "")))
        counts, last = found.get(key, ({}, ""))
        word = str(state or outcome)
        counts[word] = counts.get(word, 0) + 1
        found[key] = (counts, str(run or last))
    return found


def _ahead(tx: Transaction, schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    if schedule.paused or schedule.next_at is None or schedule.next_at >= end:
        return []
    found: list[datetime] = []
    for moment in moments_of(tx, schedule).between(max(begin, schedule.next_at), end):
        if len(found) >= _MOST_MOMENTS or moment >= end:
            break
        found.append(moment)
    return found
