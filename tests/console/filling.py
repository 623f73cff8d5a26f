"""Fills a store through public services, with one of everything that the console shows."""

from __future__ import annotations

import math
import random

import polars as pl

from mainspring.lineage import graph


def fill(client) -> dict[str, str]:
    """Returns the names and ids that pages are asked for with."""
    names: dict[str, str] = {}
    _data(client)
    _runs(client, names)
    _models(client, names)
    _rest(client, names)
    return names


def flights(rows: int, *, seed: int, extra: bool = False) -> pl.DataFrame:
    """Made-up departures: delays grow through the day."""
    chance = random.Random(seed)
    hours = [chance.randrange(5, 24) for _ in range(rows)]
    frame = pl.DataFrame(
        {
            "carrier": [chance.choice(["UA", "B6", "EV", "DL", "AA"]) for _ in range(rows)],
            "hour": hours,
            "distance": [round(chance.lognormvariate(6.7, 0.6)) for _ in range(rows)],
            "dep_delay": [chance.gauss(hour - 12, 8) if chance.random() > 0.02 else None for hour in hours],
        }
    )
    late = pl.Series([chance.random() < 1 / (1 + math.exp(-(hour - 15) / 4)) for hour in hours])
    frame = frame.with_columns(late=late)
    return frame.with_columns(origin=pl.lit("JFK")) if extra else frame


def _data(client) -> None:
    client.data.commit("flights", flights(800, seed=1), message="January", metadata={"month": 1})
    client.data.commit("flights", flights(900, seed=2, extra=True), message="February, with its airport")
    client.data.commit("weather", flights(60, seed=3), message="Hourly, three airports")
    client.data.set_alias("flights", alias="clean", version=2)


def _runs(client, names) -> None:
    for number, (family, rate, status) in enumerate(
        (("lightgbm", 0.08, ""), ("logistic", 0.03, ""), ("forest", 0.05, "failed"), ("lightgbm", 0.12, "running"))
    ):
        chance = random.Random(number)
        run = client.tracking.run(
            "flight-delay",
            params={"family": family, "rate": rate, "seed": 7, "depth": 4 + number},
            tags={"family": family, "month": "jan-mar"},
            title=f"{family} {number + 1}",
            source=False,
        )
        for step in range(300):
            noise = 1 + 0.12 * chance.random()
            run.log(
                step=step, loss=math.exp(-rate * step / 8) * noise + 0.3, auc=0.78 - 0.25 * math.exp(-rate * step / 6)
            )
            if step % 50 == 49:
                run.log(step=step, **{"valid/loss": math.exp(-rate * step / 9) + 0.34})
        run.use("dataset/flights@2", role="training-data")
        run.log_text("trained on 900 rows\n", "notes.txt")
        names["trained" if number == 0 else f"trained_{number + 1}"] = run.id
        if status == "running":
            run.flush()
            names["open"] = run.id
            _OPEN.append(run)
        else:
            run.finish(status=status or "finished", error="ValueError: no labels for 14 rows" if status else "")
    with client.tracking.run("weather-impute", params={"k": 5}, source=False) as other:
        other.log(rmse=1.25)


_OPEN: list[object] = []


def close(client, names) -> None:
    """Ends what `fill` left running."""
    while _OPEN:
        _OPEN.pop().finish()


def _models(client, names) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from mainspring.models.types import Metric

    frame = flights(400, seed=5)
    example = frame.select("hour", "distance").cast(pl.Float64)
    for version, run in ((1, names["trained_2"]), (2, names["trained"])):
        fitted = make_pipeline(StandardScaler(), LogisticRegression(C=10.0**version))
        fitted.fit(example.to_numpy(), frame["late"].to_numpy())
        client.models.log_model(
            "flight-delay",
            fitted,
            example=example,
            run_id=run,
            metrics={
                "auc": Metric(0.68 + 0.03 * version, 0.66 + 0.03 * version, 0.70 + 0.03 * version, 0.95),
                "log_loss": Metric(0.52 - 0.02 * version, 0.51 - 0.02 * version, 0.53 - 0.02 * version, 0.95),
                "brier": 0.17 - 0.01 * version,
            },
            data=["flights@2"],
            description="Will this flight arrive late?",
            tags={"family": "logistic"},
        )
    client.models.describe("flight-delay", description="Late by more than 15 minutes")
    client.models.approve("flight-delay@1", comment="baseline")
    client.models.approve("flight-delay@2", comment="better on every slice")
    client.models.alias("flight-delay", "champion", 1)
    client.models.alias("flight-delay", "champion", 2)
    client.models.alias("flight-delay", "previous", 1)


def _rest(client, names) -> None:
    """What has no service yet that makes it in one call: a flow with a failed evaluation inside."""
    with client.backend.store.write("test.fill") as tx:
        flow = graph.start_run(tx, "flow", "retrain-flight-delay")
        judge = graph.start_run(tx, "evaluation", "april", parent_id=flow.id)
        graph.use(tx, judge.id, graph.resolve(tx, "model/flight-delay@2").id, role="model")
        graph.add_artifact(tx, "report", "april", digest="d" * 64, size=800, metadata={"auc": 0.71}, run_id=judge.id)
        graph.finish_run(tx, judge.id, status="failed", metadata={"error": "CheckFailed: calibration over 0.05"})
    names.update(flow=flow.id, judge=judge.id)
