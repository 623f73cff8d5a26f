"""Lineage: why a thing exists, what hangs on it, and what it is, for any artifact or run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import Edge, Node
from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.lineage import types as graph
from mainspring.lineage.service import ArtifactDetail

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "Drawing", "draw_graph", "lineage_of"]

_DRAWN = 60
"""Nodes in the picture; the list under it has the rest."""
_LISTED = 300


class Drawing(msgspec.Struct, frozen=True):
    """A graph ready for `charts.dag`, with how much of it is left out."""

    nodes: list[Node]
    edges: list[Edge]
    hidden: int


class NodeRow(msgspec.Struct, frozen=True):
    """One node in the list under the picture."""

    node: graph.Node
    href: str
    side: str
    """`source` or `result`; `itself` for the one that was asked about."""


class LineagePage(Page, frozen=True, kw_only=True):
    """The context of `lineage.html`."""

    template = "lineage.html"

    root: graph.Node
    own_href: str
    """The page of the thing itself, where it has one."""
    direction: str
    directions: list[Crumb]
    drawing: Drawing
    rows: list[NodeRow]
    unlisted: int
    truncated: bool
    sources: int
    results: int
    artifact: ArtifactDetail | None
    metadata: dict[str, Any]


class NodeLink(msgspec.Struct, frozen=True):
    """An artifact with its link."""

    artifact: graph.Artifact
    href: str


class LineageIndex(Page, frozen=True, kw_only=True):
    """The context of `lineage_index.html`."""

    template = "lineage_index.html"

    artifacts: list[NodeLink]
    kinds: list[Crumb]
    kind: str
    older: str
    newer: str


def draw_graph(
    found: list[graph.Node], edges: list[graph.Edge], ask: Ask, *, root: str, limit: int = _DRAWN
) -> Drawing:
    """The nearest `limit` nodes of a graph, laid out for drawing; edges between them only."""
    kept = sorted(found, key=lambda node: node.distance)[:limit]
    nodes = [
        Node(
            id=node.id,
            label=node.name if node.type == "run" else f"{node.name}@{node.version}",
            detail=node.kind,
            status=node.status,
            href=ask.link(node_path(node)),
            shape="step" if node.type == "run" else "thing",
            focus=node.id == root,
        )
        for node in kept
    ]
    shown = {node.id for node in kept}
    drawn = [
        Edge(source=edge.source, target=edge.target, label=edge.role)
        for edge in edges
        if edge.source in shown and edge.target in shown
    ]
    return Drawing(nodes=nodes, edges=drawn, hidden=len(found) - len(kept))


def lineage_of(client: Client, ref: str, *, direction: str = "both") -> tuple[graph.Graph | None, graph.Graph | None]:
    """What `ref` came from and what came from it; one of them is None when `direction` asks for the other."""
    why = client.lineage.why(ref) if direction != "impact" else None
    impact = client.lineage.impact(ref) if direction != "why" else None
    return why, impact


def lineage(client: Client, ask: Ask) -> LineagePage:
    """The lineage of one node: both ways, or only `direction=why` or `direction=impact`."""
    ref = str(ask.params["ref"])
    direction = ask.get("direction", "both")
    why, impact = lineage_of(client, ref, direction=direction)
    graphs = [each for each in (why, impact) if each is not None]
    root = graphs[0].nodes[0]
    together = {node.id: node for each in graphs for node in each.nodes}
    edges = list(dict.fromkeys((edge.source, edge.target, edge.role) for each in graphs for edge in each.edges))
    rows = [NodeRow(root, ask.link(node_path(root)), "itself")]
    for each, side in ((why, "source"), (impact, "result")):
        rows += [NodeRow(node, ask.link(node_path(node)), side) for node in (each.nodes[1:] if each else [])]
    own = node_path(root)
    return LineagePage(
        title=root.name if root.type == "run" else f"{root.name}@{root.version}",
        section="lineage",
        crumbs=[Crumb("Lineage", ask.link("/lineage")), Crumb(root.kind, ask.link("/lineage", kind=root.kind))],
        root=root,
        own_href="" if own.startswith("/lineage/") else ask.link(own),
        direction=direction,
        directions=[
            Crumb("Both", ask.here(direction="")),
            Crumb("Why it exists", ask.here(direction="why")),
            Crumb("What depends on it", ask.here(direction="impact")),
        ],
        drawing=draw_graph(list(together.values()), [graph.Edge(*edge) for edge in edges], ask, root=root.id),
        rows=rows[:_LISTED],
        unlisted=max(len(rows) - _LISTED, 0),
        truncated=any(each.truncated for each in graphs),
        sources=len(why.nodes) - 1 if why else 0,
        results=len(impact.nodes) - 1 if impact else 0,
        artifact=client.lineage.artifact(root.id) if root.type == "artifact" else None,
        metadata=root.metadata,
    )


def lineage_index(client: Client, ask: Ask) -> LineageIndex:
    """Every artifact, newest first; `kind` keeps one kind."""
    kind, before, page = ask.get("kind"), ask.get("before"), 100
    found = client.lineage.artifacts(kind=kind, before=before, limit=page)
    kinds = sorted({kind, *(each.kind for each in found)} - {""})
    return LineageIndex(
        title="Lineage",
        section="lineage",
        live=not before,
        artifacts=[NodeLink(each, ask.link(f"/lineage/{each.kind}/{each.name}@{each.version}")) for each in found],
        kinds=[Crumb("All", ask.link("/lineage")), *(Crumb(each, ask.link("/lineage", kind=each)) for each in kinds)],
        kind=kind,
        older=ask.here(before=found[-1].id) if len(found) == page else "",
        newer=ask.here(before="") if before else "",
    )


ENTRIES = (Entry("/lineage", lineage_index), Entry("/lineage/{ref:path}", lineage))
