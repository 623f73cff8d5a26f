"""The loop, whole, in one process: traffic drifts, an alert fires, a flow trains, a gate passes, a shadow convinces.

`mainspring up` runs the two things that this script turns by hand: the scheduler (`tick_all`) and a worker.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

import mainspring as ms
from mainspring.loop.types import RolloutPlan
from mainspring.monitoring.types import Limits
from mainspring.pipelines.worker import Worker
from mainspring.quality.evaluation import Condition, Gate
from mainspring.server.scheduler import tick_all
from mainspring.serving.dataplane import Call
from mainspring.serving.plane import ServingProcess
from mainspring.serving.sequential import Rule

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def flights(count: int, *, rush: float, seed: int) -> pl.DataFrame:
    """Flights that are late around the hour `rush`."""
    chance = np.random.default_rng(seed)
    hour = chance.normal(rush, 3.0, count)
    late = chance.random(count) < 1 / (1 + np.exp(rush - hour))
    return pl.DataFrame({"hour": hour, "late": late.astype(int)})


@ms.step
def learn(dataset: str, until: str) -> dict[str, str]:
    """Fit on four fifths of a version of the data, and register the model."""
    with ms.connect() as client:
        version = client.data.describe(dataset)
        rows = client.data.load(version.ref)
        rows = rows.head(rows.height * 4 // 5)
        fitted = LogisticRegression().fit(rows.select("hour").to_numpy(), rows["late"].to_numpy())
        model = client.models.log_model(
            "delay", fitted, example=rows.select("hour"), data=[version.ref], tags={"until": until}
        )
    return {"model": model.ref, "dataset": version.ref}


@ms.step
def judge(model: str, dataset: str, endpoint: str) -> dict[str, object]:
    """Is it better than the champion on the fifth that it did not learn from?"""
    with ms.connect() as client:
        rows = client.data.load(dataset).tail(100)
        champion = client.serving.endpoint(endpoint).plan.champion.reference
        ours, theirs = (
            client.models.load(each).predict({"hour": rows["hour"].to_numpy()})["probability"][:, 1]
            for each in (model, champion)
        )
        gate = Gate(name="better-than-champion", conditions=(Condition(metric="log_loss", better_by=0.0),))
        report = client.quality.evaluate(
            "delay", rows["late"], ours, model=model, dataset=dataset, gate=gate, champion=theirs
        )
        client.models.attach_report(model, report.ref)
    return {"passed": report.decision.passed, "reason": report.decision.evidence[0].statement}


@ms.flow
def retrain(endpoint: str, until: str) -> dict[str, object]:
    """What the policy runs: a challenger, and whether it may come before users."""
    made = learn("flights@recent", until)
    return {**made, **judge(made["model"], made["dataset"], endpoint)}


def main() -> None:
    """Serve, watch, and let the loop do the rest."""
    client = ms.connect()
    client.data.commit("flights", flights(2000, rush=12, seed=1))
    client.data.set_alias("flights", alias="recent", version=1)
    first = learn("flights@1", BEGIN.isoformat())["model"]
    client.models.approve(first, comment="the first")
    client.models.alias("delay", "champion", 1)
    client.serving.deploy("delay", model="delay@champion")
    client.monitoring.configure("delay", limits=Limits(window_rows=500))
    plan = RolloutPlan(mode="shadow", steps=(), rule=Rule(planned_n=500))
    client.loop.watch("delay", run=retrain, rollout=plan, cooldown_seconds=0)

    process = ServingProcess(client.backend.store)
    process.start()
    for day in range(20):
        rush = 12 if day < 2 else 17  # on the third day the timetable changes
        rows = flights(500, rush=rush, seed=100 + day)
        process.plane.fleet.refresh()
        call = Call(columns={"hour": rows["hour"].to_numpy()}, rows=500, at=BEGIN + timedelta(days=day))
        answer = process.plane.infer("delay", call)
        process.plane.shadow.drain()
        ids = [f"{answer.id}-{row}" for row in range(500)]
        client.serving.label("delay", ids=ids, values=rows["late"].to_list())
        version = client.data.commit("flights", rows)
        client.data.set_alias("flights", alias="recent", version=version.version)
        tick_all(client)
        Worker(client).run(until_idle=True)
        if any(each.state == "promoted" for each in client.loop.episodes()):
            break
    process.close()

    for alert in reversed(client.monitoring.alerts()):
        print(f"{alert.event_at:%d %B}  {alert.title}")
    for chapter in client.loop.episodes()[-1].story:
        print(f"    {chapter.text}")
    print("champion:", client.serving.endpoint("delay").plan.champion.reference)
    client.close()


if __name__ == "__main__":
    main()
