"""Sparklines: a line the size of a word (Tufte, "Beautiful Evidence", 2006), for table cells."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.console.charts.axes import polyline
from mainspring.console.charts.palette import series_colour
from mainspring.console.charts.sampling import sample
from mainspring.console.charts.scale import number_label, scale_for
from mainspring.console.charts.svg import GRID, element, figure

__all__ = ["sparkline"]


def sparkline(
    values: Sequence[float | None], *, title: str, slot: int = 0, width: float = 96.0, height: float = 24.0
) -> str:
    """A small line through `values`, its last point marked; values that are not finite are left out.

    Example:
        >>> sparkline([1.0, 3.0, 2.0], title="auc").count("<circle")
        1
    """
    points = sample(list(range(len(values))), values, limit=int(width / 2))
    ys = scale_for(points.y, height - 4, 4)
    if ys is None:
        dash = element("line", x1=4.0, x2=width - 4, y1=height / 2, y2=height / 2, stroke=GRID)
        return figure([dash], width=width, height=height, title=title, description="no values", kind="spark")
    xs = scale_for([0.0, float(max(len(values) - 1, 1))], 4, width - 5)
    if xs is None:  # pragma: no cover -- 0 and at least 1 always make a scale
        return ""
    colour = series_colour(slot)
    path = polyline((xs(x), ys(y)) for x, y in zip(points.x, points.y, strict=True))
    described = f"{len(points.x)} points, from {number_label(points.y[0])} to {number_label(points.y[-1])}"
    return figure(
        [
            element("path", d=path, fill="none", stroke=colour, stroke_width=1.5, stroke_linejoin="round"),
            element("circle", cx=xs(points.x[-1]), cy=ys(points.y[-1]), r=2.2, fill=colour),
        ],
        width=width,
        height=height,
        title=title,
        description=described,
        kind="spark",
    )
