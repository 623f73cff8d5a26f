"""Home: what runs, what is wrong, what changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.links import run_path
from mainspring.console.page import Ask, Entry, Page
from mainspring.console.pages.alerts import AlertRow, alert_rows
from mainspring.console.pages.audit import EventRow, event_rows, together
from mainspring.console.words import counted
from mainspring.lineage.types import Run
from mainspring.serving.types import Rollout

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_RECENT = timedelta(days=1)
_SEEN = 200


class RunLink(msgspec.Struct, frozen=True):
    """A run as a line of a list."""

    id: str
    name: str
    kind: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    href: str


class Count(msgspec.Struct, frozen=True):
    """One figure at the head of the page."""

    label: str
    value: str
    note: str
    href: str
    tone: str = ""


class HomePage(Page, frozen=True, kw_only=True):
    """The context of `home.html`."""

    template = "home.html"

    empty: bool
    """Whether the store holds nothing yet."""
    address: str
    counts: list[Count]
    running: list[RunLink]
    wrong: list[RunLink]
    alerts: list[AlertRow]
    rollouts: list[Rollout]
    recent: list[RunLink]
    events: list[EventRow]


def home(client: Client, ask: Ask) -> HomePage:
    """The state of the store on one screen."""
    runs = client.lineage.runs(limit=_SEEN)
    # A deployment runs as long as it answers: it is counted with the endpoints.
    running = [run for run in client.lineage.runs(status="running", limit=100) if run.kind != "deployment"]
    endpoints = client.serving.endpoints()
    events = client.storage.events(limit=60)
    firing = client.monitoring.alerts(state="firing", limit=100)
    rollouts = [each for each in client.serving.rollouts(limit=50) if each.status == "running"]
    tops = [run for run in runs if not run.parent_id]
    wrong = [
        run
        for run in runs
        if run.status in ("failed", "crashed") and ask.now - (run.finished_at or run.started_at) < _RECENT
    ]
    datasets, models = client.lineage.names("dataset"), client.lineage.names("model")
    return HomePage(
        title="Home",
        section="home",
        live=True,
        empty=not runs and not datasets and not models and not endpoints,
        address=client.address,
        counts=[
            Count(
                "Running",
                str(len(running)),
                "runs at this moment",
                ask.link("/runs", status="running"),
                "busy" if running else "",
            ),
            Count("Alerts", str(len(firing)), "firing", ask.link("/alerts", state="firing"), "bad" if firing else ""),
            Count(
                "Failed",
                str(len(wrong)),
                "in the last 24 hours",
                ask.link("/runs", status="failed"),
                "bad" if wrong else "",
            ),
            Count(
                "Datasets",
                str(len(datasets)),
                counted(sum(each.version for each in datasets), "version"),
                ask.link("/data"),
            ),
            Count(
                "Models",
                str(len(models)),
                counted(sum(each.version for each in models), "version"),
                ask.link("/models"),
            ),
            Count("Endpoints", str(len(endpoints)), "answering", ask.link("/endpoints")),
        ],
        alerts=alert_rows(firing[:6], ask),
        rollouts=rollouts,
        running=[_link(run, ask) for run in running[:8]],
        wrong=[_link(run, ask) for run in wrong[:8]],
        recent=[_link(run, ask) for run in tops[:10]],
        events=together(event_rows(events, ask, changes=2))[:12],
    )


def _link(run: Run, ask: Ask) -> RunLink:
    return RunLink(
        run.id, run.name, run.kind, run.status, run.started_at, run.finished_at, ask.link(run_path(run.id, run.kind))
    )


ENTRIES = (Entry("/", home),)
