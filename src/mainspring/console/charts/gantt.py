"""Gantt: what ran when, one row per task, one bar per attempt, waiting shown as a thin line."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.console.charts.axes import Area
from mainspring.console.charts.palette import status_colour
from mainspring.console.charts.scale import Scale, finite, scale_for, span_label
from mainspring.console.charts.svg import GRID, INK, clean, element, empty_figure, figure, shorten, text, text_width

__all__ = ["Bar", "GanttRow", "gantt"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, in seconds since 1970; an `end` of None is still running."""

    start: float
    end: float | None = None
    status: str = ""
    label: str = ""


class GanttRow(msgspec.Struct, frozen=True, kw_only=True):
    """One task with its attempts; `queued` is when it began to wait."""

    label: str
    bars: list[Bar] = []
    queued: float | None = None
    href: str = ""


def gantt(
    rows: Sequence[GanttRow],
    *,
    title: str,
    now: float | None = None,
    width: float = 760.0,
    empty: str = "Nothing has run yet",
) -> str:
    """Bars on a common clock that starts at zero; `now` ends the bars that are still running.

    Example:
        >>> row = GanttRow(label="train", bars=[Bar(start=10, end=12, status="finished")])
        >>> gantt([row], title="steps").count('class="bar"')
        1
    """
    moments = [
        value for row in rows for bar in row.bars for value in (bar.start, bar.end if bar.end is not None else now)
    ]
    moments += [row.queued for row in rows]
    shown = [value for value in (finite(each, "time") for each in moments) if value is not None]
    if not shown:
        return empty_figure(empty, width=width, height=96, title=title, kind="gantt")
    left = min(220.0, max(text_width(shorten(row.label, 200)) for row in rows) + 20)
    height = 28.0 * len(rows) + 32
    area = Area(left=left, top=4, right=width - 16, bottom=height - 26)
    origin, stop = min(shown), max(shown)
    scale = scale_for([0.0, (stop - origin) or 1.0], area.left, area.right) or Scale(0.0, 1.0, area.left, area.right)
    body = _clock(scale, area)
    for index, row in enumerate(rows):
        body.append(_row(row, area.top + 28.0 * index, area, scale, origin=origin, now=stop))
    described = f"{len(rows)} tasks over {span_label(stop - origin)}"
    return figure(body, width=width, height=height, title=title, description=described, kind="gantt")


def _clock(scale: Scale, area: Area) -> list[str]:
    parts = []
    for value, _ in scale.ticks(6):
        at = scale(value)
        parts.append(element("line", x1=at, x2=at, y1=area.top, y2=area.bottom, stroke=GRID, stroke_width=0.7))
        parts.append(text("0" if value == 0 else span_label(value), at, area.bottom + 16, anchor="middle"))
    return parts


def _row(row: GanttRow, y: float, area: Area, scale: Scale, *, origin: float, now: float) -> str:
    name = text(shorten(row.label, area.left - 20), area.left - 12, y + 18, anchor="end", fill=INK)
    parts = [
        element("line", x1=0.0, x2=area.right, y1=y + 28, y2=y + 28, stroke=GRID, stroke_width=0.5),
        element("a", name, href=row.href) if row.href else name,
    ]
    queued, first = (
        finite(row.queued, "time"),
        min((bar.start for bar in row.bars if finite(bar.start, "time") is not None), default=None),
    )
    if queued is not None:
        wait = element("title", clean(f"waited {span_label(max((now if first is None else first) - queued, 0.0))}"))
        until = scale((now if first is None else first) - origin)
        parts.append(
            element(
                "line",
                wait,
                x1=scale(queued - origin),
                x2=until,
                y1=y + 14,
                y2=y + 14,
                stroke=status_colour(""),
                stroke_width=2,
                stroke_dasharray="2 3",
            )
        )
    for number, bar in enumerate(row.bars, start=1):
        start, end = finite(bar.start, "time"), finite(bar.end, "time") if bar.end is not None else now
        if start is None or end is None:
            continue
        x, stop = scale(start - origin), scale(max(end, start) - origin)
        lasted = f"{span_label(max(end - start, 0.0))}{', running' if bar.end is None else ''}"
        tip = element(
            "title", clean(" ".join(filter(None, (bar.label or f"{row.label}, attempt {number}", bar.status, lasted))))
        )
        parts.append(
            element(
                "rect",
                tip,
                class_="bar",
                x=x,
                y=y + 6,
                width=max(stop - x, 2.0),
                height=16,
                rx=3,
                fill=status_colour(bar.status),
                fill_opacity="0.55" if bar.end is None else "0.9",
            )
        )
        if number == len(row.bars):
            shown, wide = span_label(max(end - start, 0.0)), text_width(span_label(max(end - start, 0.0)))
            after = max(stop, x + 2) + 6
            if after + wide <= area.right:
                parts.append(text(shown, after, y + 18))
            elif x - 6 - wide >= area.left:
                parts.append(text(shown, x - 6, y + 18, anchor="end"))
    return element("g", *parts)
