"""The pictures of an evaluation as SVG: small, sharp at any size, in the colours of the page they stand on.

By hand, for a picture here is a few hundred bytes of lines and dots; a plotting library would add megabytes of script,
or pixels that do not follow a dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mainspring.quality.evaluation.types import CalibrationBin, Curve

__all__ = ["Dot", "bars", "beeswarm", "calibration", "columns", "dots", "heat", "lines", "scatter"]

_SLOTS = 6


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A value with its interval, in a row of its own."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class _Box:
    """The inner rectangle of a picture and the numbers at its ends."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 46
    top: float = 10
    right: float = 12
    bottom: float = 34

    def across(self, value: float) -> float:
        low, high = self.x
        share = (value - low) / (high - low) if high > low else 0.5
        return self.left + share * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        low, high = self.y
        share = (value - low) / (high - low) if high > low else 0.5
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def _svg(width: float, height: float, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two ends."""
    if not high > low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step * each for each in (1, 2, 5, 10) if (high - low) / (step * each) <= most)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _text(value: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"


def _axes(box: _Box, x_label: str, y_label: str) -> list[str]:
    base, end = box.height - box.bottom, box.width - box.right
    body = [f'<path class="grid" d="M{box.left:g} {base:g}H{end:g}"/>']
    body += [
        f'<text x="{box.across(tick):.1f}" y="{base + 14:g}" text-anchor="middle">{_text(tick)}</text>'
        for tick in _ticks(*box.x)
    ]
    for tick in _ticks(*box.y):
        place = box.down(tick)
        body.append(f'<path class="grid" d="M{box.left:g} {place:.1f}H{end:g}"/>')
        body.append(f'<text x="{box.left - 5:g}" y="{place + 3.5:.1f}" text-anchor="end">{_text(tick)}</text>')
    middle = (box.top + base) / 2
    body.append(
        f'<text class="axis" x="{(box.left + end) / 2:.1f}" y="{box.height - 4:g}" text-anchor="middle">'
        f'{escape(x_label)}</text><text class="axis" text-anchor="middle" '
        f'transform="translate(10 {middle:.1f}) rotate(-90)">'
        f"{escape(y_label)}</text>"
    )
    return body


def _diagonal(box: _Box, low: float, high: float) -> str:
    ends = f"M{box.across(low):.1f} {box.down(low):.1f}L{box.across(high):.1f} {box.down(high):.1f}"
    return f'<path class="muted" d="{ends}"/>'


def _path(box: _Box, x: Sequence[float], y: Sequence[float]) -> str:
    points = " ".join(f"{box.across(a):.1f},{box.down(b):.1f}" for a, b in zip(x, y, strict=True))
    return f'points="{points}"'


def _ends(values: Sequence[float], *, at_zero: bool = False, margin: float = 0.06) -> tuple[float, float]:
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if at_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return (low if at_zero and low == 0 else low - room), high + room


def lines(
    curves: Mapping[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    unit: bool = False,
    diagonal: bool = False,
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> str:
    """Lines by name; with `unit` both axes run from 0 to 1. `bands` has low and high ends at the points of a line."""
    across = [value for curve in curves.values() for value in curve.x]
    along = [value for curve in curves.values() for value in curve.y]
    along += [value for ends in (bands or {}).values() for end in ends for value in end]
    box = _Box(340, 280, (0.0, 1.0) if unit else _ends(across, margin=0.02), (0.0, 1.0) if unit else _ends(along))
    body = _axes(box, x, y)
    if diagonal:
        body.append(_diagonal(box, 0.0, 1.0))
    for slot, (name, curve) in enumerate(curves.items()):
        if bands and name in bands:
            low, high = bands[name]
            ring = _path(box, [*curve.x, *reversed(curve.x)], [*low, *reversed(high)])
            body.append(f'<polygon class="band s{slot % _SLOTS}" {ring}/>')
        body.append(f'<polyline class="line s{slot % _SLOTS}" {_path(box, curve.x, curve.y)}/>')
    if len(curves) > 1:
        body += [
            f'<text class="key s{slot % _SLOTS}" x="{box.width - 16:g}" y="{box.top + 12 + 14 * slot:g}" '
            f'text-anchor="end">{escape(name)}</text>'
            for slot, name in enumerate(curves)
        ]
    return _svg(box.width, box.height, title, body)


def calibration(bins: Sequence[CalibrationBin], *, title: str, several: bool = False) -> str:
    """What was said beside what came, with Wilson intervals; the dots grow with the rows.

    Of `several` classes it is the predicted one that is looked at.
    """
    box = _Box(340, 280, (0.0, 1.0), (0.0, 1.0))
    most = max((each.count for each in bins), default=1)
    body = _axes(box, *(("confidence", "accuracy") if several else ("predicted probability", "share of positives")))
    body.append(
        f'<path class="muted" d="M{box.across(0):.1f} {box.down(0):.1f}L{box.across(1):.1f} {box.down(1):.1f}"/>'
    )
    ordered = sorted(bins, key=lambda each: each.predicted)
    points = _path(box, [each.predicted for each in ordered], [each.observed for each in ordered])
    body.append(f'<polyline class="line s0" {points}/>')
    for each in ordered:
        at = box.across(each.predicted)
        ends = f"M{at:.1f} {box.down(each.observed_low):.1f}V{box.down(each.observed_high):.1f}"
        size = 2 + 3 * math.sqrt(each.count / most)
        told = f"{each.count:,} rows: {each.predicted:.3f} said, {each.observed:.3f} came"
        body.append(
            f'<path class="whisker s0" d="{ends}"/><circle class="dot s0" cx="{at:.1f}" '
            f'cy="{box.down(each.observed):.1f}" r="{size:.1f}"><title>{told}</title></circle>'
        )
    return _svg(box.width, box.height, title, body)


def dots(rows: Sequence[Dot], *, title: str, reference: float | None = None) -> str:
    """Values with intervals, one below another; the line is the reference, usually the value on all rows."""
    ends = [end for row in rows for end in (row.value, row.low, row.high, reference) if end is not None]
    height = 24 * len(rows) + 34
    box = _Box(700, height, _ends(ends), (0.0, 1.0), left=250, right=150)
    body = []
    for tick in _ticks(*box.x):
        at = box.across(tick)
        body.append(
            f'<path class="grid" d="M{at:.1f} 6V{height - 26:g}"/>'
            f'<text x="{at:.1f}" y="{height - 12:g}" text-anchor="middle">{_text(tick)}</text>'
        )
    if reference is not None:
        body.append(f'<path class="muted" d="M{box.across(reference):.1f} 6V{height - 26:g}"/>')
    for place, row in enumerate(rows):
        y = 18 + 24 * place
        kind = "s1" if row.strong else "s0"
        label = row.label if len(row.label) <= 38 else row.label[:36] + "…"
        body.append(
            f'<text class="name" x="242" y="{y + 4:g}" text-anchor="end"><title>{escape(row.label)}</title>'
            f"{escape(label)}</text>"
        )
        if row.low is not None and row.high is not None:
            body.append(
                f'<path class="whisker {kind}" d="M{box.across(row.low):.1f} {y:g}H{box.across(row.high):.1f}"/>'
            )
        if row.value is not None:
            body.append(f'<circle class="dot {kind}" cx="{box.across(row.value):.1f}" cy="{y:g}" r="4"/>')
        body.append(f'<text x="{box.width - 142:g}" y="{y + 4:g}">{escape(row.note)}</text>')
    return _svg(box.width, height, title, body)


def bars(rows: Sequence[tuple[str, float, float]], *, title: str) -> str:
    """Bars by name, each with its standard error."""
    height = 24 * len(rows) + 12
    box = _Box(700, height, _ends([end for _, value, error in rows for end in (value - error, value + error)],
                                  at_zero=True), (0.0, 1.0), left=250, right=90)  # fmt: skip
    body = []
    for place, (name, value, error) in enumerate(rows):
        y, start, end = 6 + 24 * place, box.across(min(0.0, value)), box.across(max(0.0, value))
        body.append(
            f'<text class="name" x="242" y="{y + 13:g}" text-anchor="end">{escape(name[:38])}</text>'
            f'<rect class="bar" x="{start:.1f}" y="{y:g}" width="{max(end - start, 0.5):.1f}" height="16" rx="2"/>'
        )
        if error:
            body.append(
                f'<path class="whisker ink" d="M{box.across(value - error):.1f} {y + 8:g}'
                f'H{box.across(value + error):.1f}"/>'
            )
        body.append(f'<text x="{box.across(max(value + error, 0.0)) + 6:.1f}" y="{y + 13:g}">{_text(value)}</text>')
    return _svg(box.width, height, title, body)


def columns(histogram: Curve, *, title: str, x: str) -> str:
    """A histogram: `x` has the edges, `y` the counts."""
    box = _Box(340, 280, (histogram.x[0], histogram.x[-1]), (0.0, max(histogram.y, default=1.0) * 1.05 or 1.0))
    body = _axes(box, x, "rows")
    for low, high, count in zip(histogram.x, histogram.x[1:], histogram.y, strict=False):
        left, top = box.across(low), box.down(count)
        wide = max(box.across(high) - left - 0.6, 0.4)
        body.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{box.down(0) - top:.1f}"/>'
        )
    if histogram.x[0] < 0 < histogram.x[-1]:
        body.append(f'<path class="muted" d="M{box.across(0):.1f} {box.top:g}V{box.down(0):.1f}"/>')
    return _svg(box.width, box.height, title, body)


def scatter(points: Curve, *, title: str, x: str, y: str, diagonal: bool = False) -> str:
    """Dots; with a diagonal both axes have the same ends."""
    across, along = _ends(points.x), _ends(points.y)
    if diagonal:
        across = along = (min(across[0], along[0]), max(across[1], along[1]))
    box = _Box(340, 280, across, along)
    body = _axes(box, x, y)
    if diagonal:
        body.append(_diagonal(box, *across))
    body += [
        f'<circle class="speck s0" cx="{box.across(a):.1f}" cy="{box.down(b):.1f}" r="2"/>'
        for a, b in zip(points.x, points.y, strict=True)
    ]
    return _svg(box.width, box.height, title, body)


def heat(matrix: Sequence[Sequence[float]], names: Sequence[str], *, title: str) -> str:
    """A confusion matrix: rows are what is true, columns what was predicted, shaded by the share of the row."""
    size = len(names)
    cell = max(18.0, min(64.0, 420.0 / size))
    left, top = 110.0, 46.0
    width, height = left + cell * size + 12, top + cell * size + 12
    body = [
        f'<text class="axis" x="{left:g}" y="14">predicted</text>',
        f'<text class="axis" x="{left - 8:g}" y="{top - 8:g}" text-anchor="end">true</text>',
    ]
    for at, name in enumerate(names):
        short = name if len(name) <= 14 else name[:13] + "…"
        body.append(
            f'<text class="name" x="{left - 8:g}" y="{top + cell * (at + 0.5) + 4:.1f}" text-anchor="end">'
            f'{escape(short)}</text><text x="{left + cell * (at + 0.5):.1f}" y="{top - 8:g}" text-anchor="middle">'
            f"{escape(short[: max(2, int(cell / 7))])}</text>"
        )
        total = sum(matrix[at]) or 1.0
        for other, count in enumerate(matrix[at]):
            share = count / total
            x, y = left + cell * other, top + cell * at
            told = f"{name} called {names[other]}: {count:,.6g} ({share:.1%})"
            body.append(
                f'<rect class="{"hit" if at == other else "miss"}" fill-opacity="{0.05 + 0.9 * share:.3f}" x="{x:.1f}" '
                f'y="{y:.1f}" width="{cell - 1.5:.1f}" height="{cell - 1.5:.1f}" rx="2">'
                f"<title>{escape(told)}</title></rect>"
            )
            if cell >= 40:
                body.append(
                    f'<text class="cell" x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}" text-anchor="middle">'
                    f"{share:.0%}</text>"
                )
    return _svg(width, height, title, body)


def beeswarm(rows: Sequence[tuple[str, Sequence[tuple[float, float | None]]]], *, title: str) -> str:
    """For each feature its contributions as dots; each has the contribution and how great the value is, 0 to 1."""
    height = 30 * len(rows) + 30
    every = [value for _, points in rows for value, _ in points]
    box = _Box(700, height, _ends(every, at_zero=True), (0.0, 1.0), left=200, right=20)
    base = height - 24
    body = [f'<path class="muted" d="M{box.across(0):.1f} 4V{base:g}"/>']
    body += [
        f'<text x="{box.across(tick):.1f}" y="{height - 8:g}" text-anchor="middle">{_text(tick)}</text>'
        for tick in _ticks(*box.x)
    ]
    for place, (name, points) in enumerate(rows):
        y = 18 + 30 * place
        body.append(f'<text class="name" x="192" y="{y + 4:g}" text-anchor="end">{escape(name[:30])}</text>')
        piled: dict[int, int] = {}
        for value, great in points:
            at = box.across(value)
            column = round(at / 3)
            piled[column] = pile = piled.get(column, -1) + 1
            away = (pile + 1) // 2 * (3 if pile % 2 else -3)
            shade = "none" if great is None else f"g{min(4, int(great * 5))}"
            body.append(f'<circle class="speck {shade}" cx="{at:.1f}" cy="{y + max(-12, min(12, away)):g}" r="2"/>')
    return _svg(box.width, height, title, body)
