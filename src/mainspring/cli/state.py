"""`mainspring` alone: the state of this store and the likely next commands."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mainspring.cli.output import ago, show_fields
from mainspring.client.client import connect
from mainspring.kernel.settings import find_store, read_settings
from mainspring.lineage.service import Counts
from mainspring.lineage.types import Run
from mainspring.monitoring.types import Alert
from mainspring.store.store import Store

__all__ = ["show_state"]

_FIRST = (
    ("mainspring demo", "the whole lifecycle on real data, in two minutes"),
    ("mainspring up", "start everything here, with the console"),
    ("mainspring --help", "every command"),
)


def show_state() -> None:
    """Print what is in the store, what happened last, and what to do next."""
    folder = find_store()
    settings = read_settings(folder)
    if not settings.url and not Store.exists(folder):
        click.echo(f"There is no store yet; the first command that needs one makes it in {folder}.\n")
        _suggest(_FIRST)
        return
    with connect() as client:
        counts = client.lineage.counts()
        running = client.lineage.runs(status="running", limit=5)
        latest = client.lineage.runs(limit=5)
        firing = client.monitoring.alerts(state="firing", limit=5)
    click.echo(click.style(f"store  {settings.url or folder}", bold=True))
    artifacts = [f"{count} {kind}" for kind, count in sorted(counts.artifacts.items())]
    runs = [f"{count} {status}" for status, count in sorted(counts.runs.items())]
    show_fields([("artifacts", artifacts or "none yet"), ("runs", runs or "none yet")])
    if firing:
        click.echo(click.style("\nfiring alerts", fg="red"))
        for alert in firing:
            click.echo(f"  {alert.severity:<9} {alert.endpoint:<20} {alert.title}  {ago(alert.fired_at)}")
    _show_runs("running", running)
    _show_runs("latest runs", [each for each in latest if each.status != "running"])
    click.echo("")
    _suggest(_next(counts, firing))


def _show_runs(title: str, runs: Sequence[Run]) -> None:
    if runs:
        click.echo(f"\n{title}")
    for run in runs:
        click.echo(f"  {run.status:<9} {run.kind:<12} {run.name:<32} {ago(run.started_at)}")


def _next(counts: Counts, firing: Sequence[Alert]) -> list[tuple[str, str]]:
    found = [("mainspring up", "open the console")]
    if firing:
        found.append((f"mainspring alert show {firing[0].id}", "what fires, with its evidence"))
    if bad := [status for status in ("failed", "crashed") if counts.runs.get(status)]:
        ended = sum(counts.runs[status] for status in bad)
        found.append((f"mainspring run list --status {bad[0]}", f"{ended} runs ended badly"))
    if counts.artifacts.get("model"):
        found.append(("mainspring model list", "the models and where they are used"))
    elif counts.artifacts.get("dataset"):
        found.append(("mainspring data list", "the datasets and their versions"))
    else:
        found.append(("mainspring data commit NAME PATH", "version a first dataset"))
    return found


def _suggest(commands: Sequence[tuple[str, str]]) -> None:
    width = max(len(command) for command, _ in commands)
    click.echo("next")
    for command, purpose in commands:
        click.echo(f"  {click.style(f'{command:<{width}}', bold=True)}  {purpose}")
