"""Bars: one value per name (horizontal, so that names can be read), and a histogram of one distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mainspring.console.charts.axes import Area, x_axis, y_axis
from mainspring.console.charts.palette import series_colour
from mainspring.console.charts.scale import Kind, finite, number_label, scale_for
from mainspring.console.charts.svg import INK, MUTED, clean, element, empty_figure, figure, number, shorten, text

__all__ = ["bar_chart", "histogram"]


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    title: str,
    low: Sequence[float | None] = (),
    high: Sequence[float | None] = (),
    slot: int = 0,
    width: float = 440.0,
    empty: str = "Nothing to compare yet",
) -> str:
    """Horizontal bars from zero, one per label, with whiskers from `low` to `high` where they are given.

    Example:
        >>> bar_chart(["dep_delay", "hour"], [0.4, 0.1], title="importance").count("<rect")
        2
    """
    rows = [
        (label, value, finite(_at(low, index)), finite(_at(high, index)))
        for index, (label, raw) in enumerate(zip(labels, values, strict=False))
        if (value := finite(raw)) is not None
    ]
    height = 26.0 * max(len(rows), 2) + 28
    area = Area(left=min(168.0, width * 0.4), top=6, right=width - 56, bottom=height - 22)
    shown = [value for row in rows for value in row[1:] if value is not None]
    xs = scale_for(shown, area.left, area.right, zero=True)
    if xs is None:
        return empty_figure(empty, width=width, height=96, title=title, kind="bar")
    body = x_axis(xs, area)
    base = xs(0.0)
    for index, (label, value, below, above) in enumerate(rows):
        y, end = area.top + 26.0 * index + 4, xs(value)
        tip = max(end, base, xs(above) if above is not None else end)
        body.append(
            element(
                "g",
                element("title", clean(f"{label}: {number_label(value)}")),
                text(shorten(label, area.left - 16), area.left - 8, y + 13, anchor="end", fill=INK),
                element(
                    "rect",
                    x=min(base, end),
                    y=y,
                    width=max(abs(end - base), 0.5),
                    height=18,
                    rx=2,
                    fill=series_colour(slot),
                    fill_opacity="0.85",
                ),
                _whisker(xs(below), xs(above), y + 9) if below is not None and above is not None else "",
                text(number_label(value), tip + 6, y + 13),
            )
        )
    best = ", ".join(f"{label} {number_label(value)}" for label, value, _, _ in rows[:8])
    return figure(body, width=width, height=height, title=title, description=best, kind="bar")


def histogram(
    edges: Sequence[float],
    counts: Sequence[float | None],
    *,
    title: str,
    slot: int = 0,
    x_label: str = "",
    time: bool = False,
    width: float = 320.0,
    height: float = 140.0,
    empty: str = "No values",
) -> str:
    """The distribution of one column: `counts[i]` values lie between `edges[i]` and `edges[i + 1]`.

    With `time`, the edges are seconds since 1970.
    """
    bins = usable_bins(edges, counts)
    area = Area(left=44, top=8, right=width - 10, bottom=height - 24)
    kind: Kind = "time" if time else "linear"
    xs = scale_for([edge for low, high, _ in bins for edge in (low, high)], area.left, area.right, kind=kind)
    ys = scale_for([count for _, _, count in bins], area.bottom, area.top, zero=True)
    if xs is None or ys is None or not any(count for _, _, count in bins):
        return empty_figure(empty, width=width, height=height, title=title, kind="histogram")
    body = [*y_axis(ys, area), *x_axis(xs, area, label=x_label)]
    for low, high, count in bins:
        left, right, top = xs(low), xs(high), ys(count)
        gap = 0.5 if right - left > 3 else 0.0
        body.append(
            element(
                "rect",
                element("title", clean(f"{number_label(low)} to {number_label(high)}: {number_label(count)}")),
                x=left + gap,
                y=top,
                width=max(right - left - 2 * gap, 0.5),
                height=max(area.bottom - top, 0.0),
                fill=series_colour(slot),
                fill_opacity="0.8",
            )
        )
    total = math.fsum(count for _, _, count in bins)
    span = f"from {number_label(bins[0][0])} to {number_label(bins[-1][1])}"
    described = f"{number_label(total)} values in {len(bins)} bins {span}"
    return figure(body, width=width, height=height, title=title, description=described, kind="histogram")


def usable_bins(edges: Sequence[float], counts: Sequence[float | None]) -> list[tuple[float, float, float]]:
    """The bins that can be drawn: finite edges in order, finite counts not below zero."""
    found = []
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        shown = finite(count)
        if finite(low) is not None and finite(high) is not None and low <= high and shown is not None and shown >= 0:
            found.append((float(low), float(high), shown))
    return found


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None


def _whisker(left: float, right: float, y: float) -> str:
    top, stop = number(y - 4), number(right)
    path = f"M{number(left)} {top}v8M{number(left)} {number(y)}H{stop}M{stop} {top}v8"
    return element("path", d=path, fill="none", stroke=MUTED, stroke_width=1.2)
