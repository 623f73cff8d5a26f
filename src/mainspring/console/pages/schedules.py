"""Schedules in words with their next moments, what came of the last ones, and a month of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.schedules_moments import zone_named
from mainspring.pipelines.types_overview import DayMarks, ScheduleOutlook
from mainspring.pipelines.types_schedules import Calendar, Fire

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_FIRES = 40
_IN_DAY = 6
"""Schedules that a day of the month names; the rest is counted."""


class ScheduleRow(msgspec.Struct, frozen=True):
    """A schedule."""

    outlook: ScheduleOutlook
    flow_href: str
    month_href: str
    local: list[str]
    """Its next moments in its own zone."""
    backfill_href: str


class FireRow(msgspec.Struct, frozen=True):
    """One moment of a schedule, or one firing of a trigger, and what came of it."""

    fire: Fire
    href: str


class SchedulesPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `schedules.html`."""

    template = "schedules.html"

    rows: list[ScheduleRow]
    name: str
    everything: str
    fires: list[FireRow]
    calendars: list[Calendar]


class Day(msgspec.Struct, frozen=True):
    """A day of the month."""

    day: date
    inside: bool
    """Whether it is of the month that is shown."""
    today: bool
    marks: list[Mark]
    more: int


class Mark(msgspec.Struct, frozen=True):
    """A schedule on a day."""

    marks: DayMarks
    text: str
    """What it did and will do, in words."""
    state: str
    """The worst of what it did; `ahead` when all is to come."""
    href: str


class MonthPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `calendar.html`."""

    template = "calendar.html"

    month: str
    weeks: list[list[Day]]
    before: str
    after: str
    now_href: str
    name: str
    names: list[Crumb]
    tz: str


def schedules(client: Client, ask: Ask) -> SchedulesPage:
    """Every schedule, or the one of a `name`."""
    name = ask.get("name")
    found = client.pipelines.schedule_outlook(n=3, name=name)
    fires = client.pipelines.fires(kind="schedule", name=name, limit=_FIRES)
    return SchedulesPage(
        title="Schedules",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        parts=parts(ask, "Schedules"),
        rows=[_row(each, ask) for each in found],
        name=name,
        everything=ask.here(name=""),
        fires=[FireRow(each, ask.link(f"/flows/{each.run_id}") if each.run_id else "") for each in fires],
        calendars=client.pipelines.calendars(),
    )


def _row(found: ScheduleOutlook, ask: Ask) -> ScheduleRow:
    schedule = found.schedule
    zone = zone_named(schedule.tz)
    return ScheduleRow(
        outlook=found,
        flow_href=ask.link(f"/flows/of/{schedule.flow}"),
        month_href=ask.link("/flows/calendar", name=schedule.name, tz="" if schedule.tz == "UTC" else schedule.tz),
        local=[f"{each.astimezone(zone):%a %-d %b, %H:%M}" for each in found.moments],
        backfill_href=ask.link("/flows/backfills", schedule=schedule.name),
    )


def month(client: Client, ask: Ask) -> MonthPage:
    """What fires when in a month, and what came of what fired; days are those of the zone `tz`."""
    name, tz = ask.get("name"), ask.get("tz") or "UTC"
    zone = zone_named(tz)
    today = ask.now.astimezone(zone).date()
    first = _month_of(ask.get("month"), today)
    begin = first - timedelta(days=first.weekday())
    following = (first + timedelta(days=32)).replace(day=1)
    end = following + timedelta(days=(7 - following.weekday()) % 7)
    found = client.pipelines.schedule_days(begin, end - timedelta(days=1), tz=tz, name=name)
    names = sorted({each.schedule.name for each in client.pipelines.schedule_outlook(n=0)})
    on: dict[date, list[DayMarks]] = {}
    for each in found:
        on.setdefault(each.day, []).append(each)
    days = [begin + timedelta(days=number) for number in range((end - begin).days)]
    shown = [_day(each, on.get(each, []), first, today, ask) for each in days]
    return MonthPage(
        title=f"{first:%B %Y}",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        parts=parts(ask, "Calendar"),
        month=f"{first:%Y-%m}",
        weeks=[shown[at : at + 7] for at in range(0, len(shown), 7)],
        before=ask.here(month=f"{first - timedelta(days=1):%Y-%m}"),
        after=ask.here(month=f"{following:%Y-%m}"),
        now_href=ask.here(month=""),
        name=name,
        names=[Crumb("every schedule", ask.here(name="")), *(Crumb(each, ask.here(name=each)) for each in names[:200])],
        tz=tz,
    )


def _month_of(text: str, today: date) -> date:
    if not text:
        return today.replace(day=1)
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise InvalidInput(f"month={text[:40]!r} is none", hint="as in month=2026-12") from None
    if not 1971 <= found.year <= 9998:
        raise InvalidInput(f"month={text[:40]!r} is too far away")
    return found


def _day(day: date, marks: list[DayMarks], first: date, today: date, ask: Ask) -> Day:
    shown = [_mark(each, ask) for each in marks[:_IN_DAY]]
    return Day(day, day.month == first.month, day == today, shown, len(marks) - len(shown))


def _mark(marks: DayMarks, ask: Ask) -> Mark:
    zone = zone_named(ask.get("tz") or "UTC")
    bad = next((state for state in ("failed", "crashed", "missed", "cancelled") if state in marks.past), "")
    state = bad or next(iter(marks.past), "") or "ahead"
    told = [f"{count} {word}" for word, count in marks.past.items()]
    if marks.ahead and marks.first:
        at = f"{marks.first.astimezone(zone):%H:%M}"
        told.append(f"at {at}" if marks.ahead == 1 else f"{marks.ahead} times from {at}")
    one = sum(marks.past.values()) == 1 and marks.run_id
    href = ask.link(f"/flows/{marks.run_id}") if one else ask.link("/flows/schedules", name=marks.name)
    return Mark(marks, ", ".join(told), state, href)


ENTRIES = (Entry("/flows/schedules", schedules), Entry("/flows/calendar", month))
