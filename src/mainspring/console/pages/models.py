"""The registry: models, the versions of one, and the card of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts import Series
from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.lineage import Drawing, draw_graph
from mainspring.console.pages.reports import EvaluationView, evaluation_view, newest_report
from mainspring.lineage.types import AliasChange, Artifact, Edge, Graph, Node
from mainspring.models.types import Metric, Model, ModelCard, ModelVersion

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_METRICS = 6
"""Metric columns of a table of versions; a version's own page has all."""
_VERSIONS = 200


class ModelRow(msgspec.Struct, frozen=True):
    """A model with its newest version, as the index shows it."""

    model: Model
    newest: Artifact | None
    metrics: dict[str, Metric]
    format: str
    href: str
    newest_href: str


class ModelIndex(Page, frozen=True, kw_only=True):
    """The context of `models.html`."""

    template = "models.html"

    rows: list[ModelRow]


class VersionRow(msgspec.Struct, frozen=True):
    """A version in the table of its model."""

    version: ModelVersion
    href: str
    deltas: dict[str, float]
    """Metric -> difference to the champion, where there is one."""


class MetricChart(msgspec.Struct, frozen=True):
    """One metric over the versions."""

    metric: str
    series: list[Series]


class ModelPage(Page, frozen=True, kw_only=True):
    """The context of `model.html`."""

    template = "model.html"

    name: str
    rows: list[VersionRow]
    metrics: list[str]
    charts: list[MetricChart]
    aliases: dict[str, int]
    history: list[AliasChange]
    champion: int
    """The version that deltas are against; 0 without one."""


class NodeItem(msgspec.Struct, frozen=True):
    """A node of the lineage with its link."""

    label: str
    kind: str
    href: str


class ModelVersionPage(Page, frozen=True, kw_only=True):
    """The context of `model_version.html`."""

    template = "model_version.html"

    card: ModelCard
    model_href: str
    origins: list[NodeItem]
    drawing: Drawing
    lineage_href: str
    evaluation: EvaluationView | None
    """The newest evaluation of this version: attached to it, or made of it."""


def models(client: Client, ask: Ask) -> ModelIndex:
    """Every model with its newest version."""
    newest = {artifact.name: artifact for artifact in client.lineage.names("model")}
    return ModelIndex(
        title="Models",
        section="models",
        live=True,
        rows=[_model_row(model, newest.get(model.name), ask) for model in client.models.models(limit=500)],
    )


def _model_row(model: Model, newest: Artifact | None, ask: Ask) -> ModelRow:
    facts = newest.metadata if newest else {}
    return ModelRow(
        model=model,
        newest=newest,
        metrics=msgspec.convert(facts.get("metrics", {}), dict[str, Metric]),
        format=str(facts.get("format", "")),
        href=ask.link(f"/models/{model.name}"),
        newest_href=ask.link(f"/models/{model.name}@{newest.version}") if newest else "",
    )


def model(client: Client, ask: Ask) -> Page:
    """One model with its versions, or, where the address has an `@`, one version."""
    ref = str(ask.params["ref"])
    return _version(client, ask, ref) if "@" in ref else _model(client, ask, ref)


def _model(client: Client, ask: Ask, name: str) -> ModelPage:
    versions = client.models.versions(name, limit=_VERSIONS)
    history = client.models.alias_history(name)
    aliases = {alias: each.version for each in versions for alias in each.aliases}
    champion = next((each for each in versions if "champion" in each.aliases), None)
    names = list(dict.fromkeys(metric for each in versions for metric in each.metrics))
    return ModelPage(
        title=name,
        section="models",
        crumbs=[Crumb("Models", ask.link("/models"))],
        live=True,
        name=name,
        rows=[
            VersionRow(each, ask.link(f"/models/{name}@{each.version}"), _deltas(each, champion)) for each in versions
        ],
        metrics=names[:_METRICS],
        charts=[MetricChart(metric, [_over_versions(metric, versions)]) for metric in names[:_METRICS]]
        if len(versions) > 1
        else [],
        aliases=dict(sorted(aliases.items())),
        history=history,
        champion=champion.version if champion else 0,
    )


def _deltas(version: ModelVersion, champion: ModelVersion | None) -> dict[str, float]:
    if champion is None or champion.version == version.version:
        return {}
    shared = version.metrics.keys() & champion.metrics.keys()
    return {metric: version.metrics[metric].value - champion.metrics[metric].value for metric in sorted(shared)}


def _over_versions(metric: str, versions: list[ModelVersion]) -> Series:
    rows = [(each.version, each.metrics[metric]) for each in reversed(versions) if metric in each.metrics]
    return Series(
        name=metric,
        x=[float(version) for version, _ in rows],
        y=[figure.value for _, figure in rows],
        low=[figure.low for _, figure in rows],
        high=[figure.high for _, figure in rows],
    )


def _version(client: Client, ask: Ask, ref: str) -> ModelVersionPage:
    card = client.models.card(ref)
    version = card.version
    why, impact = client.lineage.why(version.id), client.lineage.impact(version.id)
    nodes = list({node.id: node for node in (*why.nodes, *impact.nodes)}.values())
    edges = dict.fromkeys((edge.source, edge.target, edge.role) for edge in (*why.edges, *impact.edges))
    return ModelVersionPage(
        title=f"{version.name}@{version.version}",
        section="models",
        crumbs=[Crumb("Models", ask.link("/models")), Crumb(version.name, ask.link(f"/models/{version.name}"))],
        card=card,
        model_href=ask.link(f"/models/{version.name}"),
        origins=[_item(node, ask) for node in (*card.data, *card.features, *card.code, *card.environment)],
        drawing=draw_graph(nodes, [Edge(*edge) for edge in edges], ask, root=version.id, limit=40),
        lineage_href=ask.link(f"/lineage/{version.ref}"),
        evaluation=_evaluation(client, card, impact, ask),
    )


def _evaluation(client: Client, card: ModelCard, impact: Graph, ask: Ask) -> EvaluationView | None:
    attached = {each.artifact_id for each in card.reports}
    reports = impact.of_kind("report")
    newest = newest_report([node for node in reports if node.id in attached] or reports, "evaluation")
    if newest is None:
        return None
    return evaluation_view(client.quality.evaluation(newest.id), href=ask.link(node_path(newest)))


def _item(node: Node, ask: Ask) -> NodeItem:
    return NodeItem(f"{node.name}@{node.version}", node.kind, ask.link(node_path(node)))


ENTRIES = (Entry("/models", models), Entry("/models/{ref:path}", model))
