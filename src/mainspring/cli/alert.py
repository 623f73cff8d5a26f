"""`mainspring alert`."""

from __future__ import annotations

from typing import Literal

import click

from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client

__all__ = ["alert"]


@click.group()
def alert() -> None:
    """What monitoring wants looked at."""


@alert.command("list")
@click.option("--endpoint", default="", help="Only of this endpoint.")
@click.option("--state", default="", type=click.Choice(["", "firing", "resolved"]), help="Only these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def list_alerts(
    endpoint: str, state: Literal["", "firing", "resolved"], limit: int, store: str, url: str, *, as_json: bool
) -> None:
    """Alerts, newest first.

    \b
    mainspring alert list --state firing
    """
    with use_client(store, url) as client:
        found = client.monitoring.alerts(endpoint=endpoint, state=state, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.id,
            each.severity,
            each.endpoint,
            each.kind,
            "firing" if each.resolved_at is None else "resolved",
            ago(each.fired_at),
            each.title,
        )
        for each in found
    ]
    show_table(("alert", "severity", "endpoint", "kind", "state", "fired", "what"), rows, empty="no alerts")


@alert.command()
@click.argument("alert_id")
@json_option
@store_options
def show(alert_id: str, store: str, url: str, *, as_json: bool) -> None:
    """One alert and its evidence.

    \b
    mainspring alert show 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.monitoring.alert(alert_id)
    if as_json:
        echo_json(found)
        return
    show_fields(
        [
            ("alert", found.id),
            ("what", found.title),
            ("severity", found.severity),
            ("endpoint", found.endpoint),
            ("model", found.model),
            ("fired", found.fired_at),
            ("last seen", found.last_seen_at),
            ("windows", found.windows),
            ("evidence", found.report),
            ("looked at by", found.acknowledged_by or "nobody"),
            ("resolved", found.resolved_at or "no"),
            ("how", found.resolution),
        ]
    )


@alert.command()
@click.argument("alert_id")
@store_options
def ack(alert_id: str, store: str, url: str) -> None:
    """Say that you are looking at it.

    \b
    mainspring alert ack 01970b2e-...
    """
    with use_client(store, url) as client:
        click.echo(f"{client.monitoring.acknowledge(alert_id).acknowledged_by} looks at it")


@alert.command()
@click.argument("alert_id")
@click.option("--reason", default="resolved by hand", show_default=True, help="Why, for the audit.")
@store_options
def resolve(alert_id: str, reason: str, store: str, url: str) -> None:
    """End an alert; it fires anew when its cause is seen again.

    \b
    mainspring alert resolve 01970b2e-... --reason "a holiday"
    """
    with use_client(store, url) as client:
        click.echo(client.monitoring.resolve(alert_id, reason=reason).resolution)
