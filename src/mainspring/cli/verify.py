"""`mainspring verify`."""

from __future__ import annotations

import click
import msgspec

from mainspring.cli.output import echo_json, json_option, store_options, use_client

__all__ = ["verify"]


@click.command()
@json_option
@store_options
def verify(store: str, url: str, *, as_json: bool) -> int:
    """Read everything that is stored and name what is damaged or missing; exit code 1 when something is.

    \b
    mainspring verify
    """
    with use_client(store, url) as client:
        report = client.storage.verify()
    if as_json:
        echo_json({**msgspec.to_builtins(report), "intact": report.intact})
        return 0 if report.intact else 1
    for problem in report.database:
        click.echo(f"database: {problem}")
    if report.blobs is not None:
        for finding in report.blobs.findings:
            click.echo(f"blob {finding.digest or finding.object}: {finding.reason}")
        click.echo(f"{report.blobs.blobs} blobs, {report.blobs.bytes / 1e6:.1f} MB read", err=True)
    if report.ledger is not None:
        for problem in report.ledger.problems:
            click.echo(f"audit: {problem}")
        click.echo(f"{report.ledger.events} audit events read", err=True)
    click.echo("everything is as it was written" if report.intact else "the store is damaged")
    return 0 if report.intact else 1
