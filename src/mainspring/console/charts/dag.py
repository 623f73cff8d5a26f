"""Directed graphs, left to right: steps of a flow, the lineage of a thing.

Layers by longest path, order within a layer by the barycentre of neighbours (Sugiyama, Tagawa and Toda, 1981),
long edges through invisible points, so that no edge runs behind a node. By hand, because the layout is a
page of code and the alternatives are a C library or a script in the browser.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.console.charts.layers import Placed, lay_out
from mainspring.console.charts.palette import status_colour, tone_of
from mainspring.console.charts.svg import (
    GRID,
    INK,
    MUTED,
    SURFACE,
    clean,
    element,
    empty_figure,
    figure,
    number,
    shorten,
    text,
    text_width,
)

__all__ = ["Edge", "Node", "dag"]

_TALL, _GAP_X, _GAP_Y, _WIDEST = 44.0, 56.0, 14.0, 216.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One box: a label, a second line, a status, a link; `shape` is `step` (square) or `thing` (round)."""

    id: str
    label: str
    detail: str = ""
    status: str = ""
    href: str = ""
    shape: str = "step"
    focus: bool = False
    marked: bool = False
    """Whether it is of a chain that matters: drawn with a bolder frame."""
    toggle: str = ""
    """A link at its corner that shows what it stands for, or takes it together again."""
    opened: bool = False


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An arrow from one node to another."""

    source: str
    target: str
    label: str = ""


def dag(nodes: Sequence[Node], edges: Sequence[Edge], *, title: str, empty: str = "No steps yet") -> str:
    """The graph as SVG text; edges to unknown nodes are left out, cycles are broken for the layout only.

    Example:
        >>> nodes = [Node(id="a", label="a"), Node(id="b", label="b")]
        >>> dag(nodes, [Edge(source="a", target="b")], title="flow").count('class="node')
        2
    """
    known = {node.id: node for node in nodes}
    if not known:
        return empty_figure(empty, width=440, height=96, title=title, kind="dag")
    kept = [edge for edge in edges if edge.source in known and edge.target in known and edge.source != edge.target]
    pairs = list(dict.fromkeys((edge.source, edge.target) for edge in kept))
    placed = lay_out(
        list(known), pairs, widths={node.id: _width(node) for node in known.values()}, tall=_TALL, gap=(_GAP_X, _GAP_Y)
    )
    labels = {(edge.source, edge.target): edge.label for edge in kept if edge.label}
    body = [_arrow_head()]
    chain = {node.id for node in nodes if node.marked}
    body += [
        _edge(path, labels.get(pair, ""), marked=pair[0] in chain and pair[1] in chain)
        for pair, path in placed.paths.items()
    ]
    body += [_node(known[name], placed) for name in known]
    described = f"{len(known)} nodes, {len(pairs)} edges. " + _spoken(known, pairs)
    return figure(body, width=placed.width, height=placed.height, title=title, description=described, kind="dag")


def _width(node: Node) -> float:
    wide = max(text_width(node.label, 12), text_width(_second(node), 10.5)) + 36
    return min(_WIDEST, max(104.0, wide))


def _second(node: Node) -> str:
    return " \u00b7 ".join(filter(None, (node.status, node.detail)))


def _node(node: Node, placed: Placed) -> str:
    (x, y), width = placed.at[node.id], placed.widths[node.id]
    rounding = _TALL / 2 if node.shape == "thing" else 6
    inset = 16.0
    second = _second(node)
    lines = [
        text(
            shorten(node.label, width - 26, 12),
            x + inset,
            y + (19 if second else 27),
            fill=INK,
            font_size="12",
            font_weight="600" if node.focus else "500",
        )
    ]
    if second:
        lines.append(text(shorten(second, width - 24, 10.5), x + inset, y + 34, font_size="10.5"))
    box = element(
        "rect",
        x=x,
        y=y,
        width=width,
        height=_TALL,
        rx=rounding,
        fill=SURFACE,
        stroke="var(--accent, #0b6e69)" if node.focus else status_colour(node.status) if node.status else GRID,
        stroke_width=2.6 if node.marked else 2.2 if node.focus else 1.4,
    )
    strip = (
        element("rect", x=x + 5, y=y + 12, width=4, height=_TALL - 24, rx=2, fill=status_colour(node.status))
        if node.status
        else ""
    )
    tip = element("title", clean(" \u00b7 ".join(filter(None, (node.label, node.status, node.detail)))))
    look = f"node tone-{tone_of(node.status)}{' marked' if node.marked else ''}"
    group = element("g", tip, box, strip, *lines, class_=look, data_id=node.id, data_name=node.label)
    whole = element("a", group, href=node.href) if node.href else group
    return whole + _toggle(node, x + width, y) if node.toggle else whole


def _toggle(node: Node, x: float, y: float) -> str:
    told = f"Show {node.label.partition(' [')[0]} as one" if node.opened else f"Show the items of {node.label}"
    disc = element("circle", cx=x, cy=y, r=9.0, fill=SURFACE, stroke=MUTED, stroke_width=1.2)
    across = f"M{number(x - 4)} {number(y)}h8"
    cross = element(
        "path",
        d=across if node.opened else f"{across}M{number(x)} {number(y - 4)}v8",
        stroke=INK,
        stroke_width=1.4,
        fill="none",
    )
    return element("a", element("title", clean(told)), disc, cross, class_="toggle", href=node.toggle, aria_label=told)


def _edge(points: list[tuple[float, float]], label: str, *, marked: bool = False) -> str:
    (x, y), parts = points[0], [f"M{number(points[0][0])} {number(points[0][1])}"]
    for nx, ny in points[1:]:
        bend = (nx - x) / 2
        parts.append(f"C{number(x + bend)} {number(y)} {number(nx - bend)} {number(ny)} {number(nx)} {number(ny)}")
        x, y = nx, ny
    tip = element("title", clean(label)) if label else ""
    return element(
        "path",
        tip,
        class_="edge",
        d="".join(parts),
        fill="none",
        stroke=INK if marked else MUTED,
        stroke_opacity="0.9" if marked else "0.7",
        stroke_width=2.0 if marked else 1.2,
        marker_end="url(#arrow)",
    )


def _arrow_head() -> str:
    tip = element("path", d="M0 0L7 3.5L0 7z", fill=MUTED)
    return element(
        "defs",
        element(
            "marker",
            tip,
            id="arrow",
            viewBox="0 0 7 7",
            markerUnits="userSpaceOnUse",
            refX="6.5",
            refY="3.5",
            markerWidth="8.4",
            markerHeight="8.4",
            orient="auto",
        ),
    )


def _spoken(known: dict[str, Node], pairs: list[tuple[str, str]]) -> str:
    shown = [f"{known[source].label} to {known[target].label}" for source, target in pairs[:12]]
    return "; ".join(shown) + ("; and more" if len(pairs) > len(shown) else "")
