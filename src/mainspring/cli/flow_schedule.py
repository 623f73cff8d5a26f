"""`mainspring flow schedule`: when flows start by themselves."""

from __future__ import annotations

import click

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client

__all__ = ["schedule"]


@click.group()
def schedule() -> None:
    """When flows start by themselves."""


@schedule.command("list")
@json_option
@store_options
def list_schedules(store: str, url: str, *, as_json: bool) -> None:
    """Every schedule and when it is due.

    \b
    mainspring flow schedule list
    """
    with use_client(store, url) as client:
        found = client.pipelines.schedules()
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.name,
            each.flow,
            each.cron or f"every {each.every:g} s",
            each.tz,
            "paused" if each.paused else each.next_at,
            ago(each.last_at),
        )
        for each in found
    ]
    show_table(
        ("schedule", "flow", "when", "zone", "next", "last"),
        rows,
        empty="no schedules: mainspring flow schedule add NAME MODULE:FLOW --cron ...",
    )


@schedule.command()
@click.argument("name")
@click.argument("address", metavar="MODULE:FLOW")
@click.option("--cron", default="", help="Five fields as in Debian's cron, or @daily and the like.")
@click.option("--every", default=0.0, type=float, metavar="SECONDS", help="Instead of --cron: so many seconds apart.")
@click.option("--tz", default="UTC", show_default=True, help="The zone of the fields.")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter, as JSON or as text; may be repeated.",
)
@store_options
def add(
    name: str, address: str, cron: str, every: float, tz: str, params: tuple[str, ...], store: str, url: str
) -> None:
    """Start a flow at certain moments; a schedule of the same name is replaced.

    \b
    mainspring flow schedule add nightly pipelines:nightly --cron "0 3 * * *" --tz Europe/Berlin
    """
    found = find_flow(address)
    with use_client(store, url, create=True) as client:
        made = client.pipelines.schedule(
            name,
            flow=found.name,
            location=found.location(),
            params=found.bind(read_params(params)),
            cron=cron,
            every=every,
            tz=tz,
        )
    click.echo(f"{made.name} starts {made.flow} next at {made.next_at:%Y-%m-%d %H:%M:%S}Z")


@schedule.command()
@click.argument("name")
@click.option("--resume", is_flag=True, help="Let it go on from now.")
@store_options
def pause(name: str, store: str, url: str, *, resume: bool) -> None:
    """Stop a schedule for a while.

    \b
    mainspring flow schedule pause nightly
    mainspring flow schedule pause nightly --resume
    """
    with use_client(store, url) as client:
        changed = client.pipelines.pause_schedule(name, paused=not resume)
    click.echo("paused" if changed.paused else f"next at {changed.next_at}")


@schedule.command()
@click.argument("name")
@store_options
def remove(name: str, store: str, url: str) -> None:
    """Take a schedule away; what it started stays.

    \b
    mainspring flow schedule remove nightly
    """
    with use_client(store, url) as client:
        client.pipelines.unschedule(name)
