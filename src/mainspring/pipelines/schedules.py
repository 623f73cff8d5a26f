"""When flows start by themselves: cron fields in a time zone, or every so many seconds.

Moments are computed by cronsim, which follows Debian's cron through the changes of daylight saving time: what falls
into the hour that is skipped runs right after it, what falls into the hour that is repeated runs once. Each moment has
a key of its own, unique in the database, so that any number of schedulers start it once, and a clock that is set back
starts nothing again. Moments missed by less than a day are made up for by one start; older ones are passed over.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.pipelines.tables_schedules import SCHEDULES
from mainspring.pipelines.types_schedules import Schedule
from mainspring.store.transaction import Transaction

__all__ = ["advance", "due", "find_schedule", "next_moment"]

CATCH_UP = timedelta(days=1)
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_YEARS = 10 * 366 * 86_400.0


def next_moment(*, after: datetime, cron: str = "", every: float = 0.0, tz: str = "UTC") -> datetime:
    """The first moment after `after` that a schedule means, in UTC.

    Raises:
        InvalidInput: Not exactly one of `cron` and `every`, or one that cannot be read, or an unknown zone.

    Example:
        >>> from datetime import UTC
        >>> str(next_moment(after=datetime(2026, 11, 1, 4, tzinfo=UTC), cron="15 1 * * *", tz="America/New_York"))
        '2026-11-01 05:15:00+00:00'
    """
    if bool(cron) == bool(every):
        raise InvalidInput("a schedule has either `cron` or `every`", hint='cron="0 3 * * *", or every=3600')
    zone = _zone(tz)
    if every:
        if not 1 <= every <= _YEARS:
            raise InvalidInput(f"every={every}: a schedule goes from once a second to once in ten years")
        return after + timedelta(seconds=every)
    from cronsim import CronSim, CronSimError

    fields = _ALIASES.get(cron.strip(), cron.strip())
    if len(fields.split()) != 5:
        raise InvalidInput(
            f"cron {cron!r} does not have five fields", hint="minute hour day-of-month month day-of-week"
        )
    try:
        found: datetime = next(CronSim(fields, after.astimezone(zone)))
    except CronSimError as error:
        raise InvalidInput(
            f"cron {cron!r} cannot be read: {error}", hint="minute hour day-of-month month day-of-week"
        ) from error
    except StopIteration:
        raise InvalidInput(f"cron {cron!r} never comes") from None
    return found.astimezone(after.tzinfo)


def find_schedule(tx: Transaction, name: str) -> Schedule:
    """The schedule of that name."""
    found = tx.fetch_one(SCHEDULES, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if found is None:
        names = [row[0] for row in tx.rows("SELECT name FROM flow_schedule WHERE workspace = ?", (caller().workspace,))]
        raise NotFound(f"there is no schedule {name!r}", known=nearest(name, names))
    return found


def due(tx: Transaction, *, limit: int = 100) -> list[Schedule]:
    """Schedules of all workspaces whose moment has come."""
    return tx.fetch(SCHEDULES, "WHERE paused = 0 AND next_at <= ? ORDER BY next_at LIMIT ?", (tx.now_micros, limit))


def advance(tx: Transaction, schedule: Schedule) -> bool:
    """Move a due schedule on to its next moment in the future; whether the present one is still worth starting."""
    following = next_moment(after=schedule.next_at, cron=schedule.cron, every=schedule.every, tz=schedule.tz)
    if following <= tx.now:
        following = next_moment(after=tx.now, cron=schedule.cron, every=schedule.every, tz=schedule.tz)
    tx.execute(
        "UPDATE flow_schedule SET next_at = ?, last_at = ? WHERE id = ?",
        (to_micros(following), to_micros(schedule.next_at), schedule.id),
    )
    return tx.now - schedule.next_at <= CATCH_UP


def _zone(name: str) -> ZoneInfo:
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidInput(f"{name!r} is not a time zone", hint='a name like "Europe/Riga" or "UTC"') from error
