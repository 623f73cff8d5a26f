"""Backfills: each moment of a range once, so many at a time, steered as a whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.kernel import clock
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.pipelines.types import FlowRun, Location

HERE = Location(address="somewhere:flow")
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 10, 23, tzinfo=UTC)
DAYS = [FIRST + timedelta(days=n, hours=3) for n in range(10)]


def daily(client: Client, **options: Any) -> None:
    client.pipelines.schedule("daily", flow="f", location=HERE, params={"n": 1}, cron="0 3 * * *", **options)


def open_runs(client: Client) -> list[FlowRun]:
    return client.pipelines.runs(state="queued", limit=1000)[::-1]


def end(client: Client, run: FlowRun, state: Any = "finished") -> None:
    begun = client.pipelines.begin(run.flow, run_id=run.id)
    client.pipelines.finish(run.id, attempt=begun.run.attempt, state=state)


def test_each_moment_of_a_range_is_run_so_many_at_a_time(any_client: Client) -> None:
    daily(any_client, exclude=["2026-01-05"])
    plan = any_client.pipelines.plan_backfill(FIRST, LAST, schedule="daily")
    days = [day for day in DAYS if day.day != 5]
    assert (plan.moments, plan.runs, plan.kept) == (days, 9, 0)
    assert any_client.pipelines.runs() == []
    made = any_client.pipelines.backfill("b", FIRST, LAST, schedule="daily", max_parallel=4, backward=True)
    assert (made.runs, made.params) == (9, {"n": 1})
    started: list[datetime] = []
    while True:
        any_client.pipelines.tick()
        queued = open_runs(any_client)
        if not queued:
            break
        assert len(queued) <= 4
        started.append(next(each for each in queued).cause.fire_at or FIRST)
        end(any_client, queued[0], "failed" if queued[0].cause.fire_at == DAYS[2] else "finished")
    assert started == days[::-1]
    progress = any_client.pipelines.backfill_progress("b")
    assert (progress.backfill.state, progress.waiting, progress.open) == ("finished", 0, 0)
    assert (progress.finished, progress.failed) == (8, 1)
    with pytest.raises(Conflict):
        any_client.pipelines.backfill("again", FIRST, LAST, schedule="daily")
    assert any_client.pipelines.plan_backfill(FIRST, LAST, schedule="daily", reprocess="failed").moments == [DAYS[2]]
    assert any_client.pipelines.plan_backfill(FIRST, LAST, schedule="daily", reprocess="all").runs == 9


def test_a_moment_that_its_schedule_started_is_kept(client: Client) -> None:
    client.pipelines.schedule("hourly", flow="f", location=HERE, every=3600, start=clock.now() + timedelta(minutes=1))
    with clock.turned(timedelta(minutes=2)):
        client.pipelines.tick()
        (run,) = client.pipelines.runs()
        first = clock.now() - timedelta(hours=5)
        plan = client.pipelines.plan_backfill(first, clock.now(), schedule="hourly")
    # moments before the schedule was made keep its beat
    assert run.cause.fire_at is not None
    assert plan.moments == [run.cause.fire_at - timedelta(hours=n) for n in (4, 3, 2, 1)]
    assert plan.kept == 1


def test_a_backfill_is_paused_goes_on_and_is_cancelled_as_a_whole(client: Client) -> None:
    client.pipelines.backfill("b", FIRST, LAST, flow="f", location=HERE, cron="0 3 * * *", max_parallel=3)
    client.pipelines.tick()
    running, *queued = open_runs(client)
    begun = client.pipelines.begin("f", run_id=running.id)
    assert client.pipelines.pause_backfill("b").state == "paused"
    assert [client.pipelines.get(each.id).state for each in queued] == ["paused", "paused"]
    client.pipelines.finish(running.id, attempt=begun.run.attempt)  # what ran goes on to its end
    client.pipelines.tick()
    assert open_runs(client) == []
    assert client.pipelines.pause_backfill("b", paused=False).state == "running"
    client.pipelines.tick()
    assert [each.cause.fire_at for each in open_runs(client)] == DAYS[1:4]
    assert client.pipelines.cancel_backfill("b").state == "cancelled"
    client.pipelines.tick()
    progress = client.pipelines.backfill_progress("b")
    assert (progress.finished, progress.cancelled, progress.open, progress.waiting) == (1, 3, 0, 0)
    assert [each.state for each in client.pipelines.backfill_items("b")].count("cancelled") == 6
    assert client.pipelines.cancel_backfill("b").state == "cancelled"
    with pytest.raises(Conflict):
        client.pipelines.pause_backfill("b")


@pytest.mark.databases("sqlite")
def test_many_runs_are_submitted_in_batches(client: Client) -> None:
    client.pipelines.backfill(
        "b", FIRST, FIRST + timedelta(minutes=599), flow="f", location=HERE, every=60, max_parallel=0
    )
    before = len(client.storage.events(limit=1000))
    assert client.pipelines.tick() >= 600
    assert len(client.storage.events(limit=1000)) - before <= 4  # one entry in the audit log for each batch
    moments = {run.cause.fire_at for run in client.pipelines.runs(limit=1000)}
    assert len(moments) == 600
    assert client.pipelines.tick() == 0


@pytest.mark.parametrize(
    "words",
    [
        {"flow": "f", "location": HERE},
        {"flow": "f", "location": HERE, "schedule": "daily"},
        {"flow": "f", "cron": "0 3 * * *"},
        {"flow": "f", "location": HERE, "every": 1},
        {"flow": "f", "location": HERE, "cron": "0 3 * * *", "max_parallel": -1},
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused(client: Client, words: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        client.pipelines.backfill("b", FIRST, FIRST + timedelta(days=400), **words)
    with pytest.raises(InvalidInput):
        client.pipelines.plan_backfill(LAST, FIRST, flow="f", every=60)
    with pytest.raises(NotFound):
        client.pipelines.plan_backfill(FIRST, LAST, schedule="nothing")
    assert client.pipelines.backfills() == []
