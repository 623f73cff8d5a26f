"""`mainspring flow backfill`: runs of a flow for moments of the past."""

from __future__ import annotations

from typing import Any

import click

from mainspring.cli.flow_address import find_flow, read_params
from mainspring.cli.flow_schedule import moment_of, timing_options, timing_values
from mainspring.cli.output import echo_json, json_option, show_fields, show_table, store_options, use_client
from mainspring.pipelines.types_backfills import BackfillProgress

__all__ = ["backfill"]


@click.group()
def backfill() -> None:
    """Runs of a flow for every moment of a range."""


@backfill.command()
@click.argument("what", metavar="SCHEDULE|MODULE:FLOW")
@click.argument("first")
@click.argument("last")
@timing_options
@click.option("--name", default="", help="Of the backfill; that of the schedule or flow by default.")
@click.option(
    "--reprocess", default="missing", show_default=True, type=click.Choice(["missing", "failed", "all"]),
    help="Moments without a run, also those whose run failed, all.",
)  # fmt: skip
@click.option("--backward", is_flag=True, help="The newest first.")
@click.option("--parallel", "max_parallel", default=16, show_default=True, type=int, help="Open at a time; 0 for all.")
@click.option("--deployment", default="", help="`active` or a number: run that version.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter, as JSON or as text.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be run, and start nothing.")
@json_option
@store_options
def start(
    what: str, first: str, last: str, name: str, params: tuple[str, ...], store: str, url: str,
    *, only_plan: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Run a flow for every moment of a range: those of a schedule, or of --cron or --every.

    \b
    mainspring flow backfill start nightly 2026-10-01 2026-10-31 --plan
    mainspring flow backfill start pipelines:nightly 2026-10-01 2026-10-31 --cron "0 3 * * *"
    """
    timing = timing_values(options)
    begin, end = moment_of(first), moment_of(last)
    with use_client(store, url, create=True) as client:
        service = client.pipelines
        if ":" in what:
            flow = find_flow(what)
            words: dict[str, Any] = {"flow": flow.name, **timing}
        else:
            flow, words = None, {"schedule": what}
        if only_plan:
            plan = service.plan_backfill(
                begin, end, **words, reprocess=options["reprocess"], backward=options["backward"]
            )
            if as_json:
                echo_json(plan)
                return
            click.echo(f"{plan.words}: {plan.runs} runs, {plan.kept} moments have one")
            for each in plan.moments[:20]:
                click.echo(f"  {each:%a %Y-%m-%d %H:%M:%S}Z")
            return
        values: dict[str, Any] = {}
        if flow is not None:
            from mainspring.pipelines.deployments_snapshot import encoded_params

            values = {"location": flow.location(), "params": encoded_params(service, flow, read_params(params))}
        made = service.backfill(name or (flow.name if flow else what), begin, end, **words, **values, **options)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name} ({made.id}): {made.runs} runs, {made.kept} moments have one")


@backfill.command("list")
@json_option
@store_options
def list_backfills(store: str, url: str, *, as_json: bool) -> None:
    """Backfills and how far they are, newest first.

    \b
    mainspring flow backfill list
    """
    with use_client(store, url) as client:
        found = client.pipelines.backfills()
    if as_json:
        echo_json(found)
        return
    rows = [(each.backfill.name, each.backfill.flow, each.backfill.state, *_counts(each)) for each in found]
    head = ("backfill", "flow", "state", "waiting", "open", "finished", "failed", "cancelled")
    show_table(head, rows, empty="no backfills: mainspring flow backfill start SCHEDULE FIRST LAST")


@backfill.command()
@click.argument("name")
@json_option
@store_options
def show(name: str, store: str, url: str, *, as_json: bool) -> None:
    """How far a backfill is.

    \b
    mainspring flow backfill show nightly
    """
    with use_client(store, url) as client:
        found = client.pipelines.backfill_progress(name)
    if as_json:
        echo_json(found)
        return
    one = found.backfill
    names = ("waiting", "open", "finished", "failed", "cancelled")
    show_fields([
        ("backfill", one.name), ("id", one.id), ("flow", one.flow), ("state", one.state),
        ("from", one.first), ("to", one.last), *zip(names, _counts(found), strict=True),
    ])  # fmt: skip


@backfill.command()
@click.argument("name")
@store_options
def cancel(name: str, store: str, url: str) -> None:
    """End a backfill with its open runs.

    \b
    mainspring flow backfill cancel nightly
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.cancel_backfill(name).state)


@backfill.command()
@click.argument("name")
@click.option("--resume", is_flag=True, help="Go on.")
@store_options
def pause(name: str, store: str, url: str, *, resume: bool) -> None:
    """Stop starting the runs of a backfill, or go on.

    \b
    mainspring flow backfill pause nightly
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.pause_backfill(name, paused=not resume).state)


def _counts(each: BackfillProgress) -> tuple[int, ...]:
    return each.waiting, each.open, each.finished, each.failed, each.cancelled
