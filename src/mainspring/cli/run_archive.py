"""`mainspring run export` and `import`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from mainspring.cli.output import bytes_text, echo_json, json_option, store_options, use_client

__all__ = ["export", "import_runs"]

_PIECE = 1 << 20


@click.command()
@click.argument("experiment")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@store_options
def export(experiment: str, file: Path, store: str, url: str) -> None:
    """Write an experiment with all of its runs into one file.

    \b
    mainspring run export flight-delay flight-delay.zip
    """
    partial = file.with_name(f"{file.name}.partial")
    size = 0
    with use_client(store, url) as client:
        pieces = client.tracking.export(experiment)
        try:
            with partial.open("wb") as opened:
                for piece in pieces:
                    size += opened.write(piece)
            partial.replace(file)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()
    click.echo(f"{file}  {bytes_text(size)}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What the experiment is called here.  [default: as in the file]")
@json_option
@store_options
def import_runs(file: Path, name: str, store: str, url: str, *, as_json: bool) -> None:
    """Bring in what `run export` wrote; twice is as once.

    \b
    mainspring run import flight-delay.zip
    mainspring run import flight-delay.zip --name flight-delay-2025
    """
    with use_client(store, url, create=True) as client:
        made = client.tracking.import_archive(_pieces(file), name=name)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.name}: {made.runs} runs")


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
