"""`mainspring flow start`: have a flow run."""

from __future__ import annotations

import click

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.output import echo_json, json_option, store_options, use_client

__all__ = ["start"]


@click.command()
@click.argument("address", metavar="MODULE:FLOW")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter, as JSON or as text; may be repeated.",
)
@click.option("--key", default="", help="Starting the same key again finds the run that it started.")
@click.option("--priority", default=0, show_default=True, type=int, help="Higher goes first.")
@click.option("--here", is_flag=True, help="Run it in this process, instead of giving it to a worker.")
@json_option
@store_options
def start(
    address: str, params: tuple[str, ...], key: str, priority: int, store: str, url: str, *, here: bool, as_json: bool
) -> None:
    """Have a worker run a flow; prints the id of the run.

    \b
    mainspring flow start pipelines:nightly -p day=2026-11-21
    mainspring flow start pipelines:nightly -p rows=100 --here
    """
    found, values = find_flow(address), read_params(params)
    with use_client(store, url, create=True) as client:
        if here:
            echo_json(found.run(client, **found.bind(values)))
            return
        run_id = client.pipelines.start(found, values, key=key, priority=priority)
        if as_json:
            echo_json(client.pipelines.get(run_id))
        else:
            click.echo(run_id)
