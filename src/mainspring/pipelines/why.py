"""Why a step ran: the components of its key beside those of the same place in the run before."""

from __future__ import annotations

from mainspring.lineage.listing import with_digest
from mainspring.pipelines.tables_runs import STEPS
from mainspring.pipelines.types import FlowRun, StepRecord, StepWhy, Why
from mainspring.store.transaction import Transaction

__all__ = ["explain"]


def explain(tx: Transaction, run: FlowRun, step: StepRecord) -> StepWhy:
    """What differs between `step` and the same place of the last run of the flow that got there."""
    if step.state == "cached":
        return StepWhy(step, step.cached_from, [Why("cache", step.cached_from, "the same key was known")])
    previous = tx.fetch_one(
        STEPS,
        "JOIN flow_run ON flow_run.id = flow_step.run_id WHERE flow_run.workspace = ? AND flow_run.flow = ?"
        " AND flow_step.path = ? AND flow_step.item = ? AND flow_step.name = ? AND flow_step.run_id <> ?"
        " AND flow_step.id < ? AND flow_step.state IN ('finished', 'cached') ORDER BY flow_step.id DESC LIMIT 1",
        (run.workspace, run.flow, step.path, step.item, step.name, run.id, step.id),
    )
    if previous is None:
        return StepWhy(step, "", [Why("first run", "", "no run before this one got to this step")])
    codes = [_named(tx, "code", each.code, "parts") for each in (previous, step)]
    reasons = [Why(f"code: {name}", before, now) for name, before, now in _changes(*codes)]
    same_kind = bool(previous.contents) and bool(step.contents)
    before, now = (previous.contents, step.contents) if same_kind else (previous.inputs, step.inputs)
    reasons += [Why(f"input: {name}", old, new) for name, old, new in _changes(before, now)]
    if previous.environment != step.environment:
        packages = [_named(tx, "environment", each.environment, "packages") for each in (previous, step)]
        reasons += [Why(f"environment: {name}", old, new) for name, old, new in _changes(*packages)]
    if not reasons:
        asked = step.uncached or ("" if step.key else "the step does not ask for a cache")
        reasons = [Why("cache", "", asked)] if asked else []
    return StepWhy(step, previous.id, reasons)


def _changes(before: dict[str, str], now: dict[str, str]) -> list[tuple[str, str, str]]:
    """What was added, taken away or altered; an empty digest is never equal to another."""
    return [
        (name, before.get(name, ""), now.get(name, ""))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name) or not now.get(name)
    ]


def _named(tx: Transaction, kind: str, digest: str, field: str) -> dict[str, str]:
    """What the artifact with a digest says that it consists of."""
    found = with_digest(tx, digest, kind=kind)
    return dict(found.metadata.get(field, {})) if found else {}
