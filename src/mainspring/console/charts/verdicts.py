"""Strips of verdicts: one cell for each validation or part, in their order, named when it is pointed at."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.console.charts.palette import status_colour
from mainspring.console.charts.svg import clean, element, figure

__all__ = ["verdict_strip"]


def verdict_strip(
    cells: Sequence[tuple[str, str]], *, title: str, width: float = 160.0, height: float = 20.0, most: int = 240
) -> str:
    """Cells `(name, verdict)`, oldest first; of more than `most` the newest. What failed is also lower than the others.

    Example:
        >>> verdict_strip([("@1", "passed"), ("@2", "failed")], title="dep_delay").count("<rect")
        2
    """
    shown = list(cells)[-most:]
    step = min(width / max(len(shown), 1), 14.0)
    gap = 2.0 if step > 6 else 0.5 if step > 2 else 0.0
    body = []
    for place, (name, verdict) in enumerate(shown):
        good = verdict == "passed"
        body.append(
            element(
                "rect",
                element("title", clean(f"{name}: {verdict}")),
                x=place * step,
                y=4.0 if good else 0.0,
                width=max(step - gap, 0.5),
                height=height - 4 if good else height,
                rx=1,
                fill=status_colour(verdict),
                fill_opacity=None if not good else "0.75",
            )
        )
    bad = sum(verdict != "passed" for _, verdict in shown)
    described = f"{len(shown)} results, {bad} of them not passed"
    return figure(body, width=width, height=height, title=title, description=described, kind="spark")
