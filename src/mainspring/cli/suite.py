"""`mainspring suite`."""

from __future__ import annotations

import click

from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.quality.types import Suite

__all__ = ["suite"]


@click.group()
def suite() -> None:
    """Suites of expectations; check data against one with `mainspring data check`."""


@suite.command("list")
@json_option
@store_options
def list_suites(store: str, url: str, *, as_json: bool) -> None:
    """Every suite and its newest version.

    \b
    mainspring suite list
    """
    with use_client(store, url) as client:
        found = client.quality.suites()
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.name, each.version, each.metadata.get("expectations"), ago(each.created_at), each.created_by)
        for each in found
    ]
    show_table(
        ("suite", "version", "expectations", "saved", "by"),
        rows,
        empty="no suites: mainspring suite infer DATASET --save",
    )


@suite.command()
@click.argument("ref")
@json_option
@store_options
def show(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """What a suite expects.

    \b
    mainspring suite show flights@2
    """
    with use_client(store, url) as client:
        found = client.quality.suite(ref)
    if as_json:
        echo_json(found)
    else:
        _show(found)


@suite.command()
@click.argument("ref")
@click.option("--name", default="", help="What to call it.  [default: as the dataset]")
@click.option("--save", is_flag=True, help="Save it.")
@json_option
@store_options
def infer(ref: str, name: str, store: str, url: str, *, save: bool, as_json: bool) -> None:
    """A first suite from a dataset version; read it before you trust it.

    \b
    mainspring suite infer flights@1
    mainspring suite infer flights@1 --save
    """
    with use_client(store, url) as client:
        found = client.quality.infer(ref, name=name)
        saved = client.quality.save_suite(found).ref if save else ""
    if as_json:
        echo_json(found)
    else:
        _show(found)
    if saved:
        click.echo(f"saved as {saved}", err=True)


def _show(found: Suite) -> None:
    from mainspring.quality.expectations.kinds import described

    rows = [
        (each.subject, described(each), each.severity, f"{each.mostly:g}", each.reason) for each in found.expectations
    ]
    show_table(("subject", "expected", "severity", "mostly", "why"), rows, empty="it expects nothing")
