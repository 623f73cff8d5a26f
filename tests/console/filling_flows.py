"""A store of flows: healthy and failing ones, a wide run, questions, schedules, triggers, a backfill, a worker."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import date, timedelta
from typing import Literal

import mainspring as ms
from mainspring.events.outbox import emit
from mainspring.kernel.clock import now
from mainspring.kernel.ids import new_id
from mainspring.pipelines import flow, step
from mainspring.pipelines.types import Location, StepRecord
from mainspring.pipelines.types_triggers import absent, all_of, any_of, debounce, metric, on, webhook
from mainspring.pipelines.types_waits import Wanted
from mainspring.pipelines.values import digest
from mainspring.pipelines.waits_schema import schema_of

HERE = Location("shop.flows:nightly")


@dataclasses.dataclass
class Release:
    """What to do with a model."""

    stage: Literal["staging", "canary", "production"]
    weight: float
    until: date
    regions: list[str]
    note: str | None = None
    urgent: bool = False


@step
def load(day: str) -> list[dict[str, float]]:
    ms.card.markdown(f"# Flights of {day}\n\n- **24** rows\n- <b>no markup</b>")
    ms.card.metric("rows", 24, unit="rows", before=22)
    ms.card.table([{"column": "distance", "nulls": 0}, {"column": "delay", "nulls": 3}], title="Columns")
    ms.card.plot("<svg xmlns='http://www.w3.org/2000/svg' width='120' height='40'><rect width='80' height='40'/></svg>")
    ms.progress(total=24, label="rows").advance(18)
    print(f"\x1b[32mloaded\x1b[0m {day}")  # noqa: T201 -- what a step prints is its log
    return [{"distance": 10.0 * number, "delay": number / 3} for number in range(24)]


@step(where="inline")
def train(rows: list[dict[str, float]], depth: int) -> float:
    if depth > 9:
        raise ValueError(f"a tree of depth {depth} does not fit into memory")
    return len(rows) / depth


@step
def choose(scores: list[float]) -> float:
    return max(scores)


@flow
def daily(day: str, depths: list[int]) -> float:
    print(f"daily of {day}")  # noqa: T201
    return choose(train.map(ms.whole(load(day)), depth=depths))


def fill(client) -> dict[str, str]:
    """Fill the store of `client`; the names in it."""
    pipelines, names = client.pipelines, {}
    for number in range(6):
        with contextlib.suppress(ValueError):
            daily.run(client, f"2026-03-0{number + 1}", [2, 4, 12] if number == 4 else list(range(1, 4 + number)))
    found = pipelines.runs(flow="daily")
    failed = next(run for run in found if run.state == "failed")
    names.update(finished=found[0].id, failed=failed.id)
    names.update(step=pipelines.steps(found[0].id)[-1].id, failed_step=pipelines.steps(failed.id, state="failed")[0].id)
    names.update(_question(client, bool, "Release flight-delay@3 to production?", assignees=()))
    names["record"] = _question(client, Release, "How is it released?", deadline=3600.0)["waiting"]
    _question(client, str, "Why was March late?", assignees=("grace",))
    shared = {"location": HERE, "params": {}}
    pipelines.schedule("nightly", flow="daily", cron="15 2 * * *", tz="Europe/Paris", **shared)
    pipelines.schedule("hourly-check", flow="check", cron="0 * * * *", **shared)
    pipelines.schedule("month-end", flow="report", cron="0 6 1 * *", exclude=["2027-01-01"], **shared)
    pipelines.pause_schedule("month-end")
    pipelines.start_schedule("nightly")
    landed = on("dataset.version.created", "dataset/flights@*", {"rows": (">", 1000)})
    condition = any_of(
        all_of(landed, on("model.alias.set", "model/delay", {"alias": "champion"}), within=3600),
        debounce(webhook("git", {"body.ref": "refs/heads/main"}), 30, longest=600),
        absent(landed, within=timedelta(days=1)),
    )
    pipelines.create_trigger("retrain-when-it-must", flow="daily", location=HERE, condition=condition)
    pipelines.create_trigger("metric-crossed", flow="report", location=HERE, condition=metric("auc", ">", 0.8))
    pipelines.create_trigger("on-release", flow="publish", location=HERE, condition=on("model.alias.set", "model/fl*"))
    with client.backend.store.write("test.event") as tx:
        emit(tx, "model.alias.set", subject="model/flight-delay@3", data={"alias": "champion"})
    begin = now() - timedelta(days=5)
    pipelines.backfill("spring", begin, begin + timedelta(days=4), schedule="nightly", max_parallel=2)
    pipelines.tick()
    names["triggered"] = pipelines.runs(flow="publish")[0].id
    store = client.backend.store
    names["worker"] = store.queue.join(["flow"], lease=30.0, name="builder-1")
    store.queue.claim(names["worker"], ["flow"], 1)
    pipelines.enqueue("daily", location=HERE, params={})
    names["wide"] = wide(client)
    return names


def _question(client, kind: type, question: str, *, assignees=(), deadline: float | None = None) -> dict[str, str]:
    pipelines = client.pipelines
    opened = pipelines.begin("release", location=HERE, params={"model": "flight-delay@3"})
    wanted = Wanted("ask", question=question, schema=schema_of(kind), assignees=assignees, after=deadline)
    wait = pipelines.open_wait(opened.run.id, attempt=opened.run.attempt, path="0", wanted=wanted)
    pipelines.suspend(opened.run.id, attempt=opened.run.attempt, wait_id=wait.id)
    return {"waiting": opened.run.id, "question": wait.id}


def wide(client, items: int = 40, *, flow: str = "wide", chain: bool = False) -> str:
    """A run with a map of so many items, or a loop of so many calls, recorded at once; its id."""
    opened = client.pipelines.begin(flow, location=HERE, params={"items": items})
    at = now() - timedelta(seconds=3 + items / 800)

    def record(path: str, item: int, name: str, begun: float, took: float, output, **inputs) -> StepRecord:
        return StepRecord(
            id=new_id(),
            run_id=opened.run.id,
            path=path,
            item=item,
            name=name,
            state="finished",
            attempt=1,
            started_at=at + timedelta(seconds=begun),
            finished_at=at + timedelta(seconds=begun + took),
            arguments={name: str(value)[:40] for name, value in inputs.items()},
            inputs={name: digest(value) for name, value in inputs.items()},
            output=output,
        )

    steps = [record("0", -1, "load", 0, 1, {"rows": 12})]
    scores = [number / 7 for number in range(items)]
    for number, score in enumerate(scores):
        path, item = (str(number + 1), -1) if chain else ("1", number)
        begun = 1 + number // 8 * 0.01
        steps.append(record(path, item, "train", begun, 0.01, score, rows={"rows": 12}, depth=number + 100_000))
    steps.append(record(str(items + 2), -1, "choose", 2 + items / 800, 0.5, max(scores, default=0.0), scores=scores))
    for place in range(0, len(steps), 2500):
        client.pipelines.record(opened.run.id, attempt=opened.run.attempt, steps=steps[place : place + 2500])
    client.pipelines.finish(opened.run.id, attempt=opened.run.attempt, result=1.5)
    return opened.run.id
