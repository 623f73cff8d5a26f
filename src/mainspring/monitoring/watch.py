"""The watch: cuts new traffic into windows, judges them, raises and resolves alerts. Called by the scheduler.

Safe to run in several schedulers: a window is committed only by the one that finds the monitor unchanged.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from mainspring.kernel.clock import now
from mainspring.kernel.errors import Conflict
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import Backend
from mainspring.monitoring.judge import drift_of, drift_share, figures_of
from mainspring.monitoring.reference import Reference, find_reference
from mainspring.monitoring.service import Monitoring
from mainspring.monitoring.types import Monitor, Window
from mainspring.serving.service import Serving

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["tick", "watch"]

_SCORE = "output.probability"
_TICK = timedelta(microseconds=1)
_references: dict[tuple[int, str], Reference] = {}


def tick(client: Client) -> None:
    """Look at every endpoint once."""
    for endpoint in client.serving.endpoints():
        watch(client.backend, endpoint.name)


def watch(backend: Backend, endpoint: str) -> list[Window]:
    """Judge what is new at one endpoint: windows that filled up, and labels that arrived; the windows cut now."""
    monitoring = Monitoring(backend)
    monitor = monitoring.monitor(endpoint)
    if monitor.paused:
        return []
    try:
        made = _cut(backend, monitor)
        _judge_labelled(backend, monitoring.monitor(endpoint))
    except Conflict:
        return []  # another scheduler was quicker; it has done the same
    return made


def _cut(backend: Backend, monitor: Monitor) -> list[Window]:
    serving, monitoring = Serving(backend), Monitoring(backend)
    model = serving.endpoint(monitor.endpoint).plan.champion.reference
    frame = serving.outcomes(monitor.endpoint, since=monitor.watermark).sort("at")
    made: list[Window] = []
    start = 0
    while frame.height - start >= monitor.limits.window_rows:
        stop = start + monitor.limits.window_rows
        piece = frame.slice(start, stop - start)
        window = _window(backend, monitor, model, piece)
        monitor = monitoring.record_window(window, expected=monitor.changed, watermark=window.until + _TICK)
        made.append(window)
        # Rows of the window's last moment that did not fit would never be looked at; a handful of many thousand.
        start = stop + int((frame["at"].slice(stop) <= window.until).sum())
    return made


def _window(backend: Backend, monitor: Monitor, model: str, piece: pl.DataFrame) -> Window:
    reference = _reference(backend, model)
    columns = drift_of(piece, reference)
    since, until = piece["at"].min(), piece["at"].max()
    return Window(
        id=new_id(),
        workspace=monitor.workspace,
        endpoint=monitor.endpoint,
        model=model,
        since=_moment(since),
        until=_moment(until),
        rows=piece.height,
        reference=reference.source,
        drifted=[each.column for each in columns if each.verdict == "drift"],
        drift_share=drift_share(columns, reference.importances),
        columns=columns,
        labelled=0,
        figures={},
        seen_at=now(),
    )


def _judge_labelled(backend: Backend, monitor: Monitor) -> None:
    serving, monitoring = Serving(backend), Monitoring(backend)
    pending = monitoring.windows(monitor.endpoint, unlabelled=True, limit=100)
    for window in reversed(pending):
        frame = serving.outcomes(
            monitor.endpoint,
            since=window.since,
            until=window.until + _TICK,
            model=window.model,
            labelled=True,
            columns=[_SCORE],
        )
        answered = serving_rows(window, frame)
        if answered.is_empty() or frame.height < monitor.limits.labelled * window.rows:
            continue
        figures = figures_of(
            answered["label"], answered["score"], _reference(backend, window.model).version.metrics, monitor.limits
        )
        judged = msgspec.structs.replace(window, labelled=frame.height, figures=figures, seen_at=now())
        monitoring.record_performance(judged)


def serving_rows(window: Window, frame: pl.DataFrame) -> pl.DataFrame:
    """`label` and `score` (probability of 1) of labelled rows; empty for a model that gives no probability of two classes."""
    del window
    if frame.is_empty() or _SCORE not in frame.columns:
        return pl.DataFrame(schema={"label": pl.Float64, "score": pl.Float64})
    return frame.select(
        pl.col("label").cast(pl.Float64), pl.col(_SCORE).cast(pl.List(pl.Float64)).list.last().alias("score")
    ).drop_nulls()


def _reference(backend: Backend, model: str) -> Reference:
    key = (id(backend), model)
    if key not in _references:
        if len(_references) > 1000:
            _references.clear()
        _references[key] = find_reference(backend, model)
    return _references[key]


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"the prediction log gave {value!r} for a moment")
    return value if value.tzinfo else value.replace(tzinfo=UTC)
