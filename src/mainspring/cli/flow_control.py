"""`mainspring flow cancel`, `retry` and the like: what people do to runs of flows."""

from __future__ import annotations

import click

from mainspring.cli.output import store_options, use_client

__all__ = ["cancel", "retry"]


@click.command()
@click.argument("run_id")
@store_options
def cancel(run_id: str, store: str, url: str) -> None:
    """Stop a run of a flow.

    \b
    mainspring flow cancel 01970b2e-...
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.cancel(run_id).state)


@click.command()
@click.argument("run_id")
@store_options
def retry(run_id: str, store: str, url: str) -> None:
    """Have a worker take up a run that failed; its finished steps are not run again.

    \b
    mainspring flow retry 01970b2e-...
    """
    with use_client(store, url) as client:
        click.echo(client.pipelines.retry(run_id).state)
