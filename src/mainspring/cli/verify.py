"""`mainspring verify`."""

from __future__ import annotations

import click
import msgspec

from mainspring.cli.data_remotes import show_integrity
from mainspring.cli.output import echo_json, json_option, store_options, use_client

__all__ = ["verify"]


@click.command()
@click.option("--heal", is_flag=True, help="Mend what is damaged from remotes of datasets.")
@click.option("--from", "remotes", multiple=True, help="A remote, URL or folder to mend from; may be repeated.")
@json_option
@store_options
def verify(remotes: tuple[str, ...], store: str, url: str, *, heal: bool, as_json: bool) -> int:
    """Read everything that is stored and name what is damaged or missing; exit code 1 when something is.

    \b
    mainspring verify
    mainspring verify --heal
    """
    with use_client(store, url) as client:
        report = client.data.verify(heal=heal or bool(remotes), remotes=remotes)
    if as_json:
        told = {"affected": report.affected, "mended": report.mended, "failed": report.failed}
        echo_json({**msgspec.to_builtins(report.store), **msgspec.to_builtins(told), "intact": report.intact})
    else:
        show_integrity(report)
    return 0 if report.intact else 1
