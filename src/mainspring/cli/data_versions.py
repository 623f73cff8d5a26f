"""`mainspring data`: the versions in the store, what differs between them, and getting them back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import msgspec

from mainspring.cli.output import (
    ago,
    bytes_text,
    echo_json,
    json_option,
    show_fields,
    show_table,
    store_options,
    use_client,
)
from mainspring.cli.progress import progress_bar
from mainspring.data.types import Depth, Diff

__all__ = ["alias", "check", "diff", "get", "list_datasets", "log", "show"]


_LABELLED = 1_000


@click.command("list")
@json_option
@store_options
def list_datasets(store: str, url: str, *, as_json: bool) -> None:
    """Every dataset and its newest version.

    \b
    mainspring data list
    """
    with use_client(store, url) as client:
        found = client.data.datasets()
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.name, each.version, each.rows, bytes_text(each.size), ago(each.created_at), each.message)
        for each in found
    ]
    columns = ("dataset", "version", "rows", "size", "committed", "message")
    show_table(columns, rows, empty="no datasets: mainspring data commit NAME PATH")


@click.command()
@click.argument("name")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@json_option
@store_options
def log(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The versions of a dataset, newest first: who committed what, why, derived from what.

    \b
    mainspring data log flights
    """
    with use_client(store, url) as client:
        from mainspring.data.service_labels import Labels

        entries = client.data.log(name, limit=limit)
        labels = client.data.labels([each.version.id for each in entries[:_LABELLED]])
    labels += [Labels()] * (len(entries) - len(labels))
    if as_json:
        both = zip(entries, labels, strict=True)
        echo_json([{**msgspec.to_builtins(each), "tags": said.tags, "note": said.note} for each, said in both])
        return
    rows = [
        (each.version.version, each.aliases, each.version.rows, bytes_text(each.version.size), each.version.created_at,
         each.version.created_by, " · ".join(filter(None, (each.version.message, said.note))),
         [f"{key}={value}" for key, value in said.tags.items()], each.uses)
        for each, said in zip(entries, labels, strict=True)
    ]  # fmt: skip
    columns = ("version", "aliases", "rows", "size", "at", "by", "message", "tags", "from")
    show_table(columns, rows, empty="no versions")


@click.command()
@click.argument("ref")
@json_option
@store_options
def show(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """One version: what it is, its columns and its files.

    \b
    mainspring data show flights@3
    """
    with use_client(store, url) as client:
        version, files = client.data.describe(ref), client.data.files(ref)
    if as_json:
        echo_json({"version": version, "files": files})
        return
    show_fields(
        [
            ("version", version.ref),
            ("id", version.id),
            ("digest", version.digest),
            ("rows", version.rows),
            ("size", bytes_text(version.size)),
            ("committed", version.created_at),
            ("by", version.created_by),
            ("message", version.message),
            ("from", version.origin),
        ]
    )
    if version.schema:
        click.echo("")
        show_table(("column", "type"), version.schema.items(), empty="")
    click.echo("")
    show_table(
        ("file", "size", "digest"), [(each.path, bytes_text(each.size), each.digest[:12]) for each in files], empty=""
    )


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--depth",
    default="rows",
    show_default=True,
    type=click.Choice(["files", "schema", "rows"]),
    help="How deep to compare.",
)
@click.option("--key", multiple=True, metavar="COLUMN", help="Column that tells rows apart; may be repeated.")
@click.option(
    "--sample", default=5, show_default=True, type=click.IntRange(0, 1000), help="How many rows of each kind to show."
)
@json_option
@store_options
def diff(
    before: str, after: str, depth: Depth, key: tuple[str, ...], sample: int, store: str, url: str, *, as_json: bool
) -> None:
    """What differs between two versions: files, columns, rows.

    \b
    mainspring data diff flights@1 flights@2
    mainspring data diff flights@1 flights@2 --key id
    """
    with use_client(store, url) as client:
        found = client.data.diff(before, after, depth=depth, key=key, sample=sample)
    if as_json:
        echo_json(found)
    else:
        _show_diff(found)


@click.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", type=int)
@json_option
@store_options
def alias(name: str, alias: str, version: int, store: str, url: str, *, as_json: bool) -> None:
    """Point an alias at a version; version 0 takes it away.

    \b
    mainspring data alias flights clean 3
    """
    with use_client(store, url) as client:
        pointing = (
            client.data.set_alias(name, alias=alias, version=version)
            if version
            else client.data.remove_alias(name, alias=alias)
        )
    if as_json:
        echo_json(pointing)
    else:
        show_table(("alias", "version"), pointing.items(), empty="no aliases")


@click.command()
@click.argument("ref")
@click.argument("path")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write, instead of standard output."
)
@store_options
def get(ref: str, path: str, output: Path | None, store: str, url: str) -> None:
    """One file of a version, as it was committed.

    \b
    mainspring data get flights@3 flights.parquet -o flights.parquet
    """
    with use_client(store, url) as client, progress_bar(f"get {path}") as progress:
        copy = client.data.file(ref, path=path, progress=progress)
        if output is not None:
            shutil.copyfile(copy, output)
        else:
            with copy.open("rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer)


@click.command()
@click.argument("ref")
@click.option(
    "--suite", required=True, metavar="REF", help="The expectations: a saved suite, for example flights or flights@2."
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one HTML page, too.")
@click.option("--record/--no-record", default=True, show_default=True, help="Whether to keep the report.")
@json_option
@store_options
def check(ref: str, suite: str, html: Path | None, store: str, url: str, *, record: bool, as_json: bool) -> int:
    """Check a version against a suite; exit code 1 when something critical does not hold.

    \b
    mainspring data check flights@2 --suite flights
    mainspring data check flights --suite flights@1 --html report.html
    """
    with use_client(store, url) as client:
        report = client.quality.validate(ref, suite, record=record)
    if html is not None:
        html.write_text(report.to_html(), encoding="utf-8")
    if as_json:
        echo_json(report.to_dict())
    else:
        from mainspring.quality.reports.terminal import show as show_report

        show_report(report)
    return 1 if report.verdict == "failed" else 0


def _show_diff(found: Diff) -> None:
    if found.same:
        click.echo(f"{found.before.ref} and {found.after.ref} have the same content")
        return
    files = found.files
    click.echo(f"files   {len(files.added)} added, {len(files.removed)} removed, {len(files.modified)} modified, "
               f"{len(files.renamed)} renamed, {files.unchanged} unchanged")  # fmt: skip
    if found.schema is not None:
        changes = [
            *(f"+{name} {kind}" for name, kind in found.schema.added.items()),
            *(f"-{name}" for name in found.schema.removed),
        ]
        changes += [f"{name} {old} → {new}" for name, (old, new) in found.schema.changed.items()]
        click.echo(f"columns {', '.join(changes) or ('reordered' if found.schema.reordered else 'the same')}")
    if found.rows is not None:
        rows = found.rows
        click.echo(
            f"rows    {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed,"
            f" {rows.unchanged:,} unchanged"
        )
        for name, count in rows.changed_columns.items():
            click.echo(f"        {name}: {count:,} changed")
        for mark, sample in (("+", rows.added_sample), ("-", rows.removed_sample), ("~", rows.changed_sample)):
            for row in sample:
                click.echo(f"  {mark} {row}")
