"""`mainspring why` and `mainspring impact`."""

from __future__ import annotations

from typing import Any

import click

from mainspring.cli.output import digests_short, echo_json, json_option, show_fields, store_options, use_client
from mainspring.client.client import Client
from mainspring.lineage.types import Graph, Node
from mainspring.pipelines.types import StepWhy
from mainspring.serving.types import Prediction

__all__ = ["impact", "why"]

_SHOWN = ("rows", "message", "source", "origin", "commit", "python", "decision", "comment", "parity", "endpoint")


@click.command()
@click.argument("ref")
@json_option
@store_options
def why(ref: str, store: str, url: str, *, as_json: bool) -> None:
    """Everything that something came from: a prediction, a model, a dataset, a run; or why a step ran.

    \b
    mainspring why prediction/01970b2e-...-17
    mainspring why model/flight-delay@champion
    mainspring why step/01970b2e-...
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
    kind, _, name = ref.partition("/")
    if kind == "prediction" and not forward:
        prediction, graph = client.serving.prediction(name), client.serving.why_prediction(name)
        if as_json:
            echo_json({"prediction": prediction, "graph": graph})
            return
        _show_prediction(prediction)
        _show_tree(graph, forward=False)
        return
    if kind == "step" and not forward:
        found = client.pipelines.why_step(name)
        if as_json:
            echo_json(found)
        else:
            _show_step(found)
        return
    if kind == "step":
        ref = f"run/{name}"  # a step is a run of the lineage with the same id
    graph = client.lineage.impact(ref) if forward else client.lineage.why(ref)
    if as_json:
        echo_json(graph)
    else:
        _show_tree(graph, forward=forward)


def _show_prediction(made: Prediction) -> None:
    label = "not known yet" if made.labelled_at is None else f"{made.label} since {made.labelled_at:%Y-%m-%d %H:%M:%S}Z"
    click.echo(click.style(f"prediction {made.id}", bold=True))
    show_fields(
        [
            ("  answer", _pairs(made.outputs)),
            ("  at", made.at),
            ("  endpoint", f"{made.endpoint} ({made.arm})"),
            ("  model", made.model),
            ("  inputs", _pairs(made.inputs)),
            ("  features", _pairs(made.features)),
            ("  label", label),
            ("  asked by", made.caller),
        ]
    )
    click.echo("")


def _show_step(found: StepWhy) -> None:
    step = found.step
    click.echo(
        click.style(f"step {step.name} {step.id}", bold=True)
        + f"  {step.state}, place {step.path} of run {step.run_id}"
    )
    compared = f"compared with step {found.previous}" if found.previous else "there is nothing to compare it with"
    click.echo(f"  {compared}")
    if not found.reasons:
        click.echo("  nothing differs")
    for each in found.reasons:
        change = (
            f"{_short(each.before) or 'nothing'} → {_short(each.now) or 'nothing'}" if each.before else _short(each.now)
        )
        click.echo(f"  {each.component}: {change}")


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()]


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
        label = click.style(
            node.ref if node.type == "artifact" else f"{node.kind} {node.name}", bold=node.type == "artifact"
        )
        detail = "  (above)" if repeated else _detail(node)
        click.echo(
            f"{indent}{branch}{label}{f' [{role}]' if role not in ('', 'made') else ''}{click.style(detail, dim=True)}"
        )
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
    parts += [
        f"{name} {_short(node.metadata[name])}" for name in _SHOWN if node.metadata.get(name) not in (None, "", [], {})
    ]
    return "  " + " · ".join(parts)


def _short(value: Any) -> str:
    text = digests_short(str(value))
    return text if len(text) <= 60 else text[:57] + "..."
