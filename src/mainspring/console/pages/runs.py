"""Runs: the table with its metrics, filters and order, and the page of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.links import node_path, run_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.curves import Curve, CurveOptions, curves, options
from mainspring.console.words import short_id
from mainspring.kernel.errors import NotFound
from mainspring.lineage.types import Graph, Run
from mainspring.tracking.types import Experiment, Metric, RunFile, TrackedRun

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "RunPage", "RunsPage"]

_PAGE = 40
_COLUMNS = 5
_SPARK = 28
"""Points of a small history in a row of the table."""
_CHARTS = 12
"""Charts of one page of a run; each asks for one history. The table under them has every metric."""
STATUSES = ("running", "finished", "failed", "cancelled", "crashed")


class Column(msgspec.Struct, frozen=True):
    """A column that the table can be ordered by."""

    key: str
    label: str
    href: str
    order: str
    """`ascending`, `descending`, or empty when the table is not ordered by it."""


class RunRow(msgspec.Struct, frozen=True):
    """One run in the table."""

    id: str
    label: str
    run: Run
    experiment: str
    href: str
    metrics: dict[str, Metric]
    params: dict[str, Any]
    tags: dict[str, str]
    spark: list[float | None]


class RunsPage(Page, frozen=True, kw_only=True):
    """The context of `runs.html`."""

    template = "runs.html"

    rows: list[RunRow]
    experiments: list[Experiment]
    experiment: str
    status: str
    statuses: list[Crumb]
    order: str
    metrics: list[Column]
    params: list[Column]
    started: Column
    spark: str
    """The metric whose history is drawn small; empty where no run has one."""
    older: str
    newer: str
    compare_path: str


class Neighbour(msgspec.Struct, frozen=True):
    """Something that a run used or made."""

    label: str
    kind: str
    role: str
    href: str


class RunPage(Page, frozen=True, kw_only=True):
    """The context of `run.html`."""

    template = "run.html"

    run: Run
    label: str
    experiment: str
    note: str
    source: dict[str, Any]
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: dict[str, Metric]
    curves: list[Curve]
    hidden: int
    """Metrics that have no chart on this page."""
    options: CurveOptions
    files: list[RunFile]
    inputs: list[Neighbour]
    outputs: list[Neighbour]
    children: list[Neighbour]
    lineage_href: str


def runs(client: Client, ask: Ask) -> RunsPage:
    """Tracked runs, filtered by experiment and status, ordered by any metric or parameter."""
    experiment, status, order, before = (ask.get(name) for name in ("experiment", "status", "order", "before"))
    found = client.tracking.runs(experiment=experiment, status=status, order_by=order, limit=_PAGE, before=before)
    metrics = _common([run.metrics for run in found])[:_COLUMNS]
    params = _common([run.params for run in found if run.params])[:_COLUMNS]
    spark = ask.get("spark") or next(
        (key for key in metrics if any(run.metrics[key].count > 1 for run in found if key in run.metrics)), ""
    )
    histories = _histories(client, found, spark)
    return RunsPage(
        title="Runs",
        section="runs",
        live=not before,
        rows=[_row(run, histories.get(run.id, []), ask) for run in found],
        experiments=client.tracking.experiments(),
        experiment=experiment,
        status=status,
        statuses=[
            Crumb("All", ask.here(status="", before="")),
            *(Crumb(each, ask.here(status=each, before="")) for each in STATUSES),
        ],
        order=order,
        metrics=[_column(f"metrics.{key}", key, order, ask) for key in metrics],
        params=[_column(f"params.{key}", key, order, ask) for key in params],
        started=_column("started_at", "Started", order or "-started_at", ask),
        spark=spark,
        older=ask.here(before=found[-1].id) if len(found) == _PAGE and not order else "",
        newer=ask.here(before="") if before else "",
        compare_path=ask.link("/compare"),
    )


def _common(rows: list[dict[str, Any]]) -> list[str]:
    """Keys, those that most rows have first."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))


def _histories(client: Client, found: list[TrackedRun], key: str) -> dict[str, list[float | None]]:
    having = [run.id for run in found if key in run.metrics]
    if not having:
        return {}
    return {
        each.run_id: [bucket.last for bucket in each.buckets]
        for each in client.tracking.series(having, key=key, buckets=_SPARK)
    }


def _column(key: str, label: str, order: str, ask: Ask) -> Column:
    now = {"-" + key: "descending", key: "ascending"}.get(order, "")
    return Column(key, label, ask.here(order=key if now == "descending" else "-" + key, before=""), now)


def _row(run: TrackedRun, spark: list[float | None], ask: Ask) -> RunRow:
    return RunRow(
        id=run.id,
        label=run.title or short_id(run.id),
        run=run.run,
        experiment=run.experiment,
        href=ask.link(run_path(run.id, run.run.kind)),
        metrics=run.metrics,
        params=run.params,
        tags=run.tags,
        spark=spark,
    )


def run_page(client: Client, ask: Ask) -> RunPage:
    """One run of any kind; what was logged into it, where it was tracked."""
    run_id = str(ask.params["run_id"])
    tracked = _tracked(client, run_id)
    run = tracked.run if tracked else client.lineage.run(run_id)
    keys = sorted(tracked.metrics, key=lambda key: (tracked.metrics[key].count < 2, key)) if tracked else []
    chosen = options(ask)
    why, impact = client.lineage.why(run.id, limit=1000), client.lineage.impact(run.id, limit=1000)
    experiment = tracked.experiment if tracked else ""
    label = (tracked.title if tracked else "") or (short_id(run.id) if experiment else run.name)
    crumbs = [Crumb("Runs", ask.link("/runs"))]
    if experiment:
        crumbs.append(Crumb(experiment, ask.link("/runs", experiment=experiment)))
    drawn = [key for key in keys if tracked and tracked.metrics[key].count > 1][:_CHARTS]
    return RunPage(
        title=label,
        section="runs",
        crumbs=crumbs,
        live=run.status == "running",
        run=run,
        label=label,
        experiment=experiment,
        note=tracked.note if tracked else "",
        source=tracked.source if tracked else {},
        params=tracked.params if tracked else dict(run.metadata),
        tags=tracked.tags if tracked else {},
        metrics=tracked.metrics if tracked else {},
        curves=curves(client, {run.id: label}, drawn, chosen),
        hidden=sum(1 for key in keys if tracked and tracked.metrics[key].count > 1) - len(drawn),
        options=chosen,
        files=client.tracking.files(run.id) if tracked else [],
        inputs=_neighbours(why, ask),
        outputs=_neighbours(impact, ask),
        children=[
            Neighbour(each.name, each.kind, each.status, ask.link(run_path(each.id, each.kind)))
            for each in client.lineage.runs(parent_id=run.id, limit=100)
        ],
        lineage_href=ask.link(f"/lineage/run/{run.id}"),
    )


def _tracked(client: Client, run_id: str) -> TrackedRun | None:
    try:
        return client.tracking.get(run_id)
    except NotFound:
        return None  # a run of another kind: a step, a deployment, an evaluation


def _neighbours(graph: Graph, ask: Ask) -> list[Neighbour]:
    """What is one edge away, with the role on that edge."""
    roles = {
        edge.target if edge.source == graph.root else edge.source: edge.role
        for edge in graph.edges
        if graph.root in (edge.source, edge.target)
    }
    return [
        Neighbour(
            f"{node.name}@{node.version}" if node.type == "artifact" else node.name,
            node.kind,
            "" if roles.get(node.id) == node.kind else roles.get(node.id, ""),
            ask.link(node_path(node)),
        )
        for node in graph.nodes
        if node.distance == 1
    ]


class Difference(msgspec.Struct, frozen=True):
    """One parameter over the compared runs."""

    name: str
    values: list[Any]
    differs: bool


class ComparePage(Page, frozen=True, kw_only=True):
    """The context of `compare.html`."""

    template = "compare.html"

    runs: list[RunRow]
    metrics: list[str]
    best: dict[str, list[str]]
    """Metric -> ids of the runs with its least and its greatest latest value."""
    differences: list[Difference]
    everything: bool
    toggle_href: str
    curves: list[Curve]
    options: CurveOptions


def compare(client: Client, ask: Ask) -> ComparePage:
    """Up to ten runs side by side: their curves in one frame each, and what differs between their parameters."""
    ids = list(dict.fromkeys(ask.query.get("run", [])))[:10]
    found = [client.tracking.get(each) for each in ids]
    rows = [_row(run, [], ask) for run in found]
    metrics = _common([run.metrics for run in found])
    chosen = options(ask)
    drawn = [key for key in metrics if any(key in run.metrics and run.metrics[key].count > 1 for run in found)][:6]
    names = sorted({name for run in found for name in run.params})
    everything = bool(ask.get("all"))
    differences = [_difference(name, found) for name in names]
    return ComparePage(
        title="Compare",
        section="runs",
        crumbs=[Crumb("Runs", ask.link("/runs"))],
        live=any(run.status == "running" for run in found),
        runs=rows,
        metrics=metrics,
        best={key: _extremes(key, found) for key in metrics},
        differences=[each for each in differences if each.differs or everything],
        everything=everything,
        toggle_href=ask.here(all="" if everything else "1"),
        curves=curves(client, {row.id: row.label for row in rows}, drawn, chosen, having=found),
        options=chosen,
    )


def _difference(name: str, found: list[TrackedRun]) -> Difference:
    values = [run.params.get(name) for run in found]
    return Difference(name, values, any(value != values[0] for value in values))


def _extremes(key: str, found: list[TrackedRun]) -> list[str]:
    values = [
        (run.metrics[key].last, run.id) for run in found if key in run.metrics and run.metrics[key].last is not None
    ]
    ordered = sorted((value, run_id) for value, run_id in values if value is not None)
    return [ordered[0][1], ordered[-1][1]] if len(ordered) > 1 else []


ENTRIES = (Entry("/runs", runs), Entry("/runs/{run_id}", run_page), Entry("/compare", compare))
