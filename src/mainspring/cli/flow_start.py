"""`mainspring flow start` and `mainspring flow run`: have a flow run, by a worker or here."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click
import msgspec

from mainspring.cli.flow_address import find_flow
from mainspring.cli.flow_parameters import FlowCommand, param_options, parameter_options, values_of
from mainspring.cli.output import echo_json, json_option, store_options, use_client
from mainspring.pipelines.decorators import Flow

__all__ = ["main", "run", "start"]


@click.command(cls=FlowCommand)
@click.argument("address", metavar="MODULE:FLOW")
@param_options
@click.option("--key", default="", help="Starting the same key again finds the run that it started.")
@click.option("--priority", default=0, show_default=True, type=int, help="Higher goes first.")
@json_option
@store_options
def start(
    address: str,
    params: tuple[str, ...],
    document: str,
    key: str,
    priority: int,
    store: str,
    url: str,
    *,
    as_json: bool,
    **flags: Any,
) -> None:
    """Have a worker run a flow; prints the id of the run. The flow's parameters are flags.

    \b
    mainspring flow start pipelines:nightly --day 2026-11-21
    mainspring flow start pipelines:nightly --params @tonight.json --key tonight
    mainspring flow start pipelines:nightly --help
    """
    found = find_flow(address)
    values = values_of(found, flags, params, document)
    with use_client(store, url, create=True) as client:
        run_id = client.pipelines.start(found, values, key=key, priority=priority)
        if as_json:
            echo_json(client.pipelines.get(run_id))
        else:
            click.echo(run_id)


@click.command(cls=FlowCommand)
@click.argument("address", metavar="MODULE:FLOW")
@param_options
@click.option("--resume", default="", metavar="RUN", help="Go on with a run that failed, was interrupted, or waits.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@store_options
def run(
    address: str,
    params: tuple[str, ...],
    document: str,
    resume: str,
    store: str,
    url: str,
    *,
    quiet: bool,
    **flags: Any,
) -> None:
    """Run a flow in this process, showing its steps; prints what it returns. The flow's parameters are flags.

    \b
    mainspring flow run pipelines:nightly --day 2026-11-21
    mainspring flow run pipelines:nightly --resume 01970b2e-...
    """
    found = find_flow(address)
    _run(found, values_of(found, flags, params, document), resume, store, url, quiet=quiet)


def main(flow: Flow[..., Any], arguments: list[str] | None = None) -> None:
    """The command line of a script that ends with `my_flow.main()`; leaves the process with an exit code."""
    from mainspring.cli.app import guarded

    def call(
        params: tuple[str, ...], document: str, resume: str, store: str, url: str, *, quiet: bool, **flags: Any
    ) -> None:
        _run(flow, values_of(flow, flags, params, document), resume, store, url, quiet=quiet)

    own = [each for each in run.params if each.name != "address"]
    command = click.Command(
        flow.name, callback=call, params=[*parameter_options(flow), *own], help=flow.function.__doc__ or f"{flow.name}."
    )
    sys.exit(guarded(lambda: command.main(args=arguments, standalone_mode=False)))


def _run(flow: Flow[..., Any], values: dict[str, Any], resume: str, store: str, url: str, *, quiet: bool) -> None:
    from mainspring.cli.flow_progress import shown
    from mainspring.pipelines.runtime import run_here
    from mainspring.pipelines.waits import Interrupted

    arguments = None if resume else flow.bind(values)
    talk = contextlib.redirect_stdout(sys.stderr)  # what steps print; what the flow returns is data
    with use_client(store, url, create=True) as client, talk, shown(client, quiet=quiet) as began:
        try:
            result = run_here(client.pipelines, flow, arguments, run_id=resume, began=began)
        except Interrupted as left:
            click.echo(f"{left.run_id} waits on; go on with --resume {left.run_id}", err=True)
            raise
    try:
        echo_json(result)
    except (TypeError, ValueError, msgspec.MsgspecError):
        click.echo(repr(result))  # a frame, a model: what people see of it
