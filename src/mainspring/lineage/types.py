"""What the graph is made of: artifacts, runs and the edges between them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["AliasChange", "Artifact", "Edge", "File", "Graph", "Node", "Run", "RunStatus"]

RunStatus = Literal["running", "finished", "failed", "cancelled", "crashed"]


class File(msgspec.Struct, frozen=True):
    """One file of an artifact."""

    path: str
    """Relative, with forward slashes."""
    size: int
    """Bytes."""
    digest: str
    """BLAKE3 of the plain bytes: the address of the blob."""


class Artifact(msgspec.Struct, frozen=True):
    """An immutable, content-addressed version of something: a dataset, a model, a profile, a report, an approval."""

    id: str
    workspace: str
    kind: str
    name: str
    version: int
    """1, 2, 3, ... under its kind and name."""
    digest: str
    """Equal content has equal digest on any machine."""
    size: int
    """Bytes, over all files."""
    metadata: dict[str, Any]
    run_id: str
    """The run that made it, or an empty text."""
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> str:
        """`kind/name@version`."""
        return f"{self.kind}/{self.name}@{self.version}"


class Run(msgspec.Struct, frozen=True):
    """Something that happened: a training, a flow, a step, an evaluation, a deployment, an approval."""

    id: str
    workspace: str
    kind: str
    name: str
    status: RunStatus
    parent_id: str
    """The run that this one is a part of, or an empty text."""
    started_at: datetime
    finished_at: datetime | None
    heartbeat_at: datetime | None
    metadata: dict[str, Any]
    created_by: str

    @property
    def ref(self) -> str:
        """`run/id`."""
        return f"run/{self.id}"


class Edge(msgspec.Struct, frozen=True):
    """Data flowed from `source` to `target`: from an artifact to a run that used it, or from a run to what it made."""

    source: str
    target: str
    role: str
    """What it was to the run: `training-data`, `model`, `features`, ...; may be empty."""


class Node(msgspec.Struct, frozen=True):
    """An artifact or a run, as the graph shows it."""

    id: str
    type: Literal["artifact", "run"]
    kind: str
    name: str
    version: int
    """Of an artifact; 0 for a run."""
    status: str
    """Of a run; empty for an artifact."""
    digest: str
    at: datetime
    """When it was made, or started."""
    by: str
    distance: int
    """Edges between it and the node that was asked about."""
    metadata: dict[str, Any]

    @property
    def ref(self) -> str:
        """How it is addressed: `kind/name@version`, or `run/id`."""
        return f"{self.kind}/{self.name}@{self.version}" if self.type == "artifact" else f"run/{self.id}"


class Graph(msgspec.Struct, frozen=True):
    """The part of the lineage that answers a question."""

    root: str
    """Id of the node that was asked about."""
    nodes: list[Node]
    """Nearest first; the root is the first."""
    edges: list[Edge]
    truncated: bool = False
    """Whether there is more than the limit allowed."""

    def of_kind(self, *kinds: str) -> list[Node]:
        """The nodes of these kinds, nearest first."""
        return [node for node in self.nodes if node.kind in kinds]


class AliasChange(msgspec.Struct, frozen=True):
    """One move of an alias."""

    id: str
    """Later moves have greater ids, whatever the clock did between them."""
    workspace: str
    kind: str
    name: str
    alias: str
    version: int
    """0 where the alias was taken away."""
    at: datetime
    by: str
