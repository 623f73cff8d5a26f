"""`mainspring why` and `mainspring impact`."""

from __future__ import annotations

from typing import Any

import click

from mainspring.cli.output import echo_json, json_option, store_options, use_client
from mainspring.client.client import Client
from mainspring.lineage.types import Graph, Node

__all__ = ["impact", "why"]

_SHOWN = ("rows", "message", "source", "origin", "commit", "python", "decision", "comment", "parity", "endpoint")


@click.command()
@click.argument("ref")
@json_option
@store_options
def why(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """Everything that something came from: a prediction, a model, a dataset, a run.

    \b
    mainspring why prediction/01970b2e-...-17
    mainspring why model/flight-delay@champion
    """
    with use_client(store, url) as client:
        _answer(client, ref, forward=False, as_json=as_json)


@click.command()
@click.argument("ref")
@json_option
@store_options
def impact(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """Everything that came from something: which models, endpoints and predictions it reached.

    \b
    mainspring impact dataset/flights@1
    """
    with use_client(store, url) as client:
        _answer(client, ref, forward=True, as_json=as_json)


def _answer(client: Client, ref: str, *, forward: bool, as_json: bool) -> None:
    prediction: Any = None
    if ref.startswith("prediction/") and not forward:
        prediction = client.serving.why_prediction(ref.removeprefix("prediction/"))
        graph = prediction.graph
    else:
        graph = client.lineage.impact(ref) if forward else client.lineage.why(ref)
    if as_json:
        echo_json(graph if prediction is None else prediction)
        return
    if prediction is not None:
        _show_prediction(prediction)
    _show_tree(graph, forward=forward)


def _show_prediction(prediction: Any) -> None:
    row = prediction.prediction
    click.echo(click.style(f"prediction {row.id}", bold=True))
    click.echo(f"  answered {row.output} at {row.at:%Y-%m-%d %H:%M:%S}Z on endpoint {row.endpoint} ({row.arm})")
    click.echo(f"  from {', '.join(f'{name}={value}' for name, value in row.inputs.items())}")


def _show_tree(graph: Graph, *, forward: bool) -> None:
    """The graph as a tree; a node that was shown already is named again without what is under it."""
    nodes = {node.id: node for node in graph.nodes}
    below: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        near, far = (edge.source, edge.target) if forward else (edge.target, edge.source)
        below.setdefault(near, []).append((far, edge.role))
    seen: set[str] = set()

    def show(node: Node, role: str, indent: str, branch: str) -> None:
        repeated = node.id in seen
        seen.add(node.id)
        label = click.style(node.ref if node.type == "artifact" else f"{node.kind} {node.name}", bold=node.type == "artifact")
        detail = "  (above)" if repeated else _detail(node)
        click.echo(f"{indent}{branch}{label}{f' [{role}]' if role not in ('', 'made') else ''}{click.style(detail, dim=True)}")
        if repeated:
            return
        deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        children = [(nodes[far], role) for far, role in below.get(node.id, []) if far in nodes]
        for number, (child, how) in enumerate(children):
            show(child, how, deeper, "└─ " if number == len(children) - 1 else "├─ ")

    show(nodes[graph.root], "", "", "")
    artifacts = sum(node.type == "artifact" for node in graph.nodes)
    more = ", cut at the limit" if graph.truncated else ""
    click.echo(click.style(f"{artifacts} artifacts and {len(graph.nodes) - artifacts} runs{more}", dim=True), err=True)


def _detail(node: Node) -> str:
    parts = [f"{node.at:%Y-%m-%d %H:%M:%S}Z by {node.by}"]
    if node.type == "run" and node.status != "finished":
        parts.append(node.status)
    if node.digest:
        parts.append(node.digest[:12])
    parts += [f"{name} {_short(node.metadata[name])}" for name in _SHOWN if node.metadata.get(name) not in (None, "", [], {})]
    return "  " + " · ".join(parts)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
