"""Flows and their health, and all their runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts import RunBar
from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import STATES, FlowsPart, cause_words, message_of, parts, seconds
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.types_overview import FlowHealth

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_PAGE = 50
_FLOWS = 40
_RECENT = 20
_ENDED = ("finished", "failed", "crashed")


class HealthRow(msgspec.Struct, frozen=True):
    """A flow in the list."""

    health: FlowHealth
    href: str
    bars: list[RunBar]
    """Its last runs, oldest first."""
    success: float | None
    """Of those that ended by themselves, the share that finished."""
    typical: float | None
    """The median of the seconds that finished runs took."""
    last_href: str


class FlowsPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `flows.html`."""

    template = "flows.html"

    q: str
    only: str
    filters: list[Crumb]
    rows: list[HealthRow]
    older: str
    newer: str


class FlowRow(msgspec.Struct, frozen=True):
    """A flow run in the table."""

    run: FlowRun
    href: str
    flow_href: str
    cause: str
    error: str


class FlowRunsPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `flow_runs.html`."""

    template = "flow_runs.html"

    rows: list[FlowRow]
    flow: str
    state: str
    states: list[Crumb]
    everything: str
    """Without the choice of a flow."""
    older: str
    newer: str


def flows(client: Client, ask: Ask) -> FlowsPage:
    """Flows by name, each with its last runs, what is open of it, and when it starts next."""
    q, only, after = ask.get("q"), ask.get("only"), ask.get("after")
    found = client.pipelines.flow_health(q=q, recent=_RECENT, limit=_FLOWS, after=after)
    rows = [_health_row(each, ask) for each in found]
    return FlowsPage(
        title="Flows",
        section="flows",
        live=True,
        parts=parts(ask, "Flows"),
        q=q,
        only=only,
        filters=[Crumb(each, ask.here(only="" if each == "all" else each, after="")) for each in ("all", *_ONLY)],
        rows=[row for row in rows if only not in _ONLY or _ONLY[only](row)],
        older=ask.here(after=found[-1].flow) if len(found) == _FLOWS else "",
        newer=ask.here(after="") if after else "",
    )


def _fails(row: HealthRow) -> bool:
    """Whether the last run that ended by itself did not finish."""
    last = next((run for run in row.health.recent if run.state in _ENDED), None)
    return last is not None and last.state != "finished"


_ONLY: dict[str, Callable[[HealthRow], bool]] = {
    "failing": _fails,
    "open": lambda row: bool(row.health.open),
    "scheduled": lambda row: row.health.next_at is not None,
}


def _health_row(health: FlowHealth, ask: Ask) -> HealthRow:
    ended = [run for run in health.recent if run.state in _ENDED]
    good = [run for run in ended if run.state == "finished"]
    spans = sorted(span for run in good if (span := seconds(run.started_at, run.finished_at)) is not None)
    return HealthRow(
        health=health,
        href=ask.link(f"/flows/of/{health.flow}"),
        bars=[RunBar(run.state, seconds(run.started_at, run.finished_at)) for run in reversed(health.recent)],
        success=len(good) / len(ended) if ended else None,
        typical=spans[len(spans) // 2] if spans else None,
        last_href=ask.link(f"/flows/{health.recent[0].id}") if health.recent else "",
    )


def flow_runs(client: Client, ask: Ask) -> FlowRunsPage:
    """Flow runs, newest first."""
    flow, state, before = ask.get("flow"), ask.get("state"), ask.get("before")
    found = client.pipelines.runs(flow=flow, state=state, limit=_PAGE, before=before)
    return FlowRunsPage(
        title="Runs of flows",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=not before,
        parts=parts(ask, "Runs"),
        rows=[
            FlowRow(
                run,
                ask.link(f"/flows/{run.id}"),
                ask.link(f"/flows/of/{run.flow}"),
                cause_words(run.cause, run.created_by),
                message_of(run.error),
            )
            for run in found
        ],
        flow=flow,
        state=state,
        states=[
            Crumb("all", ask.here(state="", before="")),
            *(Crumb(each, ask.here(state=each, before="")) for each in STATES),
        ],
        everything=ask.here(flow="", before=""),
        older=ask.here(before=found[-1].id) if len(found) == _PAGE else "",
        newer=ask.here(before="") if before else "",
    )


ENTRIES = (Entry("/flows", flows), Entry("/flows/runs", flow_runs))
