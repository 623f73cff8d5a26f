"""Heat strips: one row per name, one cell per moment, the deeper the more. For drift over time and for calendars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.console.charts.scale import finite, number_label
from mainspring.console.charts.svg import GRID, INK, clean, element, empty_figure, figure, shorten, text, text_width

__all__ = ["heat_strip"]

_STEPS = 5
_COLOURS = ("#e7eef8", "#b9d2f0", "#7fb0e4", "#3f83cf", "#174f96")
"""One hue from light to dark, so that order survives every form of colour vision and a grey printer."""


def heat_strip(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    limit: float | None = None,
    width: float = 560.0,
    empty: str = "No windows yet",
) -> str:
    """Cells coloured from 0 to `limit` (the largest value when None); a cell without a value is an outline.

    Example:
        >>> heat_strip(["Jan", "Feb"], {"distance": [0.1, None]}, title="drift").count('class="cell"')
        2
    """
    count = len(columns)
    shown = {
        name: [finite(values[index]) if index < len(values) else None for index in range(count)]
        for name, values in rows.items()
    }
    most = max((value for values in shown.values() for value in values if value is not None), default=None)
    if most is None or not count:
        return empty_figure(empty, width=width, height=96, title=title, kind="heat")
    top_value = limit if limit and limit > 0 else most if most > 0 else 1.0
    left = min(180.0, max(text_width(shorten(name, 160)) for name in shown) + 16)
    wide = (width - left - 8) / count
    height = 24.0 * len(shown) + 28
    body = []
    for row, (name, values) in enumerate(shown.items()):
        y = 24.0 * row + 4
        body.append(text(shorten(name, left - 12), left - 8, y + 14, anchor="end", fill=INK))
        body += [
            _cell(left + wide * index, y, wide, name=f"{name}, {columns[index]}", value=value, most=top_value)
            for index, value in enumerate(values)
        ]
    widest = max(text_width(label) for label in columns) + 8
    every = max(1, -int(-widest // wide))
    body += [
        text(columns[index], left + wide * (index + 0.5), height - 8, anchor="middle")
        for index in range(0, count, every)
    ]
    described = f"{len(shown)} rows over {count} columns, up to {number_label(most)}"
    return figure(body, width=width, height=height, title=title, description=described, kind="heat")


def _cell(x: float, y: float, wide: float, *, name: str, value: float | None, most: float) -> str:
    gap = 1.0 if wide > 4 else 0.0
    look: dict[str, object] = {"fill": "none", "stroke": GRID}
    if value is not None:
        step = min(_STEPS - 1, int(min(max(value / most, 0.0), 1.0) * _STEPS))
        look = {"fill": f"var(--h{step}, {_COLOURS[step]})"}
    tip = element("title", clean(f"{name}: {'no value' if value is None else number_label(value)}"))
    return element("rect", tip, class_="cell", x=x + gap, y=y, width=max(wide - 2 * gap, 0.5), height=20, rx=2, **look)
