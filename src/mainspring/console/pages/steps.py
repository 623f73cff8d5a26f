"""One step: what it was given and gave, what it said and showed, its tries, and why it ran."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts.scale import span_label
from mainspring.console.links import node_path
from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.answer_forms import Asked, asked
from mainspring.console.pages.flow_parts import Shown, message_of, shown, trace_of
from mainspring.console.words import compact, figure_label, short_id
from mainspring.kernel.errors import NotFound
from mainspring.pipelines.types import Attempt, FlowRun, StepRecord, Why
from mainspring.pipelines.types_cards import Part
from mainspring.pipelines.types_waits import Wait

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.lineage.types import Graph

__all__ = ["ENTRIES"]

_LOG = 60_000
_CARD_ROWS = 100
_OVER = ("finished", "failed", "cancelled", "crashed")


class Neighbour(msgspec.Struct, frozen=True):
    """An artifact that it used or made."""

    label: str
    kind: str
    href: str


class CardPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what it showed of itself, as the page draws it."""

    kind: str
    """`markdown`, `metric`, `table`, `progress`, `image` or `page`."""
    title: str
    text: str = ""
    columns: list[str] = []
    rows: list[list[str]] = []
    total: int = 0
    share: float | None = None
    """Of a progress that has an end."""
    src: str = ""
    at: datetime


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
    card: list[CardPart]
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
        card=[_part(each, step.id, ask) for each in client.pipelines.card(step.id)],
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


def _part(part: Part, step_id: str, ask: Ask) -> CardPart:
    """A part of a card; whatever is not as it should be is shown as JSON, for steps may send anything."""
    content = part.content
    found = CardPart(kind=part.kind, title=part.title, at=part.at)
    if part.kind == "markdown" and isinstance(content.get("text"), str):
        return msgspec.structs.replace(found, text=content["text"])
    if part.kind == "metric" and "value" in content:
        before = content.get("before")
        told = f"{compact(content['value'], 40)} {content.get('unit') or ''}".strip()
        return msgspec.structs.replace(found, text=told, rows=[["before", compact(before, 40)]] if before else [])
    if part.kind == "progress" and isinstance(content.get("done"), int | float):
        return _progress(found, content)
    if part.kind == "table" and isinstance(content.get("columns"), list) and isinstance(content.get("rows"), list):
        columns = [str(each) for each in content["columns"]]
        rows = [[compact(cell, 80) for cell in row] for row in content["rows"][:_CARD_ROWS] if isinstance(row, list)]
        return msgspec.structs.replace(found, columns=columns, rows=rows, total=int(content.get("total") or len(rows)))
    if content.get("digest"):
        image = str(content.get("media_type", "")).startswith("image/")
        src = ask.link(f"/flows/steps/{step_id}/card/{part.number}")
        return msgspec.structs.replace(found, kind="image" if image else "page", src=src)
    return msgspec.structs.replace(found, kind="json", text=compact(content, 2000))


def _progress(found: CardPart, content: dict[str, Any]) -> CardPart:
    done, total, spent = content["done"], content.get("total"), content.get("seconds") or 0.0
    if not isinstance(total, int | float) or total <= 0:
        return msgspec.structs.replace(found, text=f"{figure_label(done)} in {span_label(float(spent))}")
    share = min(max(done / total, 0.0), 1.0)
    left = f", {span_label(spent * (1 - share) / share)} left" if 0 < share < 1 and spent else ""
    told = f"{figure_label(done)} of {figure_label(total)} in {span_label(float(spent))}{left}"
    return msgspec.structs.replace(found, text=told, share=share)


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
