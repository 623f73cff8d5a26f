"""Two distributions in one frame, reference against current: the picture behind every drift figure.

Both are shown as shares, since a year of training data and a day of traffic differ in their counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mainspring.console.charts.axes import Area, LegendItem, legend, x_axis, y_axis
from mainspring.console.charts.bars import usable_bins
from mainspring.console.charts.palette import series_colour
from mainspring.console.charts.scale import Kind, finite, number_label, scale_for
from mainspring.console.charts.svg import INK, clean, element, empty_figure, figure, number, shorten, text

__all__ = ["overlaid_bars", "overlaid_histogram"]

_REFERENCE, _CURRENT = "var(--ink-3, #8a929b)", series_colour(6)


def overlaid_histogram(
    edges: Sequence[float],
    reference: Sequence[float | None],
    current: Sequence[float | None],
    *,
    title: str,
    names: tuple[str, str] = ("reference", "current"),
    density: bool = False,
    time: bool = False,
    width: float = 320.0,
    height: float = 160.0,
    empty: str = "No values to compare",
) -> str:
    """Counts over common bin edges, drawn as shares: reference filled, current as an outline.

    With `density`, a share is divided by the width of its bin, which is what bins of different widths need.
    With `time`, the edges are seconds since 1970.

    Example:
        >>> overlaid_histogram([0, 1, 2], [5, 5], [1, 9], title="distance").count("<path")
        2
    """
    bins = [_shares(usable_bins(edges, counts)) for counts in (reference, current)]
    moved = _moved(bins[0], bins[1])
    bins = _dense(bins) if density else bins
    area = Area(left=44, top=24, right=width - 10, bottom=height - 24)
    shown = [each for side in bins for each in side]
    kind: Kind = "time" if time else "linear"
    xs = scale_for([edge for low, high, _ in shown for edge in (low, high)], area.left, area.right, kind=kind)
    ys = scale_for([share for _, _, share in shown], area.bottom, area.top, zero=True)
    if xs is None or ys is None or not any(share for _, _, share in shown):
        return empty_figure(empty, width=width, height=height, title=title, kind="overlay")
    head, _ = legend(
        [LegendItem(label=names[0], colour=_REFERENCE, box=True), LegendItem(label=names[1], colour=_CURRENT)],
        area.left,
        2,
        area.width,
        rows=1,
    )
    body = [*head, *([] if density else y_axis(ys, area, share=True)), *x_axis(xs, area)]
    for side, colour, filled in ((bins[0], _REFERENCE, True), (bins[1], _CURRENT, False)):
        if side:
            path = [f"M{number(xs(side[0][0]))} {number(area.bottom)}"]
            path += [f"L{number(xs(low))} {number(ys(share))}H{number(xs(high))}" for low, high, share in side]
            path.append(f"V{number(area.bottom)}")
            look = (
                {"fill": colour, "fill_opacity": "0.35"}
                if filled
                else {"fill": "none", "stroke": colour, "stroke_width": 1.8}
            )
            body.append(element("path", d="".join(path), **look))
    described = f"{names[0]} against {names[1]} in {max(map(len, bins))} bins"
    if moved is not None:
        described += f"; {number_label(moved * 100, 1)} per cent of the mass lies elsewhere"
    return figure(body, width=width, height=height, title=title, description=described, kind="overlay")


def overlaid_bars(
    labels: Sequence[str],
    reference: Sequence[float | None],
    current: Sequence[float | None],
    *,
    title: str,
    names: tuple[str, str] = ("reference", "current"),
    width: float = 320.0,
    limit: int = 12,
    ordered: bool = False,
    empty: str = "No categories to compare",
) -> str:
    """Counts of the same categories, drawn as shares in pairs of bars; the largest `limit` are shown.

    The largest come first, unless the categories are `ordered`.
    """
    rows = [
        (label, finite(a) or 0.0, finite(b) or 0.0) for label, a, b in zip(labels, reference, current, strict=False)
    ]
    rows = [(label, max(a, 0.0), max(b, 0.0)) for label, a, b in rows]
    most = max((value for row in rows for value in row[1:]), default=0.0)
    if not most:
        return empty_figure(empty, width=width, height=120, title=title, kind="overlay")
    sums = [math.fsum(part) or 1.0 for part in ([a / most for _, a, _ in rows], [b / most for _, _, b in rows])]
    shares = [(label, before / most / sums[0], after / most / sums[1]) for label, before, after in rows]
    largest = sorted(shares, key=lambda row: -max(row[1], row[2]))[:limit]
    kept = [row for row in shares if row in largest][:limit] if ordered else largest
    height = 26.0 * len(kept) + 48
    area = Area(left=min(120.0, width * 0.35), top=22, right=width - 44, bottom=height - 22)
    xs = scale_for([value for row in kept for value in row[1:]], area.left, area.right, zero=True)
    if xs is None:
        return empty_figure(empty, width=width, height=120, title=title, kind="overlay")
    head, _ = legend(
        [
            LegendItem(label=names[0], colour=_REFERENCE, box=True),
            LegendItem(label=names[1], colour=_CURRENT, box=True),
        ],
        8,
        2,
        width,
        rows=1,
    )
    body = list(head)
    for index, (label, before, after) in enumerate(kept):
        y = area.top + 26.0 * index
        body.append(text(shorten(label, area.left - 12), area.left - 6, y + 16, anchor="end", fill=INK))
        for offset, value, colour in ((3.0, before, _REFERENCE), (13.0, after, _CURRENT)):
            body.append(_bar(f"{label}: {value * 100:.2f}%", area.left, y + offset, xs(value), colour=colour))
        body.append(text(f"{after * 100:.3g}%", xs(max(before, after)) + 5, y + 16))
    if len(shares) > limit:
        body.append(text(f"and {len(shares) - limit} smaller categories", area.left, height - 6))
    described = "; ".join(f"{label} {before * 100:.1f}% to {after * 100:.1f}%" for label, before, after in kept[:6])
    return figure(body, width=width, height=height, title=title, description=described, kind="overlay")


def _bar(tip: str, left: float, y: float, right: float, *, colour: str) -> str:
    wide = max(right - left, 0.5)
    named = element("title", clean(tip))
    return element("rect", named, x=left, y=y, width=wide, height=9, rx=1.5, fill=colour, fill_opacity="0.8")


def _shares(bins: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Counts as shares of their sum; scaled down first, so that the sum of huge counts stays finite."""
    most = max((count for _, _, count in bins), default=0.0)
    if not most:
        return []
    total = math.fsum(count / most for _, _, count in bins)
    return [(low, high, count / most / total) for low, high, count in bins]


def _moved(before: list[tuple[float, float, float]], after: list[tuple[float, float, float]]) -> float | None:
    """The total variation distance of two lists of shares over the same bins; None when they are not comparable."""
    if not before or len(before) != len(after):
        return None
    return 0.5 * math.fsum(abs(a[2] - b[2]) for a, b in zip(before, after, strict=True))


def _dense(sides: list[list[tuple[float, float, float]]]) -> list[list[tuple[float, float, float]]]:
    """Shares divided by the width of their bins, on one scale for both sides, on which the greatest is one."""
    heights = [[share / (high - low) if high > low else 0.0 for low, high, share in side] for side in sides]
    most = max((height for side in heights for height in side if math.isfinite(height)), default=0.0)
    if not most:
        return sides
    return [
        [(low, high, min(height / most, 1.0)) for (low, high, _), height in zip(side, tall, strict=True)]
        for side, tall in zip(sides, heights, strict=True)
    ]
