"""Small drawings of reports as SVG text, without a script and without a request: shares, series, parts.

Colours are the page's own (`var(--pass)`), so that they follow light and dark; every drawing says what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["part_strip", "series_line", "share_bar"]


def share_bar(share: float, least: float = 1.0, *, width: int = 120, height: int = 10) -> str:
    """A share of rows as a bar, with a mark where it must reach.

    Example:
        >>> share_bar(0.5).count("<rect"), "50 % hold" in share_bar(0.5)
        (2, True)
    """
    share = min(max(share, 0.0), 1.0)
    bad = share < least
    # What is missing to the whole must be seen, though it be one row in a million.
    filled = width if share == 1.0 else min(width * share, width - 2.0)
    mark = f'<line x1="{width * least:.1f}" x2="{width * least:.1f}" y1="0" y2="{height}" class="mark"/>'
    title = f"{_per_cent(share)} hold, {_per_cent(least)} must"
    return (
        f'<svg class="bar" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{title}"><title>{title}</title>'
        f'<rect width="{width}" height="{height}" rx="2" class="rest{" bad" if bad else ""}"/>'
        f'<rect width="{filled:.1f}" height="{height}" rx="2" class="{"failed" if bad else "passed"}"/>'
        f"{mark if least < 1 else ''}</svg>"
    )


def series_line(
    values: Sequence[float],
    *,
    low: float | None = None,
    high: float | None = None,
    title: str = "",
    width: int = 240,
    height: int = 44,
) -> str:
    """A series, oldest first, the last value marked, over the range in which that is normal; empty below two values."""
    if len(values) < 2:
        return ""
    ends = [each for each in (low, high) if each is not None]
    least, most = min(*values, *ends), max(*values, *ends)
    span = (most - least) or 1.0
    pad = 4.0

    def y(value: float) -> float:
        return round(height - pad - (value - least) / span * (height - 2 * pad), 1)

    step = (width - 2 * pad) / (len(values) - 1)
    points = " ".join(f"{pad + place * step:.1f},{y(value)}" for place, value in enumerate(values))
    band = ""
    if low is not None or high is not None:
        top, bottom = y(high if high is not None else most), y(low if low is not None else least)
        band = f'<rect x="0" width="{width}" y="{top}" height="{max(bottom - top, 1):.1f}" class="band"/>'
    outside = (low is not None and values[-1] < low) or (high is not None and values[-1] > high)
    name = escape(title or f"{len(values)} values, the last is {values[-1]:.6g}")
    return (
        f'<svg class="series" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{name}"><title>{name}</title>{band}<polyline points="{points}"/>'
        f'<circle cx="{width - pad:.1f}" cy="{y(values[-1])}" r="3" class="{"failed" if outside else "passed"}"/></svg>'
    )


def part_strip(parts: Sequence[tuple[str, str]], *, width: int = 640, height: int = 18) -> str:
    """Parts in their order as cells, `(name, verdict)`, each named when it is pointed at.

    Example:
        >>> part_strip([("2013-01", "passed"), ("2013-02", "failed")]).count("<rect")
        2
    """
    if not parts:
        return ""
    step = width / len(parts)
    gap = 1.0 if step > 4 else 0.0
    cells = "".join(
        f'<rect x="{place * step:.2f}" width="{max(step - gap, 0.5):.2f}" height="{height}" class="{escape(verdict)}">'
        f"<title>{escape(name)}: {escape(verdict)}</title></rect>"
        for place, (name, verdict) in enumerate(parts)
    )
    bad = sum(verdict != "passed" for _, verdict in parts)
    title = f"{len(parts)} parts, {bad} of them not passed"
    return (
        f'<svg class="parts" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' preserveAspectRatio="none" role="img" aria-label="{title}">{cells}</svg>'
    )


def _per_cent(share: float) -> str:
    return f"{share * 100:.6g} %"
