"""One row of a Gantt chart for the cell of a table, and the clock above such rows."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.console.charts.palette import status_colour
from mainspring.console.charts.scale import Scale, finite, span_label
from mainspring.console.charts.svg import GRID, element, figure, text, text_width

__all__ = ["span_bar", "span_clock"]

_HEIGHT = 22.0


def span_bar(
    start: float | None,
    end: float | None,
    *,
    length: float,
    status: str,
    title: str,
    critical: Sequence[tuple[float, float]] = (),
    width: float = 320.0,
) -> str:
    """From `start` to `end`, in seconds since the run began, of a run of `length` seconds.

    An `end` of None is still running. `critical` are the stretches that the end of the run waited for: a line beneath.

    Example:
        >>> span_bar(1.0, 2.0, length=4.0, status="finished", title="train", width=104).count('class="bar"')
        1
    """
    scale = Scale(0.0, length or 1.0, 2.0, width - 2)
    begun = finite(start)
    if begun is None:
        return figure([], width=width, height=_HEIGHT, title=title, description="did not run", kind="span")
    stop = finite(end)
    left, right = scale(begun), scale(length if stop is None else stop)
    wide = max(right - left, 2.0)
    left = min(left, width - 2 - wide)
    bar = element(
        "rect",
        class_="bar",
        x=left,
        y=4.0,
        width=wide,
        height=10.0,
        rx=2,
        fill=status_colour(status),
        fill_opacity="0.5" if stop is None else "0.9",
    )
    under = [
        element(
            "line",
            class_="critical",
            x1=min(scale(low), width - 4),
            x2=max(scale(high), min(scale(low), width - 4) + 2),
            y1=18.0,
            y2=18.0,
            stroke="var(--accent, #0b6e69)",
            stroke_width=3,
        )
        for low, high in critical
    ]
    lasted = span_label(max((length if stop is None else stop) - begun, 0.0))
    described = f"{status}, {lasted}{', on the critical path' if critical else ''}"
    return figure([bar, *under], width=width, height=_HEIGHT, title=title, description=described, kind="span")


def span_clock(length: float, *, title: str, width: float = 320.0) -> str:
    """The seconds above rows of `span_bar`."""
    scale = Scale(0.0, length or 1.0, 2.0, width - 2)
    body, last = [], -100.0
    for value, _ in scale.ticks(4):
        at, label = scale(value), "0" if value == 0 else span_label(value)
        wide = text_width(label)
        anchor = "start" if at - wide / 2 < 0 else "end" if at + wide / 2 > width else "middle"
        begin = at - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        body.append(element("line", x1=at, x2=at, y1=14.0, y2=20.0, stroke=GRID))
        if begin > last + 8:
            body.append(text(label, at, 10.0, anchor=anchor))
            last = begin + wide
    return figure(body, width=width, height=20.0, title=title, description=f"0 to {span_label(length)}", kind="clock")
