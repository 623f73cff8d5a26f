"""Flows: their runs and schedules, and one run as a graph of steps and as a Gantt chart on the same clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts import Bar, Edge, GanttRow, Node
from mainspring.console.charts.scale import span_label
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.kernel.clock import to_micros
from mainspring.pipelines.types import FlowRun, StepRecord, StepWhy
from mainspring.pipelines.types_schedules import Schedule
from mainspring.pipelines.values import blobs_in, digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mainspring.client.client import Client

__all__ = ["ENTRIES", "step_edges"]

_PAGE = 50
_STEPS = 2000
_ROWS = 120
"""Rows of the Gantt chart and of the table; a filter by state finds the others."""
_GATHERED = 200
"""Results of one name that are looked for together in an argument."""
_FAN = 8
"""A map of more items than this is one node of the graph."""
STATES = ("queued", "running", "finished", "failed", "cancelled", "crashed")


class FlowRow(msgspec.Struct, frozen=True):
    """A flow run in the table."""

    run: FlowRun
    href: str
    error: str


class FlowsPage(Page, frozen=True, kw_only=True):
    """The context of `flows.html`."""

    template = "flows.html"

    rows: list[FlowRow]
    names: list[Crumb]
    flow: str
    state: str
    states: list[Crumb]
    durations: list[float | None]
    """Seconds that the shown runs took, oldest first."""
    schedules: list[Schedule]
    older: str
    newer: str


class StepRow(msgspec.Struct, frozen=True):
    """A step in the table of its run."""

    step: StepRecord
    href: str
    error: str


class FlowRunPage(Page, frozen=True, kw_only=True):
    """The context of `flow_run.html`."""

    template = "flow_run.html"

    run: FlowRun
    error: str
    nodes: list[Node]
    edges: list[Edge]
    gantt: list[GanttRow]
    now: float | None
    """What ends the bars of steps that are running; None when none is."""
    rows: list[StepRow]
    hidden: int
    counts: dict[str, int]
    log: str
    chosen: StepRecord | None
    chosen_error: str
    chosen_log: str
    chosen_why: StepWhy | None
    lineage_href: str
    close_href: str


def flows(client: Client, ask: Ask) -> FlowsPage:
    """Flow runs, newest first, with the schedules that start them."""
    flow, state, before = ask.get("flow"), ask.get("state"), ask.get("before")
    found = client.pipelines.runs(flow=flow, state=state, limit=_PAGE, before=before)
    names = sorted({run.flow for run in found} | ({flow} if flow else set()))
    return FlowsPage(
        title="Flows",
        section="flows",
        live=not before,
        rows=[FlowRow(run, ask.link(f"/flows/{run.id}"), _message(run.error)) for run in found],
        names=[
            Crumb("All flows", ask.here(flow="", before="")),
            *(Crumb(each, ask.here(flow=each, before="")) for each in names),
        ],
        flow=flow,
        state=state,
        states=[
            Crumb("All", ask.here(state="", before="")),
            *(Crumb(each, ask.here(state=each, before="")) for each in STATES),
        ],
        durations=[_seconds(run.started_at, run.finished_at) for run in reversed(found)],
        schedules=client.pipelines.schedules(),
        older=ask.here(before=found[-1].id) if len(found) == _PAGE else "",
        newer=ask.here(before="") if before else "",
    )


def flow_run(client: Client, ask: Ask) -> FlowRunPage:
    """One flow run; `step=<id>` shows that step's arguments, error, log and why it ran."""
    run = client.pipelines.get(str(ask.params["run_id"]))
    steps = client.pipelines.steps(run.id, limit=_STEPS)
    chosen = next((step for step in steps if step.id == ask.get("step")), None)
    log = client.pipelines.logs(run.id)
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.state] = counts.get(step.state, 0) + 1
    nodes, edges = _graph(steps, ask)
    open_steps = any(step.finished_at is None for step in steps) and run.state == "running"
    return FlowRunPage(
        title=run.flow,
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows")), Crumb(run.flow, ask.link("/flows", flow=run.flow))],
        live=run.state in ("queued", "running"),
        run=run,
        error=_message(run.error),
        nodes=nodes,
        edges=edges,
        gantt=[_gantt_row(step, run, ask) for step in steps[:_ROWS]],
        now=to_micros(ask.now) / 1e6 if open_steps else None,
        rows=[StepRow(step, ask.here(step=step.id), _message(step.error)) for step in steps[:_ROWS]],
        hidden=max(len(steps) - _ROWS, 0),
        counts=counts,
        log=log,
        chosen=chosen,
        chosen_error=_trace(chosen.error) if chosen else "",
        chosen_log=client.pipelines.logs(chosen.id) if chosen else "",
        chosen_why=client.pipelines.why_step(chosen.id) if chosen else None,
        lineage_href=ask.link(f"/lineage/run/{run.id}"),
        close_href=ask.here(step=""),
    )


def _message(error: dict[str, Any] | None) -> str:
    return str(error.get("message") or error.get("type") or error) if error else ""


def _trace(error: dict[str, Any] | None) -> str:
    return str(error.get("traceback") or _message(error)) if error else ""


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (to_micros(end) - to_micros(start)) / 1e6 if start and end else None


def _group(step: StepRecord, fans: dict[str, int]) -> str:
    """The node that a step belongs to: its own, or that of the map it is an item of."""
    return step.path if step.item >= 0 and fans.get(step.path, 0) > _FAN else step.id


def _graph(steps: Sequence[StepRecord], ask: Ask) -> tuple[list[Node], list[Edge]]:
    fans: dict[str, int] = {}
    for step in steps:
        if step.item >= 0:
            fans[step.path] = fans.get(step.path, 0) + 1
    members: dict[str, list[StepRecord]] = {}
    for step in steps:
        members.setdefault(_group(step, fans), []).append(step)
    nodes = [_node(identity, inside, ask) for identity, inside in members.items()]
    group = {step.id: identity for identity, inside in members.items() for step in inside}
    pairs = dict.fromkeys((group[source], group[target]) for source, target in step_edges(steps))
    return nodes, [Edge(source=source, target=target) for source, target in pairs if source != target]


def _node(identity: str, inside: list[StepRecord], ask: Ask) -> Node:
    worst = min(inside, key=lambda step: ("failed", "running", "finished", "cached").index(step.state))
    first = inside[0]
    label = first.name if len(inside) == 1 else f"{first.name} \u00d7 {len(inside)}"
    if len(inside) == 1 and first.item >= 0:
        label = f"{first.name} [{first.item}]"
    spent = [seconds for step in inside if (seconds := _seconds(step.started_at, step.finished_at)) is not None]
    return Node(
        id=identity,
        label=label,
        detail=span_label(sum(spent)) if spent else "",
        status=worst.state,
        href=ask.here(step=worst.id),
    )


def step_edges(steps: Sequence[StepRecord]) -> list[tuple[str, str]]:
    """Which step's result was an argument of which, from oldest to newest.

    Told by digests: of blobs, of the value where it is plain JSON, and of the list of what calls of one name gave.
    True, False and None are too common to tell where they came from and make no edge.
    """
    makers: dict[str, tuple[str, ...]] = {}
    lists: dict[str, list[StepRecord]] = {}
    told: dict[str, int] = {}
    found = []
    for step in sorted(steps, key=lambda each: (each.started_at, each.id)):
        for name, group in lists.items():
            if name == step.name or told.get(name) == len(group) or len(group) > _GATHERED:
                continue
            told[name] = len(group)
            makers.setdefault(digest([each.output for each in group]), tuple(each.id for each in group))
        tokens = [token for token in (*step.uses, *step.inputs.values()) if token and token in makers]
        found += [(maker, step.id) for maker in dict.fromkeys(maker for token in tokens for maker in makers[token])]
        for blob in blobs_in(step.output):
            makers.setdefault(str(blob["digest"]), (step.id,))
        if step.output is None or isinstance(step.output, bool) or not _plain(step.output):
            continue
        lists.setdefault(step.name, []).append(step)
        if token := digest(step.output):
            makers.setdefault(token, (step.id,))
    return found


def _plain(tree: Any) -> bool:
    """Whether an encoded value is JSON through and through, and so its own content."""
    if isinstance(tree, dict):
        return "$" not in tree and all(_plain(each) for each in tree.values())
    return all(_plain(each) for each in tree) if isinstance(tree, list) else True


def _gantt_row(step: StepRecord, run: FlowRun, ask: Ask) -> GanttRow:
    end = to_micros(step.finished_at) / 1e6 if step.finished_at else None
    if end is None and run.finished_at is not None:
        end = to_micros(run.finished_at) / 1e6  # its process is gone; it ran no longer than its flow
    label = f"{step.name} [{step.item}]" if step.item >= 0 else step.name
    bar = Bar(start=to_micros(step.started_at) / 1e6, end=end, status=step.state)
    return GanttRow(label=label, bars=[bar], href=ask.here(step=step.id))


ENTRIES = (Entry("/flows", flows), Entry("/flows/{run_id}", flow_run))
