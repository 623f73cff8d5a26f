"""Calendars: named sets of days, given as dates or as the text of an iCalendar file.

The reader of iCalendar is by hand because only whole days matter here, and they are four properties of an event; a
rule of recurrence is expanded by python-dateutil.

Source: RFC 5545, Internet Calendaring and Scheduling Core Object Specification, 2009.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from mainspring.kernel.clock import now
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound, nearest
from mainspring.pipelines.tables_schedules import CALENDARS
from mainspring.store.transaction import Transaction

__all__ = ["LONGEST", "days_of", "find_calendar", "known_days", "read_ics"]

LONGEST = 20_000
"""Days that a calendar has at most."""
_YEARS_AHEAD = 20


def days_of(days: Sequence[date], ics: str) -> tuple[date, ...]:
    """The days of a calendar, in order, each once."""
    found = tuple(sorted({*days, *(read_ics(ics) if ics else ())}))
    if not found:
        raise InvalidInput(
            "a calendar needs at least one day", hint='dates=["2026-12-25"], or the text of an .ics file'
        )
    if len(found) > LONGEST:
        raise InvalidInput(f"a calendar has at most {LONGEST} days, not {len(found)}")
    return found


def read_ics(text: str) -> list[date]:
    r"""The days of the events of an iCalendar text: each day that an event touches.

    Example:
        >>> read_ics("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261226\nEND:VEVENT")
        [datetime.date(2026, 12, 24), datetime.date(2026, 12, 25)]
    """
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    found: list[date] = []
    event: dict[str, list[str]] | None = None
    inner = 0
    for line in lines:
        name, _, value = line.partition(":")
        key = name.partition(";")[0].strip().upper()
        if key == "BEGIN":
            inner += event is not None
            event = {} if value.strip().upper() == "VEVENT" else event
        elif key == "END" and value.strip().upper() == "VEVENT" and event is not None:
            found += _days_of_event(event)
            event, inner = None, 0
        elif key == "END":
            inner = max(0, inner - 1)
        elif event is not None and not inner:
            event.setdefault(key, []).append(value.strip())
    if not found:
        raise InvalidInput("the text has no event with a day", hint="an iCalendar file with VEVENT and DTSTART")
    return found


def find_calendar(tx: Transaction, name: str) -> frozenset[date]:
    """The days of the calendar of that name."""
    found = tx.fetch_one(CALENDARS, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if found is None:
        rows = tx.rows("SELECT name FROM flow_calendar WHERE workspace = ?", (caller().workspace,))
        raise NotFound(
            f"there is no calendar {name!r}",
            known=nearest(name, [row[0] for row in rows]),
            hint='client.pipelines.calendar("holidays", dates=["2026-12-25"]) makes one',
        )
    return frozenset(found.days)


class known_days(Mapping[str, frozenset[date]]):  # noqa: N801 -- it is asked like a function of names
    """The calendars of the caller's workspace, each read when it is first asked for."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._found: dict[tuple[str, str], frozenset[date]] = {}

    def __getitem__(self, name: str) -> frozenset[date]:
        key = (caller().workspace, name)
        if key not in self._found:
            self._found[key] = find_calendar(self._tx, name)
        return self._found[key]

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 -- nobody walks it
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _days_of_event(event: dict[str, list[str]]) -> list[date]:
    if not event.get("DTSTART"):
        return []
    first = _day(event["DTSTART"][0])
    last = first + timedelta(days=1)
    if event.get("DTEND"):
        last = max(last, _day(event["DTEND"][0]))
    if (last - first).days > LONGEST:
        raise InvalidInput(f"an event from {first} to {last} is longer than a calendar may be")
    days = [first + timedelta(days=n) for n in range((last - first).days)]
    for rule in event.get("RRULE", ()):
        days += _repeated(rule, first, (last - first).days)
    extra = [_day(part) for text in event.get("RDATE", ()) for part in text.split(",")]
    gone = {_day(part) for text in event.get("EXDATE", ()) for part in text.split(",")}
    return [day for day in [*days, *extra] if day not in gone]


def _repeated(rule: str, first: date, length: int) -> list[date]:
    try:
        from dateutil.rrule import rrulestr
    except ImportError:
        raise MissingDependency("python-dateutil", extra="quality") from None
    start = datetime(first.year, first.month, first.day)  # noqa: DTZ001 -- whole days have no zone
    plain = re.sub(r"(UNTIL=\d{8})T\d{6}Z?", r"\1", rule)
    try:
        begins = rrulestr(plain, dtstart=start).between(
            start,
            start.replace(year=min(9999, max(first.year, now().year) + _YEARS_AHEAD), day=1),
            inc=True,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"the rule {rule!r} cannot be read: {error}") from error
    if len(begins) * length > LONGEST:
        raise InvalidInput(f"the rule {rule!r} means more than {LONGEST} days")
    return [each.date() + timedelta(days=n) for each in begins for n in range(length)]


def _day(text: str) -> date:
    found = re.match(r"(\d{4})(\d{2})(\d{2})", text.strip())
    try:
        if found is None:
            raise ValueError(text)
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise InvalidInput(f"{text!r} is not a day of an iCalendar") from None
