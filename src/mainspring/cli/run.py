"""`mainspring run`."""

from __future__ import annotations

from datetime import datetime

import click

from mainspring.cli.output import (
    ago,
    bytes_text,
    echo_json,
    json_option,
    seconds_text,
    show_fields,
    show_table,
    store_options,
    use_client,
)
from mainspring.kernel.clock import now
from mainspring.kernel.errors import NotFound
from mainspring.lineage.types import Run
from mainspring.tracking.types import TrackedRun

__all__ = ["run"]


@click.group()
def run() -> None:
    """Everything that ran: trainings, flows, steps, evaluations, deployments."""


@run.command("list")
@click.option(
    "--status",
    default="",
    type=click.Choice(["", "running", "finished", "failed", "cancelled", "crashed"]),
    help="Only these.",
)
@click.option("--kind", default="", help="Only this kind: training, flow, step, evaluation, ...")
@click.option("--experiment", default="", help="Only runs of this name.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@json_option
@store_options
def list_runs(status: str, kind: str, experiment: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """Runs, newest first.

    \b
    mainspring run list --status failed
    mainspring run list --kind training --experiment flight-delay
    """
    with use_client(store, url) as client:
        found = client.lineage.runs(kind=kind, name=experiment, status=status, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [(each.id, each.kind, each.name, each.status, ago(each.started_at), _lasted(each)) for each in found]
    show_table(("run", "kind", "name", "status", "started", "took"), rows, empty="no such runs")


@run.command()
@click.argument("experiment")
@click.option(
    "--order-by", default="", help="metrics.NAME, params.NAME or started_at; with - before it the other way round."
)
@click.option(
    "--metric",
    "shown",
    multiple=True,
    metavar="NAME",
    help="Metric to show; may be repeated.  [default: the first four]",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def compare(
    experiment: str, order_by: str, shown: tuple[str, ...], limit: int, store: str, url: str, *, as_json: bool
) -> None:
    """The runs of an experiment with their metrics, side by side.

    \b
    mainspring run compare flight-delay --order-by=-metrics.auc
    """
    with use_client(store, url) as client:
        found = client.tracking.runs(experiment=experiment, order_by=order_by, limit=limit)
    if as_json:
        echo_json(found)
        return
    names = list(shown) or sorted({name for each in found for name in each.metrics})[:4]
    values = [[each.metrics[name].value if name in each.metrics else None for name in names] for each in found]
    rows = [
        (each.id, each.title, each.status, *figures, ago(each.run.started_at))
        for each, figures in zip(found, values, strict=True)
    ]
    show_table(("run", "title", "status", *names, "started"), rows, empty=f"no runs of {experiment!r}")


@run.command()
@click.argument("run_id")
@json_option
@store_options
def show(run_id: str, store: str, url: str, *, as_json: bool) -> None:
    """One run: its parameters, metrics, files, and what it used and made.

    \b
    mainspring run show 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.lineage.run(run_id)
        try:
            tracked = client.tracking.get(found.id)
            files = client.tracking.files(found.id)
        except NotFound:  # a run that no script logged into: a step, a deployment
            tracked, files = None, []
    if as_json:
        echo_json({"run": found, "tracked": tracked, "files": files})
        return
    show_fields(
        [
            ("run", found.id),
            ("kind", found.kind),
            ("name", found.name),
            ("status", found.status),
            ("started", found.started_at),
            ("took", _lasted(found)),
            ("by", found.created_by),
            *((name, value) for name, value in found.metadata.items() if value not in ("", None, [], {})),
        ]
    )
    if tracked is not None:
        _show_tracked(tracked)
    if files:
        click.echo("")
        show_table(("file", "size"), [(each.path, bytes_text(each.file.size)) for each in files], empty="")


@run.command()
@click.argument("run_id")
@store_options
def logs(run_id: str, store: str, url: str) -> None:
    """What a step, or the body of a flow, printed.

    \b
    mainspring run logs 01970b2e-...
    """
    with use_client(store, url) as client:
        found = client.lineage.run(run_id)
        click.echo(client.pipelines.logs(found.id), nl=False)


def _show_tracked(tracked: TrackedRun) -> None:
    if tracked.tags:
        show_fields([("tags", [f"{name}={value}" for name, value in tracked.tags.items()])])
    if tracked.params:
        click.echo("")
        show_table(("parameter", "value"), tracked.params.items(), empty="")
    if tracked.metrics:
        click.echo("")
        rows = [
            (name, each.value, each.step, each.minimum, each.maximum, each.count)
            for name, each in tracked.metrics.items()
        ]
        show_table(("metric", "last", "step", "min", "max", "points"), rows, empty="")


def _lasted(found: Run) -> str:
    end: datetime = found.finished_at or now()
    return seconds_text((end - found.started_at).total_seconds())
