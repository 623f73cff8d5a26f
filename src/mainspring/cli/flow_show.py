"""`mainspring flow list`, `show`, `logs`: what flows did and do."""

from __future__ import annotations

import click

from mainspring.cli.output import (
    ago,
    digests_short,
    echo_json,
    json_option,
    seconds_text,
    show_fields,
    show_table,
    store_options,
    use_client,
)
from mainspring.client.client import Client
from mainspring.kernel.clock import now
from mainspring.pipelines.types import FlowRun, StepRecord

__all__ = ["list_flows", "logs", "show", "why"]

_LOOK_SECONDS = 0.3
_OVERLAP = 2000
_ENDS = ("finished", "failed", "cancelled", "crashed")


@click.command("list")
@click.option("--flow", "name", default="", help="Only runs of this flow.")
@click.option(
    "--state", default="", help="Only queued, running, waiting, paused, finished, failed, cancelled or crashed ones."
)
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


@click.command()
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


@click.command()
@click.argument("run_id")
@click.option("--follow", is_flag=True, help="Go on until the run is over.")
@store_options
def logs(run_id: str, store: str, url: str, *, follow: bool) -> None:
    """What the body of a flow, or a step, printed.

    \b
    mainspring flow logs 01970b2e-...
    mainspring flow logs 01970b2e-... --follow
    """
    with use_client(store, url) as client:
        found = client.lineage.run(run_id)
        text = client.pipelines.logs(run_id)
        click.echo(text, nl=False)
        if follow:
            _follow(client, found.parent_id if found.kind == "step" and found.parent_id else found.id, run_id, text)


@click.command()
@click.argument("step_id", metavar="STEP")
@json_option
@store_options
def why(step_id: str, store: str, url: str, *, as_json: bool) -> None:
    """Why a step ran, or did not have to: what differs from the run before.

    \b
    mainspring flow why 01970b2f-...
    """
    with use_client(store, url) as client:
        found = client.pipelines.why_step(step_id)
    if as_json:
        echo_json(found)
        return
    click.echo(f"{_called(found.step)}: {found.step.state}")
    if not found.reasons:
        click.echo("nothing differs from the run before", err=True)
        return
    rows = [(each.component, digests_short(each.before), digests_short(each.now)) for each in found.reasons]
    show_table(("what", "before", "now"), rows, empty="")


def _follow(client: Client, flow_id: str, run_id: str, text: str) -> None:
    """Print what is added to a log until its flow run is over; of what was cut off at the front, nothing again."""
    over = False
    while not over:
        over = client.pipelines.watch(flow_id, patience=_LOOK_SECONDS).state in _ENDS
        now_there = client.pipelines.logs(run_id)
        tail = text[-_OVERLAP:]
        place = now_there.rfind(tail) if tail else 0
        click.echo(now_there[place + len(tail) :] if place >= 0 else now_there, nl=False)
        text = now_there


def _called(step: StepRecord) -> str:
    arguments = ", ".join(
        f"{name}={text if len(text) <= 30 else text[:27] + '...'}" for name, text in step.arguments.items()
    )
    return f"{step.name}({arguments})"


def _lasted(each: FlowRun | StepRecord) -> str:
    return (
        "" if each.started_at is None else seconds_text(((each.finished_at or now()) - each.started_at).total_seconds())
    )
