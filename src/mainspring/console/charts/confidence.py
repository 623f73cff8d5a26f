"""Sequential evidence: an estimate with a confidence sequence that narrows as observations come in.

A confidence sequence holds at every n at once (Howard, Ramdas, McAuliffe and Sekhon, 2021), so the chart
may be read at any time: the decision falls where the band leaves the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mainspring.console.charts.axes import Area, muted_line, polyline, x_axis, y_axis
from mainspring.console.charts.palette import series_colour, status_colour
from mainspring.console.charts.sampling import sample
from mainspring.console.charts.scale import Scale, finite, number_label, scale_for
from mainspring.console.charts.svg import element, empty_figure, figure, shorten, text

__all__ = ["confidence_plot"]


def confidence_plot(
    n: Sequence[float | None],
    estimate: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    *,
    title: str,
    bound: float | None = None,
    bound_label: str = "",
    y_label: str = "difference",
    decision: str = "",
    slot: int = 0,
    width: float = 560.0,
    height: float = 240.0,
    empty: str = "No observations yet",
) -> str:
    """The estimate with its band over the number of observations, against the bound that decides.

    Example:
        >>> confidence_plot([10, 20], [0.1, 0.12], [-0.1, 0.02], [0.3, 0.2], title="canary", bound=0.0).count("<path")
        2
    """
    points = sample(n, estimate, low=low, high=high)
    area = Area(left=56, top=24, right=width - 12, bottom=height - 26)
    xs = scale_for(points.x, area.left, area.right)
    shown_bound = finite(bound)
    extremes = [
        *_trimmed(points.low, points.y),
        *_trimmed(points.high, points.y),
        *([] if shown_bound is None else [shown_bound]),
    ]
    ys = scale_for(extremes, area.bottom, area.top, pad=0.06)
    if xs is None or ys is None:
        return empty_figure(empty, width=width, height=height, title=title, kind="confidence")
    colour = series_colour(slot)
    clip = Scale(ys.low, ys.high, ys.start, ys.stop)
    upper = [(xs(x), _inside(clip(y), area)) for x, y in zip(points.x, points.high, strict=True)]
    lower = [(xs(x), _inside(clip(y), area)) for x, y in zip(points.x, points.low, strict=True)]
    line = polyline((xs(x), ys(y)) for x, y in zip(points.x, points.y, strict=True))
    body = [*y_axis(ys, area, label=y_label), *x_axis(xs, area, label="observations")]
    body.append(
        element(
            "path",
            d=polyline([*upper, *reversed(lower)]) + "Z",
            fill=colour,
            fill_opacity="0.2",
            stroke=colour,
            stroke_width=0.6,
        )
    )
    body.append(element("path", d=line, fill="none", stroke=colour, stroke_width=2))
    if len(points.x) == 1:
        body.append(element("circle", cx=xs(points.x[0]), cy=ys(points.y[0]), r=3.5, fill=colour))
    if shown_bound is not None:
        body += _bound(shown_bound, bound_label or f"bound {number_label(shown_bound)}", ys, area)
    if decision:
        body.append(text(decision, area.right, 14, anchor="end", fill=status_colour(decision), font_weight="600"))
    last = (points.y[-1], points.low[-1], points.high[-1])
    band = f"between {number_label(last[1])} and {number_label(last[2])}"
    described = f"after {number_label(points.x[-1])} observations {number_label(last[0])}, {band}"
    return figure(
        body, width=width, height=height, title=title, description=f"{described}. {decision}".strip(), kind="confidence"
    )


def _bound(bound: float, label: str, ys: Scale, area: Area) -> list[str]:
    at, tone = ys(bound), status_colour("warn")
    named = text(shorten(label, area.width), area.right - 4, at - 5, anchor="end", fill=tone)
    return [muted_line(area.left, at, area.right, at, colour=tone), named]


def _trimmed(edge: Sequence[float], centre: Sequence[float]) -> list[float]:
    """The band's edge without its wide start, which would flatten everything after it."""
    if len(edge) < 8:
        return list(edge)
    reach = [abs(a / 2 - b / 2) for a, b in zip(edge, centre, strict=True)]
    allowed = 2.5 * sorted(reach)[len(reach) // 2]
    kept = [value for value, far in zip(edge, reach, strict=True) if far <= allowed and math.isfinite(far)]
    return [*kept, *centre]


def _inside(y: float, area: Area) -> float:
    return min(max(y, area.top), area.bottom)
