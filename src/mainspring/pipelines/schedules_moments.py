"""The moments that a schedule means: a pure function of its words, a calendar, and the moment after which is asked.

Cron fields are read by cronsim, which follows Debian's cron through the changes of daylight saving time: what falls
into the hour that is skipped runs right after it, what falls into the hour that is repeated runs once. Other readers
differ there: they skip a day, shift by an hour, or start twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types_schedules import Timing

__all__ = ["Moments", "zone_named"]

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS_HINT = "minute hour day-of-month month day-of-week"
_MOST_SECONDS = 10 * 366 * 86_400.0
_MOST_AT = 10_000
_MOST_WORDS = 100
_PATIENCE = 20_000  # candidates that are looked at before no moment is said to come
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")
_SHORT = timedelta(microseconds=1)


class Moments:
    """The moments of a `Timing`.

    Args:
        timing: What is meant.
        calendars: The days of each calendar that it may name.
        jitter: Seconds by which a moment is put off at most.
        seed: What the share of each moment in the jitter hangs on: the schedule's name.

    Raises:
        InvalidInput: Not exactly one of `cron`, `every` and `at`, or one that cannot be read.
        NotFound: There is no calendar of a name that it uses.

    Example:
        >>> nightly = Moments(Timing(cron="15 1 * * *", tz="America/New_York"))
        >>> str(nightly.after(datetime(2026, 11, 1, 4, tzinfo=UTC)))
        '2026-11-01 05:15:00+00:00'
    """

    def __init__(
        self,
        timing: Timing,
        calendars: Mapping[str, frozenset[date]] | None = None,
        *,
        jitter: float = 0.0,
        seed: str = "",
    ) -> None:
        if bool(timing.cron) + bool(timing.every) + bool(timing.at) != 1:
            raise InvalidInput(
                "a schedule has one of `cron`, `every` and `at`", hint='cron="0 3 * * *", every=3600, or at=[...]'
            )
        self.timing = timing
        self.zone = zone_named(timing.tz)
        self._jitter = _bounded(jitter, "jitter", 0.0)
        self._seed = seed
        self._fields = _readable(timing.cron) if timing.cron else ""
        self._step = timedelta(seconds=_bounded(timing.every, "every", 1.0)) if timing.every else timedelta()
        if len(timing.at) > _MOST_AT:
            raise InvalidInput(f"`at` has at most {_MOST_AT} moments, not {len(timing.at)}")
        self._at = sorted({_utc(each) for each in timing.at})
        self._start = None if timing.start is None else _utc(timing.start)
        self._end = None if timing.end is None else _utc(timing.end)
        known = {} if calendars is None else calendars
        if len(timing.exclude) + len(timing.only) > _MOST_WORDS:
            raise InvalidInput(f"a schedule leaves out or keeps to at most {_MOST_WORDS} things")
        self._exclude = [_rule(word, known) for word in timing.exclude]
        self._only = [_rule(word, known) for word in timing.only]

    def after(self, moment: datetime) -> datetime | None:
        """The first moment after this one, in UTC; None when none comes."""
        moment = _utc(moment)
        if self._start is not None and moment < self._start:
            moment = self._start - _SHORT
        for _ in range(_PATIENCE):
            found = self._candidate(moment)
            if found is None or (self._end is not None and found > self._end):
                return None
            onward = self._onward(found)
            if onward is None:
                return found
            moment = onward
        return None

    def between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The moments from `first` to `last`, both included, in order."""
        found, last = self.after(_utc(first) - _SHORT), _utc(last)
        while found is not None and found <= last:
            yield found
            found = self.after(found)

    def last_until(self, moment: datetime, *, not_before: datetime) -> datetime | None:
        """The last moment up to this one, of those after `not_before`."""
        span = timedelta(minutes=10)
        while True:
            begin = max(moment - span, not_before)
            last = None
            for last in self.between(begin + _SHORT, moment):  # noqa: B007 -- the last one is what is asked for
                pass
            if last is not None or begin <= not_before:
                return last
            span *= 2

    def due(self, moment: datetime) -> datetime:
        """When the moment starts what it starts: the same for all who ask, and before the next moment."""
        if not self._jitter:
            return moment
        following = self.after(moment)
        room = to_micros(following) - to_micros(moment) if following is not None else int(_MOST_SECONDS * 1e6)
        most = min(int(self._jitter * 1e6), room)
        share = int.from_bytes(blake2b(f"{self._seed}|{to_micros(moment)}".encode(), digest_size=8).digest())
        return from_micros(to_micros(moment) + share % max(1, most))

    def words(self) -> str:
        """What is meant, in English."""
        timing = self.timing
        if self._fields:
            from cronsim import CronSim

            text = f"{CronSim(self._fields, datetime(2000, 1, 1)).explain()} ({timing.tz})"  # noqa: DTZ001
        elif timing.every:
            text = f"Every {_span(timing.every)}"
        else:
            text = "At " + ", ".join(f"{each.astimezone(self.zone):%Y-%m-%d %H:%M}" for each in self._at[:5])
            text += f" and {len(self._at) - 5} more" if len(self._at) > 5 else ""
        if timing.only:
            text += f", only on {', '.join(timing.only)}"
        if timing.exclude:
            text += f", except on {', '.join(timing.exclude)}"
        if timing.start is not None and not timing.every:
            text += f", from {timing.start.astimezone(self.zone):%Y-%m-%d %H:%M}"
        if timing.end is not None:
            text += f", until {timing.end.astimezone(self.zone):%Y-%m-%d %H:%M}"
        if self._jitter:
            text += f", up to {_span(self._jitter)} later"
        return text

    def _candidate(self, moment: datetime) -> datetime | None:
        if self._at:
            return next((each for each in self._at if each > moment), None)
        try:
            if self._step:
                origin = self._start or from_micros(0)
                count = max(0, (moment - origin) // self._step + 1)
                return origin + count * self._step
            from cronsim import CronSim

            found: datetime = next(CronSim(self._fields, moment.astimezone(self.zone)))
            return found.astimezone(UTC)
        except (StopIteration, OverflowError, ValueError):
            return None  # nothing until the end of time

    def _onward(self, found: datetime) -> datetime | None:
        """None for a moment that counts; otherwise the moment behind which to go on looking."""
        if not self._exclude and not self._only:
            return None
        local = found.astimezone(self.zone)
        if any(rule.days is not None and local.date() in rule.days for rule in self._exclude):
            return self._midnight(local.date() + timedelta(days=1))
        if any(rule.fits(local) for rule in self._exclude):
            return found
        if not self._only or any(rule.fits(local) for rule in self._only):
            return None
        if any(rule.days is None for rule in self._only):
            return found
        later = [day for rule in self._only for day in rule.days or () if day > local.date()]
        return self._midnight(min(later)) if later else datetime.max.replace(tzinfo=UTC) - timedelta(days=2)

    def _midnight(self, day: date) -> datetime:
        """Just before a day begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC) - _SHORT


class _Rule:
    """One word of `exclude` or `only`."""

    def __init__(self, days: frozenset[date] | None, fields: str = "") -> None:
        self.days = days
        self._fields = fields

    def fits(self, local: datetime) -> bool:
        if self.days is not None:
            return local.date() in self.days
        from cronsim import CronSim

        minute = local.replace(tzinfo=None, second=0, microsecond=0)
        try:
            return bool(next(CronSim(self._fields, minute - timedelta(seconds=1))) == minute)
        except StopIteration:
            return False


def _rule(word: str, calendars: Mapping[str, frozenset[date]]) -> _Rule:
    if found := _DAY.fullmatch(word):
        try:
            first = date.fromisoformat(found[1])
            last = date.fromisoformat(found[2] or found[1])
        except ValueError as error:
            raise InvalidInput(f"{word!r} is not a day or a range of days: {error}") from None
        if not 0 <= (last - first).days <= 20_000:
            raise InvalidInput(f"{word!r} is no range of days", hint="first..last, of at most 20,000 days")
        return _Rule(frozenset(first + timedelta(days=n) for n in range((last - first).days + 1)))
    if len(word.split()) == 5:
        return _Rule(None, _readable(word))
    return _Rule(calendars[word])


def _readable(cron: str) -> str:
    """The five fields, checked."""
    fields = _ALIASES.get(cron.strip(), cron.strip())
    if len(fields.split()) != 5 or len(fields) > 1000:
        raise InvalidInput(f"cron {cron[:100]!r} does not have five fields", hint=_FIELDS_HINT)
    from cronsim import CronSim, CronSimError

    try:
        CronSim(fields, datetime(2000, 1, 1))  # noqa: DTZ001 -- only read
    except (CronSimError, ValueError, AssertionError) as error:
        raise InvalidInput(f"cron {cron!r} cannot be read: {error}", hint=_FIELDS_HINT) from error
    return fields


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name."""
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise InvalidInput(f"{name!r} is not a time zone", hint='a name like "Europe/Riga" or "UTC"') from error


def _bounded(value: float, what: str, least: float) -> float:
    if not least <= value <= _MOST_SECONDS:
        raise InvalidInput(f"{what}={value}: from {least:g} seconds to ten years")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return from_micros(to_micros(moment))
    except (OverflowError, AttributeError, TypeError):
        raise InvalidInput(f"{moment!r} is not a moment") from None


def _span(seconds: float) -> str:
    """A length of time in words."""
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count > 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"
