"""`mainspring data add`, `status`, `commit`, `checkout`, `copies`: folders that belong to datasets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.output import ago, bytes_text, echo_json, json_option, show_table, store_options, use_client
from mainspring.cli.progress import progress_bar
from mainspring.kernel.errors import NotFound

if TYPE_CHECKING:
    from mainspring.data.linking import Link
    from mainspring.data.service_folders import FolderStatus
    from mainspring.data.types import DatasetVersion

__all__ = ["add", "checkout", "commit", "copies", "status"]

_COLOURS = {"added": "green", "modified": "yellow", "deleted": "red", "renamed": "cyan"}


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", default="", help="The dataset; what the folder belongs to, or its own name, by default.")
@click.option("--dvcignore", is_flag=True, help="Honour .dvcignore files, too.")
@json_option
@store_options
def add(path: Path, name: str, store: str, url: str, *, dvcignore: bool, as_json: bool) -> None:
    """Take a folder's files into the store; `data commit` then makes a version of them in no time.

    \b
    mainspring data add photos
    """
    with use_client(store, url, create=True) as client, progress_bar(f"add {path}") as progress:
        taken = client.data.add(path, name=name, dvc=dvcignore, progress=progress)
    if as_json:
        echo_json(taken)
        return
    click.echo(f"{path}  {_files(taken.files)}, {bytes_text(taken.size)} are in the store")
    click.echo(f'next: mainspring data commit {path} -m "why"   (dataset {taken.copy.dataset})', err=True)


@click.command()
@click.argument("path", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--limit", default=40, show_default=True, type=click.IntRange(0), help="How many files to name.")
@click.option("--exit-code", "ask", is_flag=True, help="End with 1 when something changed.")
@json_option
@store_options
def status(path: Path, limit: int, store: str, url: str, *, ask: bool, as_json: bool) -> int:
    """What changed in a folder since the version that it came from; of a Git repository, how its tracked data stands.

    \b
    mainspring data status
    mainspring data status photos --exit-code
    """
    try:
        with use_client(store, url) as client:
            found = client.data.status(path)
    except NotFound:
        from mainspring.cli.data_git import is_tracking, show_tracked

        if not is_tracking(path):
            raise
        return int(not show_tracked((path,), store, url, as_json=as_json) and ask)
    if as_json:
        echo_json({"clean": found.clean, **_as_json(found)})
    else:
        _show_status(found, limit)
    return int(ask and not found.clean)


@click.command()
@click.argument("name", required=False)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--message", default="", help="Why, for whoever reads the log.")
@click.option("--uses", multiple=True, metavar="REF", help="What it was derived from; may be repeated.")
@click.option("--new-version", is_flag=True, help="Make a version even when one has this content already.")
@click.option("--force", is_flag=True, help="Commit a folder although the dataset moved on meanwhile.")
@click.option("--dvcignore", is_flag=True, help="Honour .dvcignore files, too.")
@json_option
@store_options
def commit(
    name: str | None,
    paths: tuple[Path, ...],
    message: str,
    uses: tuple[str, ...],
    store: str,
    url: str,
    *,
    new_version: bool,
    force: bool,
    dvcignore: bool,
    as_json: bool,
) -> None:
    """Make a version of a dataset from files and folders; of a folder that belongs to one, without a name.

    \b
    mainspring data commit flights flights.parquet -m "January"
    mainspring data commit images photos/
    mainspring data commit -m "New cats"          in a folder that was committed or checked out before
    """
    where = Path(name) if name and not paths else Path()
    if name and not paths and not where.exists():
        raise click.UsageError(f"name what to commit: mainspring data commit {name} PATH")
    label = f"commit {name or ''}".strip()
    with use_client(store, url, create=bool(paths)) as client, progress_bar(label) as progress:
        if name and paths:
            source: Any = paths[0] if len(paths) == 1 else list(paths)
            made = client.data.commit(
                name, source, message=message, uses=uses, new_version=new_version, dvc=dvcignore, progress=progress
            )
        else:
            made = client.data.commit_folder(where, message=message, uses=uses, force=force, progress=progress)
    if as_json:
        echo_json(made)
        return
    click.echo(_said(made))


@click.command()
@click.argument("ref", required=False)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--path", "paths", multiple=True, metavar="PATTERN", help="Only these files and folders; may be repeated."
)
@click.option("--force", is_flag=True, help="Replace files that were edited.")
@click.option(
    "--link",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "copy", "hard"]),
    help="How files come there: shared on the disk where it can do that, copied, or read-only hard links.",
)
@json_option
@store_options
def checkout(
    ref: str | None,
    folder: Path | None,
    paths: tuple[str, ...],
    link: Link,
    store: str,
    url: str,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Make a folder hold a version; without one, bring tracked data to what Git says. Your edits stay.

    Files that are no part of the version stay, too.

    \b
    mainspring data checkout                      in a Git repository, after `git checkout`
    mainspring data checkout flights@3 ./flights
    mainspring data checkout photos@clean ./cats --path train/cats --path '*.txt'
    mainspring data checkout flights@2            in a folder that was checked out before
    """
    if ref is None or (folder is None and Path(f"{ref.rstrip('/')}.mainspring").is_file()):
        from mainspring.cli.data_git import follow

        follow(ref, store, url, force=force, as_json=as_json)
        return
    with use_client(store, url) as client:
        into = folder if folder is not None else Path(client.data.working_copies().find(".").path)
        with progress_bar(f"checkout {ref}") as progress:
            done = client.data.check_out(ref, into=into, paths=paths, force=force, link=link, progress=progress)
    if as_json:
        echo_json(done)
        return
    removed = f", {_files(done.removed)} removed" if done.removed else ""
    untouched = f", {_files(done.files - done.written)} already there" if done.files > done.written else ""
    click.echo(f"{_files(done.written)} written into {into}{removed}{untouched}")


@click.command()
@json_option
@store_options
def copies(store: str, url: str, *, as_json: bool) -> None:
    """The folders of this machine that belong to datasets.

    \b
    mainspring data copies
    """
    with use_client(store, url) as client:
        found = list(client.data.working_copies())
    if as_json:
        echo_json(found)
        return
    rows = [(each.path, each.ref.removeprefix("dataset/"), each.paths, ago(each.at)) for each in found]
    show_table(("folder", "version", "part", "since"), rows, empty="none: mainspring data commit NAME FOLDER")


def _show_status(found: FolderStatus, limit: int) -> None:
    copy, changes = found.copy, found.changes
    newer = f", newest is {found.newest}" if found.newest > copy.version else ""
    click.echo(f"{copy.ref.removeprefix('dataset/')} in {copy.path}{newer}")
    if found.clean:
        click.echo(f"nothing changed: {_files(found.files)}, {bytes_text(found.size)}")
        return
    for kind, text in islice(_lines(found), limit):
        click.echo(f"  {click.style(f'{kind:<8}', fg=_COLOURS[kind])}  {text}")
    counts = {
        "added": len(changes.added),
        "modified": len(changes.modified),
        "deleted": len(changes.removed),
        "renamed": len(changes.renamed),
    }
    if (hidden := sum(counts.values()) - limit) > 0:
        click.echo(f"  and {hidden:,} more (--limit)")
    click.echo(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count))
    click.echo('next: mainspring data commit -m "why"', err=True)


def _lines(found: FolderStatus) -> Iterator[tuple[str, str]]:
    changes = found.changes
    yield from (("added", f"{each.path}  {bytes_text(each.size)}") for each in changes.added)
    yield from (("modified", f"{new.path}  {bytes_text(new.size)}") for _, new in changes.modified)
    yield from (("deleted", each.path) for each in changes.removed)
    yield from (("renamed", f"{before} → {after}") for before, after in changes.renamed)


def _as_json(found: FolderStatus) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _said(made: DatasetVersion) -> str:
    rows = "" if made.rows is None else f", {made.rows:,} rows"
    return f"{made.ref}  {_files(made.files)}, {bytes_text(made.size)}{rows}"


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
