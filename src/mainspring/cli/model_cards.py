"""`mainspring model card`, `write` and `diff`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, cast

import click
import msgspec

from mainspring.cli.output import echo_json, json_option, show_table, store_options, use_client
from mainspring.models.types import Metric, VersionDiff

__all__ = ["card", "diff", "write"]


@click.command()
@click.argument("ref")
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "html"]),
    default="md",
    show_default=True,
    help="Hugging Face's README.md, Google's Model Card Toolkit, or a page.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write.")
@store_options
def card(ref: str, store: str, url: str, form: str, output: Path | None) -> None:
    """The model card of a version, as a document.

    \b
    mainspring model card flight-delay@champion > README.md
    mainspring model card flight-delay@champion --format html -o card.html
    """
    with use_client(store, url) as client:
        text = client.models.render_card(ref, format=cast("Literal['md', 'json', 'html']", form))
    if output is None:
        click.echo(text)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output} is written")


@click.command()
@click.argument("ref")
@click.argument("section")
@click.argument("text", default="-")
@store_options
def write(ref: str, section: str, text: str, store: str, url: str) -> None:
    """Write a section of the card of a version (name@3) or of all versions (name); `-` reads the terminal.

    \b
    mainspring model write flight-delay limitations "Not for airports without weather stations."
    """
    words = sys.stdin.read() if text == "-" else text
    with use_client(store, url) as client:
        made = client.models.write_card(ref, section, words)
    about = f"{made.name}@{made.version}" if made.version else made.name
    click.echo(f"{section} of {about} is {'written' if made.text else 'taken out'}")


@click.command()
@click.argument("before")
@click.argument("after")
@json_option
@store_options
def diff(before: str, after: str, store: str, url: str, *, as_json: bool) -> None:
    """What differs between two versions: parameters, figures, data, code, packages, columns.

    \b
    mainspring model diff flight-delay@champion flight-delay@4
    """
    with use_client(store, url) as client:
        found = client.models.diff(before, after)
    if as_json:
        echo_json(found)
    else:
        show_table(("", "", found.before, found.after), list(_rows(found)), empty="nothing differs")


def _rows(found: VersionDiff) -> list[tuple[str, str, str, str]]:
    rows = [("content", "", "", "the same" if found.same_content else "another")]
    groups: dict[str, dict[str, tuple[Any, Any]]] = {
        "fact": found.facts,
        "parameter": found.parameters,
        "metric": dict(found.metrics),
        "package": dict(found.environment),
        "column": dict(found.signature),
    }
    for what, changes in groups.items():
        rows += [(what, name, _text(one), _text(other)) for name, (one, other) in changes.items()]
    rows += [("data", each, "used", "") for each in found.data[0]]
    rows += [("data", each, "", "used") for each in found.data[1]]
    if found.code:
        one, other = found.code
        rows += [("code", key, str(one.get(key, "")), str(other.get(key, ""))) for key in dict.fromkeys([*one, *other])]
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Metric):
        return f"{value.value:.4g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
