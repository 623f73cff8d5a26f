"""The later stages of the demo: serving, the year replayed, the loop, the harmed challenger, and the question."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import httpx

from mainspring.demo.flights import VIEWS
from mainspring.demo.training import MODEL, successor
from mainspring.kernel.clock import monotonic
from mainspring.loop.types import RolloutPlan
from mainspring.serving.sequential import Rule

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.demo.replay import Replay
    from mainspring.demo.show import Show

__all__ = ["ask_why", "catch_harmed", "deploy", "replay_spring_and_summer", "show_months", "watch_the_rest"]

_COOLDOWN = 50 * 86_400.0  # fifty days of the traffic's time
_AUTUMN = date(2013, 8, 31)
_MARGIN = 0.01  # log loss: once it convinced as a shadow, the canary has to be no worse than this


def deploy(client: Client, show: Show, url: str) -> None:
    """An endpoint with features from the online store, and a policy that keeps it good."""
    client.serving.deploy(MODEL, model=f"{MODEL}@champion", features=list(VIEWS), timestamp="scheduled")
    rule = Rule(margin=_MARGIN, min_n=2000, planned_n=8000, max_n=12_000)
    client.loop.watch(
        MODEL,
        run=successor,
        params={"seed": 1},
        cooldown_seconds=_COOLDOWN,
        rollout=RolloutPlan(mode="shadow", steps=(0.3,), metric="log_loss", rule=rule),
    )
    _wait(lambda: httpx.get(f"{url}/v2/models/{MODEL}/ready", timeout=5).status_code == 200, "the endpoint")
    described = httpx.get(f"{url}/v2/models/{MODEL}", timeout=5).json()
    show.fact("endpoint", f"{url}/v2/models/{MODEL}/infer")
    show.fact("platform", described["platform"])
    show.fact("inputs it takes", len(described["inputs"]))
    show.fact("looked up when left out", ", ".join(VIEWS))
    show.must(described["name"] == MODEL, "the endpoint describes itself")


def replay_spring_and_summer(client: Client, show: Show, replay: Replay) -> None:
    """April to August: the loop keeps the model good by itself."""

    def over() -> bool:
        return replay.day >= _AUTUMN and not client.loop.episodes(endpoint=MODEL, active=True)

    begun = replay.left
    with show.bar("replaying", begun) as update:
        replay.run_until(over, progress=lambda: update(begun - replay.left, f"{replay.day:%d %B}: {_state(client)}"))
    alerts = client.monitoring.alerts(endpoint=MODEL)
    windows = client.monitoring.windows(MODEL, limit=1000)
    show.fact("predictions served", replay.sent)
    show.fact("outcomes told", replay.told)
    show.fact("windows judged", len(windows))
    show.fact("reference of the inputs, found through the lineage", windows[-1].reference if windows else "none")
    show.fact("alerts", len(alerts))
    for alert in reversed(alerts):
        show.say(f"  {alert.event_at:%d %B}  {alert.kind}: {alert.title}")
    for episode in reversed(client.loop.episodes(endpoint=MODEL)):
        show.say(f"  {episode.event_at:%d %B}  {episode.state}: {episode.reason or episode.story[-1].text}")
        for chapter in episode.story:
            show.say(f"      {chapter.text}")
    show.must(any(alert.kind == "drift" for alert in alerts), "drift of the inputs fired an alert")
    promoted = [each for each in client.loop.episodes(endpoint=MODEL) if each.state == "promoted"]
    show.must(bool(promoted), "a challenger passed the gate, the shadow and the canary, and was promoted")


def catch_harmed(client: Client, show: Show, replay: Replay) -> None:
    """A challenger that learnt from shuffled labels, forced past the gate: the canary must catch it."""
    client.loop.stop(MODEL, reason="the demo takes over")
    until = datetime(replay.day.year, replay.day.month, replay.day.day, tzinfo=UTC)
    run_id = successor.start(client, endpoint=MODEL, until=until.isoformat(), seed=2, shuffled=True)
    _wait(lambda: client.pipelines.get(run_id).state not in ("queued", "running"), "the harmed challenger", seconds=90)
    result = client.pipelines.get(run_id).result or {}
    model = str(result.get("model", ""))
    show.fact("harmed challenger", model)
    show.fact("what the gate says of it", "passed" if result.get("passed") else "refused")
    client.models.approve(model, comment="forced past the gate, to show what a canary is for")
    champion = client.serving.endpoint(MODEL).plan.champion.reference
    rollout = client.serving.start_rollout(
        MODEL, challenger=model, mode="canary", steps=[0.2], metric="log_loss", rule=Rule(min_n=300, planned_n=1000)
    )
    begun, before = replay.left, replay.sent

    def decided() -> bool:
        return client.serving.rollouts(endpoint=MODEL, limit=1)[0].status != "running"

    with show.bar("canary", begun) as update:
        replay.run_until(decided, progress=lambda: update(begun - replay.left, f"{replay.day:%d %B}"))
    ended = next(each for each in client.serving.rollouts(endpoint=MODEL) if each.id == rollout.id)
    show.fact("outcome", f"{ended.status}: {ended.reason}")
    show.fact("flights until it was caught", replay.sent - before)
    show.fact("looks at the evidence", len(client.serving.evidence(rollout.id)))
    show.must(not result.get("passed"), "the gate refused the harmed challenger")
    show.must(ended.status == "rolled back", "the canary rolled the harmed challenger back by itself")
    show.must(client.serving.endpoint(MODEL).plan.champion.reference == champion, "the champion answers again")


def watch_the_rest(show: Show, replay: Replay) -> None:
    """The rest of the year."""
    begun = replay.left
    with show.bar("replaying", max(begun, 1)) as update:
        replay.run_until(lambda: False, progress=lambda: update(begun - replay.left, f"{replay.day:%d %B}"))
    show.fact("predictions served in all", replay.sent)
    show.fact("requests", replay.requests)
    show.fact("outcomes told in all", replay.told)


def show_months(client: Client, show: Show) -> list[tuple[str, ...]]:
    """How good the answers were, month by month and by whom: from the prediction log."""
    import polars as pl

    from mainspring.quality.evaluation import evaluate_binary

    outcomes = client.serving.outcomes(MODEL, labelled=True, columns=["output.probability"])
    local = outcomes.with_columns(
        month=pl.col("at").dt.convert_time_zone("America/New_York").dt.month(),
        score=pl.col("output.probability").cast(pl.List(pl.Float64)).list.last(),
    )
    rows: list[tuple[str, ...]] = []
    for (month,), part in sorted(local.group_by("month"), key=lambda each: each[0]):
        found = evaluate_binary(part["label"], part["score"], replicates=10)
        models = ", ".join(sorted({str(each).rpartition("@")[2] for each in part["model"].unique()}))
        rows.append(
            (
                date(2013, int(month), 1).strftime("%B"),
                f"{part.height:,}",
                f"{float(part['label'].mean()):.1%}",  # type: ignore[arg-type]  # labels are numbers
                f"{float(part['score'].mean()):.1%}",  # type: ignore[arg-type]
                f"{found['auc'].value:.4f}",
                f"{found['log_loss'].value:.4f}",
                models,
            )
        )
    show.must(len(rows) == 9, "every month from April to December was judged")
    return rows


def ask_why(client: Client, show: Show, prediction: str) -> None:
    """Which data, code and approval made this one answer?"""
    begun = monotonic()
    graph = client.serving.why_prediction(prediction)
    found = client.serving.prediction(prediction)
    took = monotonic() - begun
    kinds = ("model", "approval", "training-set", "feature-view", "dataset", "code", "environment")
    show.fact("prediction", prediction)
    show.fact("answer", f"{found.outputs} by {found.model}, label {found.label}")
    for kind in kinds:
        show.fact(kind, ", ".join(node.ref for node in graph.of_kind(kind)[:6]) or "none")
    show.fact("seconds to answer", round(took, 3))
    missing = [kind for kind in kinds if not graph.of_kind(kind)]
    show.must(not missing, f"the lineage is whole{': no ' + ', '.join(missing) if missing else ''}")
    show.must(took < 1.0, "well under a second")


def _state(client: Client) -> str:
    rollouts = client.serving.rollouts(endpoint=MODEL, limit=1)
    if rollouts and rollouts[0].status == "running":
        return rollouts[0].mode
    return "champion"


def _wait(done: Callable[[], Any], what: str, *, seconds: float = 30.0) -> None:
    import time

    from mainspring.kernel.errors import DeadlineExceeded

    deadline = monotonic() + seconds
    while True:
        try:
            if done():
                return
        except httpx.HTTPError:
            pass  # not listening yet
        if monotonic() > deadline:
            raise DeadlineExceeded(f"{what} was not ready in {seconds:.0f} s")
        time.sleep(0.05)
