"""`mainspring flow deploy` and `deployment`: versions of flows."""

from __future__ import annotations

from typing import Any

import click

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Flow

__all__ = ["deploy", "deployment"]


@click.command()
@click.argument("address", metavar="MODULE[:FLOW]")
@click.option("--schedule", "schedules", multiple=True, metavar="WHEN", help="Cron fields, or every 15m.")
@click.option("--tz", default="", help="The zone of --schedule.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Other files that it reads: sql/*.sql")
@click.option("--pool", default="", help="Which workers may execute it.")
@click.option("--inactive", is_flag=True, help="Keep the version, and have nothing start it yet.")
@json_option
@store_options
def deploy(
    address: str, schedules: tuple[str, ...], tz: str, include: tuple[str, ...], pool: str, store: str, url: str,
    *, inactive: bool, as_json: bool,
) -> None:  # fmt: skip
    """Keep the code of flows as versions, and make the schedules and triggers that their decorators name.

    \b
    mainspring flow deploy pipelines
    mainspring flow deploy pipelines:nightly --schedule "15 2 * * *" --tz Europe/Paris
    """
    flows = [find_flow(address)] if ":" in address else _flows_in(address)
    if schedules and len(flows) > 1:
        raise InvalidInput(f"--schedule is for one flow, and {address} has {len(flows)}", hint="MODULE:FLOW")
    from mainspring.pipelines.deployments_options import set_up

    told: list[dict[str, Any]] = []
    with use_client(store, url, create=True) as client:
        for each in flows:
            made = client.pipelines.deploy(each, include=include, pool=pool, activate=not inactive)
            names = [] if inactive else set_up(client, each, schedule=schedules, tz=tz)
            told.append({"deployment": made, "starts": names})
    if as_json:
        echo_json(told)
        return
    for one in told:
        made = one["deployment"]
        starts = "".join(f" · {each}" for each in one["starts"])
        click.echo(f"{made.ref}: {len(made.files)} files, {made.digest[:12]}{starts}")


@click.group()
def deployment() -> None:
    """Versions of flows: list, compare, roll back, start."""


@deployment.command("list")
@click.option("--flow", "name", default="", help="Only of this flow.")
@json_option
@store_options
def list_deployments(name: str, store: str, url: str, *, as_json: bool) -> None:
    """Versions of flows, newest first.

    \b
    mainspring flow deployment list --flow nightly
    """
    with use_client(store, url) as client:
        found = client.pipelines.deployments(flow=name)
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.flow,
            each.version,
            "active" if each.active else "",
            each.digest[:12],
            len(each.files),
            ago(each.created_at),
        )
        for each in found
    ]
    show_table(
        ("flow", "version", "", "code", "files", "made"),
        rows,
        empty="no deployments: mainspring flow deploy MODULE:FLOW",
    )


@deployment.command()
@click.argument("flow")
@click.argument("version", type=int)
@store_options
def activate(flow: str, version: int, store: str, url: str) -> None:
    """Have schedules and triggers start this version from now on; runs in flight keep theirs.

    \b
    mainspring flow deployment activate nightly 3
    """
    with use_client(store, url) as client:
        click.echo(f"{client.pipelines.activate(flow, version).ref} is active")


@deployment.command()
@click.argument("flow")
@click.argument("before", type=int)
@click.argument("after", type=int)
@json_option
@store_options
def diff(flow: str, before: int, after: int, store: str, url: str, *, as_json: bool) -> None:
    """What differs between two versions.

    \b
    mainspring flow deployment diff nightly 2 3
    """
    with use_client(store, url) as client:
        found = client.pipelines.diff_deployments(flow, before, after)
    if as_json:
        echo_json(found)
        return
    click.echo(found.text or "nothing differs", nl=not found.text)


@deployment.command()
@click.argument("flow")
@click.option("--version", default="active", show_default=True, help="A number, or the active one.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter, as JSON or as text.")
@click.option("--key", default="", help="Starting the same key again finds the run that it started.")
@json_option
@store_options
def start(flow: str, version: str, params: tuple[str, ...], key: str, store: str, url: str, *, as_json: bool) -> None:
    """Have a worker run a version of a flow; its code need not be here.

    \b
    mainspring flow deployment start nightly -p day=2026-11-21
    """
    with use_client(store, url) as client:
        made = client.pipelines.start_deployed(flow, version=version, params=read_params(params), key=key)
    if as_json:
        echo_json(made)
    else:
        click.echo(made.id)


def _flows_in(module: str) -> list[Flow[..., Any]]:
    """Every flow that is defined in a module."""
    import sys
    from pathlib import Path

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        members = vars(load(f"{module}:__dict__") and sys.modules[module])
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(f"there is no module {module}: {error}", hint="run the command where it is") from None
    found = [each for each in members.values() if isinstance(each, Flow) and each.function.__module__ == module]
    if not found:
        raise InvalidInput(f"the module {module} defines no flow", hint="decorate a function with @ms.flow")
    return found
