"""`mainspring audit`."""

from __future__ import annotations

import click
import msgspec

from mainspring.cli.output import echo_json, json_option, show_table, store_options, use_client

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """Who changed what, and whether the record of it is untouched."""


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--action", default="", help="Only this operation, for example models.alias.")
@click.option("--actor", default="", help="Only this principal.")
@click.option("--resource", default="", help="Only what begins with this, for example model/flight-delay.")
@json_option
@store_options
def list_events(limit: int, action: str, actor: str, resource: str, store: str, url: str, *, as_json: bool) -> None:
    """The newest changes first.

    \b
    mainspring audit list --resource model/flight-delay
    """
    with use_client(store, url) as client:
        events = client.storage.events(limit=limit, action=action, actor=actor, resource=resource)
    if as_json:
        echo_json(events)
        return
    rows = [
        (event.seq, event.at, event.actor, event.action, _touched([change.resource for change in event.changes]))
        for event in events
    ]
    show_table(("seq", "at", "actor", "action", "changed"), rows, empty="nothing has been changed yet")


@audit.command()
@json_option
@store_options
def verify(store: str, url: str, *, as_json: bool) -> int:
    """Walk the chain of events; exit code 1 when one was edited, dropped or moved.

    \b
    mainspring audit verify
    """
    with use_client(store, url) as client:
        report = client.storage.verify_audit()
    if as_json:
        echo_json({**msgspec.to_builtins(report), "intact": report.intact})
    else:
        for problem in report.problems:
            click.echo(f"damaged: {problem}")
        click.echo(f"{report.events} events, {'intact' if report.intact else 'NOT intact'}, head {report.head}")
    return 0 if report.intact else 1


@audit.command()
@store_options
def anchor(store: str, url: str) -> None:
    """Write the head of the chain beside the database and print it, to be kept elsewhere too.

    \b
    mainspring audit anchor >> /mnt/other/anchors.jsonl
    """
    with use_client(store, url) as client:
        echo_json(client.storage.anchor_audit())


def _touched(resources: list[str]) -> str:
    return ", ".join(resources[:3]) + (f" and {len(resources) - 3} more" if len(resources) > 3 else "")
