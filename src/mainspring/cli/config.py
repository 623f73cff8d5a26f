"""`mainspring config`."""

from __future__ import annotations

import click

from mainspring.cli.output import echo_json, json_option, show_table
from mainspring.kernel.settings import describe_settings, find_store

__all__ = ["config"]

_SECRET = {"token", "database"}


@click.command()
@json_option
def config(*, as_json: bool) -> None:
    """Every setting, its value and where it came from.

    \b
    mainspring config
    mainspring config --json
    """
    settings = describe_settings(find_store())
    rows = [
        (each.name, "***" if each.name in _SECRET and each.value else each.value, each.origin, each.description)
        for each in settings
    ]
    if as_json:
        echo_json([dict(zip(("name", "value", "origin", "description"), row, strict=True)) for row in rows])
        return
    show_table(("setting", "value", "from", "what it does"), rows, empty="")
