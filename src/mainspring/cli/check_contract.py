"""`mainspring contract`."""

from __future__ import annotations

import click

from mainspring.cli.check import suite_of
from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client

__all__ = ["contract"]


@click.group()
def contract() -> None:
    """Suites that every new version of a dataset must pass before it is recorded."""


@contract.command("set")
@click.argument("dataset")
@click.argument("suite")
@click.option("--format", "form", default="", help="Of a suite that is a file: gx, dqdl, deequ, tfdv, yaml or json.")
@click.option("--note", default="", help="Why, and with whom it was agreed.")
@json_option
@store_options
def set_contract(dataset: str, suite: str, form: str, note: str, store: str, url: str, *, as_json: bool) -> None:
    """Bind a suite to a dataset; a commit that breaks it is refused from now on.

    \b
    mainspring contract set flights flights@2
    mainspring contract set flights suite.json --format gx
    """
    with use_client(store, url) as client:
        made = client.quality.set_contract(dataset, suite_of(client, suite, form), note=note)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.dataset} is bound to {made.suite}: {made.expectations} expectations", err=True)


@contract.command("list")
@json_option
@store_options
def list_contracts(store: str, url: str, *, as_json: bool) -> None:
    """Every contract.

    \b
    mainspring contract list
    """
    with use_client(store, url) as client:
        found = client.quality.contracts()
    if as_json:
        echo_json(found)
        return
    rows = [(each.dataset, each.suite, each.expectations, ago(each.created_at), each.created_by) for each in found]
    show_table(
        ("dataset", "suite", "expectations", "bound", "by"),
        rows,
        empty="no contracts: mainspring contract set DATASET SUITE",
    )


@contract.command()
@click.argument("dataset")
@json_option
@store_options
def show(dataset: str, store: str, url: str, *, as_json: bool) -> None:
    """The contract of a dataset.

    \b
    mainspring contract show flights
    """
    with use_client(store, url) as client:
        found = client.quality.contract(dataset)
    if as_json:
        echo_json(found)
    else:
        names = ("dataset", "suite", "expectations", "note", "created_at", "created_by")
        show_fields([(name, getattr(found, name)) for name in names])


@contract.command()
@click.argument("dataset")
@store_options
def remove(dataset: str, store: str, url: str) -> None:
    """Take the contract of a dataset away.

    \b
    mainspring contract remove flights
    """
    with use_client(store, url) as client:
        client.quality.remove_contract(dataset)
    click.echo(f"{dataset} has no contract any more", err=True)
