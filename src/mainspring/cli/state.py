"""`mainspring` alone: the state of this store and the likely next commands."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mainspring.cli.output import ago, show_fields
from mainspring.client.client import connect
from mainspring.kernel.settings import find_store, read_settings
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
        latest = client.lineage.runs(limit=5)
    click.echo(click.style(f"store  {settings.url or folder}", bold=True))
    artifacts = [f"{count} {kind}" for kind, count in sorted(counts.artifacts.items())]
    show_fields([("artifacts", artifacts or "none yet"), ("runs", [f"{n} {status}" for status, n in sorted(counts.runs.items())] or "none yet")])
    if latest:
        click.echo("\nlatest runs")
        for run in latest:
            click.echo(f"  {run.status:<9} {run.kind:<12} {run.name:<32} {ago(run.started_at)}")
    click.echo("")
    _suggest(_next(counts.artifacts, crashed=counts.runs.get("failed", 0) + counts.runs.get("crashed", 0)))


def _next(artifacts: dict[str, int], *, crashed: int) -> list[tuple[str, str]]:
    found = [("mainspring up", "open the console")]
    if crashed:
        found.append(("mainspring run list --status failed", f"{crashed} runs ended badly"))
    if artifacts.get("model"):
        found.append(("mainspring model list", "the models and where they are used"))
    elif artifacts.get("dataset"):
        found.append(("mainspring data list", "the datasets and their versions"))
    else:
        found.append(("mainspring data commit NAME PATH", "version a first dataset"))
    return found


def _suggest(commands: Sequence[tuple[str, str]]) -> None:
    width = max(len(command) for command, _ in commands)
    click.echo("next")
    for command, purpose in commands:
        click.echo(f"  {click.style(f'{command:<{width}}', bold=True)}  {purpose}")
