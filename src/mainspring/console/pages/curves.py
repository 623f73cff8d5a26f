"""Histories of metrics as charts: which options there are, and how buckets become a line with its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.console.charts import Series
from mainspring.console.page import Ask, Crumb
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.types import Series as History
from mainspring.tracking.types import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.client.client import Client

__all__ = ["Curve", "CurveOptions", "curves", "options"]

_BUCKETS, _LEAST, _POINTS = 200, 24, 2400
"""Of one line at most, at least; of all lines of a page together, which keeps it under a hundred kilobytes."""
_BANDS = 3
"""More runs than this in one frame have no band: it would hide the others."""
_WEIGHTS = (0.0, 0.6, 0.9, 0.97)


class Curve(msgspec.Struct, frozen=True):
    """One metric with a line for every run that has it."""

    key: str
    series: list[Series]


class CurveOptions(msgspec.Struct, frozen=True):
    """How curves are drawn, all of it in the address; each choice with the address that changes it."""

    smoothing: float
    y: Literal["linear", "log"]
    x: Literal["step", "time", "log"]
    smoothings: list[Crumb]
    ys: list[Crumb]
    xs: list[Crumb]

    @property
    def x_kind(self) -> Literal["linear", "time", "log"]:
        """The kind of the x axis."""
        return "linear" if self.x == "step" else self.x


def options(ask: Ask) -> CurveOptions:
    """Read the options off the address."""
    try:
        smoothing = float(ask.get("smooth", "0"))
    except ValueError:
        smoothing = -1.0
    if not 0 <= smoothing < 1:
        raise InvalidInput(f"smooth={ask.get('smooth')!r} is not a number from 0 to below 1")
    return CurveOptions(
        smoothing=smoothing,
        y="log" if ask.get("y") == "log" else "linear",
        x=msgspec.convert(
            ask.get("x", "step") if ask.get("x") in ("time", "log") else "step", Literal["step", "time", "log"]
        ),
        smoothings=[
            Crumb(f"{weight:g}" if weight else "raw", ask.here(smooth=f"{weight:g}" if weight else ""))
            for weight in _WEIGHTS
        ],
        ys=[Crumb("linear", ask.here(y="")), Crumb("log", ask.here(y="log"))],
        xs=[Crumb("step", ask.here(x="")), Crumb("log", ask.here(x="log")), Crumb("time", ask.here(x="time"))],
    )


def curves(
    client: Client,
    labels: Mapping[str, str],
    keys: Sequence[str],
    chosen: CurveOptions,
    *,
    having: Sequence[TrackedRun] = (),
) -> list[Curve]:
    """A chart per metric; one question for all of them.

    Args:
        client: Whose tracking is asked.
        labels: Run id -> name in the legend.
        keys: The metrics.
        chosen: How they are drawn.
        having: The runs, where some may lack some of the metrics.
    """
    ids = [run.id for run in having] if having else list(labels)
    buckets = max(_LEAST, min(_BUCKETS, _POINTS // max(len(keys) * len(labels), 1)))
    drawn: dict[str, list[Series]] = {key: [] for key in keys}
    for each in client.tracking.series(ids, keys=list(keys), buckets=buckets) if keys and ids else []:
        drawn[each.key].append(
            _line(labels[each.run_id], each, by_time=chosen.x == "time", bands=len(labels) <= _BANDS)
        )
    return [Curve(key, lines) for key, lines in drawn.items()]


def _line(name: str, history: History, *, by_time: bool, bands: bool) -> Series:
    spread = bands and any(count > 1 for count in history.counts)
    return Series(
        name=name,
        key=history.run_id,
        x=[at / 1e6 for at in history.at] if by_time else [float(step) for step in history.steps],
        y=[
            mean if count > 1 else last
            for count, mean, last in zip(history.counts, history.mean, history.last, strict=True)
        ],
        low=history.minimum if spread else [],
        high=history.maximum if spread else [],
    )
