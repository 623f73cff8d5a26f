"""Asking the graph: everything that something came from, and everything that came from it.

Each is one recursive query over the edges, then one look-up of the nodes it met.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import msgspec

from mainspring.kernel.clock import from_micros
from mainspring.lineage.types import Edge, Graph, Node
from mainspring.store.transaction import Transaction

__all__ = ["impact", "why"]

_LIMIT = 10_000
_MOST = 1_000_000
_IN = 500

# The recursion walks ids with UNION, which visits each node once, so that diamonds and long histories cost what they
# hold. CROSS JOIN keeps SQLite from scanning every edge and looking each up among the few that were reached.
_WALK = """
WITH RECURSIVE reached (id) AS (
  SELECT CAST(? AS TEXT)
  UNION
  SELECT edge.{far} FROM edge JOIN reached ON edge.{near} = reached.id
)
SELECT edge.source, edge.target, edge.role FROM reached CROSS JOIN edge WHERE edge.{near} = reached.id LIMIT ?
"""

_ARTIFACTS = (
    "SELECT id, kind, name, version, '', digest, created_at, created_by, metadata FROM artifact WHERE id IN ({})"
)
_RUNS = "SELECT id, kind, name, 0, status, '', started_at, created_by, metadata FROM run WHERE id IN ({})"


def why(tx: Transaction, node: str, *, limit: int = _LIMIT) -> Graph:
    """Everything that the run or artifact with this id came from: data, code, environment, approvals, runs."""
    return _walk(tx, node, near="target", far="source", limit=limit)


def impact(tx: Transaction, node: str, *, limit: int = _LIMIT) -> Graph:
    """Everything that came from the run or artifact with this id: models, deployments, predictions."""
    return _walk(tx, node, near="source", far="target", limit=limit)


def _walk(
    tx: Transaction, root: str, *, near: Literal["source", "target"], far: Literal["source", "target"], limit: int
) -> Graph:
    limit = max(1, min(limit, _MOST))
    rows = tx.rows(_WALK.format(near=near, far=far), (root, limit + 1))
    edges = [Edge(*row) for row in rows[:limit]]
    distance = _distances(root, edges, near=near, far=far)
    edges = [edge for edge in edges if edge.source in distance and edge.target in distance]  # a limit may cut some off
    nodes = sorted(_nodes(tx, distance), key=lambda node: (node.distance, node.at))
    return Graph(root=root, nodes=nodes, edges=edges, truncated=len(rows) > limit)


def _distances(root: str, edges: list[Edge], *, near: str, far: str) -> dict[str, int]:
    """Edges between the root and every node, breadth first."""
    onward: dict[str, list[str]] = {}
    for edge in edges:
        onward.setdefault(getattr(edge, near), []).append(getattr(edge, far))
    distance, frontier = {root: 0}, deque([root])
    while frontier:
        here = frontier.popleft()
        for there in onward.get(here, ()):
            if there not in distance:
                distance[there] = distance[here] + 1
                frontier.append(there)
    return distance


def _nodes(tx: Transaction, distance: dict[str, int]) -> list[Node]:
    ids = list(distance)
    found: list[Node] = []
    for start in range(0, len(ids), _IN):
        batch = ids[start : start + _IN]
        marks = ", ".join("?" * len(batch))
        kinds: tuple[tuple[Literal["artifact", "run"], str], ...] = (("artifact", _ARTIFACTS), ("run", _RUNS))
        for kind, query in kinds:
            found += [_node(kind, row, distance[row[0]]) for row in tx.rows(query.format(marks), batch)]
    return found


def _node(kind: Literal["artifact", "run"], row: tuple[Any, ...], distance: int) -> Node:
    id_, of, name, version, status, digest, at, by, metadata = row
    return Node(
        id_, kind, of, name, version, status, digest, from_micros(at), by, distance, msgspec.json.decode(metadata)
    )
