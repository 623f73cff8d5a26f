"""`mainspring flow`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
import msgspec

from mainspring.cli.output import (
    ago,
    echo_json,
    json_option,
    seconds_text,
    show_fields,
    show_table,
    store_options,
    use_client,
)
from mainspring.kernel.clock import now
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Flow
from mainspring.pipelines.types import FlowRun, StepRecord

__all__ = ["flow"]


@click.group()
def flow() -> None:
    """Durable flows: start, watch, cancel, retry, schedule."""


@flow.command("list")
@click.option("--flow", "name", default="", help="Only runs of this flow.")
@click.option("--state", default="", help="Only queued, running, finished, failed, cancelled or crashed ones.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def list_flows(name: str, state: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """Runs of flows, newest first.

    \b
    mainspring flow list --state failed
    """
    with use_client(store, url) as client:
        found = client.pipelines.runs(flow=name, state=state, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [(each.id, each.flow, each.state, each.attempt, ago(each.created_at), _lasted(each)) for each in found]
    show_table(
        ("run", "flow", "state", "attempt", "started", "took"),
        rows,
        empty="no flow has run: mainspring flow start MODULE:FLOW",
    )


@flow.command()
@click.argument("run_id")
@json_option
@store_options
def show(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """One run of a flow with its steps.

    \b
    mainspring flow show 01970b2e-...
    """
    with use_client(store, url) as client:
        found, steps = client.pipelines.get(run_id), client.pipelines.steps(run_id)
    if as_json:
        echo_json({"run": found, "steps": steps})
        return
    show_fields(
        [
            ("run", found.id),
            ("flow", found.flow),
            ("state", found.state),
            ("attempt", found.attempt),
            ("started", found.started_at),
            ("took", _lasted(found)),
            ("by", found.created_by),
            ("error", (found.error or {}).get("message")),
        ]
    )
    click.echo("")
    rows = [
        (each.id, each.path, _called(each), each.state, _lasted(each), (each.error or {}).get("message"))
        for each in steps
    ]
    show_table(("step", "place", "call", "state", "took", "error"), rows, empty="no step has begun")


@flow.command()
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
    found, values = _find(address), _read(params)
    with use_client(store, url, create=True) as client:
        if here:
            echo_json(found.run(client, **found.bind(values)))
            return
        run_id = client.pipelines.start(found, values, key=key, priority=priority)
        if as_json:
            echo_json(client.pipelines.get(run_id))
        else:
            click.echo(run_id)


@flow.command()
@click.argument("run_id")
@store_options
def cancel(run_id: str, store: str, url: str) -> None:
    """Stop a run of a flow.

    \b
    mainspring flow cancel 01970b2e-...
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.cancel(run_id).state)


@flow.command()
@click.argument("run_id")
@store_options
def retry(run_id: str, store: str, url: str) -> None:
    """Have a worker take up a run that failed; its finished steps are not run again.

    \b
    mainspring flow retry 01970b2e-...
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.retry(run_id).state)


@flow.command()
@click.argument("run_id")
@store_options
def logs(run_id: str, store: str, url: str) -> None:
    """What the body of a flow, or a step, printed.

    \b
    mainspring flow logs 01970b2e-...
    """
    with use_client(store, url) as client:
        client.lineage.run(run_id)
        click.echo(client.pipelines.logs(run_id), nl=False)


@flow.group()
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
    found = _find(address)
    with use_client(store, url, create=True) as client:
        made = client.pipelines.schedule(
            name,
            flow=found.name,
            location=found.location(),
            params=found.bind(_read(params)),
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
        changed = client.pipelines.pause(name, paused=not resume)
    click.echo("paused" if changed.paused else f"next at {changed.next_at:%Y-%m-%d %H:%M:%S}Z")


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


def _find(address: str) -> Flow[..., Any]:
    """The flow at `module:name`, the module looked for in the working folder too, as `python -m` does."""
    module, colon, name = address.partition(":")
    if not (module and colon and name):
        raise InvalidInput(f"{address!r} does not say where the flow is", hint="write module:function")
    if os.getcwd() not in sys.path:  # noqa: PTH109 -- as `sys.path` spells it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found = load(address)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"there is no flow at {address}: {error}", hint="run the command where the module is"
        ) from None
    if not isinstance(found, Flow):
        raise InvalidInput(f"{address} is not a flow", hint="decorate the function with @ms.flow")
    return found


def _read(params: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in params:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{each!r} is not a parameter", hint="write -p name=value")
        try:
            values[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            values[name] = text
    return values


def _called(step: StepRecord) -> str:
    arguments = ", ".join(
        f"{name}={text if len(text) <= 30 else text[:27] + '...'}" for name, text in step.arguments.items()
    )
    return f"{step.name}({arguments})"


def _lasted(each: FlowRun | StepRecord) -> str:
    return (
        "" if each.started_at is None else seconds_text(((each.finished_at or now()) - each.started_at).total_seconds())
    )
