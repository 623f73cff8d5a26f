"""Schedules: the right moments across daylight saving, calendars and clocks, each started once, by any policy."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.client.client import Client, connect
from mainspring.kernel import clock
from mainspring.kernel.errors import Conflict, InvalidInput, MissingDependency, NotFound
from mainspring.pipelines.calendars import read_ics
from mainspring.pipelines.schedules import LATE, next_moment, plan
from mainspring.pipelines.schedules_moments import Moments
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Schedule, Timing

HERE = Location(address="somewhere:flow")
ZONES = ("UTC", "America/New_York", "Europe/Riga", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# What Debian's cron does where the clock is changed, published in the guide to schedules as it stands here.
CHANGES = [
    # the hour that comes twice, New York, 2026-11-01: once, the first time
    ("15 1 * * *", "America/New_York", "2026-11-01T04:00", ["2026-11-01T05:15", "2026-11-02T06:15"]),
    # every hour is not "at a time": it goes on by the hour, also through the hour that comes twice
    ("15 * * * *", "America/New_York", "2026-11-01T05:00", ["2026-11-01T05:15", "2026-11-01T06:15"]),
    # the hour that is skipped, New York, 2026-03-08: right after it
    ("30 2 * * *", "America/New_York", "2026-03-08T05:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    ("0 */2 * * *", "America/New_York", "2026-03-08T06:30", ["2026-03-08T08:00", "2026-03-08T10:00"]),
    # midnight is there on the day of the change, and the day after it is not left out
    ("0 0 * * *", "Europe/Riga", "2026-03-28T22:30", ["2026-03-29T21:00", "2026-03-30T21:00"]),
    # a change of half an hour, Lord Howe, 2026-10-04, from 02:00 to 02:30
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
]


@pytest.mark.parametrize(("cron", "tz", "after", "expected"), CHANGES)
def test_moments_follow_debian_cron_where_the_clock_is_changed(
    cron: str, tz: str, after: str, expected: list[str]
) -> None:
    moments = Moments(Timing(cron=cron, tz=tz))
    first = moments.after(at(after))
    assert first is not None
    assert [first, moments.after(first)] == [at(text) for text in expected]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 3 * * *", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("@monthly", "2026-01-31T12:00", "2026-02-01T00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 9 * * MON#1", "2026-01-01T00:00", "2026-01-05T09:00"),
        ("0 0 L * *", "2026-02-01T00:00", "2026-02-28T00:00"),
    ],
)
def test_the_fields_of_cron(cron: str, after: str, expected: str) -> None:
    assert next_moment(after=at(after), cron=cron) == at(expected)


@pytest.mark.parametrize(
    "words",
    [
        {"cron": "* * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "61 * * * *"},
        {"cron": "* * * * * *"},
        {},
        {"cron": "* * * * *", "every": 5},
        {"every": -1},
        {"every": 60, "tz": "../etc/passwd"},
        {"every": 60, "tz": "Nowhere/At_All"},
    ],
)
def test_what_means_no_moments_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        next_moment(after=at("2026-01-01"), **words)


def test_days_are_left_out_or_kept_to() -> None:
    holidays = {"holidays": frozenset({date(2026, 12, 25), date(2026, 12, 26)})}
    daily = Moments(Timing(cron="0 9 * * *", exclude=("holidays", "2026-12-24", "* * * * 6,0")), holidays)
    found = [each.date() for each in daily.between(at("2026-12-23"), at("2026-12-31"))]
    assert found == [date(2026, 12, day) for day in (23, 28, 29, 30)]
    only = Moments(Timing(cron="0 9 * * *", only=("2030-01-05..2030-01-06",)))
    assert only.after(at("2026-01-01")) == at("2030-01-05T09:00")
    assert only.after(at("2030-01-06T09:00")) is None
    # a day is that of the schedule's zone: 23:30 in New York is the day after in UTC
    late = Moments(Timing(cron="30 23 * * *", tz="America/New_York", exclude=("2026-12-25",)))
    assert late.after(at("2026-12-25T12:00")) == at("2026-12-27T04:30")
    bounded = Moments(Timing(every=3600, start=at("2026-01-01T00:10"), end=at("2026-01-01T02:30")))
    assert list(bounded.between(at("2025-12-31"), at("2026-02-01"))) == [
        at("2026-01-01T00:10"),
        at("2026-01-01T01:10"),
        at("2026-01-01T02:10"),
    ]
    with pytest.raises(InvalidInput):
        Moments(Timing(cron="0 9 * * *", exclude=("2026-12-32",)))


def test_days_are_read_from_a_calendar_file() -> None:
    text = "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:2026\r\n 1227\r\nEND:VEVENT\r\n"
    assert read_ics(text) == [date(2026, 12, 24), date(2026, 12, 25), date(2026, 12, 26)]
    alarm = "BEGIN:VEVENT\nDTSTART:20260101T100000Z\nBEGIN:VALARM\nDTSTART:20250101\nEND:VALARM\nEND:VEVENT"
    assert read_ics(alarm) == [date(2026, 1, 1)]
    try:
        yearly = read_ics("BEGIN:VEVENT\nDTSTART:20250501\nRRULE:FREQ=YEARLY;UNTIL=20280601T000000Z\nEND:VEVENT")
    except MissingDependency:
        return
    assert {date(year, 5, 1) for year in (2025, 2026, 2027, 2028)} == set(yearly)
    with pytest.raises(InvalidInput):
        read_ics("no calendar")


CRONS = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1 * * 1-5", "0 0 1 * *", "0 */6 * * *"]
)
WHEN = st.one_of(
    CRONS.map(lambda cron: {"cron": cron}),
    st.sampled_from([60.0, 977.0, 86_400.0]).map(lambda every: {"every": every, "start": at("2026-01-01")}),
)


def made(timing: Timing, next_at: datetime, **policy: Any) -> Schedule:
    return Schedule("id", "default", "s", "f", HERE, {}, timing, False, next_at, None, next_at, "me", **policy)


@settings(max_examples=60, deadline=None)
@given(
    when=WHEN,
    tz=st.sampled_from(ZONES),
    begin=st.integers(0, 500 * 24 * 60),
    looks=st.lists(st.integers(-90, 6 * 60), min_size=3, max_size=14),
    jitter=st.sampled_from([0.0, 45.0, 3600.0]),
    policy=st.sampled_from(["one", "all", "none"]),
)
def test_no_moment_is_started_twice_and_none_that_counts_is_lost(
    when: dict[str, Any], tz: str, begin: int, looks: list[int], jitter: float, policy: Any
) -> None:
    """Looks come at odd times, early and late, and the clock is set back between them."""
    moments = Moments(Timing(tz=tz, **when), jitter=jitter, seed="s")
    now = at("2026-01-01") + timedelta(minutes=begin)
    first = moments.after(now)
    assert first is not None
    schedule = made(moments.timing, first, jitter=jitter, make_up=policy, catch_up=3 * 3600.0)
    started: list[datetime] = []
    newest = now
    for minutes in looks:
        now += timedelta(minutes=minutes)
        newest = max(newest, now)
        while True:
            decided = plan(schedule, moments, now)
            assert all(moments.due(each) <= now for each in decided.start)
            moved = decided.next_at != schedule.next_at
            assert moved or not decided.start
            started += decided.start
            schedule = made(
                moments.timing, decided.next_at or first, jitter=jitter, make_up=policy, catch_up=3 * 3600.0
            )
            if not moved:
                break
        assert decided.next_at is not None
        assert moments.due(decided.next_at) > now  # nothing that is due is left
    assert started == sorted(set(started))
    meant = [each for each in moments.between(first, newest) if moments.due(each) <= newest]
    assert set(started) <= set(meant)
    if policy == "all" and all(abs(minutes) <= 120 for minutes in looks) and newest == now:
        assert started == meant  # each look came in time to make up for everything since the last
    if policy == "all":
        recent = [each for each in meant if newest - moments.due(each) < LATE]
        assert newest != now or set(recent) <= set(started)


def test_the_share_of_the_jitter_is_the_same_for_all_who_ask_and_ends_before_the_next_moment() -> None:
    hourly = [Moments(Timing(cron="0 * * * *"), jitter=7200, seed=name) for name in ("a", "a", "b")]
    day = list(hourly[0].between(at("2026-01-01"), at("2026-01-02")))
    one, two, other = ([each.due(moment) for moment in day] for each in hourly)
    assert one == two
    assert one != other
    assert all(moment <= due < moment + timedelta(hours=1) for moment, due in zip(day, one, strict=True))
    assert len({due - moment for moment, due in zip(day, one, strict=True)}) > 20


def test_each_moment_starts_one_run_whoever_looks(flows: ModuleType, client: Client, store_folder: object) -> None:
    made = client.pipelines.schedule(
        "nightly", flow="simple", location=flows.simple.location(), params={"n": 1}, every=3600, overlap="allow_all"
    )
    assert client.pipelines.tick() == 0
    assert made.next_at is not None
    with connect(str(store_folder)) as other, clock.turned(timedelta(hours=1, minutes=1)):
        assert [client.pipelines.tick(), other.pipelines.tick(), client.pipelines.tick()] == [1, 0, 0]
        (run,) = client.pipelines.runs()
        assert run.key == f"schedule:nightly:{made.next_at:%Y-%m-%dT%H:%M:%SZ}"
        assert (run.state, run.params, run.task_id != "") == ("queued", {"n": 1}, True)
        assert (run.cause.kind, run.cause.name, run.cause.fire_at) == ("schedule", "nightly", made.next_at)
        (schedule,) = client.pipelines.schedules()
        assert schedule.last_at == made.next_at
        assert schedule.next_at == made.next_at + timedelta(hours=1)
    assert client.pipelines.tick() == 0  # the clock was set back: nothing starts again
    with clock.turned(timedelta(hours=5)):
        assert client.pipelines.tick() == 1  # what was missed is made up for once, by the last of it
        assert client.pipelines.tick() == 0
        assert client.pipelines.runs()[0].cause.fire_at == made.next_at + timedelta(hours=4)
    with clock.turned(timedelta(hours=3)):
        assert client.pipelines.tick() == 0


def test_what_was_missed_long_ago_is_recorded_and_not_started(any_client: Client) -> None:
    made = any_client.pipelines.schedule(
        "monthly", flow="f", location=HERE, at=[clock.now() + timedelta(days=n) for n in (1, 40)], catch_up=3600
    )
    assert made.timing.at
    with clock.turned(timedelta(days=2)):
        any_client.pipelines.tick()
        assert any_client.pipelines.runs() == []
        (missed,) = any_client.pipelines.fires(name="monthly")
        assert missed.outcome == "missed"
    with clock.turned(timedelta(days=40, seconds=5)):
        any_client.pipelines.tick()
        assert len(any_client.pipelines.runs()) == 1
        assert any_client.pipelines.schedules()[0].next_at is None  # none is left
        assert any_client.pipelines.tick() == 0


def ended(client: Client, state: str) -> None:
    """End the oldest open run."""
    run = client.pipelines.runs(limit=1000)[-1]
    opened = next(each for each in client.pipelines.runs(limit=1000)[::-1] if each.state == "queued")
    del run
    begun = client.pipelines.begin(opened.flow, run_id=opened.id)
    client.pipelines.finish(opened.id, attempt=begun.run.attempt, state=state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("overlap", "outcomes", "open_at_end"),
    [
        ("skip", ["started", "skipped", "skipped"], 1),
        ("buffer_one", ["started", "buffered", "skipped"], 1),
        ("buffer_all", ["started", "buffered", "buffered"], 1),
        ("cancel_other", ["ended", "ended", "started"], 1),
        ("allow_all", ["started", "started", "started"], 3),
    ],
)
def test_what_happens_while_a_run_has_not_ended(
    client: Client, overlap: Any, outcomes: list[str], open_at_end: int
) -> None:
    client.pipelines.schedule("s", flow="f", location=HERE, every=3600, overlap=overlap)
    for hours in (1, 2, 3):
        with clock.turned(timedelta(hours=hours, seconds=5)):
            client.pipelines.tick()
    fires = client.pipelines.fires(name="s")[::-1]
    assert [each.outcome for each in fires] == outcomes
    assert all(each.reason for each in fires if each.outcome == "skipped")
    assert len(client.pipelines.runs(state="queued")) == open_at_end
    if overlap.startswith("buffer"):
        moments = [each.fire_at for each in fires if each.outcome != "skipped"]
        for _ in moments[1:]:
            ended(client, "finished")
            client.pipelines.tick()
        assert [each.cause.fire_at for each in client.pipelines.runs()[::-1]] == moments


@pytest.mark.databases("sqlite")
def test_failures_in_a_row_pause_a_schedule(client: Client) -> None:
    client.pipelines.schedule("s", flow="f", location=HERE, every=3600, pause_after=2)
    for hours, state in enumerate(["failed", "finished", "failed", "failed"], 1):
        with clock.turned(timedelta(hours=hours, seconds=5)):
            client.pipelines.tick()
            ended(client, state)
            client.pipelines.tick()
    (schedule,) = client.pipelines.schedules()
    assert (schedule.paused, schedule.failures, schedule.paused_because) == (True, 2, "2 runs failed in a row")
    again = client.pipelines.pause_schedule("s", paused=False)
    assert (again.failures, again.paused_because, again.paused) == (0, "", False)


@pytest.mark.databases("sqlite")
def test_a_schedule_that_cannot_start_its_flow_is_paused_and_says_why(client: Client) -> None:
    client.pipelines.calendar("days", ["2026-01-01"])
    client.pipelines.schedule("s", flow="f", location=HERE, every=3600, exclude=["days"])
    client.pipelines.schedule("t", flow="f", location=HERE, every=3600)
    with pytest.raises(Conflict):
        client.pipelines.remove_calendar("days")
    with client.backend.store.write("test") as tx:  # type: ignore[attr-defined]
        tx.execute("DELETE FROM flow_calendar")
    with clock.turned(timedelta(hours=1, seconds=5)):
        client.pipelines.tick()
    paused, other = client.pipelines.schedules()
    assert (paused.paused, other.paused) == (True, False)
    assert "calendar" in paused.paused_because
    assert [each.cause.name for each in client.pipelines.runs()] == ["t"]


def test_a_schedule_is_replaced_paused_and_removed(any_client: Client, flows: ModuleType) -> None:
    location = flows.simple.location()
    any_client.pipelines.schedule("a", flow="simple", location=location, every=60)
    any_client.pipelines.schedule("a", flow="simple", location=location, cron="@hourly", tz="Europe/Riga")
    (only,) = any_client.pipelines.schedules()
    assert (only.cron, only.every, only.tz) == ("@hourly", 0.0, "Europe/Riga")
    assert any_client.pipelines.pause_schedule("a").paused
    with clock.turned(timedelta(hours=3)):
        assert any_client.pipelines.tick() == 0
        resumed = any_client.pipelines.pause_schedule("a", paused=False)
        assert resumed.next_at is not None
        assert resumed.next_at > clock.now()
        assert any_client.pipelines.tick() == 0
    started = any_client.pipelines.start_schedule("a")
    assert any_client.pipelines.get(started.run_id).cause.name == "a"
    any_client.pipelines.unschedule("a")
    assert any_client.pipelines.schedules() == []
    with pytest.raises(NotFound):
        any_client.pipelines.pause_schedule("a")


def test_a_calendar_moves_the_schedules_that_keep_to_it(any_client: Client) -> None:
    any_client.pipelines.calendar("holidays", ["2031-01-01"])
    any_client.pipelines.schedule(
        "s", flow="f", location=HERE, cron="0 9 * * *", start=at("2031-01-01"), exclude=["holidays"]
    )
    assert any_client.pipelines.next_moments("s", 1) == [at("2031-01-02T09:00")]
    any_client.pipelines.calendar("holidays", [date(2031, 1, 1), date(2031, 1, 2)])
    assert any_client.pipelines.schedules()[0].next_at == at("2031-01-03T09:00")
    words = any_client.pipelines.explain_schedule(cron="15 2 * * 1-5", tz="Europe/Paris", n=2, after=at("2026-03-27"))
    assert words.words.startswith("At 02:15 on Monday through Friday")
    assert words.local == ["Fri 2026-03-27 02:15:00 CET", "Mon 2026-03-30 02:15:00 CEST"]
    with pytest.raises(NotFound):
        any_client.pipelines.schedule("t", flow="f", location=HERE, cron="0 9 * * *", only=["no such calendar"])


_LOOKER = """
import sys, time
from datetime import timedelta
from mainspring.client.client import connect
from mainspring.kernel import clock
client = connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
total = 0
for minutes in range(61, 64 + 60 * 3, 7):
    with clock.turned(timedelta(minutes=minutes)):
        total += client.pipelines.tick()
client.close()
"""


def test_several_schedulers_start_each_moment_once(client: Client, store_folder: object) -> None:
    """Three processes look at the same moments at the same time, each by a clock of its own that is ahead."""
    for number in range(20):
        client.pipelines.schedule(f"s{number}", flow="f", location=HERE, every=3600, overlap="allow_all", make_up="all")
    command = [sys.executable, "-c", _LOOKER, str(store_folder)]
    lookers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for each in lookers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in lookers:
        each.communicate("go\n", timeout=60)
        assert each.returncode == 0
    keys = [run.key for run in client.pipelines.runs(limit=1000)]
    assert len(keys) == len(set(keys)) == 20 * 4
    moments = {(run.cause.name, run.cause.fire_at) for run in client.pipelines.runs(limit=1000)}
    assert len(moments) == 80
