"""Histories of metrics as charts: which options there are, and how buckets become a line with its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.console.charts import Series
from mainspring.console.page import Ask, Crumb
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.types import Bucket, TrackedRun

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
    """A chart per metric; one question per chart, whatever the number of runs.

    Args:
        client: Whose tracking is asked.
        labels: Run id -> name in the legend.
        keys: The metrics.
        chosen: How they are drawn.
        having: The runs, where some may lack some of the metrics.
    """
    found = []
    buckets = max(_LEAST, min(_BUCKETS, _POINTS // max(len(keys) * len(labels), 1)))
    for key in keys:
        ids = [run.id for run in having if key in run.metrics] if having else list(labels)
        series = client.tracking.series(ids, key=key, buckets=buckets)
        found.append(
            Curve(
                key,
                [
                    _line(
                        labels[each.run_id],
                        each.run_id,
                        each.buckets,
                        by_time=chosen.x == "time",
                        bands=len(labels) <= _BANDS,
                    )
                    for each in series
                ],
            )
        )
    return found


def _line(name: str, run_id: str, buckets: list[Bucket], *, by_time: bool, bands: bool) -> Series:
    spread = bands and any(bucket.count > 1 for bucket in buckets)
    return Series(
        name=name,
        key=run_id,
        x=[to_micros(bucket.at) / 1e6 if by_time else float(bucket.step) for bucket in buckets],
        y=[bucket.mean if bucket.count > 1 else bucket.last for bucket in buckets],
        low=[bucket.minimum for bucket in buckets] if spread else [],
        high=[bucket.maximum for bucket in buckets] if spread else [],
    )
