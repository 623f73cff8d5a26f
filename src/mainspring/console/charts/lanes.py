"""What ran when, in as few rows as were busy at a time: hundreds of short things on one clock."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec

from mainspring.console.charts.palette import status_colour
from mainspring.console.charts.scale import Scale, scale_for, span_label
from mainspring.console.charts.svg import GRID, clean, element, empty_figure, figure, text

__all__ = ["Span", "lanes_chart"]

_ROW = 14.0
_MOST_ROWS = 24


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Something that ran, in seconds since 1970; without an `end` it runs still."""

    start: float
    end: float | None
    status: str = ""
    label: str = ""
    href: str = ""


def lanes_chart(
    spans: Sequence[Span],
    *,
    title: str,
    now: float,
    width: float = 900.0,
    empty: str = "Nothing has run yet",
) -> str:
    """Bars on a common clock; what ran at the same time is in rows under each other, at most 24.

    Example:
        >>> busy = [Span(start=0, end=4), Span(start=1, end=3), Span(start=5, end=6)]
        >>> lanes_chart(busy, title="t", now=9).count("<rect")
        3
    """
    if not spans:
        return empty_figure(empty, width=width, height=80, title=title, kind="lanes")
    ordered = sorted(spans, key=lambda each: each.start)
    origin = ordered[0].start
    stop = max(now if each.end is None else each.end for each in ordered)
    left, right, top = 12.0, width - 16, 6.0
    scale = scale_for([0.0, (stop - origin) or 1.0], left, right) or Scale(0.0, 1.0, left, right)
    free: list[tuple[float, int]] = []
    rows, bars, hidden = 0, [], 0
    for each in ordered:
        end = now if each.end is None else max(each.end, each.start)
        if free and free[0][0] <= each.start:
            row = heapq.heappop(free)[1]
        else:
            row, rows = rows, rows + 1
        heapq.heappush(free, (end, row))
        if row >= _MOST_ROWS:
            hidden += 1
            continue
        x = scale(each.start - origin)
        bar = element(
            "rect",
            element("title", clean(f"{each.label} {each.status}, {span_label(end - each.start)}".strip())),
            x=x,
            y=top + _ROW * row,
            width=max(scale(end - origin) - x - 0.5, 1.2),
            height=_ROW - 3,
            rx=1.5,
            fill=status_colour(each.status),
            fill_opacity="0.55" if each.end is None else "0.85",
        )
        bars.append(element("a", bar, href=each.href) if each.href else bar)
    bottom = top + _ROW * min(rows, _MOST_ROWS)
    body = []
    for value, _ in scale.ticks(8):
        at = scale(value)
        body.append(element("line", x1=at, x2=at, y1=top, y2=bottom, stroke=GRID, stroke_width=0.7))
        body.append(text("0" if value == 0 else span_label(value), at, bottom + 15, anchor="middle"))
    if hidden:
        body.append(text(f"and {hidden} in more rows", right, bottom + 15, anchor="end"))
    described = f"{len(ordered)} over {span_label(stop - origin)}, at most {rows} at a time"
    return figure([*body, *bars], width=width, height=bottom + 24, title=title, description=described, kind="lanes")
