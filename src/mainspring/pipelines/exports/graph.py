"""What a flow looks like to an orchestrator that is not ours: steps, what they are given, in which order.

Arguments are written as `pipelines.values` writes values, with three tags more for what is known only later:
`{"$": "result", "node": "train"}`, or with `"part": 0` the first part of a tuple; `{"$": "parameter", "name": "day"}`;
and inside of a map `{"$": "item", "of": 0}`, the item of its first iterable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

__all__ = ["Graph", "How", "Kind", "Node", "Parameter", "used_by"]

Kind = Literal["text", "integer", "number", "boolean", "list", "object", "date", "datetime", "json"]
"""How a parameter is written as text, and read again by `mainspring.pipelines.entry`."""


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter of the flow."""

    name: str
    kind: Kind
    default: Any = msgspec.UNSET
    """JSON, in the form of `values.encode`; absent when it must be given."""
    fires: bool = False
    """Whether its default is the moment that the schedule fired for."""

    @property
    def has_default(self) -> bool:
        """Whether it may be left out."""
        return self.fires or self.default is not msgspec.UNSET


class How(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step is run: what of `pipelines.options.Options` another orchestrator can know."""

    retries: int = 0
    delay: float = 1.0
    timeout: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    gpu: float = 0.0
    cache: bool = False
    cache_ttl: float = 0.0
    image: str = ""
    secrets: tuple[str, ...] = ()
    priority: int = 0
    falls_back: bool = False
    """Whether it has a fallback: its retries are then made in the container, which knows when the last has failed."""
    picks_errors: bool = False
    """Whether it is tried again after some errors only."""
    allow_pickle: bool = False


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a step in the body of the flow, or one map."""

    name: str
    """Unique in the graph, and fit to be a part of a DNS name."""
    step: str
    """`module:name`."""
    arguments: dict[str, Any] = {}
    items: tuple[Any, ...] = ()
    """Of a map: its iterables. Those that are known are JSON lists, others `result` and `parameter` tags."""
    after: tuple[str, ...] = ()
    """The nodes that must be finished before, least first; others follow from these."""
    how: How = How()
    code: str = ""
    """Digest of the step's code, when it is cached."""

    @property
    def mapped(self) -> bool:
        """Whether it is a map."""
        return bool(self.items)


class Graph(msgspec.Struct, frozen=True, omit_defaults=True):
    """A flow as a graph, or why it is none."""

    flow: str
    address: str
    parameters: tuple[Parameter, ...] = ()
    nodes: tuple[Node, ...] = ()
    result: str = ""
    """The node whose result the flow returns; empty when it returns something else."""
    crons: tuple[str, ...] = ()
    """Five fields each, in the zone `tz`."""
    tz: str = "UTC"
    overlap: str = "skip"
    """As in `pipelines.options.FlowOptions`."""
    timeout: float = 0.0
    dynamic: str = ""
    """Why it has no static graph: where its body decides, repeats or computes with what is known only when it runs."""
    notes: tuple[str, ...] = ()
    """What could not be carried over."""
    title: str = ""
    """The first line of its docstring."""

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(each for each in self.nodes if each.name == name)

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name."""
        return next(each for each in self.parameters if each.name == name)


def used_by(tree: Any, tag: str) -> Iterator[dict[str, Any]]:
    """The tags of one kind (`result`, `parameter`, `item`) in an argument, in the order of writing."""
    if isinstance(tree, list | tuple):
        for each in tree:
            yield from used_by(each, tag)
    elif isinstance(tree, dict):
        if tree.get("$") == tag:
            yield tree
        else:
            for each in tree.values():
                yield from used_by(each, tag)
