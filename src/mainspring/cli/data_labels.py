"""`mainspring data tag`, `untag`, `note`, `find`: what people say of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mainspring.cli.output import echo_json, json_option, show_fields, show_table, store_options, use_client

if TYPE_CHECKING:
    from mainspring.data.service_labels import Labels

__all__ = ["find", "note", "tag", "untag"]


@click.command()
@click.argument("ref")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
@store_options
def tag(ref: str, tags: tuple[str, ...], store: str, url: str, *, as_json: bool) -> None:
    """Set tags of a version; without any, show what is said of it.

    \b
    mainspring data tag flights@3 source=radar quality=checked
    """
    pairs = _pairs(tags)
    with use_client(store, url) as client:
        labels = client.data.tag(ref, tags=pairs) if pairs else client.data.labels([ref])[0]
    _show(labels, as_json=as_json)


@click.command()
@click.argument("ref")
@click.argument("keys", nargs=-1, required=True)
@json_option
@store_options
def untag(ref: str, keys: tuple[str, ...], store: str, url: str, *, as_json: bool) -> None:
    """Take tags of a version away.

    \b
    mainspring data untag flights@3 quality
    """
    with use_client(store, url) as client:
        labels = client.data.untag(ref, keys=list(keys))
    _show(labels, as_json=as_json)


@click.command()
@click.argument("ref")
@click.argument("text")
@json_option
@store_options
def note(ref: str, text: str, store: str, url: str, *, as_json: bool) -> None:
    """Write a note to a version; an empty one takes it away.

    \b
    mainspring data note flights@3 "Radar 7 was down on the 12th"
    """
    with use_client(store, url) as client:
        labels = client.data.note(ref, text=text)
    _show(labels, as_json=as_json)


@click.command()
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--name", default="", help="Only of this dataset.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def find(tags: tuple[str, ...], name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The versions that have all of these tags, newest first.

    \b
    mainspring data find source=radar
    """
    with use_client(store, url) as client:
        found = client.data.tagged(_pairs(tags), name=name, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [(each.ref.removeprefix("dataset/"), each.created_at, each.created_by, each.message) for each in found]
    show_table(("version", "at", "by", "message"), rows, empty="no version has them all")


def _pairs(tags: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in tags:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"{each!r} is no tag; write key=value")
        pairs[key] = value
    return pairs


def _show(labels: Labels, *, as_json: bool) -> None:
    if as_json:
        echo_json(labels)
        return
    note = [("note", labels.note), ("by", labels.noted_by)] if labels.note else []
    fields = [*labels.tags.items(), *note]
    if fields:
        show_fields(fields)
    else:
        click.echo("nothing is said of it", err=True)
