"""Calibration: what was predicted against what happened (reliability diagram, Niculescu-Mizil and Caruana, 2005)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.console.charts.axes import Area, LegendItem, legend, muted_line, polyline, x_axis, y_axis
from mainspring.console.charts.palette import series_colour, slots_of
from mainspring.console.charts.scale import Scale, finite, number_label
from mainspring.console.charts.svg import GRID, clean, element, empty_figure, figure, number

__all__ = ["CalibrationBin", "calibration_plot"]


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin of predictions: their mean, the share that came true, how many; `low`..`high` is its interval."""

    predicted: float
    observed: float
    count: float = 0.0
    low: float | None = None
    high: float | None = None


def calibration_plot(
    curves: dict[str, Sequence[CalibrationBin]],
    *,
    title: str,
    width: float = 340.0,
    height: float = 340.0,
    empty: str = "Not evaluated yet",
) -> str:
    """Observed frequency over predicted probability, with the diagonal of a perfect model and counts beneath.

    Example:
        >>> curve = [CalibrationBin(predicted=0.2, observed=0.25, count=10)]
        >>> calibration_plot({"v1": curve}, title="calibration").count("<circle")
        1
    """
    kept = {name: shown for name, bins in curves.items() if (shown := [each for each in bins if _drawable(each)])}
    if not kept:
        return empty_figure(empty, width=width, height=height, title=title, kind="calibration")
    looks = slots_of(list(kept)) if len(kept) > 1 else [(0, "")]
    items = [
        LegendItem(label=name, colour=series_colour(slot), dash=dash)
        for name, (slot, dash) in zip(kept, looks, strict=True)
    ]
    head, used = legend(items, 8, 2, width - 16) if len(kept) > 1 else ([], 0.0)
    area = Area(left=48, top=used + 24, right=width - 14, bottom=height - 72)
    xs, ys = Scale(0.0, 1.0, area.left, area.right), Scale(0.0, 1.0, area.bottom, area.top)
    counts = Area(left=area.left, top=area.bottom + 6, right=area.right, bottom=height - 26)
    body = [*head, *y_axis(ys, area, label="observed"), *x_axis(xs, counts, label="predicted")]
    body.append(muted_line(xs(0), ys(0), xs(1), ys(1)))
    most = max((each.count for bins in kept.values() for each in bins), default=0.0)
    for (name, bins), (slot, dash) in zip(kept.items(), looks, strict=True):
        body.append(_curve(name, bins, xs, ys, colour=series_colour(slot), dash=dash))
        if most > 0:
            body += [_count(each, xs, counts, share=each.count / most, colour=series_colour(slot)) for each in bins]
    gap = max(abs(each.predicted - each.observed) for bins in kept.values() for each in bins)
    described = f"{', '.join(kept)}: the largest gap between predicted and observed is {number_label(gap, 0.001)}"
    return figure(body, width=width, height=height, title=title, description=described, kind="calibration")


def _drawable(each: CalibrationBin) -> bool:
    shares = all(finite(value) is not None and -1e-9 <= value <= 1 + 1e-9 for value in (each.predicted, each.observed))
    return shares and (finite(each.count) or 0.0) >= 0 and finite(each.count) is not None


def _curve(name: str, bins: Sequence[CalibrationBin], xs: Scale, ys: Scale, *, colour: str, dash: str) -> str:
    ordered = sorted(bins, key=lambda each: each.predicted)
    parts = [element("title", clean(name))]
    for each in ordered:
        low, high = finite(each.low), finite(each.high)
        if low is not None and high is not None:
            x = number(xs(each.predicted))
            parts.append(
                element(
                    "path",
                    d=f"M{x} {number(ys(max(low, 0.0)))}V{number(ys(min(high, 1.0)))}",
                    stroke=colour,
                    stroke_width=1.2,
                    stroke_opacity="0.6",
                )
            )
    path = polyline((xs(each.predicted), ys(each.observed)) for each in ordered)
    parts.append(element("path", d=path, fill="none", stroke=colour, stroke_width=1.8, stroke_dasharray=dash or None))
    for each in ordered:
        tip = f"predicted {each.predicted:.3f}, observed {each.observed:.3f}, {number_label(each.count)} rows"
        parts.append(
            element(
                "circle", element("title", clean(tip)), cx=xs(each.predicted), cy=ys(each.observed), r=3, fill=colour
            )
        )
    return element("g", *parts)


def _count(each: CalibrationBin, xs: Scale, area: Area, *, share: float, colour: str) -> str:
    tall = max(share * area.height, 0.5)
    return element(
        "rect",
        x=xs(each.predicted) - 4,
        y=area.bottom - tall,
        width=8,
        height=tall,
        fill=colour,
        fill_opacity="0.35",
        stroke=GRID,
        stroke_width=0.3,
    )
