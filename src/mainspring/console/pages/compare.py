"""Runs side by side: their charts, what differs between them, their parameters against their results."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts.palette import slot_of
from mainspring.console.links import run_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.words import is_bookkeeping, short_id
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.comparing import CodeDiff, DiffRow
from mainspring.tracking.importance import ParamImportance
from mainspring.tracking.types import TrackedRun

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "ComparePage"]

_MOST = 200
_SIDE_BY_SIDE = 12
"""More runs than these have charts, axes and points together, and no columns."""


class ComparedRun(msgspec.Struct, frozen=True):
    """One of the runs, as charts and heads of columns need it."""

    id: str
    label: str
    slot: int
    status: str
    experiment: str
    started_at: datetime
    finished_at: datetime | None
    href: str
    group: str = ""


class MetricLine(msgspec.Struct, frozen=True):
    """One metric over the runs."""

    key: str
    values: list[float | str | None]
    deltas: list[float | None]
    """To the baseline."""
    least: int
    greatest: int
    """Places of the runs with the least and the greatest value; -1 where they do not differ."""


class Difference(msgspec.Struct, frozen=True):
    """One parameter, package or the like over the runs."""

    name: str
    values: list[Any]
    differs: bool


class ComparePage(Page, frozen=True, kw_only=True):
    """The context of `compare.html`."""

    template = "compare.html"

    runs: list[ComparedRun]
    columns: list[ComparedRun]
    """Those that have a column; the first ones, where there are many."""
    baseline: str
    baselines: list[tuple[str, str, bool]]
    keys: list[str]
    metrics: list[MetricLine]
    params: list[Difference]
    tags: list[DiffRow]
    data: list[DiffRow]
    environment: list[DiffRow]
    code: list[CodeDiff]
    """Of each run whose code differs from the baseline's."""
    source: list[Difference]
    """Command, machine and interpreter."""
    importance: list[ParamImportance]
    importance_problem: str
    target: str
    targets: list[tuple[str, str, bool]]
    everything: bool
    toggle_href: str
    compare_columns: list[str]
    """Axes of the parallel coordinates: what differs between the parameters, then the metrics."""


def compare(client: Client, ask: Ask) -> ComparePage:
    """Up to two hundred runs together; the first twelve of them side by side."""
    ids = list(dict.fromkeys(ask.query.get("run", [])))[:_MOST]
    found = _runs(client, ids)
    shown = found[:_SIDE_BY_SIDE]
    everything = bool(ask.get("all"))
    baseline = ask.get("base") if ask.get("base") in {run.id for run in found} else (found[0].id if found else "")
    keys = sorted({key for run in found for key in run.metrics}, key=lambda key: (key.startswith("system/"), key))
    lines = [_line(key, shown, baseline) for key in keys if any(key in run.metrics for run in shown)]
    names = sorted({name for run in shown for name in run.params})
    params = [_over(name, [run.params.get(name) for run in shown]) for name in names]
    diff = client.tracking.diff([run.id for run in shown], baseline=baseline) if len(shown) > 1 else None
    target = ask.get("target")
    importance, trouble = _importance(client, found, target)
    sources = sorted({name for run in shown for name in run.source})
    source = [_over(name, [run.source.get(name) for run in shown]) for name in sources]
    return ComparePage(
        title="Compare",
        section="runs",
        crumbs=[Crumb("Runs", ask.link("/runs"))],
        follows=any(run.status == "running" for run in found),
        runs=[_compared(run, ask) for run in found],
        columns=[_compared(run, ask) for run in shown],
        baseline=baseline,
        baselines=[(run.title or short_id(run.id), ask.here(base=run.id), run.id == baseline) for run in shown],
        keys=keys,
        metrics=[line for line in lines if everything or line.least >= 0 or len(shown) < 2],
        params=[each for each in params if each.differs or everything],
        tags=[each for each in diff.tags if everything or not is_bookkeeping(each.name)] if diff else [],
        data=diff.data if diff else [],
        environment=diff.environment if diff else [],
        code=diff.code if diff else [],
        importance=importance,
        importance_problem=trouble,
        target=target,
        targets=[(key, ask.here(target=key), key == target) for key in keys if not key.startswith("system/")][:24],
        source=[each for each in source if each.differs or everything],
        everything=everything,
        toggle_href=ask.here(all="" if everything else "1"),
        compare_columns=[
            *(f"params.{name}" for name in _varying(found)[:6]),
            *(f"metrics.{key}" for key in keys if not key.startswith("system/")),
        ][:9],
    )


def _runs(client: Client, ids: list[str], *, fields: list[str] | None = None) -> list[TrackedRun]:
    if not ids:
        return []
    if len(ids) == 1:
        return [client.tracking.get(ids[0])]  # says so when there is no such run
    bad = next((each for each in ids if not each.replace("-", "").isalnum()), "")
    if bad:
        raise InvalidInput(f"{bad!r} is not the id of a run")
    among = ", ".join(f"'{each}'" for each in ids)
    runs = client.tracking.search(f"run_id IN ({among})", view="all", fields=fields, limit=_MOST).runs
    place = {each: index for index, each in enumerate(ids)}
    return sorted(runs, key=lambda run: place.get(run.id, len(ids)))


def _compared(run: TrackedRun, ask: Ask) -> ComparedRun:
    return ComparedRun(
        id=run.id,
        label=run.title or short_id(run.id),
        slot=slot_of(run.id),
        status=run.status,
        experiment=run.experiment,
        started_at=run.run.started_at,
        finished_at=run.run.finished_at,
        href=ask.link(run_path(run.id, run.run.kind)),
    )


def _line(key: str, runs: list[TrackedRun], baseline: str) -> MetricLine:
    metrics = [run.metrics.get(key) for run in runs]
    values: list[float | str | None] = [(each.special or each.last) if each else None for each in metrics]
    base = next((value for run, value in zip(runs, values, strict=True) if run.id == baseline), None)
    numbers = [(value, place) for place, value in enumerate(values) if isinstance(value, float | int)]
    differs = len({value for value, _ in numbers}) > 1
    return MetricLine(
        key=key,
        values=values,
        deltas=[
            value - base if isinstance(value, float | int) and isinstance(base, float | int) else None
            for value in values
        ],
        least=min(numbers)[1] if differs else -1,
        greatest=max(numbers)[1] if differs else -1,
    )


def _importance(client: Client, found: list[TrackedRun], target: str) -> tuple[list[ParamImportance], str]:
    """Over all runs of the experiments of these: a dozen compared runs explain nothing."""
    if not target or not found:
        return [], ""
    try:
        experiments = sorted({run.experiment for run in found})
        return client.tracking.importance(f"metrics.`{target.replace('`', '``')}`", experiments=experiments)[:20], ""
    except InvalidInput as error:
        return [], error.message


def _varying(runs: list[TrackedRun]) -> list[str]:
    names = sorted({name for run in runs for name in run.params})
    return [name for name in names if len({repr(run.params.get(name)) for run in runs}) > 1]


def _over(name: str, values: list[Any]) -> Difference:
    return Difference(name, values, any(value != values[0] for value in values))


class ChartsPage(Page, frozen=True, kw_only=True):
    """The context of `charts.html`."""

    template = "charts.html"

    runs: list[ComparedRun]
    keys: list[str]


def charts(client: Client, ask: Ask) -> ChartsPage:
    """The metrics of some runs, each with a chart."""
    found = _runs(client, list(dict.fromkeys(ask.query.get("run", [])))[:_MOST], fields=["metrics.*"])
    keys = {key for run in found for key in run.metrics}
    return ChartsPage(
        title="Charts",
        section="runs",
        crumbs=[Crumb("Runs", ask.link("/runs"))],
        follows=any(run.status == "running" for run in found),
        runs=[_compared(run, ask) for run in found],
        keys=sorted(keys, key=lambda key: (key.startswith("system/"), key)),
    )


ENTRIES = (Entry("/compare", compare), Entry("/charts", charts))
