"""`mainspring data track`, `untrack`, `tracked`, `history`, `hooks`, and what Git itself calls: hooks and merges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.output import bytes_text, echo_json, json_option, show_error, show_table, store_options, use_client
from mainspring.cli.progress import progress_bar
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.settings import find_store, read_settings

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.data.tracked import Brought

__all__ = [
    "follow",
    "history",
    "hook",
    "hooks",
    "is_tracking",
    "merge_driver",
    "show_tracked",
    "track",
    "tracked",
    "untrack",
]


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="The dataset; the path in the repository by default.")
@click.option("-m", "--message", default="", help="Why, for whoever reads the log.")
@click.option("--all", "everything", is_flag=True, help="Everything that is tracked and was edited.")
@click.option("--force", is_flag=True, help="Track although the pointer moved on while the data stayed behind.")
@json_option
@store_options
def track(
    paths: tuple[Path, ...],
    name: str,
    message: str,
    store: str,
    url: str,
    *,
    everything: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Let Git follow files and folders by small pointer files; again after each change of them.

    \b
    mainspring data track photos
    mainspring data track --all -m "New cats"
    """
    if bool(paths) == everything or (name and len(paths) != 1):
        raise click.UsageError("name paths to track, or --all; --name goes with one path")
    done = []
    with _client(store, url, create=True) as client:
        if everything:
            from mainspring.data.tracked import find_repository

            top = find_repository(".").top
            changed = [each.path for each in client.data.tracked() if each.state in ("edited", "diverged")]
            paths = tuple(top / each for each in changed)
        for path in paths:
            with progress_bar(f"track {path}") as progress:
                done.append(client.data.track(path, name=name, message=message, force=force, progress=progress))
    if as_json:
        echo_json(done)
        return
    for each in done:
        count = each.version.files
        size = f"{count:,} file{'' if count == 1 else 's'}, {bytes_text(each.version.size)}"
        click.echo(f"{each.path}  {each.version.ref}  {size}")
    if changed_files := sorted({file for each in done for file in each.changed}):
        click.echo(f"now: git add {' '.join(changed_files)}", err=True)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@store_options
def untrack(path: Path, store: str, url: str) -> None:
    """Take the pointer of a file or folder away; the data stays, and so do its versions.

    \b
    mainspring data untrack photos
    """
    with _client(store, url) as client:
        changed = client.data.untrack(path)
    click.echo(f"now: git add {' '.join(changed)}", err=True)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@json_option
@store_options
def tracked(paths: tuple[Path, ...], store: str, url: str, *, as_json: bool) -> int:
    """How the tracked files and folders of this Git repository stand; exit code 1 when one is not as its pointer says.

    \b
    mainspring data tracked
    mainspring data tracked photos
    """
    return int(not show_tracked(paths, store, url, as_json=as_json))


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@json_option
@store_options
def history(path: Path, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The commits of Git that changed a tracked file or folder, newest first, each with its version.

    \b
    mainspring data history photos
    """
    with _client(store, url) as client:
        found = client.data.tracked_history(path, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.commit[:12], each.version or "", each.tree[:12], each.author, each.date, each.message.partition("\n")[0])
        for each in found
    ]
    show_table(("commit", "version", "content", "by", "at", "message"), rows, empty="Git has no commit of it")


@click.group()
def hooks() -> None:
    """Git hooks that keep data and branch together, and the merge driver for pointers."""


@hooks.command()
def install() -> None:
    """Install them in this clone: after a checkout or merge the data follows, before a push it is looked for.

    \b
    mainspring data hooks install
    """
    from mainspring.data.git_files import install_hooks
    from mainspring.data.tracked import find_repository

    for name, what in install_hooks(find_repository(".")).items():
        click.echo(f"{name}  {what}")


@hooks.command()
def remove() -> None:
    """Take them away; hooks of your own stay.

    \b
    mainspring data hooks remove
    """
    from mainspring.data.git_files import remove_hooks
    from mainspring.data.tracked import find_repository

    gone = remove_hooks(find_repository("."))
    click.echo(", ".join(gone) or "there was none")


@click.command(hidden=True)
@click.argument("name", type=click.Choice(["post-checkout", "post-merge", "pre-push"]))
@click.argument("arguments", nargs=-1)
@store_options
def hook(name: str, arguments: tuple[str, ...], store: str, url: str) -> int:
    """What the hooks call."""
    if name == "post-checkout" and arguments[2:3] != ("1",):
        return 0  # single files were checked out, the branch is the same
    try:
        if name == "pre-push":
            return _before_push(store, url)
        if _has_tracked():
            with _client(store, url) as client:
                show_brought(client.data.checkout_tracked())
    except MainspringError as error:
        return show_error(error)
    return 0


@click.command("merge-driver", hidden=True)
@click.argument("base", type=click.Path(exists=True, path_type=Path))
@click.argument("ours", type=click.Path(exists=True, path_type=Path))
@click.argument("theirs", type=click.Path(exists=True, path_type=Path))
@click.argument("path")
@store_options
def merge_driver(base: Path, ours: Path, theirs: Path, path: str, store: str, url: str) -> int:
    """What Git calls to merge a pointer; the merge is left in OURS. As text, where the data cannot be merged."""
    texts = [each.read_text(encoding="utf-8") for each in (base, ours, theirs)]
    try:
        with _client(store, url) as client:
            merged = client.data.merge_pointers(*texts, path=path)
    except MainspringError as error:
        show_error(error)
        labels = [part for label in ("ours", "base", "theirs") for part in ("-L", label)]
        command = ["git", "merge-file", "--quiet", *labels, str(ours), str(base), str(theirs)]
        return int(subprocess.run(command, check=False).returncode != 0)
    ours.write_text(merged, encoding="utf-8", newline="\n")
    return 0


def follow(path: str | None, store: str, url: str, *, force: bool, as_json: bool) -> None:
    """Bring what is tracked at a path, or all of it, to what the pointers say: `data checkout` without a version."""
    with _client(store, url) as client, progress_bar("checkout") as progress:
        done = client.data.checkout_tracked([path] if path else [], force=force, progress=progress)
    if as_json:
        echo_json(done)
    elif done:
        show_brought(done)
    else:
        click.echo("everything is as its pointer says", err=True)


def is_tracking(path: Path) -> bool:
    """Whether something is tracked at a path or below it."""
    from mainspring.data.git import Repository
    from mainspring.data.tracked import find_pointers

    repository = Repository.find(path)
    return repository is not None and not repository.bare and bool(find_pointers(repository, [path]))


def show_tracked(paths: tuple[Path, ...], store: str, url: str, *, as_json: bool) -> bool:
    """Show how tracked data stands; whether all of it is as its pointer says."""
    with _client(store, url) as client:
        found = client.data.tracked(paths)
    if as_json:
        echo_json(found)
    else:
        rows = [
            (each.path, each.state, each.dataset, each.files, bytes_text(each.size), each.problem) for each in found
        ]
        show_table(("path", "state", "dataset", "files", "size", ""), rows, empty="nothing is tracked here")
    return all(each.state == "clean" for each in found)


def show_brought(done: list[Brought]) -> None:
    """Say what a checkout of tracked data did."""
    for each in done:
        gone = f", {each.removed:,} removed" if each.removed else ""
        click.echo(f"{each.path}  {each.dataset}  {each.written:,} written{gone}", err=True)


def _before_push(store: str, url: str) -> int:
    """Refuse to push pointers whose data nobody could get; bring the data to the remote where one is set up."""
    from mainspring.data.tracked import changed_pointers, find_repository

    repository = find_repository(".")
    named = [line.split()[1] for line in sys.stdin.read().splitlines() if len(line.split()) == 4]
    tips = [tip for tip in dict.fromkeys(named) if set(tip) != {"0"}]  # which is how a branch is deleted
    tips = [tip for tip in tips if any(changed_pointers(repository, tip))]
    if tips:
        with _client(store, url) as client:
            for ref in dict.fromkeys(ref for tip in tips for ref in client.data.push_tracked(tip)):
                click.echo(f"pushed {ref}", err=True)
    return 0


def _has_tracked() -> bool:
    """Whether anything is tracked here, or was: otherwise no store is needed."""
    from mainspring.data.tracked import find_pointers, find_repository, remembered_paths

    repository = find_repository(".")
    return bool(find_pointers(repository) or remembered_paths(repository))


def _client(store: str, url: str, *, create: bool = False) -> Client:
    """The client; in a worktree of Git on the store of the main one, and a new store stands at the top of that."""
    if not store and not url and not find_store().is_dir() and not read_settings(find_store()).url:
        from mainspring.data.git import Repository

        repository = Repository.find(".")
        if repository is not None and not repository.bare:
            common = Path(repository.text("rev-parse", "--path-format=absolute", "--git-common-dir"))
            main = (common.parent if common.name == ".git" else repository.top) / find_store().name
            store = str(main) if create or main.is_dir() else ""
    return use_client(store, url, create=create)
