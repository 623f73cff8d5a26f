"""`mainspring checkpoint`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from mainspring.cli.output import ago, echo_json, json_option, show_table, store_options, use_client
from mainspring.kernel.errors import InvalidInput

__all__ = ["checkpoint"]


@click.group()
def checkpoint() -> None:
    """Suites asked of datasets, with what follows from the outcome."""


@checkpoint.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@store_options
def save(file: Path, store: str, url: str, *, as_json: bool) -> None:
    """Keep a checkpoint that a JSON file describes, under its name.

    \b
    mainspring checkpoint save nightly.json
    """
    from mainspring.quality.checkpoints import Checkpoint

    try:
        said = msgspec.json.decode(file.read_bytes(), type=Checkpoint)
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"{file} describes no checkpoint: {error}",
            hint='{"name": "nightly", "targets": [{"dataset": "flights", "suite": "flights"}], "actions": []}',
        ) from None
    with use_client(store, url) as client:
        found = client.quality.save_checkpoint(said)
    if as_json:
        echo_json(found)
    else:
        many = f"{len(found.targets)} targets and {len(found.actions)} actions"
        click.echo(f"checkpoint {found.name} has {many}", err=True)


@checkpoint.command("list")
@json_option
@store_options
def list_checkpoints(store: str, url: str, *, as_json: bool) -> None:
    """Every checkpoint and how its last run went.

    \b
    mainspring checkpoint list
    """
    with use_client(store, url) as client:
        found = client.quality.checkpoints()
        last = {each.name: client.quality.checkpoint_runs(each.name, limit=1) for each in found}
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.name,
            ", ".join(target.dataset for target in each.targets),
            ", ".join(str(action.__struct_config__.tag) for action in each.actions),
            last[each.name][0].verdict if last[each.name] else "",
            ago(last[each.name][0].at) if last[each.name] else "never",
        )
        for each in found
    ]
    show_table(
        ("checkpoint", "datasets", "actions", "verdict", "ran"),
        rows,
        empty="no checkpoints: mainspring checkpoint save FILE",
    )


@checkpoint.command()
@click.argument("name")
@click.option("--ref", default="", help="A version to validate in place of the newest, for targets of that dataset.")
@json_option
@store_options
def run(name: str, ref: str, store: str, url: str, *, as_json: bool) -> int:
    """Run a checkpoint; exit code 1 when it fails.

    \b
    mainspring checkpoint run nightly
    mainspring checkpoint run nightly --ref flights@3
    """
    with use_client(store, url) as client:
        found = client.quality.run_checkpoint(name, ref=ref)
    if as_json:
        echo_json(found)
        return 0 if found.verdict == "passed" else 1
    rows = [
        (each.verdict, each.dataset, each.suite, each.failures, f"{each.rows_scanned:,} of {each.rows:,}", each.report)
        for each in found.targets
    ]
    show_table(("verdict", "dataset", "suite", "failures", "rows scanned", "report"), rows, empty="")
    for each in found.actions:
        click.echo(f"{each.action}: {'done' if each.done else 'not done'}, {each.message or '-'}", err=True)
    return 0 if found.verdict == "passed" else 1


@checkpoint.command()
@click.argument("name")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def runs(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """Runs of a checkpoint, newest first.

    \b
    mainspring checkpoint runs nightly
    """
    with use_client(store, url) as client:
        found = client.quality.checkpoint_runs(name, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.id, each.verdict, ago(each.at), ", ".join(target.dataset for target in each.targets), each.created_by)
        for each in found
    ]
    show_table(("run", "verdict", "ran", "datasets", "by"), rows, empty=f"never: mainspring checkpoint run {name}")


@checkpoint.command()
@click.argument("name")
@store_options
def remove(name: str, store: str, url: str) -> None:
    """Take a checkpoint away; its runs stay.

    \b
    mainspring checkpoint remove nightly
    """
    with use_client(store, url) as client:
        client.quality.remove_checkpoint(name)
    click.echo(f"checkpoint {name} is gone", err=True)
