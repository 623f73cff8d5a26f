"""One flow run of any size: its graph, its steps on one clock, what it waits for and what its end waited for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts import Edge, Node
from mainspring.console.charts.scale import span_label
from mainspring.console.links import resource_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.answer_forms import Asked, asked
from mainspring.console.pages.flow_parts import Shown, cause_words, message_of, shown, trace_of
from mainspring.kernel.clock import to_micros
from mainspring.pipelines.overview import rank
from mainspring.pipelines.types import FlowRun, StepRecord
from mainspring.pipelines.types_overview import CriticalStep, RunShape, StepGroup
from mainspring.pipelines.types_triggers import Firing
from mainspring.pipelines.types_waits import Wait

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_ROWS = 60
"""Groups of steps on one clock; the others are on further pages."""
_NODES = 160
_STEPS = 40
_LIVE = ("queued", "running", "waiting", "paused")
_OVER = ("finished", "failed", "cancelled", "crashed")
_LOG = 40_000
"""Characters of a log that the page shows: its end."""


class GroupRow(msgspec.Struct, frozen=True):
    """A group of steps on the clock of the run."""

    label: str
    state: str
    counts: dict[str, int]
    total: int
    href: str
    start: float
    """Seconds after the run began."""
    end: float | None
    spent: float
    critical: list[tuple[float, float]]
    waited: float
    """Seconds that the end of the run waited for it."""
    waited_for: str
    """The same in words."""


class StepRow(msgspec.Struct, frozen=True):
    """A step in the table of its run."""

    step: StepRecord
    href: str
    error: str


class StepTable(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the steps, and what they were chosen by."""

    rows: list[StepRow]
    found: int
    """How many fit."""
    q: str
    name: str
    state: str
    states: list[Crumb]
    order: str
    order_href: str
    more_steps: str
    first_steps: str
    everything: str


class EventLine(msgspec.Struct, frozen=True):
    """An event that made a trigger fire."""

    number: int
    kind: str
    """Empty for one that is forgotten by now."""
    subject: str
    href: str


class Value(msgspec.Struct, frozen=True):
    """A named value."""

    name: str
    shown: Shown


class FlowRunPage(Page, frozen=True, kw_only=True):
    """The context of `flow_run.html`."""

    template = "flow_run.html"

    run: FlowRun
    error: str
    trace: str
    cause: str
    cause_href: str
    trigger: str
    """Which started it; empty when none did."""
    events: list[EventLine]
    """Because of which the trigger fired."""
    deployment_href: str
    flow_href: str
    counts: dict[str, int]
    counted: str
    """The same in words."""
    total: int
    by_name: bool
    nodes: list[Node]
    edges: list[Edge]
    undrawn: int
    groups: list[GroupRow]
    more_groups: str
    first_groups: str
    hidden_groups: int
    length: float
    critical: list[CriticalStep]
    """The longest of what its end waited for."""
    critical_seconds: float
    table: StepTable
    waits: list[Wait]
    asked: list[Asked]
    params: list[Value]
    result: Shown
    log: str
    log_cut: bool
    lineage_href: str
    actions: list[str]
    """What can be done with it now: cancel, pause, resume, retry, mark."""


def flow_run(client: Client, ask: Ask) -> FlowRunPage:
    """One flow run. `open` and `shut` show maps item by item or as one, `name`, `state` and `q` choose among steps."""
    run = client.pipelines.get(str(ask.params["run_id"]))
    shape = client.pipelines.run_shape(run.id, opened=ask.query.get("open", []), closed=ask.query.get("shut", []))
    chain = client.pipelines.critical_path(run.id)
    waits = client.pipelines.waits(run_id=run.id, state=None, limit=100)
    log = client.pipelines.logs(run.id)
    offset = int(ask.get("rows")) if ask.get("rows").isdigit() else 0
    visible = shape.groups[offset : offset + _ROWS]
    waited = _waited(chain, shape)
    nodes, edges = _graph(shape, waited, ask)
    begin = _begin(run, shape)
    return FlowRunPage(
        title=run.flow,
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows")), Crumb(run.flow, ask.link(f"/flows/of/{run.flow}"))],
        live=run.state in _LIVE,
        run=run,
        error=message_of(run.error),
        trace=trace_of(run.error) if trace_of(run.error) != message_of(run.error) else "",
        cause=cause_words(run.cause, run.created_by),
        cause_href=_cause_href(run, ask),
        trigger=run.cause.name if run.cause.kind == "trigger" else "",
        events=_events(client.pipelines.why_started(run.id), ask) if run.cause.kind == "trigger" else [],
        deployment_href=ask.link("/flows/deployments", flow=run.flow) if run.deployment else "",
        flow_href=ask.link(f"/flows/of/{run.flow}", run=run.id),
        counts=shape.counts,
        counted=", ".join(f"{shape.counts[state]:,} {state}" for state in sorted(shape.counts, key=rank)),
        total=sum(shape.counts.values()),
        by_name=shape.by_name,
        nodes=nodes,
        edges=edges,
        undrawn=max(len(shape.groups) - _NODES, 0),
        groups=[_group_row(group, begin, run, waited.get(group.key, []), ask) for group in visible],
        more_groups=ask.here(rows=offset + _ROWS) + "#clock" if offset + _ROWS < len(shape.groups) else "",
        first_groups=ask.here(rows="") + "#clock" if offset else "",
        hidden_groups=len(shape.groups) - len(visible),
        length=_length(run, shape, begin, ask),
        critical=sorted(chain, key=lambda each: -each.seconds)[:8],
        critical_seconds=sum(each.seconds for each in chain),
        table=_table(client, run.id, shape, ask),
        waits=waits,
        asked=[
            asked(wait, ask)
            for wait in waits
            if wait.state == "open" and wait.wanted.kind == "ask" and run.state not in _OVER
        ],
        params=[Value(name, shown(client, tree)) for name, tree in run.params.items()],
        result=shown(client, run.result),
        log=log[-_LOG:],
        log_cut=len(log) > _LOG,
        lineage_href=ask.link(f"/lineage/run/{run.id}"),
        actions=_actions(run),
    )


def _table(client: Client, run_id: str, shape: RunShape, ask: Ask) -> StepTable:
    found = client.pipelines.find_steps(
        run_id,
        q=ask.get("q"),
        name=ask.get("name"),
        state=ask.get("state"),
        order="longest" if ask.get("order") == "longest" else "begun",
        limit=_STEPS,
        after=ask.get("after") if ask.get("after").isdigit() else "",
    )
    return StepTable(
        rows=[StepRow(each, ask.link(f"/flows/steps/{each.id}"), message_of(each.error)) for each in found.steps],
        found=found.total,
        q=ask.get("q"),
        name=ask.get("name"),
        state=ask.get("state"),
        states=[
            Crumb("all", ask.here(state="", after="") + "#steps"),
            *(Crumb(each, ask.here(state=each, after="") + "#steps") for each in sorted(shape.counts, key=rank)),
        ],
        order=ask.get("order"),
        order_href=ask.here(order="" if ask.get("order") == "longest" else "longest", after="") + "#steps",
        more_steps=ask.here(after=found.following) + "#steps" if found.following else "",
        first_steps=ask.here(after="") + "#steps" if ask.get("after") else "",
        everything=ask.here(name="", state="", q="", after="") + "#steps",
    )


def _events(firing: Firing, ask: Ask) -> list[EventLine]:
    found = []
    for each in firing.events:
        subject = str(each.get("subject", ""))
        path = f"/flows/of/{subject[5:]}" if subject.startswith("flow/") else resource_path(subject)
        run = str((each.get("data") or {}).get("run", "")) if subject.startswith("flow/") else ""
        href = ask.link(f"/flows/{run}" if run else path) if path else ""
        found.append(EventLine(int(each.get("number", 0)), str(each.get("kind", "")), subject, href))
    return found


def _actions(run: FlowRun) -> list[str]:
    found = {
        "queued": ["pause", "cancel"],
        "running": ["pause", "cancel"],
        "waiting": ["pause", "cancel"],
        "paused": ["resume", "cancel"],
        "failed": ["retry"],
        "crashed": ["retry"],
        "cancelled": ["retry"],
    }.get(run.state, [])
    return [*(each for each in found if each != "retry" or run.location.address), "mark"]


def _cause_href(run: FlowRun, ask: Ask) -> str:
    path = {"schedule": "/flows/schedules", "trigger": "/flows/triggers", "backfill": "/flows/backfills"}
    found = path.get(run.cause.kind, "")
    return ask.link(found, name=run.cause.name) if found else ""


def _key_of(each: CriticalStep, known: set[str], *, by_name: bool) -> str:
    if by_name:
        return each.name
    for key in (each.path, f"{each.path}[{each.item}]"):
        if key in known:
            return key
    return f"{each.path}[...]"


def _waited(chain: Sequence[CriticalStep], shape: RunShape) -> dict[str, list[tuple[float, float]]]:
    """For each group the stretches of time, in seconds since 1970, in which the end of the run waited for it."""
    known = {group.key for group in shape.groups}
    found: dict[str, list[tuple[float, float]]] = {}
    for each in chain:
        stretches = found.setdefault(_key_of(each, known, by_name=shape.by_name), [])
        if stretches and each.ended - each.seconds - stretches[-1][1] < 1e-3:
            stretches[-1] = (stretches[-1][0], each.ended)
        else:
            stretches.append((each.ended - each.seconds, each.ended))
    return found


def _graph(shape: RunShape, waited: dict[str, list[tuple[float, float]]], ask: Ask) -> tuple[list[Node], list[Edge]]:
    drawn = shape.groups[:_NODES]
    known = {group.key for group in drawn}
    nodes = [_node(group, marked=group.key in waited, ask=ask) for group in drawn]
    return nodes, [
        Edge(source=source, target=target) for source, target in shape.edges if source in known and target in known
    ]


def _node(group: StepGroup, *, marked: bool, ask: Ask) -> Node:
    total = sum(group.counts.values())
    state = min(group.counts, key=rank)
    opened, shut = ask.query.get("open", []), ask.query.get("shut", [])
    toggle = ""
    if group.mapped:
        toggle = ask.here(open=[*opened, group.key], shut=[each for each in shut if each != group.key]) + "#graph"
    elif group.item == 0:
        toggle = ask.here(open=[each for each in opened if each != group.path], shut=[*shut, group.path]) + "#graph"
    return Node(
        id=group.key,
        label=_label(group),
        detail=span_label(group.spent) if group.finished_at or group.spent else "",
        status=state,
        href=_group_href(group, total, ask),
        marked=marked,
        toggle=toggle,
        opened=group.item == 0,
    )


def _label(group: StepGroup) -> str:
    total = sum(group.counts.values())
    if group.rest:
        return f"{group.name}, {total:,} more"
    if group.item >= 0:
        return f"{group.name} [{group.item}]"
    return group.name if total == 1 else f"{group.name} \u00d7 {total:,}"


def _group_href(group: StepGroup, total: int, ask: Ask) -> str:
    if total == 1:
        return ask.link(f"/flows/steps/{group.step_id}")
    return ask.here(name=group.name, after="", state="", q="") + "#steps"


def _group_row(group: StepGroup, begin: float, run: FlowRun, waited: list[tuple[float, float]], ask: Ask) -> GroupRow:
    end = group.finished_at or run.finished_at
    spent = sum(high - low for low, high in waited)
    return GroupRow(
        label="\u2003" * min(group.path.count("."), 6) + _label(group),
        state=min(group.counts, key=rank),
        counts=group.counts,
        total=sum(group.counts.values()),
        href=_group_href(group, sum(group.counts.values()), ask),
        start=max(to_micros(group.started_at) / 1e6 - begin, 0.0),
        end=to_micros(end) / 1e6 - begin if end else None,
        spent=group.spent,
        critical=[(low - begin, high - begin) for low, high in waited[:40]],
        waited=spent,
        waited_for=span_label(spent) if waited else "",
    )


def _begin(run: FlowRun, shape: RunShape) -> float:
    """The beginning of the clock: of the run, or of a step of an earlier attempt of it."""
    return min(to_micros(each) / 1e6 for each in (run.started_at or run.created_at, *_starts(shape)))


def _starts(shape: RunShape) -> list[datetime]:
    return [group.started_at for group in shape.groups[:1]]


def _length(run: FlowRun, shape: RunShape, begin: float, ask: Ask) -> float:
    ends = [run.finished_at or ask.now, *(group.finished_at for group in shape.groups if group.finished_at)]
    return max(to_micros(end) / 1e6 for end in ends) - begin


ENTRIES = (Entry("/flows/{run_id}", flow_run),)
