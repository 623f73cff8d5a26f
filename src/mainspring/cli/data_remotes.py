"""`mainspring data remote|push|pull|fetch|download|delete|restore|retain|forget|verify|gc`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from mainspring.cli.output import ago, bytes_text, echo_json, json_option, show_table, store_options, use_client
from mainspring.cli.progress import progress_bar
from mainspring.data.deletions import KeepRule
from mainspring.data.forgetting_types import ForgetReport
from mainspring.data.integrity_work import IntegrityReport
from mainspring.data.remotes.types import Transfer

__all__ = [
    "delete",
    "download",
    "fetch",
    "forget",
    "pull",
    "push",
    "remote",
    "restore",
    "retain",
    "show_integrity",
    "verify",
]


@click.group()
def remote() -> None:
    """Other places of dataset versions: folders, buckets, other Mainsprings."""


@remote.command("add")
@click.argument("name")
@click.argument("place")
@json_option
@store_options
def remote_add(name: str, place: str, store: str, url: str, *, as_json: bool) -> None:
    """Name a place: a folder, s3://, gs://, az://, or the URL of another Mainspring.

    \b
    mainspring data remote add origin s3://team-data/mainspring
    mainspring data remote add backup /mnt/backup/data
    """
    local = "://" not in place
    with use_client(store, url, create=True) as client:
        found = client.data.add_remote(name, url=str(Path(place).expanduser().absolute()) if local else place)
    if as_json:
        echo_json(found)
    else:
        show_table(("remote", "place"), [(each.name, each.url) for each in found], empty="no remotes")


@remote.command("list")
@json_option
@store_options
def remote_list(store: str, url: str, *, as_json: bool) -> None:
    """Every remote.

    \b
    mainspring data remote list
    """
    with use_client(store, url) as client:
        found = client.data.remotes()
    if as_json:
        echo_json(found)
    else:
        rows = [(each.name, each.url, each.by, ago(each.at)) for each in found]
        show_table(
            ("remote", "place", "by", "added"), rows, empty="no remotes: mainspring data remote add origin PLACE"
        )


@remote.command("remove")
@click.argument("name")
@json_option
@store_options
def remote_remove(name: str, store: str, url: str, *, as_json: bool) -> None:
    """Forget where a remote is; what it holds stays there.

    \b
    mainspring data remote remove backup
    """
    with use_client(store, url) as client:
        found = client.data.remove_remote(name)
    if as_json:
        echo_json(found)
    else:
        show_table(("remote", "place"), [(each.name, each.url) for each in found], empty="no remotes")


@click.command()
@click.argument("dataset", default="")
@click.argument("remote", default="")
@click.option("--jobs", default=4, show_default=True, type=click.IntRange(1, 64), help="How many batches move at once.")
@json_option
@store_options
def push(dataset: str, remote: str, jobs: int, store: str, url: str, *, as_json: bool) -> None:
    """Bring versions to a remote; only what is missing there moves.

    \b
    mainspring data push
    mainspring data push flights@3 backup
    """
    with use_client(store, url) as client, progress_bar("push") as progress:
        done = client.data.push(dataset, remote, progress=progress, workers=jobs)
    _show_transfer(done, as_json=as_json)


@click.command()
@click.argument("dataset", default="")
@click.argument("remote", default="")
@click.option("--path", "paths", multiple=True, help="Only this file or folder; may be repeated.")
@click.option("--meta", is_flag=True, help="Names, sizes and history; a file is fetched when it is read.")
@click.option("--jobs", default=4, show_default=True, type=click.IntRange(1, 64), help="How many batches move at once.")
@json_option
@store_options
def pull(
    dataset: str, remote: str, paths: tuple[str, ...], jobs: int, store: str, url: str, *, meta: bool, as_json: bool
) -> None:
    """Take versions from a remote; only what is missing here moves.

    \b
    mainspring data pull
    mainspring data pull photos@2 origin --path train/cats
    mainspring data pull photos --meta
    """
    with use_client(store, url, create=True) as client, progress_bar("pull") as progress:
        done = client.data.pull(dataset, remote, paths=paths, files=not meta, progress=progress, workers=jobs)
    _show_transfer(done, as_json=as_json)


@click.command()
@click.argument("dataset", default="")
@click.argument("remote", default="")
@json_option
@store_options
def fetch(dataset: str, remote: str, store: str, url: str, *, as_json: bool) -> None:
    """What a remote has, without moving anything.

    \b
    mainspring data fetch
    mainspring data fetch flights backup
    """
    with use_client(store, url, create=True) as client:
        found = client.data.remote_history(dataset, remote)
    if as_json:
        echo_json(found)
        return
    rows = [
        (each.name, each.number, each.rows, bytes_text(each.size), each.created_at, each.created_by, each.message)
        for each in found
    ]
    show_table(("dataset", "version", "rows", "size", "at", "by", "message"), rows, empty="nothing is there")


@click.command()
@click.argument("remote")
@click.argument("ref")
@click.argument("paths", nargs=-1)
@click.option("-o", "--into", default=".", type=click.Path(file_okay=False, path_type=Path), help="The folder.")
@click.option("--overwrite", is_flag=True, help="Replace files of another content that are in the way.")
@json_option
def download(remote: str, ref: str, paths: tuple[str, ...], into: Path, *, overwrite: bool, as_json: bool) -> None:
    """Files of a version straight from a folder, a bucket or another Mainspring, without a store.

    \b
    mainspring data download s3://team-data/mainspring photos@2 train/cats -o photos
    """
    from mainspring.data.cache import default_folder
    from mainspring.data.remotes.fetching import fetch_files
    from mainspring.data.remotes.opening import open_depot

    with (
        progress_bar(f"download {ref}") as progress,
        open_depot(remote, cache=default_folder() / "remotes") as depot,
    ):
        written = fetch_files(depot, ref, into=into, paths=paths, overwrite=overwrite, progress=progress)
    if as_json:
        echo_json([str(path) for path in written])
    else:
        click.echo(f"{len(written):,} files written into {into}")


@click.command()
@click.argument("ref")
@json_option
@store_options
def delete(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """Delete a version; `restore` brings it back for a while, `gc` then frees its bytes.

    \b
    mainspring data delete flights@3
    """
    with use_client(store, url) as client:
        gone = client.data.delete(ref)
    if as_json:
        echo_json(gone)
    else:
        click.echo(f"{gone.ref} is deleted; mainspring data restore {gone.name}@{gone.version}")


@click.command()
@click.argument("ref", default="")
@json_option
@store_options
def restore(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """Bring a deleted version back; without a reference, list what can be.

    \b
    mainspring data restore
    mainspring data restore flights@3
    """
    with use_client(store, url) as client:
        if ref:
            name, _, version = ref.removeprefix("dataset/").partition("@")
            number = version.removeprefix("v")
            if not number.isdecimal():
                raise click.UsageError("name the version by its number: flights@3")
            back = client.data.restore(name, version=int(number))
            if as_json:
                echo_json(back)
            else:
                click.echo(f"{back.ref} is back")
            return
        found = client.data.deleted()
    if as_json:
        echo_json(found)
    else:
        rows = [(f"{each.name}@{each.version}", each.aliases, each.by, ago(each.at)) for each in found]
        show_table(("version", "aliases", "by", "deleted"), rows, empty="nothing is deleted")


@click.command()
@click.argument("name", default="")
@click.option(
    "--last", type=click.IntRange(min=1), help="Keep the newest so many; other rules that are set do not count."
)
@click.option("--days", default=0.0, help="Keep what was committed in so many days, too.")
@click.option("--save", is_flag=True, help="Set this as the rule of the dataset, or of all without a name.")
@click.option("--apply", "apply_", is_flag=True, help="Delete; without it, only say what would go.")
@json_option
@store_options
def retain(
    name: str, last: int | None, days: float, store: str, url: str, *, save: bool, apply_: bool, as_json: bool
) -> None:
    """Delete the versions that the rule does not keep. Aliased, tagged and used ones are kept.

    \b
    mainspring data retain flights --last 10 --days 30
    mainspring data retain --apply
    """
    if last is None and (days or save):
        raise click.UsageError("a rule says how many versions are kept at least: --last 1 --days 30")
    rule = KeepRule(last=last, days=days) if last is not None else None
    with use_client(store, url) as client:
        if save and rule is not None:
            client.data.set_retention(name, rule=rule)
        gone = client.data.retain(name, rule=rule, dry_run=not apply_)
    if as_json:
        echo_json(gone)
        return
    rows = [(each.ref, bytes_text(each.size), each.created_at, each.message) for each in gone]
    show_table(("version", "size", "at", "message"), rows, empty="the rule keeps everything")
    if gone and not apply_:
        click.echo("nothing was deleted; repeat it with --apply")


@click.command()
@click.option(
    "--where", required=True, help="SQL over columns: customer_id = 42; over path alone it means whole files."
)
@click.option("--dataset", "datasets", multiple=True, help="Only this dataset; may be repeated.")
@click.option("--reason", default="", help="Why; it goes into the ledger. The condition does not.")
@click.option("--apply", "apply_", is_flag=True, help="Do it; without it, only say what would be done.")
@click.option("--remotes/--no-remotes", default=True, show_default=True, help="Whether remotes forget, too.")
@json_option
@store_options
def forget(
    where: str,
    datasets: tuple[str, ...],
    reason: str,
    store: str,
    url: str,
    *,
    apply_: bool,
    remotes: bool,
    as_json: bool,
) -> int:
    """Find rows in every version of every dataset and make them go; exit code 1 when something stays that should not.

    \b
    mainspring data forget --where "customer_id = 42"
    mainspring data forget --where "customer_id = 42" --reason "asked on 3 May" --apply
    mainspring data forget --where "path LIKE 'faces/42.%'" --reason "asked on 3 May" --apply
    """
    with use_client(store, url) as client:
        report = client.data.forget(where, datasets=datasets, reason=reason, dry_run=not apply_, remotes=remotes)
    if as_json:
        echo_json(report)
    else:
        _show_forgotten(report)
    return 1 if report.unsearched or report.left or any(each.failed for each in report.remotes) else 0


@click.command()
@click.option("--heal", is_flag=True, help="Mend what is damaged from remotes.")
@click.option("--from", "remotes", multiple=True, help="A remote, URL or folder to mend from; may be repeated.")
@json_option
@store_options
def verify(remotes: tuple[str, ...], store: str, url: str, *, heal: bool, as_json: bool) -> int:
    """Read everything that is stored; name what is damaged and the datasets and files that it belongs to.

    \b
    mainspring data verify
    mainspring data verify --heal --from origin
    """
    with use_client(store, url) as client:
        report = client.data.verify(heal=heal or bool(remotes), remotes=remotes)
    if as_json:
        echo_json({**msgspec.to_builtins(report), "intact": report.intact})
    else:
        show_integrity(report)
    return 0 if report.intact else 1


def show_integrity(report: IntegrityReport) -> None:
    """Say what a verification found."""
    for problem in report.store.database:
        click.echo(f"database: {problem}")
    if report.store.blobs is not None:
        for finding in report.store.blobs.findings:
            click.echo(f"{finding.object}: blob {finding.digest or '-'}: {finding.reason}")
        click.echo(f"{report.store.blobs.blobs:,} blobs, {bytes_text(report.store.blobs.bytes)} read", err=True)
    if report.store.ledger is not None:
        for problem in report.store.ledger.problems:
            click.echo(f"audit: {problem}")
        click.echo(f"{report.store.ledger.events} audit events read", err=True)
    for each in report.affected:
        more = f" and {len(each.paths) - 5:,} more" if len(each.paths) > 5 else ""
        click.echo(f"{each.ref}: {', '.join(path or 'everything' for path in each.paths[:5])}{more}")
    for line in report.failed:
        click.echo(f"remote {line}")
    if report.mended is not None:
        done = report.mended
        click.echo(f"{len(done.healed):,} blobs mended, {done.rewritten:,} packs written again")
        for digest in done.remaining:
            click.echo(f"blob {digest}: no remote has it sound")
    if report.mended is None and report.affected and not report.intact:
        click.echo("next: mainspring data verify --heal, which fetches what remotes have sound")
    click.echo("everything is as it was written" if report.intact else "the store is damaged")


def _show_transfer(done: Transfer, *, as_json: bool) -> None:
    if as_json:
        echo_json(done)
        return
    for ref in done.versions:
        click.echo(ref)
    for alias in done.aliases_kept:
        click.echo(f"{alias} points elsewhere there, and was left")
    for ref in done.erased_elsewhere:
        click.echo(f"{ref}: one side had to forget a part of it; see mainspring data forget")
    what = f"{len(done.versions):,} versions, {done.files:,} blobs, {bytes_text(done.bytes)} moved"
    click.echo(f"{what}; {done.known:,} versions were there ({done.remote})")


def _show_forgotten(report: ForgetReport) -> None:
    rows = [(hit.ref, hit.rows, len(hit.files), hit.after[:12] or "-") for hit in report.hits]
    show_table(("version", "rows", "files", "now"), rows, empty="no version holds such rows")
    for each in report.reached:
        click.echo(f"reached {each.ref}: {' > '.join(each.path)}")
    for line in report.elsewhere:
        click.echo(line)
    for remote in report.remotes:
        what = f"not done: {remote.failed}" if remote.failed else f"{len(remote.versions):,} versions written again"
        click.echo(f"remote {remote.remote}: {what}")
        for ref in remote.unsearched:
            click.echo(f"remote {remote.remote}: {ref} is not here and was not searched")
    for line in report.unsearched:
        click.echo(f"not searched: {line}")
    for line in report.left:
        click.echo(f"still there: {line}")
    if report.applied:
        click.echo(f"forgotten as {report.id or 'nothing'}: {report.removed:,} blobs are gone; salt {report.salt}")
    elif report.hits or report.elsewhere:
        click.echo("nothing was changed; repeat it with --reason and --apply")
