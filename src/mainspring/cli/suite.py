"""`mainspring suite`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from mainspring.cli.check import source_of
from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.types import Suite

__all__ = ["suite"]


@click.group()
def suite() -> None:
    """Suites of expectations; check data against one with `mainspring check`."""


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
@click.option("--name", default="", help="What to call it.  [default: as the dataset or the file]")
@click.option("--save", is_flag=True, help="Save it.")
@json_option
@store_options
def infer(ref: str, name: str, store: str, url: str, *, save: bool, as_json: bool) -> None:
    """A first suite from a dataset version or a file; read it before you trust it.

    \b
    mainspring suite infer flights@1
    mainspring suite infer january.parquet --name flights
    mainspring suite infer flights@1 --save
    """
    with use_client(store, url) as client:
        source = source_of(ref)
        found = client.quality.infer(source, name=name or (source.stem if isinstance(source, Path) else ""))
        saved = client.quality.save_suite(found).ref if save else ""
    if as_json:
        echo_json(found)
    else:
        _show(found)
    if saved:
        click.echo(f"saved as {saved}", err=True)


@suite.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", default="", help="gx, dqdl, deequ, tfdv, yaml or json.  [default: by the suffix]")
@click.option("--name", default="", help="What to call it.  [default: as the file says, or is called]")
@json_option
@store_options
def load(file: Path, form: str, name: str, store: str, url: str, *, as_json: bool) -> None:
    """Save the suite in a file, of Great Expectations, Deequ, TFDV or our own.

    \b
    mainspring suite load expectations.json --format gx --name flights
    mainspring suite load rules.dqdl
    """
    from mainspring.quality.suites_files import read_suite

    found = read_suite(file, form)
    if name:
        found = msgspec.structs.replace(found, name=name)
    with use_client(store, url, create=True) as client:
        saved = client.quality.save_suite(found)
    if as_json:
        echo_json(saved)
    else:
        click.echo(f"saved as {saved.ref}: {len(found.expectations)} expectations", err=True)


@suite.command()
@click.argument("ref")
@click.option("--format", "form", default="yaml", show_default=True, help="gx, dqdl, deequ, tfdv, yaml or json.")
@store_options
def export(ref: str, form: str, store: str, url: str) -> None:
    """Write a suite in another form to standard output.

    \b
    mainspring suite export flights --format gx > expectations.json
    """
    from mainspring.quality.suites_files import suite_text

    with use_client(store, url) as client:
        click.echo(suite_text(client.quality.suite(ref), form), nl=False)


@suite.command()
@click.argument("ref")
@click.argument("dataset")
@click.option(
    "--accept",
    default="",
    metavar="N,N,...",
    help="Save it with these proposals; 'asked' for all but to tighten.",
)
@click.option("--tighten/--no-tighten", default=True, help="Propose narrower lines, too.")
@json_option
@store_options
def update(ref: str, dataset: str, accept: str, store: str, url: str, *, tighten: bool, as_json: bool) -> None:
    """What a suite would loosen, gain or tighten after newer data, line by line; nothing changes without --accept.

    \b
    mainspring suite update flights flights@4
    mainspring suite update flights flights@4 --accept 0,2
    mainspring suite update flights today.parquet
    """
    with use_client(store, url) as client:
        found = client.quality.propose(ref, source_of(dataset), tighten=tighten)
        saved = ""
        if accept:
            saved = client.quality.save_suite(found.apply(_places(accept))).ref
    if as_json:
        echo_json(found.proposals)
    else:
        click.echo(found.diff() or "nothing to change", err=not found.proposals)
    if saved:
        click.echo(f"saved as {saved}", err=True)


def _places(text: str) -> list[int] | None:
    if text == "asked":
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise InvalidInput(f"{text!r} is no list of numbers", hint="--accept 0,2 or --accept asked")
    return [int(part) for part in parts]


def _show(found: Suite) -> None:
    from mainspring.quality.expectations.kinds import described

    rows = [
        (each.subject, described(each), each.severity, f"{each.mostly:g}", each.reason) for each in found.expectations
    ]
    show_table(("subject", "expected", "severity", "mostly", "why"), rows, empty="it expects nothing")
