"""`mainspring model`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

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
from mainspring.models.types import Metric, ModelCard

__all__ = ["model"]


@click.group()
def model() -> None:
    """The model registry: versions, aliases, approvals, cards."""


@model.command("list")
@json_option
@store_options
def list_models(store: str, url: str, *, as_json: bool) -> None:
    """Every model with its newest version.

    \b
    mainspring model list
    """
    with use_client(store, url) as client:
        found = client.models.models(limit=1000)
        newest = [client.models.get(each.name) for each in found]
    if as_json:
        echo_json(newest)
        return
    rows = [
        (each.name, each.version, each.aliases, each.format, "approved" if each.approved else "", ago(each.created_at))
        for each in newest
    ]
    show_table(
        ("model", "version", "aliases", "format", "", "registered"), rows, empty="no models: ms.models.log_model(...)"
    )


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
            "approved" if each.approved else "",
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
@click.option("-m", "--comment", default="", help="Why, for the audit.")
@json_option
@store_options
def approve(ref: str, comment: str, store: str, url: str, *, as_json: bool) -> None:
    """Approve the content of a version, so that it may come before users.

    \b
    mainspring model approve flight-delay@3 -m "read the card"
    """
    with use_client(store, url) as client:
        made = client.models.approve(ref, comment=comment)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"model/{made.name}@{made.version} is approved by {made.by}")


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


def _show_card(card: ModelCard) -> None:
    version = card.version
    show_fields(
        [
            ("model", version.ref),
            ("aliases", version.aliases),
            ("approved", [f"by {each.by} {ago(each.at)}" for each in card.approvals] or "no"),
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


def _figures(metrics: dict[str, Metric]) -> str:
    def one(name: str, each: Metric) -> str:
        return f"{name} {each.value:.4g}" + (f" [{each.low:.4g}, {each.high:.4g}]" if each.low is not None else "")

    return ", ".join(one(name, each) for name, each in metrics.items())
