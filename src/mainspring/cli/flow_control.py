"""`mainspring flow cancel`, `pause`, `resume`, `retry`, `clear`, `mark`: what people do to runs of flows."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from mainspring.cli.output import echo_json, json_option, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.types import FlowRun

__all__ = ["cancel", "clear", "mark", "pause", "resume", "retry"]

_of_flow = click.option("--flow", default="", metavar="NAME", help="All runs of this flow, instead of one.")
_of_backfill = click.option("--backfill", default="", metavar="NAME", help="All runs of this backfill.")


@click.command()
@click.argument("run_id", default="")
@_of_flow
@_of_backfill
@json_option
@store_options
def cancel(run_id: str, flow: str, backfill: str, store: str, url: str, *, as_json: bool) -> None:
    """Stop a run of a flow, or all that are not over.

    \b
    mainspring flow cancel 01970b2e-...
    mainspring flow cancel --flow nightly
    """
    with use_client(store, url) as client:
        if _one(run_id, flow, backfill):
            _say(client.pipelines.cancel(run_id), as_json=as_json)
        else:
            _say_all(client.pipelines.cancel_all(flow=flow, backfill=backfill), "cancelled", as_json=as_json)


@click.command()
@click.argument("run_id")
@json_option
@store_options
def pause(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """Let a run stop at its next step: what runs finishes, nothing more begins.

    \b
    mainspring flow pause 01970b2e-...
    """
    with use_client(store, url) as client:
        _say(client.pipelines.pause_run(run_id), as_json=as_json)


@click.command()
@click.argument("run_id")
@json_option
@store_options
def resume(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """Let a paused run go on.

    \b
    mainspring flow resume 01970b2e-...
    """
    with use_client(store, url) as client:
        _say(client.pipelines.resume_run(run_id), as_json=as_json)


@click.command()
@click.argument("run_id", default="")
@click.option("--from", "from_step", default="", metavar="PLACE", help="Forget this step and what came after it first.")
@_of_flow
@_of_backfill
@json_option
@store_options
def retry(run_id: str, from_step: str, flow: str, backfill: str, store: str, url: str, *, as_json: bool) -> None:
    """Have a worker take up a run that failed, or all that did; finished steps are not run again.

    \b
    mainspring flow retry 01970b2e-...
    mainspring flow retry 01970b2e-... --from 3
    mainspring flow retry --backfill november
    """
    with use_client(store, url) as client:
        if _one(run_id, flow, backfill):
            _say(client.pipelines.retry(run_id, from_step=from_step), as_json=as_json)
        else:
            _say_all(client.pipelines.retry_all(flow=flow, backfill=backfill), "queued", as_json=as_json)


@click.command()
@click.argument("run_id")
@click.argument("places", nargs=-1, required=True, metavar="PLACE...")
@json_option
@store_options
def clear(run_id: str, places: tuple[str, ...], store: str, url: str, *, as_json: bool) -> None:
    """Forget steps of a run, by their places or ids, and run it again.

    \b
    mainspring flow clear 01970b2e-... 2 5
    """
    with use_client(store, url) as client:
        _say(client.pipelines.clear(run_id, list(places)), as_json=as_json)


@click.command()
@click.argument("which", metavar="STEP|RUN")
@click.option("--output", default=None, metavar="JSON", help="The result of a step.")
@click.option("--state", type=click.Choice(["finished", "failed", "cancelled"]), help="How a run ended.")
@click.option("--reason", default="", help="Why, in words; for a run.")
@json_option
@store_options
def mark(
    which: str, output: str | None, state: str | None, reason: str, store: str, url: str, *, as_json: bool
) -> None:
    """Set the result of a step, or the state of a run, by hand.

    \b
    mainspring flow mark 01970b2f-... --output 0.93
    mainspring flow mark 01970b2e-... --state failed --reason "the source was wrong"
    """
    if (output is None) == (state is None):
        raise InvalidInput("either the result of a step or the state of a run", hint="--output or --state")
    with use_client(store, url) as client:
        if output is None:
            chosen: Any = state
            _say(client.pipelines.mark_run(which, chosen, reason=reason), as_json=as_json)
            return
        try:
            value = msgspec.json.decode(output)
        except msgspec.DecodeError:
            value = output
        marked = client.pipelines.mark(which, value)
    if as_json:
        echo_json(marked)
    else:
        click.echo(f"{marked.name} at {marked.path}: {marked.state}")


def _one(run_id: str, flow: str, backfill: str) -> bool:
    """Whether one run was named; `InvalidInput` when neither one nor many were, or both."""
    if bool(run_id) == bool(flow or backfill):
        raise InvalidInput("which run?", hint="the id of one, or --flow NAME, or --backfill NAME")
    return bool(run_id)


def _say(run: FlowRun, *, as_json: bool) -> None:
    if as_json:
        echo_json(run)
    else:
        click.echo(run.state)


def _say_all(ids: list[str], state: str, *, as_json: bool) -> None:
    if as_json:
        echo_json(ids)
        return
    for each in ids:
        click.echo(f"{each}\t{state}")
