"""`mainspring gc`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mainspring.cli.output import bytes_text, echo_json, json_option, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.store.collect import GarbageReport, Progress, watching

__all__ = ["gc"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and do nothing.")
@click.option("--older-than", default="7d", show_default=True, help="Leave alone what was stored since: 12h, 7d, 2w.")
@click.option("--hold", default="1d", show_default=True, help="How long what is found is held before it goes.")
@click.option("--now", is_flag=True, help="Neither wait nor hold: only when nothing else writes to the store.")
@json_option
@store_options
def gc(store: str, url: str, older_than: str, hold: str, *, dry_run: bool, now: bool, as_json: bool) -> None:
    """Remove the bytes that nothing refers to any more. Others may write meanwhile.

    What is found is held for a while and goes with the next collection, so run it every day.

    \b
    mainspring gc --dry-run
    mainspring gc --older-than 7d
    mainspring data gc                 the same: the store is one
    """
    grace, held = (0.0, 0.0) if now else (_seconds(older_than), _seconds(hold))
    with use_client(store, url) as client, _shown() as progress, watching(progress):
        report = client.storage.collect_garbage(grace_days=grace / 86_400, hold_hours=held / 3600, dry_run=dry_run)
    if as_json:
        echo_json(report)
    else:
        _show(report, held)


def _show(report: GarbageReport, hold: float) -> None:
    click.echo(f"{report.blobs:,} blobs, {bytes_text(report.bytes)}; nothing refers to {report.unreachable:,} old ones")
    if report.expired:
        click.echo(f"{report.expired:,} deleted things can no longer be restored")
    if report.waiting:
        when = f"in {hold / 3600:g} hours" if hold else "by the next collection"
        click.echo(f"{report.waiting:,} blobs, {bytes_text(report.waiting_bytes)}, are held and may go {when}")
    verb = "would go" if report.dry_run else "are gone"
    click.echo(f"{report.removed:,} blobs, {bytes_text(report.removed_bytes)}, {verb}")
    if not report.dry_run:
        click.echo(
            f"{report.deleted_objects:,} objects deleted, {report.rewritten_packs:,} packs written again,"
            f" {bytes_text(max(0, report.freed_bytes))} freed"
        )


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is not a duration", hint="a number and s, m, h, d or w: 12h, 7d")
    return float(match.group(1)) * _UNITS[match.group(2)]


@contextmanager
def _shown() -> Iterator[Progress | None]:
    """A line on the terminal that says how far it is; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("collecting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
