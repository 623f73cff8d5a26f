"""Fills a store through public services, with one of everything that the console shows."""

from __future__ import annotations

import contextlib
import math
import random
from datetime import UTC, datetime, timedelta

import polars as pl

from mainspring.lineage import graph
from mainspring.pipelines import flow, step
from mainspring.pipelines.types import Location
from mainspring.quality import expect
from mainspring.quality.checkpoints import Checkpoint, SetAlias, Target

START = datetime(2026, 4, 1, tzinfo=UTC)
INPUTS = ["hour", "distance"]


def fill(client) -> dict[str, str]:
    """Returns the names and ids that pages are asked for with."""
    names: dict[str, str] = {}
    _data(client)
    _runs(client, names)
    _models(client, names)
    _flow(client, names)
    _serving(client, names)
    _rest(client, names)
    return names


def flights(rows: int, *, seed: int, extra: bool = False, late_by: float = 0.0) -> pl.DataFrame:
    """Made-up departures: delays grow through the day; `late_by` moves all of them to later hours."""
    chance = random.Random(seed)
    hours = [min(chance.randrange(5, 24) + round(late_by), 27) for _ in range(rows)]
    frame = pl.DataFrame(
        {
            "carrier": [chance.choice(["UA", "B6", "EV", "DL", "AA"]) for _ in range(rows)],
            "hour": [float(hour) for hour in hours],
            "distance": [float(round(chance.lognormvariate(6.7, 0.6))) for _ in range(rows)],
            "dep_delay": [chance.gauss(hour - 12, 8) if chance.random() > 0.02 else None for hour in hours],
            "scheduled": [START - timedelta(days=60) + timedelta(hours=index) for index in range(rows)],
        }
    )
    late = [int(chance.random() < 1 / (1 + math.exp(-(hour - 15) / 4))) for hour in hours]
    frame = frame.with_columns(late=pl.Series(late))
    return frame.with_columns(origin=pl.lit("JFK")) if extra else frame


def _data(client) -> None:
    client.data.commit("flights", flights(800, seed=1), message="January", metadata={"month": 1})
    client.data.commit("flights", flights(900, seed=2, extra=True), message="February, with its airport")
    client.data.commit("weather", flights(60, seed=3), message="Hourly, three airports")
    client.data.set_alias("flights", alias="clean", version=2)
    suite = client.quality.infer("flights@1", name="flights")
    client.quality.save_suite(suite)
    client.quality.validate("flights@1", "flights")
    client.quality.validate("flights@2", "flights")
    for version in (1, 2):
        client.quality.profile(f"flights@{version}")
    client.quality.set_contract("weather", expect("weather").column("hour").between(0, 24), note="agreed")
    client.quality.save_checkpoint(
        Checkpoint(
            name="nightly",
            targets=(Target(dataset="weather", suite="weather", by="carrier"),),
            actions=(SetAlias(alias="good"),),
        )
    )
    client.quality.run_checkpoint("nightly")
    client.quality.drift("flights@1", client.quality.profile(flights(500, seed=9, late_by=4)), name="flights")


_OPEN: list[object] = []


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
        for at in range(300):
            noise = 1 + 0.12 * chance.random()
            loss = math.exp(-rate * at / 8) * noise + 0.3
            run.log(step=at, loss=loss, auc=0.78 - 0.25 * math.exp(-rate * at / 6))
            if at % 50 == 49:
                run.log(step=at, **{"valid/loss": math.exp(-rate * at / 9) + 0.34})
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


def close(client, names) -> None:
    """Ends what `fill` left running."""
    while _OPEN:
        _OPEN.pop().finish()


def _models(client, names) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from mainspring.models.types import Metric
    from mainspring.quality.evaluation import Gate
    from mainspring.quality.evaluation.types import Condition, Importance

    conditions = Condition(metric="auc", at_least=0.6), Condition(metric="log_loss", at_most=0.69)
    gate = Gate(name="release", conditions=conditions)
    train, test = client.data.load("flights@2"), flights(700, seed=6)
    for version, run in ((1, names["trained_2"]), (2, names["trained"])):
        columns = ["distance"] if version == 1 else INPUTS
        used = train.with_columns(hour=pl.lit(12.0)) if version == 1 else train
        fitted = make_pipeline(StandardScaler(), LogisticRegression())
        fitted.fit(used.select(INPUTS).to_numpy(), train["late"].to_numpy())
        scores = fitted.predict_proba(test.select(INPUTS).to_numpy())[:, 1]
        found = client.quality.evaluate(
            "flight-delay",
            test["late"].to_numpy(),
            scores,
            dataset="flights@2",
            frame=test,
            slices=["carrier"],
            gate=gate,
            importances=[Importance(name, 0.11 if name == "hour" else 0.004, 0.006) for name in columns],
        )
        figures = found.evaluation.metrics
        made = client.models.log_model(
            "flight-delay",
            fitted,
            example=train.select(INPUTS),
            run_id=run,
            metrics={
                name: Metric(figures[name].value, figures[name].low, figures[name].high, 0.95)
                for name in ("auc", "log_loss", "brier")
            },
            data=["flights@2"],
            description="Will this flight arrive late?",
            tags={"family": "logistic"},
        )
        client.models.attach_report(made.ref, found.ref)
    client.models.describe("flight-delay", description="Late by more than 15 minutes")
    client.models.approve("flight-delay@1", comment="baseline")
    client.models.approve("flight-delay@2", comment="better on every slice")
    client.models.alias("flight-delay", "champion", 1)
    client.models.alias("flight-delay", "champion", 2)
    client.models.alias("flight-delay", "previous", 1)


@step
def load(month: str) -> pl.DataFrame:
    return flights(50, seed=len(month))


@step
def clean(rows: pl.DataFrame) -> pl.DataFrame:
    print("kept", rows.drop_nulls().height)  # noqa: T201 -- the log of the step
    return rows.drop_nulls()


@step
def train(family: str, rows: pl.DataFrame) -> dict[str, float]:
    return {"score": rows["distance"].mean() / len(family), "rows": rows.height}


@step
def choose(scores: list[dict[str, float]]) -> float:
    return max(each["score"] for each in scores)


@step
def publish(score: float, target: str) -> str:
    raise RuntimeError(f"target {target} is not reachable")


@flow
def retrain(month: str) -> float:
    rows = clean(load(month))
    best = choose([train(family, rows) for family in ("linear", "trees", "forest")])
    if month == "March":
        publish(best, "registry")
    return best


def _flow(client, names) -> None:
    retrain.run(client, "February")
    with contextlib.suppress(RuntimeError):
        retrain.run(client, "March")
    failed, finished = client.pipelines.runs(limit=2)
    names.update(flow=finished.id, failed_flow=failed.id, failed_step=client.pipelines.steps(failed.id)[-1].id)


def _serving(client, names) -> None:
    from mainspring.monitoring.types import Limits
    from mainspring.monitoring.watch import watch
    from mainspring.serving.plane import ServingProcess
    from mainspring.serving.sequential import Rule

    client.serving.deploy("flight-delay", model="flight-delay@1")
    client.monitoring.configure("flight-delay", limits=Limits(window_rows=300))
    process = ServingProcess(client.backend.store)
    try:
        for day in range(3):
            _traffic(client, process, day, late_by=0)
        watch(client.backend, "flight-delay")
        client.serving.start_rollout(
            "flight-delay",
            challenger="flight-delay@2",
            mode="canary",
            steps=[0.3, 0.5],
            rule=Rule(min_n=50, planned_n=400),
        )
        for day in range(3, 11):
            _traffic(client, process, day, late_by=0 if day < 5 else 5)
            rollout = client.serving.rollouts(endpoint="flight-delay")[0]
            if rollout.status == "running":
                client.serving.evaluate_rollout("flight-delay", apply=day > 6)
        for _ in range(3):  # as a scheduler does, again and again
            watch(client.backend, "flight-delay")
    finally:
        process.close()
    names["prediction"] = client.serving.predictions("flight-delay", limit=1)[0].id
    client.loop.set_policy(
        "flight-delay", flow="retrain", location=Location(address="shop.flows:retrain"), needs_approval=True
    )


def _traffic(client, process, day: int, *, late_by: float) -> None:
    from mainspring.serving.dataplane import Call

    process.plane.fleet.refresh()
    frame = flights(300, seed=100 + day, late_by=late_by)
    for part in range(6):
        rows = frame.slice(part * 50, 50)
        at = START + timedelta(days=day, hours=4 * part)
        columns = {name: rows[name].to_numpy() for name in INPUTS}
        answer = process.plane.infer("flight-delay", Call(columns=columns, rows=50, at=at, caller="tests"))
        ids = [f"{answer.id}-{row}" for row in range(50)]
        client.serving.label("flight-delay", ids=ids, values=rows["late"].to_list(), at=at + timedelta(hours=6))
    process.log.flush()


def _rest(client, names) -> None:
    """A run that no room tracks further: an evaluation that failed."""
    with client.backend.store.write("test.fill") as tx:
        judge = graph.start_run(tx, "evaluation", "april")
        graph.use(tx, judge.id, graph.resolve(tx, "model/flight-delay@2").id, role="model")
        graph.add_artifact(tx, "report", "april", digest="d" * 64, size=800, metadata={"auc": 0.71}, run_id=judge.id)
        graph.finish_run(tx, judge.id, status="failed", metadata={"error": "CheckFailed: calibration over 0.05"})
    names.update(judge=judge.id)
