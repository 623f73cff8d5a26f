"""Drift reports as HTML: one file that needs nothing else, with histograms in SVG; and a piece for a notebook."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mainspring.quality.drift.histograms import Overlay
from mainspring.quality.drift.types import ColumnDrift, DriftReport

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["drift_html", "histogram_svg", "number", "summary_html"]

_DRAWN = 120
"""Columns with a histogram, the gravest first; the others stand in the table, and the page stays below 500 kB."""
_WIDTH, _HEIGHT, _FLOOR = 420, 150, 124
_LABELS = 10


def drift_html(report: DriftReport) -> str:
    """The whole report as one HTML page without requests to anywhere."""
    tally = {name: sum(each.verdict == name for each in report.columns) for name in
             ("drift", "warn", "insufficient data", "ok")}  # fmt: skip
    return _template().render(
        report=report, tally=tally, drawn=report.columns[:_DRAWN], left=len(report.columns) - _DRAWN,
        svg=histogram_svg, number=number, cells=_moved_cells,
    )  # fmt: skip


def summary_html(report: DriftReport) -> str:
    """The verdict and what moved, for a notebook."""
    moved = [each for each in report.columns if each.verdict in {"drift", "warn"}][:20]
    rows = "".join(
        f"<tr><td>{escape(each.verdict)}</td><td style='text-align:left'>{escape(each.column)}</td>"
        f"<td>{number(each.effect)}</td><td style='text-align:left'>{escape(each.reason)}</td></tr>"
        for each in moved
    )
    facts = f"{len(report.drifted)} of {len(report.columns)} columns drifted"
    return (
        f"<div><strong>drift: {report.verdict}</strong> <span>{facts}</span><table><tbody>{rows}</tbody></table></div>"
    )


def number(value: float | None) -> str:
    """A number with three digits that matter.

    Example:
        >>> number(1234567.0), number(0.00012345), number(0.25), number(None)
        ('1,230,000', '0.000123', '0.25', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if value and (abs(value) < 1e-4 or abs(value) >= 1e9):
        return f"{value:.2e}"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 1000:
        return f"{rounded:,.0f}"
    return f"{rounded:.3g}" if abs(rounded) >= 0.001 or not rounded else f"{rounded:f}".rstrip("0")


def histogram_svg(column: ColumnDrift) -> str:
    """Both distributions of a column over one axis, as shares of each sample; nothing where none are known."""
    found = column.overlay
    if found is None or not (found.edges or found.labels):
        return ""
    sides = [_shares(found.reference, found.outside[0]), _shares(found.current, found.outside[1])]
    top = max((*sides[0], *sides[1]), default=0.0) or 1.0
    title = f"<title>{escape(column.column)}: reference and current</title>"
    body = _bars(found, sides, top) if found.labels else _steps(sides, top) + _axis(found)
    grid = "".join(
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{_FLOOR - share * 116:.1f}" y2="{_FLOOR - share * 116:.1f}"/>'
        for share in (0.5, 1.0)
    )
    scale = f'<text class="tick" x="{_WIDTH}" y="6" text-anchor="end">{top:.1%} of rows</text>'
    label = escape(column.column)
    return (
        f'<svg viewBox="0 -4 {_WIDTH} {_HEIGHT + 4}" role="img" aria-label="{label}">{title}{grid}{body}'
        f'<line class="floor" x1="0" x2="{_WIDTH}" y1="{_FLOOR}" y2="{_FLOOR}"/>{scale}</svg>'
    )


def _shares(counts: Sequence[float], outside: float) -> list[float]:
    total = sum(counts) + outside
    return [count / total for count in counts] if total else [0.0 for _ in counts]


def _steps(sides: Sequence[Sequence[float]], top: float) -> str:
    """Two outlines, the reference filled softly behind, the current sample in front."""
    drawn = []
    for side, shares in zip(("reference", "current"), sides, strict=True):
        width = _WIDTH / len(shares)
        path = [f"M0 {_FLOOR}"]
        for place, share in enumerate(shares):
            path.append(f"V{_FLOOR - share / top * 116:.1f}H{(place + 1) * width:.1f}")
        drawn.append(f'<path class="{side}" d="{"".join(path)}V{_FLOOR}Z"/>')
    return "".join(drawn)


def _axis(found: Overlay) -> str:
    marks = []
    for place, anchor in ((0, "start"), (len(found.edges) // 2, "middle"), (len(found.edges) - 1, "end")):
        x = place / (len(found.edges) - 1) * _WIDTH
        label = _moment(found.edges[place]) if found.is_moment else number(found.edges[place])
        marks.append(f'<text class="tick" x="{x:.0f}" y="{_FLOOR + 16}" text-anchor="{anchor}">{escape(label)}</text>')
    return "".join(marks)


def _moment(micros: float) -> str:
    try:
        return dt.datetime.fromtimestamp(micros / 1e6, tz=dt.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return number(micros)


def _bars(found: Overlay, sides: Sequence[Sequence[float]], top: float) -> str:
    """Two bars for each value, side by side."""
    count = min(len(found.labels), _LABELS)
    slot = _WIDTH / count
    drawn = []
    for place in range(count):
        for shift, (side, shares) in enumerate(zip(("reference", "current"), sides, strict=True)):
            height = shares[place] / top * 116
            x = place * slot + slot * (0.12 + 0.39 * shift)
            drawn.append(
                f'<rect class="{side}" x="{x:.1f}" y="{_FLOOR - height:.1f}" width="{slot * 0.37:.1f}"'
                f' height="{height:.1f}" rx="1.5"/>'
            )
        label = found.labels[place]
        short = label if len(label) <= max(3, int(slot / 6.4)) else f"{label[: max(2, int(slot / 6.4) - 1)]}…"
        drawn.append(
            f'<text class="tick" x="{(place + 0.5) * slot:.1f}" y="{_FLOOR + 16}" text-anchor="middle">'
            f"{escape(short)}<title>{escape(label)}</title></text>"
        )
    return "".join(drawn)


def _moved_cells(column: ColumnDrift, count: int = 5) -> list[tuple[str, float, float]]:
    """The cells whose shares moved most: label, share before, share now."""
    n = sum(cell.reference for cell in column.cells) or 1
    m = sum(cell.current for cell in column.cells) or 1
    rows = [(cell.label, cell.reference / n, cell.current / m) for cell in column.cells]
    return sorted(rows, key=lambda row: -abs(row[1] - row[2]))[:count]


@functools.cache
def _template() -> Template:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("drift.html").read_text(encoding="utf-8"))
