"""Line charts: several series with bands, smoothing, logarithmic and time axes, thresholds and marks.

Each series carries its values in `data-y` (four significant digits), one for each point of its last path, and the
plot its geometry in `data-plot`, so that the page's script can show a crosshair and a tooltip without
asking for the numbers again. Without the script the chart is complete.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.console.charts.axes import Area, LegendItem, legend, muted_line, polyline, x_axis, y_axis
from mainspring.console.charts.palette import series_colour, slots_of, status_colour
from mainspring.console.charts.sampling import Sampled, sample, smooth
from mainspring.console.charts.scale import Kind, Scale, finite, number_label, scale_for
from mainspring.console.charts.svg import clean, element, empty_figure, figure, number, shorten, text, text_width

__all__ = ["Mark", "Series", "Threshold", "line_chart"]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One line: x and y of equal length, NaN or None where there is nothing; `low` and `high` draw a band."""

    name: str
    x: list[float | None]
    y: list[float | None]
    low: list[float | None] = []
    high: list[float | None] = []
    key: str = ""
    """What its colour hangs on: an id. The name, when empty."""
    slot: int = -1
    """A colour slot that overrides `key`."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at x: a deployment, an alert."""

    x: float
    label: str
    status: str = ""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A horizontal line that means something."""

    y: float
    label: str = ""
    status: str = "warn"


class _Drawn(msgspec.Struct, frozen=True):
    name: str
    colour: str
    dash: str
    points: Sampled
    smoothed: list[float]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    description: str = "",
    x_label: str = "step",
    y_label: str = "",
    x_kind: Kind = "linear",
    y_kind: Kind = "linear",
    smoothing: float = 0.0,
    marks: Sequence[Mark] = (),
    thresholds: Sequence[Threshold] = (),
    zero: bool = False,
    share: bool = False,
    width: float = 440.0,
    height: float = 220.0,
    limit: int = 240,
    named: bool = True,
    empty: str = "No values yet",
) -> str:
    """A chart of lines as SVG text.

    Args:
        series: The lines; points that are NaN, infinite, or not positive on a log axis are left out.
        title: The chart's accessible name.
        description: What a reader who does not see it should know; a summary is made when empty.
        x_label: The name of the x axis.
        y_label: The name of the y axis.
        x_kind: How x runs; `time` takes seconds since 1970.
        y_kind: How y runs, `linear` or `log`.
        smoothing: Weight of the exponential moving average, 0 to below 1; the raw line stays, faint.
        marks: Vertical lines with a name.
        thresholds: Horizontal lines with a name.
        zero: Keep 0 in view.
        share: y is a fraction, shown as per cent.
        width: In pixels.
        height: In pixels.
        limit: The most points per line; more are thinned into min/max bands.
        named: Whether several lines have a legend.
        empty: What to say when nothing can be shown.

    Example:
        >>> line_chart([Series(name="loss", x=[0, 1, 2], y=[0.9, 0.5, 0.4])], title="loss").startswith("<svg")
        True
    """
    drawn = _prepare(series, smoothing=smoothing, limit=limit, x_kind=x_kind, y_kind=y_kind)
    if not drawn:
        return empty_figure(empty, width=width, height=height, title=title, kind="line")
    items = [LegendItem(label=each.name, colour=each.colour, dash=each.dash) for each in drawn]
    head, used = legend(items, 8, 2, width - 16) if named and len(drawn) > 1 else ([], 0.0)
    area = Area(
        left=52, top=used + (22 if y_label else 10) + (12 if marks else 0), right=width - 12, bottom=height - 26
    )
    xs = scale_for([v for each in drawn for v in each.points.x], area.left, area.right, kind=x_kind)
    heights = [v for each in drawn for v in (*each.points.low, *each.points.high)] + [each.y for each in thresholds]
    ys = scale_for(heights, area.bottom, area.top, kind=y_kind, zero=zero, pad=0.04)
    if xs is None or ys is None:
        return empty_figure(empty, width=width, height=height, title=title, kind="line")
    body = [*head, *y_axis(ys, area, label=y_label, share=share), *x_axis(xs, area, label=x_label)]
    body += _thresholds(thresholds, ys, area)
    body += _marks(marks, xs, area)
    body += [_line(each, xs, ys) for each in drawn]
    return figure(
        body,
        width=width,
        height=height,
        title=title,
        description=description or _summary(drawn),
        kind="line",
        data_plot=" ".join(number(v) for v in (area.left, area.top, area.right, area.bottom)),
        data_x=f"{xs.low!r} {xs.high!r} {x_kind}",
        data_share="1" if share else None,
    )


def _prepare(series: Sequence[Series], *, smoothing: float, limit: int, x_kind: Kind, y_kind: Kind) -> list[_Drawn]:
    looks = slots_of([each.key or each.name for each in series])
    if len(series) == 1:
        looks = [(0, "")]
    found = []
    for each, (slot, dash) in zip(series, looks, strict=True):
        points = sample(each.x, each.y, low=each.low, high=each.high, limit=limit, x_kind=x_kind, y_kind=y_kind)
        if points.x:
            chosen = each.slot if each.slot >= 0 else slot
            found.append(
                _Drawn(
                    name=each.name,
                    colour=series_colour(chosen),
                    dash="" if each.slot >= 0 else dash,
                    points=points,
                    smoothed=smooth(points.y, smoothing) if smoothing else [],
                )
            )
    return found


def _line(drawn: _Drawn, xs: Scale, ys: Scale) -> str:
    points, colour = drawn.points, drawn.colour
    parts = []
    if any(low < high for low, high in zip(points.low, points.high, strict=True)):
        upper = [(xs(x), ys(y)) for x, y in zip(points.x, points.high, strict=True)]
        lower = [(xs(x), ys(y)) for x, y in zip(points.x, points.low, strict=True)]
        parts.append(element("path", d=polyline([*upper, *reversed(lower)]) + "Z", fill=colour, fill_opacity="0.16"))
    raw = polyline((xs(x), ys(y)) for x, y in zip(points.x, points.y, strict=True))
    values = " ".join(f"{y:.4g}" for y in points.y)
    stroke = {"fill": "none", "stroke": colour, "stroke_linejoin": "round"}
    if drawn.smoothed:
        parts.append(element("path", d=raw, stroke_width=1, stroke_opacity="0.3", **stroke))
        raw = polyline((xs(x), ys(y)) for x, y in zip(points.x, drawn.smoothed, strict=True))
        values = " ".join(f"{y:.4g}" for y in drawn.smoothed)
    if len(points.x) == 1:
        parts.append(element("circle", cx=xs(points.x[0]), cy=ys(points.y[0]), r=3.5, fill=colour))
    dash = drawn.dash or None
    parts.append(element("path", d=raw, stroke_width=1.8, stroke_dasharray=dash, **stroke))
    return element(
        "g",
        element("title", clean(drawn.name)),
        *parts,
        class_="series",
        data_name=drawn.name,
        data_y=values,
    )


def _thresholds(thresholds: Sequence[Threshold], ys: Scale, area: Area) -> list[str]:
    parts = []
    for each in thresholds:
        if finite(each.y, ys.kind) is None:
            continue
        at, colour = ys(each.y), status_colour(each.status)
        parts.append(muted_line(area.left, at, area.right, at, colour=colour))
        if each.label:
            parts.append(text(shorten(each.label, area.width - 8), area.right - 4, at - 4, anchor="end", fill=colour))
    return parts


def _marks(marks: Sequence[Mark], xs: Scale, area: Area) -> list[str]:
    parts: list[str] = []
    free_from = area.left
    for each in sorted(marks, key=lambda mark: mark.x if mark.x == mark.x else 0.0):
        at = xs(each.x) if finite(each.x, xs.kind) is not None else area.left - 1
        if not area.left - 0.5 <= at <= area.right + 0.5:
            continue
        colour = status_colour(each.status)
        inside = [
            element("title", clean(each.label)),
            muted_line(at, area.top - 4, at, area.bottom, dash="2 2", colour=colour),
            element("path", d=f"M{number(at - 4)} {number(area.top - 9)}h8l-4 6z", fill=colour),
        ]
        shown = shorten(each.label, 120)
        need = text_width(shown) + 10
        if at + 7 >= free_from and at + need <= area.right:
            inside.append(text(shown, at + 7, area.top - 3, fill=colour))
            free_from = at + need
        parts.append(element("g", *inside, class_="mark"))
    return parts


def _summary(drawn: Sequence[_Drawn]) -> str:
    shown = [
        f"{each.name}: {len(each.points.x)} points, from {number_label(min(each.points.low))} to "
        f"{number_label(max(each.points.high))}, last {number_label(each.points.y[-1])}"
        for each in drawn[:8]
    ]
    return "; ".join(shown) + ("" if len(drawn) <= 8 else f"; and {len(drawn) - 8} more")
