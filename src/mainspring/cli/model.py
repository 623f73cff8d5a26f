"""`mainspring model`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from mainspring.cli.model_cards import card, diff, write
from mainspring.cli.model_changes import delete, register, rename, restore, retain, tag
from mainspring.cli.model_rules import approve, reject, rules, stage, withdraw
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
from mainspring.models.parity import CompileReport
from mainspring.models.registry_search import View
from mainspring.models.types import Metric, ModelCard, ModelVersion

__all__ = ["model"]


@click.group()
def model() -> None:
    """The model registry: versions, aliases, approvals, stages, cards, retention."""


@model.command("list")
@click.option("--filter", "query", default="", help="For example: tags.team = 'ops' AND alias = 'champion'.")
@click.option("--order", multiple=True, help="name, created or updated, and DESC behind; may be repeated.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@json_option
@store_options
def list_models(store: str, url: str, query: str, order: tuple[str, ...], *, deleted: bool, as_json: bool) -> None:
    """Every model with its newest version.

    \b
    mainspring model list
    mainspring model list --filter "name LIKE 'flight-%' AND tags.team = 'ops'"
    """
    with use_client(store, url) as client:
        view: View = "deleted" if deleted else "active"
        page = client.models.search(query, order_by=list(order), limit=1000, view=view)
    if as_json:
        echo_json([page.latest.get(each.name, each) for each in page.models])
        return
    rows = []
    for each in page.models:
        newest = page.latest.get(each.name)
        facts = (newest.version, newest.aliases, newest.format, _said(newest)) if newest else ("", "", "", "")
        rows.append((each.name, *facts, ago(newest.created_at if newest else each.created_at)))
    show_table(
        ("model", "version", "aliases", "format", "", "registered"), rows, empty="no models: ms.models.log_model(...)"
    )


@model.command()
@click.argument("query", default="")
@click.option("--order", multiple=True, help="name, version, created or updated, and DESC behind; may be repeated.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@json_option
@store_options
def search(
    query: str, store: str, url: str, order: tuple[str, ...], limit: int, *, deleted: bool, as_json: bool
) -> None:
    """The versions of all models that a filter finds.

    \b
    mainspring model search "metrics.auc > 0.8 AND NOT approved"
    mainspring model search "stage = 'Production'" --order "updated DESC"
    """
    with use_client(store, url) as client:
        view: View = "deleted" if deleted else "active"
        found = client.models.search_versions(query, order_by=list(order), limit=limit, view=view).versions
    if as_json:
        echo_json(found)
        return
    rows = [
        (f"{each.name}@{each.version}", each.aliases, _said(each), _figures(each.metrics), ago(each.created_at))
        for each in found
    ]
    show_table(("version", "aliases", "", "metrics", "registered"), rows, empty="no version is found")


@model.command()
@click.argument("name")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@store_options
def versions(name: str, limit: int, store: str, url: str, *, as_json: bool) -> None:
    """The versions of a model, newest first.

    \b
    mainspring model versions flight-delay
    """
    with use_client(store, url) as client:
        found = client.models.versions(name, limit=limit)
    if as_json:
        echo_json(found)
        return
    rows = [
        (
            each.version,
            each.aliases,
            _said(each),
            _figures(each.metrics),
            ago(each.created_at),
            each.created_by,
        )
        for each in found
    ]
    show_table(("version", "aliases", "", "metrics", "registered", "by"), rows, empty="no versions")


@model.command()
@click.argument("ref")
@json_option
@store_options
def show(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """The card of a version: everything that is known about it, read from the lineage.

    \b
    mainspring model show flight-delay@champion
    """
    with use_client(store, url) as client:
        card = client.models.card(ref)
    if as_json:
        echo_json(card)
    else:
        _show_card(card)


@model.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", type=int)
@store_options
def alias(name: str, alias: str, version: int, store: str, url: str) -> None:
    """Point an alias at a version; version 0 takes it away. The champion must be approved.

    \b
    mainspring model alias flight-delay champion 3
    """
    with use_client(store, url) as client:
        if not version:
            client.models.remove_alias(name, alias)
            click.echo(f"{alias} is taken away from {name}")
            return
        found = client.models.alias(name, alias, version)
    click.echo(f"{found.ref}  {', '.join(found.aliases)}")


@model.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@store_options
def download(ref: str, folder: Path, store: str, url: str) -> None:
    """Write the files of a version into a folder, each checked against its digest.

    \b
    mainspring model download flight-delay@champion ./model
    """
    with use_client(store, url) as client:
        version = client.models.download(ref, folder)
    click.echo(f"{version.ref} is in {folder}")


@model.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "format_", type=click.Choice(["mlflow"]), default="mlflow", help="Whose folder to write.")
@store_options
def export(ref: str, folder: Path, format_: Literal["mlflow"], store: str, url: str) -> None:
    """Write a version as a model folder of MLflow's, which `mlflow.pyfunc.load_model` opens.

    \b
    mainspring model export flight-delay@champion ./mlflow-model
    """
    with use_client(store, url) as client:
        version = client.models.export(ref, folder, format=format_)
    click.echo(f"{version.ref} is in {folder}, for {format_}")


for _command in (
    approve,
    reject,
    withdraw,
    rules,
    stage,
    register,
    rename,
    tag,
    delete,
    restore,
    retain,
    card,
    write,
    diff,
):
    model.add_command(_command)


def _show_card(card: ModelCard) -> None:
    version = card.version
    spoken = [f"{each.verdict} by {each.by} {ago(each.at)}" for each in card.approvals if each.withdrawn_at is None]
    said = any(each.startswith(version.approval) for each in spoken)
    show_fields(
        [
            ("model", version.ref),
            ("aliases", version.aliases),
            ("approval", spoken if said else [version.approval, *spoken]),
            ("stage", version.stage),
            ("description", version.description or card.model.description),
            ("format", version.format),
            ("size", bytes_text(version.size)),
            ("digest", version.digest),
            ("registered", version.created_at),
            ("by", version.created_by),
            ("run", version.run_id),
            ("data", [node.ref for node in card.data]),
            ("features", [node.ref for node in card.features]),
            ("code", [node.ref for node in card.code]),
            ("environment", [node.ref for node in card.environment]),
            ("metrics", _figures(version.metrics)),
            ("compiled", _parity(version.parity)),
        ]
    )
    click.echo("")
    signature = [("in", each.name, each.dtype) for each in version.signature.inputs]
    signature += [("out", each.name, each.dtype) for each in version.signature.outputs]
    show_table(("", "column", "type"), signature, empty="no signature")
    for report in card.reports:
        click.echo(f"\nreport {report.artifact_id} by {report.by}: {_figures(report.metrics)}")


def _parity(report: CompileReport | None) -> str:
    if report is None:
        return "no"
    if not report.exact:
        return f"not exact, so not served: {report.reason}"
    return f"to ONNX; {report.rows:,} rows agree, scores within {report.max_abs_difference:.2g}"


def _said(version: ModelVersion) -> str:
    """What people said of it, in a word or two."""
    stage = "" if version.stage == "None" else version.stage
    return " ".join(each for each in ("" if version.approval == "pending" else version.approval, stage) if each)


def _figures(metrics: dict[str, Metric]) -> str:
    def one(name: str, each: Metric) -> str:
        return f"{name} {each.value:.4g}" + (f" [{each.low:.4g}, {each.high:.4g}]" if each.low is not None else "")

    return ", ".join(one(name, each) for name, each in metrics.items())
