"""`mainspring flow export`."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import click

from mainspring.cli.flow_address import find_flow
from mainspring.cli.output import echo_json, json_option
from mainspring.pipelines.exports.exporting import Target, export
from mainspring.pipelines.exports.trace import trace

__all__ = ["export_flow"]


@click.command("export")
@click.argument("address", metavar="MODULE:FLOW")
@click.option("--to", type=click.Choice(get_args(Target)), default="argo", show_default=True, help="For whom.")
@click.option("--image", default="", help="What its containers run: this package and the modules of the flow.")
@click.option("--output", default="", metavar="FILE", help="Where to; standard output otherwise.")
@click.option("--cron", default="", help="When it starts, instead of its own schedule.")
@click.option("--tz", default="", help="The zone of the schedule, instead of its own.")
@click.option("--store", default="", metavar="URL", help="The server that a flow that is run whole is recorded at.")
@click.option(
    "--share", default="", metavar="CLAIM:DIR", help="For Airflow: the volume for results too large for XCom."
)
@json_option
def export_flow(
    address: str, to: str, image: str, output: str, cron: str, tz: str, store: str, share: str, *, as_json: bool
) -> None:
    """Write a flow as a file that another orchestrator runs, without any server of ours.

    \b
    mainspring flow export pipelines:nightly --to argo --image registry.example/nightly:7
    mainspring flow export pipelines:nightly --to airflow --image registry.example/nightly:7 --output dags/nightly.py
    mainspring flow export pipelines:nightly --json
    """
    flow = find_flow(address)
    if as_json:
        echo_json(trace(flow, cron=cron, tz=tz))
        return
    made = export(flow, to=cast("Target", to), image=image, cron=cron, tz=tz, store=store, share=share)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    if output:
        Path(output).write_text(made.text, encoding="utf-8")
        click.echo(f"{output}: {len(made.graph.nodes) or 1} steps", err=True)
    else:
        click.echo(made.text, nl=False)
