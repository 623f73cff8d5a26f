"""`mainspring import`: everything of another tool into this store."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from mainspring.cli.output import bytes_text, echo_json, json_option, show_fields, store_options, use_client

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.importers.types import ImportReport
    from mainspring.importers.writing import Progress

__all__ = ["imports"]


@click.group("import")
def imports() -> None:
    """Bring runs, files and models of another tool here; repeat it as often as you like.

    What was imported before and has not changed is left as it is, so an import that was broken off goes on where it
    ended. Histories and files are compared with their source by count and digest.
    """


@imports.command()
@click.argument("uri")
@click.option("--experiment", "experiments", multiple=True, help="Only this one; may be given again.")
@click.option("--no-models", is_flag=True, help="Leave the registered models out.")
@json_option
@store_options
def mlflow(uri: str, experiments: tuple[str, ...], store: str, url: str, *, no_models: bool, as_json: bool) -> int:
    """Everything of an MLflow server, over its REST API.

    \b
    mainspring import mlflow http://127.0.0.1:5000
    mainspring import mlflow http://mlflow.example.org --experiment churn
    """
    from mainspring.importers.mlflow import import_mlflow

    def work(client: Client, progress: Progress | None) -> ImportReport:
        return import_mlflow(
            client, uri, experiments=list(experiments) or None, models=not no_models, progress=progress
        )

    return _import(work, store, url, as_json=as_json)


@imports.command()
@click.argument("path")
@json_option
@store_options
def wandb(path: str, store: str, url: str, *, as_json: bool) -> int:
    """Runs of Weights & Biases from the folder that its client wrote, online or offline.

    \b
    mainspring import wandb wandb/
    mainspring import wandb wandb/offline-run-20261121_141826-xgdvrnpb
    """
    from mainspring.importers.wandb import import_wandb

    return _import(lambda client, progress: import_wandb(client, path, progress=progress), store, url, as_json=as_json)


@imports.command()
@click.argument("path", default="")
@json_option
@store_options
def trackio(path: str, store: str, url: str, *, as_json: bool) -> int:
    """Trackio's projects, from its folder or from one database.

    \b
    mainspring import trackio
    mainspring import trackio ~/.cache/huggingface/trackio/flights.db
    """
    from mainspring.importers.trackio import import_trackio

    return _import(
        lambda client, progress: import_trackio(client, path, progress=progress), store, url, as_json=as_json
    )


@imports.command()
@click.argument("storage")
@click.option("--study", default="", help="Only this one.")
@json_option
@store_options
def optuna(storage: str, study: str, store: str, url: str, *, as_json: bool) -> int:
    """Trials of Optuna's studies, from a database or a journal file.

    \b
    mainspring import optuna sqlite:///study.db
    mainspring import optuna journal.log --study depth
    """
    from mainspring.importers.optuna import import_optuna

    def work(client: Client, progress: Progress | None) -> ImportReport:
        return import_optuna(client, storage, study=study, progress=progress)

    return _import(work, store, url, as_json=as_json)


@imports.command("neptune-export")
@click.argument("path")
@click.option("--files", default="", help="The folder of files, when it is not beside the data.")
@click.option("--step-multiplier", type=int, default=1, show_default=True, help="Makes decimal steps whole.")
@json_option
@store_options
def neptune_export(path: str, files: str, step_multiplier: int, store: str, url: str, *, as_json: bool) -> int:
    """What neptune-exporter wrote: Parquet and files.

    \b
    mainspring import neptune-export exports/
    mainspring import neptune-export exports/data --files /mnt/cold/files --step-multiplier 1000
    """
    from mainspring.importers.neptune import import_neptune

    def work(client: Client, progress: Progress | None) -> ImportReport:
        return import_neptune(client, path, files=files, step_multiplier=step_multiplier, progress=progress)

    return _import(work, store, url, as_json=as_json)


@imports.command()
@click.argument("path")
@click.option("--prefix", default=None, help="What stands before the paths in the names; the repository's by default.")
@json_option
@store_options
def dvc(path: str, prefix: str | None, store: str, url: str, *, as_json: bool) -> int:
    """A DVC repository with its history: its cache, `.dvc` files, `dvc.lock`, remotes; branches and tags as aliases.

    \b
    mainspring import dvc ~/cats
    mainspring import dvc https://git.example.org/team/cats.git --prefix cats
    """
    from mainspring.importers.dvc import import_dvc

    with use_client(store, url, create=True) as client:
        report = import_dvc(client, path, prefix=prefix, progress=_commits if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        click.echo(err=True)
    if as_json:
        echo_json(dataclasses.asdict(report))
        return int(bool(report.problems or report.missing))
    show_fields(
        [
            ("from", report.source),
            ("datasets", ", ".join(report.datasets) or "none"),
            ("versions", f"{report.versions} imported, {report.unchanged} here already"),
            ("objects", f"{report.files:,}, {bytes_text(report.bytes)}"),
            ("aliases", report.aliases),
        ]
    )
    for place, lost in report.missing.items():
        more = f" and {len(lost) - 5:,} more" if len(lost) > 5 else ""
        click.echo(f"not imported: {place}: no bytes of {', '.join(lost[:5])}{more}", err=True)
    for problem in report.problems:
        click.echo(f"not imported: {problem}", err=True)
    return int(bool(report.problems or report.missing))


def _import(work: Callable[[Client, Progress | None], ImportReport], store: str, url: str, *, as_json: bool) -> int:
    """Do it, tell what came, and leave with 1 when something could not be brought."""
    with use_client(store, url, create=True) as client:
        report = work(client, _counting if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        click.echo(err=True)
    if as_json:
        echo_json(dataclasses.asdict(report))
        return int(bool(report.problems))
    show_fields(
        [
            ("from", report.source),
            ("experiments", ", ".join(report.experiments) or "none"),
            ("runs", f"{report.runs} imported, {report.unchanged} here already"),
            ("points", f"{report.points:,}"),
            ("files", f"{report.files:,}, {bytes_text(report.bytes)}"),
            ("artifacts", report.artifacts),
            ("models", f"{report.models}, {report.versions} versions"),
        ]
    )
    for problem in report.problems:
        click.echo(f"not imported: {problem}", err=True)
    return int(bool(report.problems))


def _counting(done: int, total: int) -> None:
    click.echo(f"\r{done:,} of {total:,} runs", nl=False, err=True)


def _commits(done: int, total: int) -> None:
    click.echo(f"\r{done:,} of {total:,} commits", nl=False, err=True)
