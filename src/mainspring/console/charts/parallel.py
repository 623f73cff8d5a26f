"""Parallel coordinates: a line for every trial over its parameters and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.console.charts.axes import polyline
from mainspring.console.charts.dimension import Dimension
from mainspring.console.charts.scatter import ramp
from mainspring.console.charts.svg import GRID, INK, clean, element, empty_figure, figure, shorten, text

__all__ = ["Strand", "parallel_chart"]

_MOST = 400


class Strand(msgspec.Struct, frozen=True, kw_only=True):
    """One trial: a value for each axis, None where it has none."""

    values: list[Any]
    shade: float
    """0 to 1: the deeper the better."""
    label: str = ""
    href: str = ""


def parallel_chart(
    axes: Sequence[Dimension],
    strands: Sequence[Strand],
    *,
    title: str,
    width: float = 900.0,
    height: float = 320.0,
    empty: str = "No trial has a value yet",
) -> str:
    """A line for each strand, the deepest on top; a missing value breaks it. Of many, 400 and the best ones.

    Example:
        >>> axes = [Dimension(name="x"), Dimension(name="loss")]
        >>> parallel_chart(axes, [Strand(values=[0.1, 0.9], shade=1.0)], title="t").count('class="strand"')
        1
    """
    if len(axes) < 2 or not strands:
        return empty_figure(empty, width=width, height=height, title=title, kind="parallel")
    ordered = sorted(strands, key=lambda each: each.shade)
    if len(ordered) > _MOST:
        every = -(-len(ordered) // _MOST)
        ordered = [each for place, each in enumerate(ordered) if place % every == 0 or place >= len(ordered) - 10]
    top, bottom, left = 34.0, height - 14, 30.0
    gap = (width - left - 90) / (len(axes) - 1)
    body = []
    for each in ordered:
        places = [
            None if (share := axis.share(value)) is None else (left + gap * place, bottom - share * (bottom - top))
            for place, (axis, value) in enumerate(zip(axes, each.values, strict=True))
        ]
        line = element(
            "path",
            element("title", clean(each.label)) if each.label else "",
            class_="strand",
            d=polyline(places),
            fill="none",
            stroke=ramp(each.shade),
            stroke_width=1.6 if each.shade > 0.9 else 1.1,
            stroke_opacity=f"{0.35 + 0.6 * each.shade:.2f}",
            stroke_linejoin="round",
        )
        body.append(element("a", line, href=each.href) if each.href else line)
    for place, axis in enumerate(axes):
        at = left + gap * place
        body.append(element("line", x1=at, x2=at, y1=top, y2=bottom, stroke=INK, stroke_opacity="0.6"))
        name = axis.name + (" (log)" if axis.log else "")
        anchor = "start" if place == 0 else "middle"
        body.append(text(shorten(name, gap - 6), at - (8 if place == 0 else 0), 14, anchor=anchor, fill=INK))
        for share, label in axis.ticks(6):
            up = bottom - share * (bottom - top)
            body.append(element("line", x1=at, x2=at + 4, y1=up, y2=up, stroke=GRID))
            body.append(_halo(shorten(label, 80), at + 6, up + 4))
    described = f"{len(ordered)} trials over {', '.join(axis.name for axis in axes)}"
    return figure(body, width=width, height=height, title=title, description=described, kind="parallel")


def _halo(label: str, x: float, y: float) -> str:
    return text(
        label, x, y, stroke="var(--surface, #fff)", stroke_width=3.0, stroke_linejoin="round", paint_order="stroke"
    )
