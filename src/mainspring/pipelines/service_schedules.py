"""Schedules and calendars: when flows start by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import now, to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.calendars import days_of, find_calendar, known_days
from mainspring.pipelines.deployments import placed
from mainspring.pipelines.firing import Shot, fire
from mainspring.pipelines.schedules import find_schedule, moments_of, put_schedule, reckoned
from mainspring.pipelines.schedules_moments import Moments
from mainspring.pipelines.tables_schedules import CALENDARS, FIRES, SCHEDULES
from mainspring.pipelines.tick import tick
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Calendar, Fire, MakeUp, Overlap, Schedule, ScheduleWords, Timing
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["ScheduleOperations", "check_start"]

_MOST_MOMENTS = 1000


class ScheduleOperations(RoomService):
    """Schedules and calendars."""

    @operation(permission="pipelines:write", writes=True, resource="name")
    def schedule(
        self,
        name: str,
        *,
        flow: str,
        location: Location = Location(),  # noqa: B008 -- frozen
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        cron: str = "",
        every: float = 0.0,
        at: list[datetime] = [],  # noqa: B006
        tz: str = "UTC",
        exclude: list[str] = [],  # noqa: B006
        only: list[str] = [],  # noqa: B006
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: float = 0.0,
        overlap: Overlap = "skip",
        catch_up: float = 86_400.0,
        make_up: MakeUp = "one",
        pause_after: int = 0,
        deployment: str = "",
        pool: str = "",
        priority: int = 0,
        labels: dict[str, str] = {},  # noqa: B006
        max_attempts: int = 5,
    ) -> Schedule:
        """Start a flow at certain moments; a schedule of the same name is replaced, and keeps what it did.

        `Timing` says what the moments are told by, and `Schedule` what the other words mean; `params` are as
        `values.encode` writes them. With a `deployment`, no `location` is needed.
        """
        check_name(name, what="schedule")
        for what, value in {"catch_up": catch_up, "pause_after": pause_after}.items():
            if not 0 <= value <= 3660 * 86_400:
                raise InvalidInput(f"{what}={value}: from 0 to ten years")
        timing = _timing(cron, every, at, tz, exclude, only, start, end)
        with self.store.write() as tx:
            check_start(tx, flow, location, deployment, pool, priority, max_attempts)
            made = Schedule(
                id=new_id(),
                workspace=caller().workspace,
                name=name,
                flow=flow,
                location=location,
                params=params,
                timing=timing,
                paused=False,
                next_at=None,
                last_at=None,
                created_at=tx.now,
                created_by=caller().principal,
                jitter=jitter,
                overlap=overlap,
                catch_up=catch_up,
                make_up=make_up,
                pause_after=pause_after,
                deployment=deployment,
                pool=pool,
                priority=priority,
                labels=labels,
                max_attempts=max_attempts,
            )
            return _begun(tx, made)

    @operation(permission="pipelines:write", writes=True, resource="name")
    def pause_schedule(self, name: str, *, paused: bool = True) -> Schedule:
        """Stop a schedule, or let it go on from now: moments that passed meanwhile are not made up for."""
        with self.store.write() as tx:
            found = find_schedule(tx, name)
            moments = moments_of(tx, found)
            changed = msgspec.structs.replace(found, paused=paused, paused_because="", failures=0)
            if not paused:
                changed = reckoned(changed, moments, moments.after(tx.now))
            put_schedule(tx, changed)
            tx.note(f"schedule/{name}", paused=paused)
        return changed

    @operation(permission="pipelines:write", writes=True, resource="name")
    def unschedule(self, name: str) -> None:
        """Take a schedule away; runs that it started stay, and what waited for one of them is not started."""
        with self.store.write() as tx:
            found = find_schedule(tx, name)
            tx.execute("DELETE FROM flow_schedule WHERE id = ?", (found.id,))
            tx.execute("DELETE FROM flow_fire WHERE source_id = ? AND outcome = 'buffered'", (found.id,))
            tx.note(f"schedule/{name}", removed=True)

    @operation(permission="pipelines:read")
    def schedules(self) -> list[Schedule]:
        """Every schedule, by name."""
        with self.store.read() as tx:
            return tx.fetch(SCHEDULES, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:write", writes=True, resource="name")
    def start_schedule(self, name: str) -> Fire:
        """Start the flow of a schedule now, in between; its overlap policy holds, its moments stay as they are."""
        with self.store.write() as tx:
            found = find_schedule(tx, name)
            number = tx.now_micros
            shot = Shot("schedule", number, tx.now, f"schedule:{name}:now:{number}", found.params)
            made = fire(self.store.queue, tx, found, shot)
            if made is None:
                raise Conflict(f"the schedule {name} was started in this very moment")
            tx.note(f"schedule/{name}", started=made.run_id)
        return made

    @operation(permission="pipelines:read")
    def next_moments(
        self, name: str, n: int, *, after: datetime | None = None, until: datetime | None = None
    ) -> list[datetime]:
        """The next `n` moments of a schedule, in UTC, without its jitter; those of a range for a calendar's page."""
        with self.store.read() as tx:
            moments = moments_of(tx, find_schedule(tx, name))
            return _listed(moments, after or tx.now, n, until)

    @operation(permission="pipelines:read")
    def explain_schedule(
        self,
        *,
        cron: str = "",
        every: float = 0.0,
        at: list[datetime] = [],  # noqa: B006 -- an operation's defaults are copied
        tz: str = "UTC",
        exclude: list[str] = [],  # noqa: B006
        only: list[str] = [],  # noqa: B006
        start: datetime | None = None,
        end: datetime | None = None,
        n: int = 10,
        after: datetime | None = None,
    ) -> ScheduleWords:
        """What a schedule would mean, in words, and its next moments; nothing is recorded."""
        with self.store.read() as tx:
            timing = _timing(cron, every, at, tz, exclude, only, start, end)
            moments = Moments(timing, known_days(tx))
            found = _listed(moments, after or tx.now, n)
        return ScheduleWords(
            moments.words(), found, [f"{each.astimezone(moments.zone):%a %Y-%m-%d %H:%M:%S %Z}" for each in found]
        )

    @operation(permission="pipelines:read")
    def fires(self, *, kind: str = "", name: str = "", limit: int = 100) -> list[Fire]:
        """What came of the moments of schedules and of the firings of triggers, newest first: started, skipped, why."""
        with self.store.read() as tx:
            return tx.fetch(
                FIRES,
                "WHERE workspace = ? AND (? = '' OR kind = ?) AND (? = '' OR name = ?)"
                " ORDER BY at DESC, number DESC LIMIT ?",
                (caller().workspace, kind, kind, name, name, max(0, min(limit, 1000))),
            )

    def calendar(self, name: str, dates: Sequence[date | str] = (), *, ics: str = "") -> Calendar:
        """Make a named set of days, or replace it: dates, or the text of an iCalendar file.

        Example:
            `client.pipelines.calendar("holidays", ["2026-12-25", "2026-12-26"])`
        """
        days = [each if isinstance(each, date) else date.fromisoformat(each) for each in dates]
        return self.set_calendar(name, dates=days, ics=ics)

    @operation(permission="pipelines:write", writes=True, resource="name")
    def set_calendar(self, name: str, *, dates: list[date] = [], ics: str = "") -> Calendar:  # noqa: B006
        """Make a named set of days, or replace it; schedules that use it are due by it from now on."""
        check_name(name, what="calendar")
        days = days_of(dates, ics)
        with self.store.write() as tx:
            made = Calendar(caller().workspace, name, days, tx.now, caller().principal)
            tx.execute("DELETE FROM flow_calendar WHERE workspace = ? AND name = ?", (made.workspace, name))
            tx.insert(CALENDARS, made)
            for each in _users(tx, name):
                _reckon(tx, each)
            tx.note(f"calendar/{name}", days=len(days))
            tx.announce()
        return made

    @operation(permission="pipelines:read")
    def calendars(self) -> list[Calendar]:
        """Every calendar, by name."""
        with self.store.read() as tx:
            return tx.fetch(CALENDARS, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:write", writes=True, resource="name")
    def remove_calendar(self, name: str) -> None:
        """Take a calendar away that no schedule uses."""
        with self.store.write() as tx:
            find_calendar(tx, name)
            if used := [each.name for each in _users(tx, name)]:
                raise Conflict(
                    f"the calendar {name} is used by {', '.join(used[:5])}", hint="change these schedules first"
                )
            tx.execute("DELETE FROM flow_calendar WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.note(f"calendar/{name}", removed=True)

    @operation(permission="pipelines:admin", writes=True)
    def tick(self) -> int:
        """Start what is due and take up what lost its worker; how much was done. To be called every second or so."""
        return tick(self.store)

    def schedule_flow(
        self, flow: Flow[..., Any], *, name: str = "", params: dict[str, Any] | None = None, **options: Any
    ) -> Schedule:
        """Start `flow` at certain moments, from where it is defined; `options` as in `schedule`.

        Lengths of time may be `timedelta`.

        Example:
            `client.pipelines.schedule_flow(nightly, cron="15 2 * * *", tz="Europe/Paris", exclude=["holidays"])`
        """
        from mainspring.pipelines.deployments_snapshot import encoded_params

        plain: dict[str, Any] = {
            key: each.total_seconds() if isinstance(each, timedelta) else each for key, each in options.items()
        }
        plain.setdefault("max_attempts", flow.max_attempts)
        if not plain.get("deployment"):
            plain["location"] = flow.location()
        encoded = encoded_params(self, flow, params or {})
        return self.schedule(name or flow.name, flow=flow.name, params=encoded, **plain)


def check_start(
    tx: Transaction, flow: str, location: Location, deployment: str, pool: str, priority: int, max_attempts: int
) -> None:
    """Refuse what could never start: a flow that no worker can import, a version that is not there."""
    check_name(flow, what="flow")
    if pool:
        check_name(pool, what="pool")
    if not 1 <= max_attempts <= 1000 or abs(priority) > 1_000_000:
        raise InvalidInput("max_attempts is 1 to 1000, priority -1,000,000 to 1,000,000")
    if not placed(tx, flow, deployment, location).location.address:
        raise InvalidInput(
            f"the flow {flow} is defined where no other process can import it",
            hint="define it at the top of a module, or deploy it: mainspring flow deploy MODULE:FLOW",
        )


def _timing(
    cron: str,
    every: float,
    at: list[datetime],
    tz: str,
    exclude: list[str],
    only: list[str],
    start: datetime | None,
    end: datetime | None,
) -> Timing:
    """What is meant; an interval that begins nowhere begins now."""
    return Timing(
        cron=cron,
        every=every,
        at=tuple(at),
        tz=tz,
        exclude=tuple(exclude),
        only=tuple(only),
        start=start or (now().replace(microsecond=0) if every else None),
        end=end,
    )


def _begun(tx: Transaction, schedule: Schedule) -> Schedule:
    """Record a schedule that waits for its first moment, in place of the one of its name, whose history it keeps."""
    before = tx.fetch_one(SCHEDULES, "WHERE workspace = ? AND name = ?", (schedule.workspace, schedule.name))
    if before is not None:
        schedule = msgspec.structs.replace(schedule, id=before.id, last_at=before.last_at, created_at=before.created_at)
    moments = moments_of(tx, schedule)
    first = moments.after(tx.now)
    if first is None:
        raise InvalidInput(f"the schedule {schedule.name} never comes", hint=moments.words())
    made = reckoned(schedule, moments, first)
    put_schedule(tx, made)
    tx.note(f"schedule/{made.name}", flow=made.flow, moments=moments.words())
    return made


def _listed(moments: Moments, after: datetime, n: int, until: datetime | None = None) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < max(0, min(n, _MOST_MOMENTS)):
        following = moments.after(found[-1] if found else after)
        if following is None or (until is not None and to_micros(following) > to_micros(until)):
            break
        found.append(following)
    return found


def _users(tx: Transaction, calendar: str) -> list[Schedule]:
    found = tx.fetch(SCHEDULES, "WHERE workspace = ?", (caller().workspace,))
    return [each for each in found if calendar in (*each.timing.exclude, *each.timing.only)]


def _reckon(tx: Transaction, schedule: Schedule) -> None:
    """Have a schedule be due by what its calendar says now; what it started stays started."""
    moments = moments_of(tx, schedule)
    since = max(schedule.last_at or schedule.created_at, tx.now)
    changed = reckoned(schedule, moments, moments.after(since))
    if schedule.due_at is not None and schedule.due_at <= tx.now:
        return  # its moment has come already, and is decided by whoever looks next
    put_schedule(tx, changed)
