"""The words of a command for `mainspring.pipelines.entry`, as every orchestrator's containers are given them.

What differs between orchestrators is where things lie: a `Places` says it.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from mainspring.pipelines.exports.graph import Graph, Node, Parameter, used_by

__all__ = ["COMMAND", "Places", "argument_words", "constant", "how_words", "iterated"]

COMMAND = ["python", "-m", "mainspring.pipelines.entry"]


class Places(Protocol):
    """Where an orchestrator keeps what a step is given: each answer is `KIND:VALUE` of `exports.inputs`."""

    def parameter(self, parameter: Parameter) -> str:
        """A parameter of the flow."""
        ...

    def result(self, node: Node) -> str:
        """What a node made; of a map, the list."""
        ...

    def item(self, place: int) -> str:
        """The item of the iterable at that place."""
        ...


def argument_words(graph: Graph, node: Node, places: Places) -> list[str]:
    """`--argument` and `--input` for everything that a step is given."""
    words, parts = [], {}

    def found(tag: dict[str, Any]) -> str:
        if tag["$"] == "parameter":
            return places.parameter(graph.parameter(tag["name"]))
        if tag["$"] == "item":
            return places.item(tag["of"])
        result = places.result(graph.node(tag["node"]))
        return f"part:{tag['part']}:{result}" if "part" in tag else result

    def named(tree: Any) -> Any:
        if isinstance(tree, list):
            return [named(each) for each in tree]
        if not isinstance(tree, dict):
            return tree
        if tree.get("$") in ("parameter", "result", "item"):
            name = str(tree.get("name") or tree.get("node") or f"item-{tree.get('of')}")
            name += f"-part-{tree['part']}" if "part" in tree else ""
            parts[name] = found(tree)
            return {"$": "input", "name": name}
        return {key: named(each) for key, each in tree.items()}

    for name, tree in node.arguments.items():
        if isinstance(tree, dict) and tree.get("$") in ("parameter", "result", "item"):
            words.append(f"--argument={name}={found(tree)}")
        else:
            words.append(f"--argument={name}=json:{constant(named(tree))}")
    return [*(f"--input={name}={value}" for name, value in parts.items()), *words]


def how_words(graph: Graph, node: Node) -> list[str]:
    """What an orchestrator cannot do for a step, its container does."""
    words = [f"--node={node.name}"]
    if node.how.falls_back and node.how.retries:
        words += [f"--retries={node.how.retries}", f"--delay={node.how.delay:g}"]
    if node.how.allow_pickle:
        words.append("--allow-pickle")
    needs_date = any(
        graph.parameter(tag["name"]).kind in ("date", "datetime") for tag in used_by(node.arguments, "parameter")
    )
    return words + ([f"--tz={graph.tz}"] if needs_date and graph.tz != "UTC" else [])


def constant(tree: Any) -> str:
    """JSON without the marks of templates, which no orchestrator then takes for its own."""
    # JSON itself never has these marks; they stand inside of its texts only, where an escape means the same. `$(` is
    # where Kubernetes puts variables.
    text = re.sub(r"\{(?=[{%#])", r"\\u007b", msgspec.json.encode(tree).decode())
    return text.replace("$(", "\\u0024(")


def iterated(graph: Graph) -> set[str]:
    """The nodes whose results are mapped over."""
    return {tag["node"] for node in graph.nodes for tag in used_by(list(node.items), "result")}
