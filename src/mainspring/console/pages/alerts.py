"""Alerts: what fires, what was resolved and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.console.links import artifact_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.monitoring.types import Alert

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "AlertRow", "alert_rows"]

_STATES: tuple[Literal["", "firing", "resolved"], ...] = ("", "firing", "resolved")


class AlertRow(msgspec.Struct, frozen=True):
    """An alert with the pages that it leads to."""

    alert: Alert
    state: str
    endpoint_href: str
    model_href: str
    report_href: str


class AlertsPage(Page, frozen=True, kw_only=True):
    """The context of `alerts.html`."""

    template = "alerts.html"

    rows: list[AlertRow]
    state: str
    states: list[Crumb]
    firing: int


def alert_rows(alerts: list[Alert], ask: Ask) -> list[AlertRow]:
    """Alerts with their links."""
    return [
        AlertRow(
            alert=alert,
            state="resolved" if alert.resolved_at else "acknowledged" if alert.acknowledged_by else "firing",
            endpoint_href=ask.link(f"/endpoints/{alert.endpoint}"),
            model_href=_href(alert.model, ask),
            report_href=_href(alert.report, ask),
        )
        for alert in alerts
    ]


def _href(reference: str, ask: Ask) -> str:
    kind, _, rest = reference.partition("/")
    name, at, version = rest.rpartition("@")
    if at:
        return ask.link(artifact_path(kind, name, version))
    return ask.link(f"/lineage/{reference}") if reference else ""


def alerts(client: Client, ask: Ask) -> AlertsPage:
    """Alerts, newest first; `state` keeps those that fire, or those that were resolved."""
    state: Literal["", "firing", "resolved"] = next((each for each in _STATES if each == ask.get("state")), "")
    found = client.monitoring.alerts(state=state, limit=200)
    return AlertsPage(
        title="Alerts",
        section="alerts",
        live=True,
        rows=alert_rows(found, ask),
        state=state,
        states=[Crumb(each or "all", ask.here(state=each)) for each in _STATES],
        firing=sum(1 for alert in found if alert.resolved_at is None),
    )


ENTRIES = (Entry("/alerts", alerts),)
