"""Traffic of an endpoint: how it was split between versions over time, and how long answers took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts import Series
from mainspring.kernel.clock import to_micros

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.client.client import Client
    from mainspring.lineage.types import Run
    from mainspring.serving.types import Rollout

__all__ = ["Latency", "Traffic", "latency", "traffic"]

_BUCKETS = 60


class Traffic(msgspec.Struct, frozen=True):
    """The split: from each moment on, which share each version had."""

    at: list[float]
    shares: dict[str, list[float | None]]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Time of whole requests, in milliseconds."""

    series: list[Series]
    requests: int
    rows: int
    p50: float
    p95: float
    p99: float
    since: datetime
    until: datetime


def traffic(deployments: list[Run], rollouts: list[Rollout]) -> Traffic:
    """The split of an endpoint since it was made, from what was deployed and from the steps of its canaries."""
    moments = sorted({_seconds(run.started_at) for run in deployments if not run.parent_id} | _changes(rollouts))
    names: list[str] = []
    splits: list[dict[str, float]] = []
    for moment in moments:
        split = _split(moment, deployments, rollouts)
        splits.append(split)
        names += [name for name in split if name not in names]
    return Traffic(moments, {name: [split.get(name, 0.0) for split in splits] for name in names})


def _changes(rollouts: list[Rollout]) -> set[float]:
    return {
        _seconds(moment)
        for rollout in rollouts
        for moment in (*rollout.stepped, *([rollout.finished_at] if rollout.finished_at else []))
    }


def _split(moment: float, deployments: list[Run], rollouts: list[Rollout]) -> dict[str, float]:
    champion = ""
    turns = [(_seconds(run.started_at), str(run.metadata.get("model", ""))) for run in deployments if not run.parent_id]
    turns += [
        (_seconds(each.finished_at), each.challenger)
        for each in rollouts
        if each.finished_at and each.status == "promoted"
    ]
    for at, model in sorted(turns):
        if at <= moment:
            champion = model.removeprefix("model/")
    for rollout in rollouts:
        begun = [at for at in map(_seconds, rollout.stepped) if at <= moment]
        ended = rollout.finished_at is not None and _seconds(rollout.finished_at) <= moment
        if begun and not ended:
            weight = rollout.steps[len(begun) - 1]
            return {champion: 1 - weight, rollout.challenger.removeprefix("model/"): weight}
    return {champion: 1.0} if champion else {}


def latency(client: Client, endpoint: str, *, since: datetime, until: datetime) -> Latency | None:
    """Quantiles of the time that requests took, in at most 60 stretches; None without a request."""
    import polars as pl

    frame = client.serving.outcomes(endpoint, since=since, until=until, columns=[])
    if frame.is_empty():
        return None
    rows = frame.height
    requests = frame.select("request", "at", (pl.col("latency_us") / 1000).alias("ms")).unique("request")
    width = max((to_micros(until) - to_micros(since)) // _BUCKETS, 1)
    first = requests["at"].min()
    grouped = (
        requests.with_columns(((pl.col("at") - first).dt.total_microseconds() // width).alias("bucket"))
        .group_by("bucket")
        .agg(pl.col("at").min(), *(pl.col("ms").quantile(q, "nearest").alias(name) for name, q in _QUANTILES))
        .sort("bucket")
    )
    at = [to_micros(moment) / 1e6 for moment in grouped["at"].to_list()]
    whole = {name: float(requests["ms"].quantile(q, "nearest") or 0.0) for name, q in _QUANTILES}
    series = [
        Series(name=name, x=list(at), y=grouped[name].to_list(), slot=slot)
        for (name, _), slot in zip(_QUANTILES, (0, 1, 2), strict=True)
    ]
    return Latency(series=series, requests=requests.height, rows=rows, since=since, until=until, **whole)


_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def _seconds(moment: datetime) -> float:
    return to_micros(moment) / 1e6
