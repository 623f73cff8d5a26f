"""`mainspring run rename`, `tag`, `note`, `delete`, `restore` and `sync`."""

from __future__ import annotations

import sys

import click

from mainspring.cli.output import store_options, use_client
from mainspring.kernel.errors import InvalidInput

__all__ = ["delete", "note", "rename", "restore", "sync", "tag"]


@click.command()
@click.argument("run_id")
@click.argument("title")
@store_options
def rename(run_id: str, title: str, store: str, url: str) -> None:
    """Give a run another title.

    \b
    mainspring run rename 01970b2e-... "deeper trees"
    """
    with use_client(store, url) as client:
        client.tracking.change_run(run_id, title=title)


@click.command()
@click.argument("run_id")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
@store_options
def tag(run_id: str, tags: tuple[str, ...], store: str, url: str) -> None:
    """Set tags of a run; an empty value takes one away.

    \b
    mainspring run tag 01970b2e-... team=web stage=final
    mainspring run tag 01970b2e-... stage=
    """
    pairs = {}
    for each in tags:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise InvalidInput(f"{each!r} is not a tag", hint="write key=value")
        pairs[key] = value
    with use_client(store, url) as client:
        client.tracking.annotate([run_id], tags=pairs)


@click.command()
@click.argument("run_id")
@click.argument("text")
@store_options
def note(run_id: str, text: str, store: str, url: str) -> None:
    """Replace the note of a run; `-` reads it from standard input.

    \b
    mainspring run note 01970b2e-... "the learning rate was too high"
    cat notes.md | mainspring run note 01970b2e-... -
    """
    if text == "-":
        text = sys.stdin.read()
    with use_client(store, url) as client:
        client.tracking.annotate([run_id], note=text)


@click.command()
@click.argument("run_ids", nargs=-1, required=True)
@store_options
def delete(run_ids: tuple[str, ...], store: str, url: str) -> None:
    """Delete runs; `mainspring run restore` brings them back.

    \b
    mainspring run delete 01970b2e-... 01970b2f-...
    """
    with use_client(store, url) as client:
        click.echo(f"{client.tracking.delete_runs(list(run_ids))} deleted", err=True)


@click.command()
@click.argument("run_ids", nargs=-1, required=True)
@store_options
def restore(run_ids: tuple[str, ...], store: str, url: str) -> None:
    """Bring deleted runs back.

    \b
    mainspring run restore 01970b2e-...
    mainspring run list --deleted
    """
    with use_client(store, url) as client:
        click.echo(f"{client.tracking.restore_runs(list(run_ids))} restored", err=True)


@click.command()
@store_options
def sync(store: str, url: str) -> None:
    """Send what dead processes of this machine, or an absent server, left in spools.

    \b
    mainspring run sync
    mainspring run sync --url http://127.0.0.1:7300
    """
    with use_client(store, url) as client:
        click.echo(f"{client.tracking.recover()} records sent", err=True)
