"""`mainspring check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.output import echo_json, json_option, store_options, use_client
from mainspring.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.quality.types import ValidationReport

__all__ = ["check", "show_validation", "source_of", "suite_of"]

_FILES = {".parquet", ".pq", ".csv", ".tsv", ".ndjson", ".jsonl", ".arrow", ".ipc", ".feather"}


@click.command()
@click.argument("dataset")
@click.argument("suite", default="")
@click.option("--format", "form", default="", help="Of a suite that is a file: gx, dqdl, deequ, tfdv, yaml or json.")
@click.option(
    "--by",
    default="",
    metavar="PARTS",
    help="A result for each part: file, a column, COLUMN:month (day, year, ...).",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one HTML page, too.")
@click.option("--record/--no-record", default=None, help="Keep the report.  [default: of a version, yes]")
@json_option
@store_options
def check(
    dataset: str,
    suite: str,
    form: str,
    by: str,
    html: Path | None,
    store: str,
    url: str,
    *,
    record: bool | None,
    as_json: bool,
) -> int:
    """Check a dataset version, or a file, against a suite; exit code 1 when something critical does not hold.

    SUITE is a saved suite (flights, flights@2) or a file. Without it the suite of the dataset's contract is taken, or
    that of the dataset's name.

    \b
    mainspring check flights
    mainspring check flights@3 flights@2 --by month --html report.html
    mainspring check january.parquet suite.json --format gx
    """
    with use_client(store, url) as client:
        report = client.quality.validate(
            source_of(dataset), suite_of(client, suite, form, dataset=dataset), dataset=dataset, by=by, record=record
        )
    return show_validation(report, html=html, as_json=as_json)


def show_validation(report: ValidationReport, *, html: Path | None, as_json: bool) -> int:
    """Print a report and write its page; the exit code."""
    if html is not None:
        html.write_text(report.to_html(), encoding="utf-8")
    if as_json:
        echo_json(report.to_dict())
    else:
        from mainspring.quality.reports.terminal import show

        show(report)
    return 1 if report.verdict == "failed" else 0


def source_of(text: str) -> Any:
    """A file where one is there under that name, a reference otherwise."""
    path = Path(text)
    return path if path.suffix.lower() in _FILES and path.exists() else text


def suite_of(client: Client, text: str, form: str, *, dataset: str = "") -> Any:
    """A suite: that of a file, a saved one by its reference, or without either that of a dataset."""
    if text and (form or Path(text).is_file()):
        from mainspring.quality.suites_files import read_suite

        return read_suite(Path(text), form)
    if text:
        return text
    if not isinstance(source_of(dataset), str):
        raise InvalidInput(f"{dataset} is a file, which has no suite of its own", hint="name a suite, or a file of one")
    name = dataset.removeprefix("dataset/").partition("@")[0]
    contract = client.quality.find_contract(name)
    if contract is not None:
        return contract.suite
    try:
        client.quality.suite(name)
    except NotFound:
        raise NotFound(
            f"dataset {name!r} has no contract, and no suite has its name",
            hint=f"mainspring suite infer {dataset} --save, or name a suite",
        ) from None
    return name
