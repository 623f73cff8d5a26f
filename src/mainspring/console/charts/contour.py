"""A value over two dimensions: fields coloured by what was measured near them, and where it was measured."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.console.charts.axes import Area
from mainspring.console.charts.dimension import Dimension
from mainspring.console.charts.scatter import Point, frame_area, frame_of, ramp
from mainspring.console.charts.svg import INK, clean, element, empty_figure, figure, number, text

__all__ = ["contour_chart"]

_FIELDS = 28
_MOST = 300
_LEVELS = 10


def contour_chart(
    points: Sequence[Point],
    *,
    x: Dimension,
    y: Dimension,
    title: str,
    legend: tuple[str, str] = ("low", "high"),
    width: float = 560.0,
    height: float = 380.0,
    empty: str = "Too few trials for a surface",
) -> str:
    """Fields between points by the inverse of their squared distances (Shepard, 1968); `shade` is the value.

    Of more than 300 points, evenly many are taken; the ringed ones always.

    Example:
        >>> x, y = Dimension(name="a"), Dimension(name="b")
        >>> corners = [Point(x=i, y=j, shade=float(i)) for i in (0, 1) for j in (0, 1)]
        >>> contour_chart(corners, x=x, y=y, title="t").count("<circle")
        4
    """
    placed = [
        (across, up, each)
        for each in points
        if each.shade is not None and (across := x.share(each.x)) is not None and (up := y.share(each.y)) is not None
    ]
    if len(placed) < 3:
        return empty_figure(empty, width=width, height=height, title=title, kind="contour")
    if len(placed) > _MOST:
        every = -(-len(placed) // _MOST)
        placed = [each for place, each in enumerate(placed) if each[2].ring or place % every == 0]
    area = frame_area(y, width, height)
    wide = len(x.names) or _FIELDS
    high = len(y.names) or _FIELDS
    body = _fields(placed, area, wide, high)
    body += frame_of(x, y, area)
    for across, up, each in sorted(placed, key=lambda place: place[2].ring):
        dot = element(
            "circle",
            element("title", clean(each.label)) if each.label else "",
            cx=area.left + across * area.width,
            cy=area.bottom - up * area.height,
            r=5.0 if each.ring else 2.6,
            fill=ramp(each.shade or 0.0),
            stroke=INK,
            stroke_width=1.8 if each.ring else 0.6,
        )
        body.append(element("a", dot, href=each.href) if each.href else dot)
    body += _key(area.right, legend)
    described = f"{len(placed)} trials over {x.name} and {y.name}"
    return figure(body, width=width, height=height, title=title, description=described, kind="contour")


def _fields(placed: Sequence[tuple[float, float, Point]], area: Area, wide: int, high: int) -> list[str]:
    levels: dict[int, list[str]] = {}
    height = area.height / high + 0.4
    for row in range(high):
        fields = [_value(placed, (column + 0.5) / wide, (row + 0.5) / high) for column in range(wide)]
        column = 0
        while column < wide:  # neighbours of one level are one rectangle
            level, start = int(fields[column] * _LEVELS), column
            while column < wide and int(fields[column] * _LEVELS) == level:
                column += 1
            left, top = area.left + area.width * start / wide, area.bottom - area.height * (row + 1) / high
            across = number(area.width * (column - start) / wide + 0.4)
            levels.setdefault(level, []).append(f"M{number(left)} {number(top)}h{across}v{number(height)}h-{across}z")
    return [
        element("path", class_="field", d="".join(each), fill=ramp((level + 0.5) / _LEVELS))
        for level, each in sorted(levels.items())
    ]


def _value(placed: Sequence[tuple[float, float, Point]], across: float, up: float) -> float:
    total, weights = 0.0, 0.0
    for x, y, point in placed:
        weight = 1.0 / ((x - across) ** 2 + (y - up) ** 2 + 1e-4) ** 1.5
        weights += weight
        total += weight * (point.shade or 0.0)
    return min(max(total / weights, 0.0), 0.999)


def _key(right: float, legend: tuple[str, str]) -> list[str]:
    left = right - 84
    body = [text(legend[0], left - 6, 13, anchor="end")]
    body += [
        element("rect", x=left + 8.0 * step, y=4, width=8, height=10, fill=ramp((step + 0.5) / 5)) for step in range(5)
    ]
    body.append(text(legend[1], left + 46, 13))
    return body
