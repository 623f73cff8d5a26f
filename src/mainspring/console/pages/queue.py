"""The queue and its workers: what waits, of which kind and for how long; who does what; what is under a limit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.kernel.clock import to_micros
from mainspring.pipelines.types_limits import Claim, LimitUse
from mainspring.pipelines.types_overview import OpenTask, QueueGroup
from mainspring.store.queue_tables import WorkerRow

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]


class KindRow(msgspec.Struct, frozen=True):
    """What is queued of one kind."""

    kind: str
    pool: str
    ready: int
    later: int
    """What is for a moment that has not come."""
    running: int
    dead: int
    oldest_at: datetime | None
    """Since when the oldest that could run waits."""
    served: int
    """Workers that take this kind."""


class TaskRow(msgspec.Struct, frozen=True):
    """What a worker holds."""

    task: OpenTask
    href: str


class WorkerLine(msgspec.Struct, frozen=True):
    """A worker."""

    worker: WorkerRow
    state: str
    """`active`, or `lost` when its heartbeat is older than its lease."""
    tasks: list[TaskRow]


class QueuePage(FlowsPart, frozen=True, kw_only=True):
    """The context of `queue.html`."""

    template = "queue.html"

    kinds: list[KindRow]
    workers: list[WorkerLine]
    lost: int
    unserved: list[str]
    """Kinds that wait and that no worker takes."""
    limits: list[LimitUse]
    claims: list[Claim]
    limit: str


def queue(client: Client, ask: Ask) -> QueuePage:
    """What waits and who works; `limit=<name>` shows who is under it."""
    found = client.pipelines.queue_overview()
    lines = []
    for each in found.workers:
        age = (to_micros(ask.now) - to_micros(each.worker.seen_at)) / 1000
        tasks = [TaskRow(task, ask.link(f"/flows/{task.run_id}") if task.run_id else "") for task in each.tasks]
        lines.append(WorkerLine(each.worker, "lost" if age > each.worker.lease_ms else "active", tasks))
    lines.sort(key=lambda line: (line.state == "active", not line.tasks, line.worker.id))
    takers = [kind for line in lines if line.state == "active" for kind in line.worker.kinds]
    kinds = _kinds(found.groups, takers)
    limit = ask.get("limit")
    return QueuePage(
        title="Queue and workers",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        parts=parts(ask, "Queue"),
        kinds=kinds,
        workers=lines,
        lost=sum(line.state == "lost" for line in lines),
        unserved=[each.kind for each in kinds if each.ready and not each.served],
        limits=client.pipelines.limits(),
        claims=client.pipelines.claims(limit) if limit else [],
        limit=limit,
    )


def _kinds(groups: list[QueueGroup], takers: list[str]) -> list[KindRow]:
    found = []
    for kind in sorted({each.kind for each in groups}):
        by_state = {each.state: each for each in groups if each.kind == kind}
        counts = {state: each.count for state, each in by_state.items()}
        found.append(
            KindRow(
                kind,
                kind.partition(":")[2] if kind.startswith("flow:") else "",
                counts.get("ready", 0),
                counts.get("waiting", 0),
                counts.get("running", 0),
                counts.get("dead", 0),
                by_state["ready"].oldest_at if "ready" in by_state else None,
                takers.count(kind),
            )
        )
    return found


ENTRIES = (Entry("/flows/queue", queue),)
