"""`mainspring experiment`."""

from __future__ import annotations

import click

from mainspring.cli.output import ago, echo_json, json_option, show_fields, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.search import View

__all__ = ["experiment"]


@click.group()
def experiment() -> None:
    """Experiments: the names under which runs are kept."""


@experiment.command("list")
@click.argument("query", default="")
@click.option("--order", multiple=True, metavar="KEY", help="name, -updated_at, tags.team; may be repeated.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 50_000), help="How many.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@json_option
@store_options
def list_experiments(
    query: str, order: tuple[str, ...], limit: int, store: str, url: str, *, deleted: bool, as_json: bool
) -> None:
    """Experiments, newest first, or those that a filter finds.

    \b
    mainspring experiment list
    mainspring experiment list "name LIKE 'flight%' AND tags.team = 'web'"
    """
    view: View = "deleted" if deleted else "active"
    with use_client(store, url) as client:
        found = client.tracking.experiments(query, view=view, order_by=list(order), limit=limit).experiments
    if as_json:
        echo_json(found)
        return
    rows = [(each.name, each.id, each.runs, each.running, ago(each.last_started_at)) for each in found]
    show_table(("experiment", "id", "runs", "running", "last run"), rows, empty='no experiments: ms.run("name")')


@experiment.command()
@click.argument("name")
@json_option
@store_options
def show(name: str, store: str, url: str, *, as_json: bool) -> None:
    """One experiment with its tags, its note, and what its runs logged.

    \b
    mainspring experiment show flight-delay
    """
    with use_client(store, url) as client:
        found = client.tracking.experiment(name)
        keys = client.tracking.keys(experiments=[found.name], counts=True)
    if as_json:
        echo_json({"experiment": found, "keys": keys})
        return
    tags = [f"{key}={value}" for key, value in found.tags.items()]
    show_fields(
        [
            ("experiment", found.name),
            ("id", found.id),
            ("status", found.status),
            ("runs", found.runs),
            ("running", found.running),
            ("last run", ago(found.last_started_at)),
            ("made", found.created_at),
            ("by", found.created_by),
            *((name, value) for name, value in (("tags", tags), ("note", found.note)) if value),
        ]
    )
    if keys:
        click.echo("")
        show_table(("logged", "runs"), [(f"{each.space}s.{each.name}", each.runs) for each in keys], empty="")


@experiment.command()
@click.argument("name")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("--note", default="", help="In Markdown.")
@json_option
@store_options
def create(name: str, tags: tuple[str, ...], note: str, store: str, url: str, *, as_json: bool) -> None:
    """Make an experiment; a run makes its own when there is none.

    \b
    mainspring experiment create flight-delay --tag team=web --note "delays at departure"
    """
    pairs = {}
    for each in tags:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise InvalidInput(f"{each!r} is not a tag", hint="write key=value")
        pairs[key] = value
    with use_client(store, url, create=True) as client:
        made = client.tracking.create_experiment(name, tags=pairs, note=note)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name}  {made.id}")


@experiment.command()
@click.argument("name")
@click.argument("to")
@store_options
def rename(name: str, to: str, store: str, url: str) -> None:
    """Give an experiment another name; its runs stay with it.

    \b
    mainspring experiment rename flight-delay flight-delay-2025
    """
    with use_client(store, url) as client:
        client.tracking.change_experiment(name, rename=to)


@experiment.command()
@click.argument("name")
@store_options
def delete(name: str, store: str, url: str) -> None:
    """Delete an experiment with its runs; `mainspring experiment restore` brings them back.

    \b
    mainspring experiment delete flight-delay
    """
    with use_client(store, url) as client:
        client.tracking.delete_experiment(name)


@experiment.command()
@click.argument("name")
@store_options
def restore(name: str, store: str, url: str) -> None:
    """Bring a deleted experiment back, with the runs that were deleted with it.

    \b
    mainspring experiment restore flight-delay
    mainspring experiment list --deleted
    """
    with use_client(store, url) as client:
        client.tracking.restore_experiment(name)
