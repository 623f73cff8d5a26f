"""Schedules: the right moments, each started once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from mainspring.client.client import Client, connect
from mainspring.kernel import clock
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.pipelines.schedules import next_moment


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "tz", "after", "expected"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("@daily", "Europe/Riga", "2026-03-28T22:30", "2026-03-29T21:00"),  # the day has 23 hours
        ("15 1 * * *", "America/New_York", "2026-11-01T04:00", "2026-11-01T05:15"),  # the hour that comes twice: once
        ("15 1 * * *", "America/New_York", "2026-11-01T05:15", "2026-11-02T06:15"),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-08T05:00",
            "2026-03-08T07:00",
        ),  # the hour that is skipped: right after
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_cron_keeps_its_head_when_clocks_change(cron: str, tz: str, after: str, expected: str) -> None:
    assert next_moment(after=at(after), cron=cron, tz=tz) == at(expected)


def test_intervals_are_counted_from_the_last_moment() -> None:
    assert next_moment(after=at("2026-01-01T00:00"), every=90) == at("2026-01-01T00:01:30")


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"cron": "* * * * *", "every": 5},
        {"cron": "* * * *"},
        {"cron": "* * * * * *"},
        {"cron": "61 * * * *"},
        {"cron": "0 0 30 2 *"},
        {"every": 0.1},
        {"cron": "* * * * *", "tz": "Mars/Olympus"},
        {"cron": "* * * * *", "tz": "../../etc/passwd"},
    ],
)
def test_what_cannot_be_a_schedule_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        next_moment(after=at("2026-01-01T00:00"), **bad)  # type: ignore[arg-type]


def test_each_moment_starts_one_run_whoever_looks(flows: ModuleType, client: Client, store_folder: object) -> None:
    made = client.pipelines.schedule(
        "nightly", flow="simple", location=flows.simple.location(), params={"n": 1}, every=3600
    )
    assert client.pipelines.tick() == 0
    with connect(str(store_folder)) as other, clock.turned(timedelta(hours=1, minutes=1)):
        assert [client.pipelines.tick(), other.pipelines.tick(), client.pipelines.tick()] == [1, 0, 0]
        (run,) = client.pipelines.runs()
        assert run.key == f"schedule:nightly:{made.next_at:%Y-%m-%dT%H:%M:%SZ}"
        assert (run.state, run.params, run.task_id != "") == ("queued", {"n": 1}, True)
        (schedule,) = client.pipelines.schedules()
        assert schedule.last_at == made.next_at
        assert schedule.next_at == made.next_at + timedelta(hours=1)
    assert client.pipelines.tick() == 0  # the clock was set back: nothing starts again
    with clock.turned(timedelta(hours=5)):
        assert client.pipelines.tick() == 1  # what was missed is made up for once
        assert client.pipelines.tick() == 0
    with clock.turned(timedelta(days=30)):
        assert client.pipelines.tick() == 0  # what was missed long ago is not
    assert len(client.pipelines.runs()) == 2


def test_schedules_are_replaced_paused_and_taken_away(flows: ModuleType, any_client: Client) -> None:
    location = flows.simple.location()
    any_client.pipelines.schedule("a", flow="simple", location=location, every=60)
    any_client.pipelines.schedule("a", flow="simple", location=location, cron="@hourly", tz="Europe/Riga")
    (only,) = any_client.pipelines.schedules()
    assert (only.cron, only.every, only.tz) == ("@hourly", 0, "Europe/Riga")
    assert any_client.pipelines.pause_schedule("a").paused
    with clock.turned(timedelta(hours=2)):
        assert any_client.pipelines.tick() == 0
        assert any_client.pipelines.pause_schedule("a", paused=False).next_at > clock.now()
    any_client.pipelines.unschedule("a")
    assert any_client.pipelines.schedules() == []
    with pytest.raises(NotFound):
        any_client.pipelines.pause_schedule("a")
