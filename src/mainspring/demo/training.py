"""The demo's flows: how the first model is made, and how the loop makes its successors.

Ordinary functions. A worker runs them durably: what a step has finished is not done again when the worker is killed.
Steps hand each other references, so that the lineage knows what was made from what.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import mainspring as ms
from mainspring.demo.flights import INPUTS, VIEWS, month_of, questions
from mainspring.demo.learners import FAMILIES, fit, score
from mainspring.tuning import Float, Int, tune

if TYPE_CHECKING:
    import polars as pl

    from mainspring.client.client import Client

__all__ = ["MODEL", "first_model", "successor"]

MODEL = "flight-delay"
"""The model, its endpoint and its training set: one name for one question."""

_HISTORY = timedelta(days=28)
"""The longest window of a feature: flights this long before the first row belong to what is read."""
_RECENT = timedelta(days=120)
"""How far back a successor looks."""
_HOLDOUT = timedelta(days=14)
"""The last days before the present, which a successor is judged on and does not learn from."""
_YEAR = datetime(2013, 1, 1, 5, tzinfo=UTC)


@ms.flow
def first_model(seed: int) -> dict[str, Any]:
    """January to March: try three families side by side, tune the best, judge it on April against a simple rule."""
    rows = training_rows(_YEAR.isoformat(), "2013-04-01T04:00:00+00:00")
    tried = try_family.map(FAMILIES, training_set=rows, seed=seed)
    best = min(tried, key=lambda each: float(each["log_loss"]))
    params = tune_family(str(best["family"]), training_set=rows, seed=seed)
    model = learn(str(best["family"]), training_set=rows, params=params, seed=seed)
    verdict = judge(model, since="2013-04-01T04:00:00+00:00", until="2013-05-01T04:00:00+00:00", seed=seed)
    made = {"training_set": rows, "model": model}
    return {"tried": tried, "family": best["family"], "params": params, **made, **verdict}


@ms.flow
def successor(  # a flow's parameters are its form: they are given by name
    endpoint: str,
    until: str,
    seed: int,
    *,
    shuffled: bool = False,
) -> dict[str, Any]:
    """The last four months before `until`: try the families anew, judge the best against the champion on two weeks.

    Args:
        endpoint: Where the champion answers.
        until: An ISO moment; nothing that became known later is used.
        seed: Of whatever is drawn by chance.
        shuffled: Whether to shuffle the labels first, which makes a harmed model, for the demo's second rollout.
    """
    end = datetime.fromisoformat(until)
    champion = champion_of(endpoint)
    rows = training_rows((end - _RECENT).isoformat(), (end - _HOLDOUT).isoformat())
    best = str(champion["family"])
    if not shuffled:
        tried = try_family.map(FAMILIES, training_set=rows, seed=seed)
        best = str(min(tried, key=lambda each: float(each["log_loss"]))["family"])
    params = champion["params"] if best == champion["family"] else {}
    model = learn(best, training_set=rows, params=params, seed=seed, shuffled=shuffled)
    verdict = judge(model, since=(end - _HOLDOUT).isoformat(), until=until, seed=seed, champion=str(champion["model"]))
    return {"model": model, "family": best, **verdict}


@ms.step
def training_rows(since: str, until: str) -> str:
    """Flights with their features as of their departure; the reference of the training set."""
    begin, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
    with ms.connect() as client:
        flights = _flights(client, end)
        rows = _known(flights, begin, end)
        made = client.features.training_set(
            MODEL,
            rows=_asked(rows),
            views=list(VIEWS),
            timestamp="scheduled",
            label="late",
            sources={"flights": _version(end), "weather": "weather@clean"},
            uses=[_version(end)],
        )
    return made.ref


@ms.step(retries=1)
def try_family(family: str, *, training_set: str, seed: int) -> dict[str, Any]:
    """Learn on the first four fifths of the time, measure on the last fifth; the curve goes into an experiment run."""
    with ms.connect() as client:
        rows = client.features.load_training_set(training_set).gather_every(
            2
        )  # half the rows rank the families as well
        cut = int(rows.height * 0.8)
        early, late = rows.head(cut), rows.tail(rows.height - cut)
        with client.tracking.run(
            MODEL, params={"family": family, "seed": seed}, tags={"stage": "families"}, title=family
        ) as run:
            client.tracking.use(run.id, ref=training_set, role="training-data")
            model = fit(family, early, early["late"], seed=seed)
            found = _measure(late["late"], score(model, late))
            for step, value in enumerate(_curve(model, late)):
                run.log(step=step, holdout_log_loss=value)
            run.log(step=0, **found)
    return {"family": family, "run": run.id, **found}


@ms.step
def tune_family(family: str, *, training_set: str, seed: int) -> dict[str, Any]:
    """A few trials around the family's own parameters; the best ones."""
    with ms.connect() as client:
        rows = client.features.load_training_set(training_set).gather_every(2)
        cut = int(rows.height * 0.8)
        early, late = rows.head(cut), rows.tail(rows.height - cut)

        def objective(params: dict[str, Any]) -> float:
            model = fit(family, early, early["late"], seed=seed, params=params)
            return _measure(late["late"], score(model, late))["log_loss"]

        found = tune(objective, _space(family), trials=6, direction="minimize", seed=seed, name=MODEL, client=client)
    return dict(found.params)


@ms.step
def learn(family: str, *, training_set: str, params: dict[str, Any], seed: int, shuffled: bool = False) -> str:
    """Fit on the whole training set and register the model; its reference."""
    import numpy as np

    with ms.connect() as client:
        rows = client.features.load_training_set(training_set)
        labels = rows["late"]
        if shuffled:
            labels = labels.gather(np.random.default_rng(seed).permutation(rows.height))
        model = fit(family, rows, labels, seed=seed, params=params)
        step = ms.current_step()
        made = client.models.log_model(
            MODEL,
            model,
            example=rows.select(INPUTS).sample(min(20_000, rows.height), seed=seed),
            nullable=[name for name in INPUTS if name not in ("carrier", "origin")],
            run_id=step.step_id if step else "",
            parameters={"family": family, **params},
            data=[training_set],
            source=learn.function,
            tags={"shuffled": "yes"} if shuffled else {},
        )
    return made.ref


@ms.step
def champion_of(endpoint: str) -> dict[str, Any]:
    """Which model answers now, and how it was made."""
    with ms.connect() as client:
        version = client.models.get(client.serving.endpoint(endpoint).plan.champion.reference)
    params = dict(version.parameters)
    return {"model": version.ref, "family": params.pop("family"), "params": params}


@ms.step
def judge(model: str, *, since: str, until: str, seed: int, champion: str = "") -> dict[str, Any]:
    """Evaluate on a span, against the champion or a simple rule; the gate decides, the report goes to the model."""
    from mainspring.models.types import Metric
    from mainspring.quality.evaluation import permutation_importance

    begin, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
    with ms.connect() as client:
        rows = _known(_flights(client, end), begin, end)
        frame = client.features.join(
            _asked(rows),
            list(VIEWS),
            timestamp="scheduled",
            sources={"flights": _version(end), "weather": "weather@clean"},
        )
        predictor = client.models.load(model)
        scores = _answers(predictor, frame)
        importances = permutation_importance(
            lambda each: _answers(predictor, each),
            frame.select(INPUTS),
            frame["late"],
            metric="log_loss",
            repeats=2,
            rows=4000,
            seed=seed,
        )
        report = client.quality.evaluate(
            MODEL,
            frame["late"],
            scores,
            model=model,
            dataset=_version(end),
            slices=["carrier", "origin"],
            frame=frame,
            importances=importances,
            **_against(client, frame, champion),
        )
        found = report.evaluation.metrics
        metrics = {
            name: Metric(each.value, each.low, each.high, 0.95)
            for name, each in found.items()
            if each.value is not None
        }
        client.models.attach_report(model, report.ref, metrics=metrics)
    decision = report.decision
    assert decision is not None  # noqa: S101 -- `_against` always gives a gate
    return {
        "report": report.ref,
        "passed": decision.passed,
        "reason": "; ".join(each.statement for each in decision.evidence),
        "auc": found["auc"].value,
        "log_loss": found["log_loss"].value,
    }


def _against(client: Client, frame: pl.DataFrame, champion: str) -> dict[str, Any]:
    """What the gate measures against: the champion on the same rows, or a guess from the carrier's past."""
    from mainspring.quality.evaluation import Condition, Gate, evaluate_binary

    if champion:
        gate = Gate(name="better-than-champion", conditions=(Condition(metric="log_loss", better_by=0.0),))
        return {"gate": gate, "champion": _answers(client.models.load(champion), frame)}
    guess = frame["carrier_late"].fill_null(frame["carrier_late"].mean())
    baseline = evaluate_binary(frame["late"], guess, model="the carrier's share of late arrivals in the last 14 days")
    conditions = (
        Condition(metric="auc", better_by=0.02),
        Condition(metric="log_loss", better_by=0.0),
        Condition(metric="auc", at_least=0.55, slice_column="origin", confident=False),
    )
    return {"gate": Gate(name="better-than-a-guess", conditions=conditions), "baseline": baseline}


def _answers(predictor: Any, frame: pl.DataFrame) -> Any:
    """The probability of being late, from the model as it will be served."""
    columns = {name: frame[name].to_numpy() for name in INPUTS}
    return predictor.predict(predictor.signature.convert(columns))["probability"][:, 1]


def _measure(labels: pl.Series, scores: Any) -> dict[str, float]:
    from mainspring.quality.evaluation import evaluate_binary

    found = evaluate_binary(labels, scores, replicates=20)
    return {name: float(found[name].value or 0.0) for name in ("auc", "log_loss", "brier")}


def _curve(model: Any, rows: pl.DataFrame) -> list[float]:
    """The loss on held out rows after each round of boosting; nothing for families that have no rounds."""
    learner = model[-1]
    if not hasattr(learner, "staged_predict_proba"):
        return []
    from mainspring.quality.evaluation.losses import log_losses

    inputs, labels = model[:-1].transform(rows.select(INPUTS)), rows["late"].to_numpy().astype(float)
    return [float(log_losses(labels, stage[:, 1]).mean()) for stage in learner.staged_predict_proba(inputs)]


def _space(family: str) -> dict[str, Any]:
    if family == "boosting":
        return {
            "learning_rate": Float(0.04, 0.2, log=True),
            "max_leaf_nodes": Int(8, 48),
            "min_samples_leaf": Int(20, 200, log=True),
        }
    if family == "forest":
        return {"max_depth": Int(6, 14), "min_samples_leaf": Int(5, 50)}
    return {"C": Float(0.01, 2.0, log=True)}


def _version(end: datetime) -> str:
    """The version of the flights that holds everything before `end`: one was committed for each month."""
    return f"flights@{month_of(end - timedelta(seconds=1)).month}"


def _flights(client: Client, end: datetime) -> pl.DataFrame:
    return client.data.load(_version(end))


def _known(flights: pl.DataFrame, begin: datetime, end: datetime) -> pl.DataFrame:
    """Flights that should have left in the span and whose outcome was known at its end."""
    import polars as pl

    return flights.filter(
        (pl.col("scheduled") >= begin)
        & (pl.col("scheduled") < end)
        & (pl.col("landed") < end)
        & pl.col("late").is_not_null()
    )


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    return questions(rows).with_columns(rows["late"])
