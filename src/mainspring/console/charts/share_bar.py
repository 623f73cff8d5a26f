"""One bar that is divided: how much of a whole is in each state."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.console.charts.palette import status_colour
from mainspring.console.charts.scale import finite
from mainspring.console.charts.svg import GRID, clean, element, figure

__all__ = ["share_bar"]


def share_bar(shares: Sequence[tuple[str, float]], *, title: str, width: float = 160.0, height: float = 12.0) -> str:
    """Stretches as long as the shares, of 1, that each state has; what is missing to 1 is empty.

    Example:
        >>> share_bar([("finished", 0.5), ("failed", 0.25)], title="backfill").count('class="share"')
        2
    """
    body = [element("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=2, fill="none", stroke=GRID)]
    x = 0.0
    for state, given in shares:
        share = min(max(finite(given) or 0.0, 0.0), 1.0)
        tip = element("title", clean(f"{state}: {share * 100:.3g}%"))
        body.append(
            element(
                "rect",
                tip,
                class_="share",
                x=x,
                y=0.0,
                width=min(share * width, width - x),
                height=height,
                fill=status_colour(state),
                fill_opacity="0.35" if state == "waiting" else "0.9",
            )
        )
        x = min(x + share * width, width)
    told = ", ".join(f"{share * 100:.3g}% {state}" for state, share in shares) or "nothing"
    return figure(body, width=width, height=height, title=title, description=told, kind="share")
