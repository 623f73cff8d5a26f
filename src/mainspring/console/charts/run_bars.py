"""The last runs of a flow as bars the size of a word: the height is the time taken, colour and foot the state."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.console.charts.palette import status_colour, tone_of
from mainspring.console.charts.scale import finite, span_label
from mainspring.console.charts.svg import GRID, element, figure, number

__all__ = ["RunBar", "run_bars"]

_LEAST = 3.0


class RunBar(msgspec.Struct, frozen=True):
    """A run: its state and the seconds that it took; None while it has no end."""

    status: str
    seconds: float | None = None


def run_bars(runs: Sequence[RunBar], *, title: str, slots: int = 20, height: float = 28.0) -> str:
    """Runs from oldest to newest, right-aligned in `slots` places; what failed has a mark under its bar.

    One path for each tone and not one element for each run: a page has hundreds of them.

    Example:
        >>> run_bars([RunBar("finished", 2.0), RunBar("failed", 1.0)], title="nightly").count("<path")
        3
    """
    shown = list(runs)[-slots:]
    spans = [finite(each.seconds) for each in shown]
    longest = max((span for span in spans if span is not None), default=0.0)
    step, foot = 6.0, height - 5.0
    paths: dict[str, list[str]] = {}
    failed: list[str] = []
    for place, (run, span) in enumerate(zip(shown, spans, strict=True), start=slots - len(shown)):
        tall = _LEAST if span is None or longest <= 0 else max(_LEAST, (foot - 2) * span / longest)
        x = step * place + 3
        paths.setdefault(tone_of(run.status), []).append(f"M{number(x)} {number(foot)}v-{number(tall)}")
        if tone_of(run.status) == "bad":
            failed.append(f"M{number(x - 2)} {number(height - 1)}h4")
    width = step * slots
    body = [element("line", x1=0.0, x2=width, y1=foot + 0.5, y2=foot + 0.5, stroke=GRID)]
    body += [
        element("path", d="".join(parts), stroke=status_colour(tone), stroke_width=4, fill="none")
        for tone, parts in paths.items()
    ]
    if failed:
        body.append(element("path", d="".join(failed), stroke=status_colour("bad"), stroke_width=2, fill="none"))
    return figure(body, width=width, height=height, title=title, description=_spoken(shown, longest), kind="runs")


def _spoken(runs: Sequence[RunBar], longest: float) -> str:
    if not runs:
        return "no runs"
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.status] = counts.get(run.status, 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{told}; the longest took {span_label(longest)}" if longest else told
