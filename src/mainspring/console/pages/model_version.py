"""One version of a model: what it is, where it came from, what it was measured to be, who said that it may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec

from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Page
from mainspring.console.pages.lineage import Drawing, draw_graph
from mainspring.console.pages.reports import EvaluationView, evaluation_view, newest_report
from mainspring.kernel.errors import MainspringError
from mainspring.lineage.types import Edge, Graph, Node
from mainspring.models.types import Decision, Metric, ModelCard, Stage

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ModelVersionPage", "version_page"]

_RULES, _EXAMPLE = 8, 256 << 10


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
    decisions: list[Decision]
    """For each alias and stage that has a rule: whether this version may take it, and what is lacking."""
    measured: dict[str, dict[str, Metric]]
    """Figures by the data they were measured on."""
    example: list[dict[str, Any]]
    """Rows of the input example, where it can be shown."""
    deployments: list[NodeItem]
    run: NodeItem | None
    raw: str
    stages: list[str]


def version_page(client: Client, ask: Ask, ref: str) -> ModelVersionPage:
    """The page of `name@version` or `name@alias`."""
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
        decisions=[
            client.models.may_take(version.id, target=rule.target)
            for rule in client.models.rules(version.name)[:_RULES]
        ],
        measured=_measured(card),
        example=_example(client, card),
        deployments=[
            NodeItem(node.name, node.status, ask.link(node_path(node))) for node in impact.of_kind("deployment")[:20]
        ],
        run=next((NodeItem(node.name, node.status, ask.link(node_path(node))) for node in card.runs), None),
        raw=ask.link(f"/models/{version.name}@{version.version}/raw/"),
        stages=list(get_args(Stage)),
    )


def _measured(card: ModelCard) -> dict[str, dict[str, Metric]]:
    """Those given at registration first, then those of each data, reports included."""
    found: dict[str, dict[str, Metric]] = {}
    if card.version.metrics:
        found["at registration"] = card.version.metrics
    for data, metrics in card.version.measured.items():
        found.setdefault(data or "at registration", {}).update(metrics)
    for report in card.reports:
        if report.metrics:
            found.setdefault(report.dataset or "a report", {}).update(report.metrics)
    return found


def _example(client: Client, card: ModelCard) -> list[dict[str, Any]]:
    """The first rows of an input example that is JSON; of other forms the file itself is offered."""
    path = card.version.example
    size = next((file.size for file in card.files if file.path == path), 0)
    if not path.endswith(".json") or not 0 < size < _EXAMPLE:
        return []
    try:
        found = msgspec.json.decode(b"".join(client.models.file(card.version.id, path)))
    except (msgspec.DecodeError, MainspringError):
        return []
    if isinstance(found, dict) and {"columns", "data"} <= found.keys():
        return [dict(zip(found["columns"], row, strict=False)) for row in found["data"][:8]]
    if isinstance(found, dict) and all(isinstance(each, list) for each in found.values()):
        rows = min((len(each) for each in found.values()), default=0)
        return [{name: values[row] for name, values in found.items()} for row in range(min(rows, 8))]
    return [row for row in found[:8] if isinstance(row, dict)] if isinstance(found, list) else []


def _evaluation(client: Client, card: ModelCard, impact: Graph, ask: Ask) -> EvaluationView | None:
    attached = {each.artifact_id for each in card.reports}
    reports = impact.of_kind("report")
    newest = newest_report([node for node in reports if node.id in attached] or reports, "evaluation")
    if newest is None:
        return None
    return evaluation_view(client.quality.evaluation(newest.id), href=ask.link(node_path(newest)))


def _item(node: Node, ask: Ask) -> NodeItem:
    return NodeItem(f"{node.name}@{node.version}", node.kind, ask.link(node_path(node)))
