"""The frame of a chart with two axes: plot area, grid lines, tick labels, axis names and a legend."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mainspring.console.charts.scale import Scale
from mainspring.console.charts.svg import GRID, INK, MUTED, element, number, shorten, text, text_width

__all__ = ["Area", "LegendItem", "legend", "x_axis", "y_axis"]


class Area(msgspec.Struct, frozen=True):
    """Where the data goes, in pixels from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Its height in pixels."""
        return self.bottom - self.top


class LegendItem(msgspec.Struct, frozen=True):
    """One entry of a legend."""

    label: str
    colour: str
    dash: str = ""
    box: bool = False


def x_axis(scale: Scale, area: Area, *, label: str = "") -> list[str]:
    """Tick marks and labels under the plot; labels that would touch are left out."""
    room = max(2, int(area.width / 84))
    parts = [element("line", x1=area.left, x2=area.right, y1=area.bottom, y2=area.bottom, stroke=GRID)]
    free_from = -1e9
    # The axis name sits at the right end of the tick row; ticks keep clear of it.
    limit = area.right - text_width(label) - 10 if label else area.right + 20
    for value, shown in scale.ticks(room):
        at = scale(value)
        half = text_width(shown) / 2
        if not area.left - 1 <= at <= area.right + 1:
            continue
        parts.append(element("line", x1=at, x2=at, y1=area.bottom, y2=area.bottom + 4.0, stroke=GRID))
        if at - half >= free_from and at + half <= limit:
            parts.append(text(shown, at, area.bottom + 16, anchor="middle"))
            free_from = at + half + 10
    if label:
        parts.append(text(label, area.right, area.bottom + 16, anchor="end", font_style="italic"))
    return parts


def y_axis(scale: Scale, area: Area, *, label: str = "", grid: bool = True, share: bool = False) -> list[str]:
    """Grid lines across the plot, with their labels to the left; `share` shows fractions as per cent."""
    parts = []
    for value, shown in scale.ticks(max(2, int(area.height / 36))):
        at = scale(value)
        if not area.top - 1 <= at <= area.bottom + 1:
            continue
        if grid:
            parts.append(element("line", x1=area.left, x2=area.right, y1=at, y2=at, stroke=GRID, stroke_width=0.7))
        name = f"{value * 100:.4g}%" if share else shown
        parts.append(text(name, area.left - 6, at + 4, anchor="end"))
    if label:
        parts.append(
            text(
                label, area.left - 6, area.top - 8, anchor="start" if area.left < 40 else "middle", font_style="italic"
            )
        )
    return parts


def legend(
    items: Iterable[LegendItem], left: float, top: float, width: float, *, rows: int = 2
) -> tuple[list[str], float]:
    """A legend that wraps, and the height it took; what does not fit into `rows` is counted."""
    entries = list(items)
    parts: list[str] = []
    x, y, row = left, top + 10, 1
    for index, item in enumerate(entries):
        shown = shorten(item.label, min(220.0, width - 30))
        need = 22 + text_width(shown) + 14
        if x + need > left + width + 14 and x > left:
            if row == rows:
                parts.append(text(f"+ {len(entries) - index} more", min(x, left + width - 50), y))
                break
            x, y, row = left, y + 16, row + 1
        parts.append(_swatch(item, x, y))
        parts.append(text(shown, x + 20, y, fill=INK))
        x += need
    return parts, (16.0 * row if entries else 0.0)


def _swatch(item: LegendItem, x: float, y: float) -> str:
    if item.box:
        return element("rect", x=x, y=y - 9, width=14, height=9, rx=2, fill=item.colour, fill_opacity=0.75)
    return element(
        "line",
        x1=x,
        x2=x + 14,
        y1=y - 4,
        y2=y - 4,
        stroke=item.colour,
        stroke_width=2.5,
        stroke_dasharray=item.dash or None,
    )


def polyline(points: Iterable[tuple[float, float] | None]) -> str:
    """The `d` of a path through the points; None breaks the line.

    Steps are relative and written in tenths of a pixel, from where rounding has left the pen: a third shorter, and
    no error adds up.

    Example:
        >>> polyline([(1, 2), (2.5, 1), (4, 1)])
        'M1 2l1.5-1 1.5 0'
    """
    parts: list[str] = []
    pen: tuple[int, int] | None = None
    for point in points:
        if point is None:
            pen = None
            continue
        x, y = round(point[0] * 10), round(point[1] * 10)
        if pen is None:
            parts.append(f"M{number(x / 10)} {number(y / 10)}")
            lead = "l"
        else:
            across, down = number((x - pen[0]) / 10), number((y - pen[1]) / 10)
            parts.append(
                f"{lead}{'' if lead == 'l' or across[0] == '-' else ' '}{across}{'' if down[0] == '-' else ' '}{down}"
            )
            lead = ""
        pen = x, y
    return "".join(parts)


def muted_line(x1: float, y1: float, x2: float, y2: float, *, dash: str = "4 3", colour: str = MUTED) -> str:
    """A thin auxiliary line."""
    return element(
        "line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), stroke=colour, stroke_dasharray=dash or None
    )
