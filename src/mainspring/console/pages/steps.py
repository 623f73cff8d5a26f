"""One step: what it was given and gave, what it said and showed, its tries, and why it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.answer_forms import Asked, asked
from mainspring.console.pages.flow_parts import Shown, message_of, shown, trace_of
from mainspring.console.words import short_id
from mainspring.kernel.errors import NotFound
from mainspring.pipelines.types import Attempt, FlowRun, StepRecord, Why
from mainspring.pipelines.types_waits import Wait

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.lineage.types import Graph

__all__ = ["ENTRIES"]

_LOG = 60_000
_OVER = ("finished", "failed", "cancelled", "crashed")


class Neighbour(msgspec.Struct, frozen=True):
    """An artifact that it used or made."""

    label: str
    kind: str
    href: str


class Try(msgspec.Struct, frozen=True):
    """A try that failed and was followed by another."""

    attempt: Attempt
    message: str
    trace: str


class StepPage(Page, frozen=True, kw_only=True):
    """The context of `step.html`."""

    template = "step.html"

    step: StepRecord
    run: FlowRun
    run_href: str
    error: str
    trace: str
    arguments: dict[str, str]
    output: Shown
    inputs: list[Neighbour]
    outputs: list[Neighbour]
    tries: list[Try]
    reasons: list[Why]
    previous_href: str
    cached_href: str
    wait: Wait | None
    asked: Asked | None
    log: str
    log_cut: bool
    before_href: str
    """The item before it, of a map."""
    after_href: str
    rests: bool
    """Whether its run can be changed now."""


def step_page(client: Client, ask: Ask) -> StepPage:
    """One step of a flow run."""
    why = client.pipelines.why_step(str(ask.params["step_id"]))
    step = why.step
    run = client.pipelines.get(step.run_id)
    wait = _wait(client, step)
    log = client.pipelines.logs(step.id)
    near = _items_beside(client, step)
    return StepPage(
        title=f"{step.name} [{step.item}]" if step.item >= 0 else step.name,
        section="flows",
        crumbs=[
            Crumb("Flows", ask.link("/flows")),
            Crumb(run.flow, ask.link(f"/flows/of/{run.flow}")),
            Crumb(f"run {short_id(run.id)}", ask.link(f"/flows/{run.id}")),
        ],
        live=step.finished_at is None and run.state not in _OVER,
        step=step,
        run=run,
        run_href=ask.link(f"/flows/{run.id}"),
        error=message_of(step.error),
        trace=trace_of(step.error) if trace_of(step.error) != message_of(step.error) else "",
        arguments=step.arguments,
        output=shown(client, step.output),
        inputs=_artifacts(client.lineage.why(step.id, limit=100), ask) if _known(step) else [],
        outputs=_artifacts(client.lineage.impact(step.id, limit=100), ask) if _known(step) else [],
        tries=[Try(each, message_of(each.error), trace_of(each.error)) for each in client.pipelines.attempts(step.id)],
        reasons=why.reasons,
        previous_href=ask.link(f"/flows/steps/{why.previous}") if why.previous else "",
        cached_href=ask.link(f"/flows/steps/{step.cached_from}") if step.cached_from else "",
        wait=wait,
        asked=(
            asked(wait, ask)
            if wait and wait.state == "open" and wait.wanted.kind == "ask" and run.state not in _OVER
            else None
        ),
        log=log[-_LOG:],
        log_cut=len(log) > _LOG,
        before_href=ask.link(f"/flows/steps/{near[0]}") if near[0] else "",
        after_href=ask.link(f"/flows/steps/{near[1]}") if near[1] else "",
        rests=run.state in (*_OVER, "paused"),
    )


def _known(step: StepRecord) -> bool:
    return step.state != "waiting"


def _wait(client: Client, step: StepRecord) -> Wait | None:
    if step.name not in ("sleep", "ask", "wait"):
        return None
    try:
        return client.pipelines.get_wait(step.id)
    except NotFound:
        return None  # a step of the user's own that has this name, or one that was marked


def _items_beside(client: Client, step: StepRecord) -> tuple[str, str]:
    """The ids of the items before and after it in its map."""
    if step.item < 0:
        return "", ""
    skipped = max(step.item - 1, 0)
    page = client.pipelines.find_steps(
        step.run_id, path=step.path, order="item", limit=3 if step.item else 2, after=str(skipped)
    )
    beside = {each.item: each.id for each in page.steps}
    return beside.get(step.item - 1, ""), beside.get(step.item + 1, "")


def _artifacts(graph: Graph, ask: Ask) -> list[Neighbour]:
    return [
        Neighbour(f"{node.name}@{node.version}", node.kind, ask.link(node_path(node)))
        for node in graph.nodes
        if node.distance == 1 and node.type == "artifact"
    ]


ENTRIES = (Entry("/flows/steps/{step_id}", step_page),)
