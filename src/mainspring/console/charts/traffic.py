"""Who answers the requests: the share of each version of an endpoint over time, stacked to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.console.charts.axes import Area, LegendItem, legend, polyline, x_axis, y_axis
from mainspring.console.charts.palette import series_colour, slot_of
from mainspring.console.charts.scale import Kind, Scale, finite, scale_for
from mainspring.console.charts.svg import SURFACE, clean, element, empty_figure, figure

__all__ = ["traffic_chart"]


def traffic_chart(
    at: Sequence[float],
    shares: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    until: float | None = None,
    x_kind: Kind = "time",
    width: float = 560.0,
    height: float = 200.0,
    empty: str = "No traffic plan yet",
) -> str:
    """Stacked steps: from `at[i]` on, `shares[name][i]` of the traffic went to `name`, until the next moment.

    Shares of a moment are scaled to one; a moment without any is drawn empty.

    Example:
        >>> traffic_chart([0, 60], {"1": [1.0, 0.9], "2": [0.0, 0.1]}, title="split").count('class="split"')
        2
    """
    moments = [
        (x, [max(finite(_at(values, index)) or 0.0, 0.0) for values in shares.values()])
        for index, raw in enumerate(at)
        if (x := finite(raw, x_kind)) is not None
    ]
    moments.sort(key=lambda moment: moment[0])
    end = finite(until, x_kind)
    if not any(any(values) for _, values in moments):
        return empty_figure(empty, width=width, height=height, title=title, kind="traffic")
    stop = max(moments[-1][0], moments[-1][0] if end is None else end)
    if stop <= moments[0][0]:
        stop = moments[0][0] + 1.0
    slots = _distinct([slot_of(name) for name in shares])
    items = [
        LegendItem(label=name, colour=series_colour(slot), box=True) for name, slot in zip(shares, slots, strict=True)
    ]
    head, used = legend(items, 8, 2, width - 16)
    area = Area(left=48, top=used + 12, right=width - 12, bottom=height - 26)
    xs = scale_for([moments[0][0], stop], area.left, area.right, kind=x_kind)
    if xs is None:
        return empty_figure(empty, width=width, height=height, title=title, kind="traffic")
    ys = Scale(0.0, 1.0, area.bottom, area.top)
    body = list(head)
    base = [0.0] * len(moments)
    for index, (name, slot) in enumerate(zip(shares, slots, strict=True)):
        part = [values[index] / sum(v / 2 for v in values) / 2 if any(values) else 0.0 for _, values in moments]
        top = [low + more for low, more in zip(base, part, strict=True)]
        body.append(
            _layer(
                name, [x for x, _ in moments], low=base, high=top, stop=stop, xs=xs, ys=ys, colour=series_colour(slot)
            )
        )
        base = top
    body += [*y_axis(ys, area, share=True), *x_axis(xs, area)]
    last = {name: values[index] for index, name in enumerate(shares) for values in (moments[-1][1],)}
    total = sum(value / 2 for value in last.values()) * 2 or 1.0
    described = "now " + ", ".join(f"{name} {value / total * 100:.3g}%" for name, value in last.items())
    return figure(body, width=width, height=height, title=title, description=described, kind="traffic")


def _layer(
    name: str,
    at: list[float],
    *,
    low: list[float],
    high: list[float],
    stop: float,
    xs: Scale,
    ys: Scale,
    colour: str,
) -> str:
    ends = [*at[1:], stop]
    upper = [point for x, end, y in zip(at, ends, high, strict=True) for point in ((xs(x), ys(y)), (xs(end), ys(y)))]
    lower = [point for x, end, y in zip(at, ends, low, strict=True) for point in ((xs(x), ys(y)), (xs(end), ys(y)))]
    path = polyline([*upper, *reversed(lower)]) + "Z"
    return element(
        "path",
        element("title", clean(name)),
        class_="split",
        d=path,
        fill=colour,
        fill_opacity="0.8",
        stroke=SURFACE,
        stroke_width=0.8,
    )


def _distinct(slots: list[int]) -> list[int]:
    """Areas have no dash to tell them apart, so two of one colour may not meet: the later takes the next free slot."""
    taken: list[int] = []
    for slot in slots:
        free = next((other % 10 for other in range(slot, slot + 10) if other % 10 not in taken), slot)
        taken.append(free)
    return taken


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None
