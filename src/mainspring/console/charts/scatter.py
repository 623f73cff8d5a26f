"""Points over two dimensions, each with a colour, a name and a way to its page; with a line through some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.console.charts.axes import Area, polyline
from mainspring.console.charts.dimension import Dimension
from mainspring.console.charts.palette import series_colour, status_colour
from mainspring.console.charts.svg import (
    GRID,
    INK,
    MUTED,
    clean,
    element,
    empty_figure,
    figure,
    number,
    text,
    text_width,
)

__all__ = ["Point", "frame_of", "ramp", "scatter_chart"]

_RAMP = ("#e7eef8", "#b9d2f0", "#7fb0e4", "#3f83cf", "#174f96")
_MANY = 150


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of two values."""

    x: Any
    y: Any
    label: str = ""
    href: str = ""
    shade: float | None = None
    """0 to 1: how deep its colour is."""
    status: str = ""
    """A word whose colour it has; its series' colour without either."""
    ring: bool = False
    """Whether it stands out."""


def ramp(share: float) -> str:
    """A colour from light to deep as CSS.

    Example:
        >>> ramp(1.0)
        'var(--h4, #174f96)'
    """
    step = min(len(_RAMP) - 1, int(min(max(share, 0.0), 1.0) * len(_RAMP)))
    return f"var(--h{step}, {_RAMP[step]})"


def scatter_chart(
    points: Sequence[Point],
    *,
    title: str,
    x: Dimension | None = None,
    y: Dimension | None = None,
    line: Sequence[tuple[Any, Any]] = (),
    steps: bool = False,
    radius: float = 3.0,
    width: float = 440.0,
    height: float = 240.0,
    empty: str = "Nothing to show yet",
) -> str:
    """Points, the ringed ones on top, with a line over `line`; a stairway with `steps`.

    Of more than 150, those without a label and a link are dots of few bytes.

    Example:
        >>> scatter_chart([Point(x=1, y=2), Point(x=2, y=1)], title="trials").count("<circle")
        2
    """
    if not points:
        return empty_figure(empty, width=width, height=height, title=title, kind="scatter")
    x = x or Dimension.of("", [each.x for each in points])
    y = y or Dimension.of("", [each.y for each in points])
    area = frame_area(y, width, height, named=bool(x.name))
    body = frame_of(x, y, area)
    if line:
        body.append(_line(line, x, y, area, steps=steps))
    shown = 0
    dots: dict[str, list[str]] = {}
    place = len(body)
    for each in sorted(points, key=lambda point: (point.ring, point.shade or 0.0)):
        across, up = x.share(each.x), y.share(each.y)
        if across is None or up is None:
            continue
        shown += 1
        if len(points) > _MANY and not (each.label or each.href or each.ring):
            at = f"M{number(area.left + across * area.width)} {number(area.bottom - up * area.height)}h0"
            dots.setdefault(_fill(each), []).append(at)
            continue
        dot = element(
            "circle",
            element("title", clean(each.label or f"{x.label(each.x)}, {y.label(each.y)}")),
            cx=area.left + across * area.width,
            cy=area.bottom - up * area.height,
            r=radius + 1.5 if each.ring else radius,
            fill=_fill(each),
            fill_opacity=None if each.shade is not None or each.ring else "0.65",
            stroke=INK if each.ring else MUTED if each.shade is not None else None,
            stroke_width=(1.5 if each.ring else 0.5) if each.ring or each.shade is not None else None,
        )
        body.append(element("a", dot, href=each.href) if each.href else dot)
    if not shown:
        return empty_figure(empty, width=width, height=height, title=title, kind="scatter")
    body[place:place] = [_dots(fill, each, radius) for fill, each in dots.items()]
    described = f"{shown} points of {y.name or 'values'} over {x.name or 'values'}"
    return figure(body, width=width, height=height, title=title, description=described, kind="scatter")


def frame_area(y: Dimension, width: float, height: float, *, named: bool = True) -> Area:
    """The plot inside its labels."""
    widest = max((text_width(label) for _, label in y.ticks(5)), default=20.0)
    return Area(
        left=min(max(widest, 24.0) + 16, width * 0.35), top=22, right=width - 14, bottom=height - (40 if named else 24)
    )


def frame_of(x: Dimension, y: Dimension, area: Area) -> list[str]:
    """Grid, ticks and names of both axes."""
    body = [element("line", x1=area.left, x2=area.right, y1=area.bottom, y2=area.bottom, stroke=GRID)]
    for share, label in y.ticks(max(2, int(area.height / 36))):
        at = area.bottom - share * area.height
        body.append(element("line", x1=area.left, x2=area.right, y1=at, y2=at, stroke=GRID, stroke_width=0.7))
        body.append(text(label, area.left - 6, at + 4, anchor="end"))
    free = -1e9
    for share, label in x.ticks(max(2, int(area.width / 70))):
        at, half = area.left + share * area.width, text_width(label) / 2
        body.append(element("line", x1=at, x2=at, y1=area.bottom, y2=area.bottom + 4.0, stroke=GRID))
        if at - half >= free:
            body.append(text(label, at, area.bottom + 16, anchor="middle"))
            free = at + half + 10
    if x.name:
        body.append(text(x.name + (" (log)" if x.log else ""), area.right, area.bottom + 32, anchor="end", fill=INK))
    if y.name:
        body.append(text(y.name + (" (log)" if y.log else ""), area.left, area.top - 8, fill=INK))
    return body


def _dots(colour: str, places: list[str], radius: float) -> str:
    """Many points of one colour, as the round ends of lines without length."""
    return element(
        "path",
        class_="dots",
        d="".join(places),
        fill="none",
        stroke=colour,
        stroke_width=2 * radius,
        stroke_linecap="round",
        stroke_opacity="0.65",
    )


def _fill(point: Point) -> str:
    if point.shade is not None:
        return ramp(point.shade)
    return status_colour(point.status) if point.status else series_colour(0)


def _line(line: Sequence[tuple[Any, Any]], x: Dimension, y: Dimension, area: Area, *, steps: bool) -> str:
    places: list[tuple[float, float] | None] = []
    last: float | None = None
    for one, other in line:
        across, up = x.share(one), y.share(other)
        if across is None or up is None:
            continue
        at, height = area.left + across * area.width, area.bottom - up * area.height
        if steps and last is not None:
            places.append((at, last))
        places.append((at, height))
        last = height
    return element("path", d=polyline(places), fill="none", stroke=series_colour(1), stroke_width=2)
