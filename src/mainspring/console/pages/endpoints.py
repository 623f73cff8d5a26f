"""Endpoints: who answers, how fast, how well, how far the traffic has moved, and who challenges."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import Mark, Series, Threshold
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.distributions import DriftRow, drift_rows
from mainspring.console.pages.traffic import Latency, Traffic, latency, traffic
from mainspring.kernel.clock import to_micros
from mainspring.loop.types import Episode, Policy
from mainspring.monitoring.types import Alert, Monitor, Window
from mainspring.serving.types import Endpoint, PredictionSegment, Rollout, RolloutEvidence

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.lineage.types import Run

__all__ = ["ENTRIES", "performance"]

_WINDOWS = 60
_HEAT = 15
_PREDICTIONS = 8


class EndpointRow(msgspec.Struct, frozen=True):
    """An endpoint in the table."""

    endpoint: Endpoint
    href: str
    firing: int
    rollout: Rollout | None


class EndpointsPage(Page, frozen=True, kw_only=True):
    """The context of `endpoints.html`."""

    template = "endpoints.html"

    rows: list[EndpointRow]


class PerformanceChart(msgspec.Struct, frozen=True):
    """One figure over the windows, with what it was when the model was accepted."""

    name: str
    series: list[Series]
    thresholds: list[Threshold]


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout with its evidence, as a confidence sequence."""

    rollout: Rollout
    champion_href: str
    challenger_href: str
    n: list[float]
    estimate: list[float | None]
    low: list[float | None]
    high: list[float | None]
    bound: float
    bound_label: str
    last: RolloutEvidence | None


class PredictionRow(msgspec.Struct, frozen=True):
    """A prediction in the list of the newest."""

    id: str
    at: datetime
    model: str
    arm: str
    outputs: dict[str, Any]
    href: str


class EndpointPage(Page, frozen=True, kw_only=True):
    """The context of `endpoint.html`."""

    template = "endpoint.html"

    endpoint: Endpoint
    champion_href: str
    challenger_href: str
    traffic: Traffic
    rate: list[Series]
    latency: Latency | None
    span: str
    spans: list[Crumb]
    monitor: Monitor | None
    windows: int
    newest: Window | None
    reference_href: str
    drift: list[DriftRow]
    heat_columns: list[str]
    heat: dict[str, list[float | None]]
    performance: list[PerformanceChart]
    marks: list[Mark]
    rollout: RolloutView | None
    rollouts: list[Rollout]
    alerts: list[Alert]
    predictions: list[PredictionRow]
    policy: Policy | None
    episodes: list[Episode]


def endpoints(client: Client, ask: Ask) -> EndpointsPage:
    """Every endpoint with what is wrong and what is under way."""
    firing: dict[str, int] = {}
    for alert in client.monitoring.alerts(state="firing", limit=1000):
        firing[alert.endpoint] = firing.get(alert.endpoint, 0) + 1
    running = {each.endpoint: each for each in client.serving.rollouts(limit=200) if each.status == "running"}
    return EndpointsPage(
        title="Endpoints",
        section="endpoints",
        live=True,
        rows=[
            EndpointRow(each, ask.link(f"/endpoints/{each.name}"), firing.get(each.name, 0), running.get(each.name))
            for each in client.serving.endpoints()
        ],
    )


def endpoint(client: Client, ask: Ask) -> EndpointPage:
    """One endpoint."""
    name = str(ask.params["name"])
    found = client.serving.endpoint(name)
    rollouts = client.serving.rollouts(endpoint=name, limit=20)
    segments = client.serving.segments(name, limit=1000)
    windows = client.monitoring.windows(name, limit=_WINDOWS)
    alerts = client.monitoring.alerts(endpoint=name, limit=50)
    deployments = client.lineage.runs(kind="deployment", name=name, limit=200)
    policy = next((each for each in client.loop.policies() if each.endpoint == name), None)
    newest = windows[0] if windows else None
    shown = newest.columns if newest else []
    span, spans = _spans(ask)
    challenger = found.plan.challenger
    return EndpointPage(
        title=name,
        section="endpoints",
        crumbs=[Crumb("Endpoints", ask.link("/endpoints"))],
        live=True,
        endpoint=found,
        champion_href=_model_href(found.plan.champion.reference, ask),
        challenger_href=_model_href(challenger.reference, ask) if challenger else "",
        traffic=traffic(deployments, rollouts),
        rate=_rate(segments),
        latency=_latency(client, name, segments, span),
        span=span,
        spans=spans,
        monitor=client.monitoring.monitor(name),
        windows=len(windows),
        newest=newest,
        reference_href=ask.link(f"/lineage/{newest.reference}") if newest and newest.reference else "",
        drift=drift_rows(shown),
        heat_columns=[each.until.strftime("%Y-%m-%d") for each in reversed(windows)],
        heat=_heat(windows),
        performance=performance(windows),
        marks=_marks(deployments, alerts, windows),
        rollout=_rollout(client, rollouts[0], ask) if rollouts else None,
        rollouts=rollouts,
        alerts=alerts,
        predictions=[
            PredictionRow(each.id, each.at, each.model, each.arm, each.outputs, ask.link(f"/predictions/{each.id}"))
            for each in client.serving.predictions(name, limit=_PREDICTIONS)
        ],
        policy=policy,
        episodes=client.loop.episodes(endpoint=name, limit=20) if policy else [],
    )


def _model_href(reference: str, ask: Ask) -> str:
    return ask.link(f"/models/{reference.removeprefix('model/')}")


_SPANS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


def _spans(ask: Ask) -> tuple[str, list[Crumb]]:
    span = ask.get("span", "7d") if ask.get("span") in _SPANS else "7d"
    return span, [Crumb(each, ask.here(span=each)) for each in _SPANS]


def _latency(client: Client, name: str, segments: list[PredictionSegment], span: str) -> Latency | None:
    """Of the last stretch of traffic there was: a stream that stopped a month ago still has its picture."""
    if not segments:
        return None
    until = max(segment.last_at for segment in segments) + timedelta(microseconds=1)
    return latency(client, name, since=until - _SPANS[span], until=until)


def _rate(segments: list[PredictionSegment]) -> list[Series]:
    """Rows per second of each sealed segment, by model, in the time of the traffic."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for segment in sorted(segments, key=lambda each: each.first_at):
        seconds = (to_micros(segment.last_at) - to_micros(segment.first_at)) / 1e6
        middle = (to_micros(segment.last_at) + to_micros(segment.first_at)) / 2e6
        if seconds > 0:
            lines.setdefault(segment.model.removeprefix("model/"), []).append((middle, segment.rows / seconds))
    return [Series(name=model, x=[x for x, _ in points], y=[y for _, y in points]) for model, points in lines.items()]


def _heat(windows: list[Window]) -> dict[str, list[float | None]]:
    """Column -> effect in each window, oldest first; the columns that moved most."""
    effects: dict[str, list[float | None]] = {}
    for index, window in enumerate(reversed(windows)):
        for column in window.columns:
            row = effects.setdefault(column.column, [None] * len(windows))
            row[index] = max(column.effect, 0.0) if column.verdict != "insufficient data" else None
    ranked = sorted(
        effects.items(), key=lambda item: -max((value for value in item[1] if value is not None), default=0.0)
    )
    return dict(ranked[:_HEAT])


def performance(windows: list[Window]) -> list[PerformanceChart]:
    """One chart per figure over the judged windows; the reference is that of the newest."""
    judged = [window for window in reversed(windows) if window.figures]
    names = list(dict.fromkeys(name for window in judged for name in window.figures))
    found = []
    for name in names:
        rows = [(window, window.figures[name]) for window in judged if name in window.figures]
        last = rows[-1][1]
        series = Series(
            name=name,
            x=[to_micros(window.until) / 1e6 for window, _ in rows],
            y=[figure.value for _, figure in rows],
            low=[figure.low for _, figure in rows],
            high=[figure.high for _, figure in rows],
        )
        limits = (
            [Threshold(y=last.reference, label="when accepted", status="idle")] if last.reference is not None else []
        )
        found.append(PerformanceChart(name, [series], limits))
    return found


def _marks(deployments: list[Run], alerts: list[Alert], windows: list[Window]) -> list[Mark]:
    """What happened, in the time of the traffic: alerts at the end of their window, a champion at its first."""
    marks = [Mark(x=to_micros(alert.event_at) / 1e6, label=f"{alert.kind} alert", status="bad") for alert in alerts]
    before = ""
    for window in reversed(windows):
        if before and window.model != before:
            marks.append(
                Mark(x=to_micros(window.since) / 1e6, label=window.model.removeprefix("model/"), status="good")
            )
        before = window.model
    if not windows:
        marks += [
            Mark(x=_seconds(run.started_at), label=str(run.metadata.get("model", "")), status="good")
            for run in deployments
        ]
    return marks


def _seconds(moment: datetime) -> float:
    return to_micros(moment) / 1e6


def _rollout(client: Client, rollout: Rollout, ask: Ask) -> RolloutView:
    looks = client.serving.evidence(rollout.id)
    rule = rollout.rule
    # Differences are challenger minus champion: it wins where the whole band is on the good side of the margin.
    bound = rule.margin if rule.better == "lower" else -rule.margin
    return RolloutView(
        rollout=rollout,
        champion_href=_model_href(rollout.champion, ask),
        challenger_href=_model_href(rollout.challenger, ask),
        n=[float(look.decision.n) for look in looks],
        estimate=[look.decision.estimate for look in looks],
        low=[look.decision.lower for look in looks],
        high=[look.decision.upper for look in looks],
        bound=bound,
        bound_label=f"promoted when the band is {'below' if rule.better == 'lower' else 'above'} {bound:g}",
        last=looks[-1] if looks else None,
    )


ENTRIES = (Entry("/endpoints", endpoints), Entry("/endpoints/{name:path}", endpoint))
