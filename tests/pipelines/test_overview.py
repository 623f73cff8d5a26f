"""Many runs and runs of any size at a glance, as every database counts them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from mainspring.client.client import Client
from mainspring.events.outbox import emit
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.pipelines.types import Location, StepRecord
from mainspring.pipelines.types_triggers import all_of, on
from mainspring.pipelines.values import digest

HERE = Location("shop.flows:nightly")
START = datetime(2026, 3, 1, tzinfo=UTC)


def _run(
    client: Client, flow: str, steps: list[tuple[str, int, str, float, float | None, str]], *, end: str = ""
) -> str:
    """A run with these steps: path, item, name, begun, ended, state."""
    opened = client.pipelines.begin(flow, location=HERE)
    rows = [
        StepRecord(
            id=new_id(),
            run_id=opened.run.id,
            path=path,
            item=item,
            name=name,
            state=state,
            attempt=1,
            started_at=START + timedelta(seconds=begun),
            finished_at=None if ended is None else START + timedelta(seconds=ended),
            arguments={"n": f"{name}-{item}"},
            inputs={"rows": digest([{"part": at} for at in range(12)])} if name == "pick" else {},
            output={"part": item} if state == "finished" else None,
        )
        for path, item, name, begun, ended, state in steps
    ]
    client.pipelines.record(opened.run.id, attempt=opened.run.attempt, steps=rows)
    if end:
        client.pipelines.finish(opened.run.id, attempt=opened.run.attempt, state=end)
    return opened.run.id


def _map(width: int, *, failed: int = -1) -> list[tuple[str, int, str, float, float | None, str]]:
    return [
        ("1", item, "train", 1 + item, 3 + item, "failed" if item == failed else "finished") for item in range(width)
    ]


def test_runs_are_counted_and_grouped(client: Client) -> None:
    pipelines = client.pipelines
    load = ("0", -1, "load", 0.0, 1.0, "finished")
    pick = ("2", -1, "pick", 14.0, 15.0, "finished")
    good = _run(client, "nightly", [load, *_map(12), pick], end="finished")
    bad = _run(client, "nightly", [load, *_map(3, failed=2)], end="failed")
    going = _run(client, "nightly", [load, ("1", -1, "ask", 1.0, None, "waiting")])

    (health,) = pipelines.flow_health(recent=2)
    assert [run.id for run in health.recent] == [going, bad]
    assert health.open == {"running": 1}
    assert pipelines.flow_health(q="IGHT")
    assert not pipelines.flow_health(q="day")
    assert not pipelines.flow_health(after="nightly")

    grid = pipelines.run_grid("nightly")
    assert [run.id for run in grid.runs] == [going, bad, good]
    cells = {row.name: [cell and (cell.state, cell.count) for cell in row.cells] for row in grid.rows}
    assert list(cells) == ["load", "ask", "train", "pick"]
    assert cells["train"] == [None, ("failed", 3), ("finished", 12)]
    assert cells["ask"] == [("waiting", 1), None, None]
    assert [run.id for run in pipelines.run_grid("nightly", before=bad).runs] == [good]

    shape = pipelines.run_shape(good)
    assert [(group.key, sum(group.counts.values())) for group in shape.groups] == [("0", 1), ("1", 12), ("2", 1)]
    assert shape.edges == [("1", "2")], "pick was given the list of what the map gave"
    assert shape.groups[1].spent == pytest.approx(24.0)
    opened = pipelines.run_shape(good, opened=["1"])
    assert [group.item for group in opened.groups][:4] == [-1, 0, 1, 2]
    assert len(pipelines.run_shape(bad).groups) == 4, "a short map is shown item by item"
    assert len(pipelines.run_shape(bad, closed=["1"]).groups) == 2
    assert pipelines.run_shape(going).groups[1].finished_at is None

    chain = pipelines.critical_path(good)
    assert [(each.name, each.item) for each in chain[-2:]] == [("train", 11), ("pick", -1)]
    assert sum(each.seconds for each in chain) == pytest.approx(14.0), "for a second nothing ran"

    found = pipelines.find_steps(good, q="train-1", order="longest", limit=2)
    assert (found.total, len(found.steps)) == (3, 2)
    rest = pipelines.find_steps(good, q="train-1", order="longest", limit=2, after=found.following)
    assert (len(rest.steps), rest.following) == (1, "")
    assert [step.item for step in pipelines.find_steps(good, path="1", order="item", limit=3).steps] == [0, 1, 2]
    assert not pipelines.find_steps(good, q="100%").steps
    assert pipelines.step(rest.steps[0].id) == rest.steps[0]
    with pytest.raises(NotFound):
        pipelines.step("0198")
    with pytest.raises(InvalidInput):
        pipelines.find_steps(good, after="1; DROP")


def test_what_waits_fires_and_is_remembered(client: Client) -> None:
    pipelines = client.pipelines
    store = client.backend.store  # type: ignore[attr-defined]  # embedded
    pipelines.enqueue("nightly", location=HERE)
    pipelines.enqueue("nightly", location=HERE)
    worker = store.queue.join(["flow"], lease=30.0)
    held = store.queue.claim(worker, ["flow"], 1)
    queue = pipelines.queue_overview()
    assert {(each.state, each.count) for each in queue.groups if each.kind == "flow"} == {("ready", 1), ("running", 1)}
    (task,) = next(each.tasks for each in queue.workers if each.worker.id == worker)
    assert (task.id, task.flow, task.run_id) == (held[0].id, "nightly", held[0].payload["run_id"])

    pipelines.schedule("early", flow="nightly", location=HERE, cron="15 2 * * *", tz="Europe/Paris")
    pipelines.start_schedule("early")
    (outlook,) = pipelines.schedule_outlook(n=2)
    assert "02:15" in outlook.words
    assert outlook.moments == pipelines.next_moments("early", 2)
    days = pipelines.schedule_days(date(2031, 3, 29), date(2031, 3, 31), tz="Europe/Paris")
    assert [(each.day.day, each.ahead) for each in days] == [(29, 1), (30, 1), (31, 1)], (
        "and where the clock is changed"
    )
    today = datetime.now(UTC).date()
    past = [each.past for each in pipelines.schedule_days(today, today + timedelta(days=1)) if each.past]
    assert past == [{"queued": 1}]
    with pytest.raises(InvalidInput):
        pipelines.schedule_days(date(2026, 1, 1), date(2026, 12, 31))

    both = all_of(on("a.happened"), on("b.happened"))
    pipelines.create_trigger("both", flow="nightly", location=HERE, condition=both)
    assert not pipelines.trigger_memory()
    with store.write("test.emit") as tx:
        emit(tx, "b.happened", subject="x", data={})
    pipelines.tick()
    (memory,) = pipelines.trigger_memory(name="both")
    assert (memory.path, memory.key, len(memory.events)) == ("0", "1", 1)
