"""Triggers: what each waits for, as a tree; what fired and by which events; hooks and sources from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.charts.scale import span_label
from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.console.words import compact
from mainspring.pipelines.types_overview import TriggerMemory
from mainspring.pipelines.types_schedules import Fire
from mainspring.pipelines.types_triggers import (
    Absent,
    AllOf,
    AnyOf,
    Condition,
    Debounce,
    Hook,
    On,
    StreamSource,
    Trigger,
)

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "Branch", "branches"]

_FIRES = 40


class Branch(msgspec.Struct, frozen=True):
    """A condition in words, and what it is made of."""

    text: str
    detail: str = ""
    inside: list[Branch] = []
    memory: list[TriggerMemory] = []
    """What arrived for it, or what it waits for."""


class TriggerRow(msgspec.Struct, frozen=True):
    """A trigger."""

    trigger: Trigger
    condition: Branch
    flow_href: str
    fires_href: str
    last: Fire | None


class FireRow(msgspec.Struct, frozen=True):
    """One firing."""

    fire: Fire
    href: str


class TriggersPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `triggers.html`."""

    template = "triggers.html"

    rows: list[TriggerRow]
    name: str
    everything: str
    fires: list[FireRow]
    hooks: list[Hook]
    sources: list[StreamSource]
    origin: str


def triggers(client: Client, ask: Ask) -> TriggersPage:
    """Every trigger, or the one of a `name`."""
    name = ask.get("name")
    found = [each for each in client.pipelines.triggers() if not name or each.name == name]
    fires = client.pipelines.fires(kind="trigger", name=name, limit=200)
    memory = client.pipelines.trigger_memory(name=name)
    last: dict[str, Fire] = {}
    for each in fires:
        last.setdefault(each.name, each)
    return TriggersPage(
        title="Triggers",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        parts=parts(ask, "Triggers"),
        rows=[
            TriggerRow(
                each,
                with_memory(branches(each.condition), [one for one in memory if one.trigger == each.name]),
                ask.link(f"/flows/of/{each.flow}"),
                ask.here(name=each.name),
                last.get(each.name),
            )
            for each in found
        ],
        name=name,
        everything=ask.here(name=""),
        fires=[FireRow(each, ask.link(f"/flows/{each.run_id}") if each.run_id else "") for each in fires[:_FIRES]],
        hooks=client.pipelines.hooks(),
        sources=client.pipelines.sources(),
        origin=ask.origin,
    )


def branches(condition: Condition) -> Branch:
    """A condition as a tree of words.

    Example:
        >>> from mainspring.pipelines.types_triggers import absent, on
        >>> from datetime import timedelta
        >>> branches(absent(on("data.landed"), within=timedelta(hours=1))).text
        'for 1 h it did not happen that'
    """
    if isinstance(condition, On):
        return _on(condition)
    if isinstance(condition, AnyOf):
        return Branch("any of", inside=[branches(each) for each in condition.of])
    if isinstance(condition, AllOf):
        within = f"within {span_label(condition.within)}" if condition.within else "in any order"
        return Branch("all of", within, [branches(each) for each in condition.of])
    if isinstance(condition, Debounce):
        longest = f"at the latest {span_label(condition.longest)} after the first" if condition.longest else ""
        return Branch(f"quiet for {span_label(condition.seconds)} after", longest, [branches(condition.of)])
    return _absent(condition)


def with_memory(branch: Branch, memory: list[TriggerMemory], path: str = "0") -> Branch:
    """The tree, each part with what the trigger remembers of it."""
    parent, _, number = path.rpartition(".")
    mine = [
        each
        for each in memory
        if (each.path == path and branch.text != "all of") or (parent and each.path == parent and each.key == number)
    ]
    inside = [with_memory(each, memory, f"{path}.{at}") for at, each in enumerate(branch.inside)]
    return msgspec.structs.replace(branch, inside=inside, memory=mine[:20])


def _on(condition: On) -> Branch:
    checks = ", ".join(f"{each.field} {each.op} {compact(each.value, 60)}" for each in condition.where)
    subject = "" if condition.subject == "*" else f" of {condition.subject}"
    return Branch(f"{condition.kind}{subject}", f"where {checks}" if checks else "")


def _absent(condition: Absent) -> Branch:
    inside = [branches(condition.of)]
    if condition.after is not None:
        after = _on(condition.after)
        inside.append(Branch(f"after {after.text}", after.detail))
    by = f"each {condition.by} by itself" if condition.by else ""
    return Branch(f"for {span_label(condition.within)} it did not happen that", by, inside)


ENTRIES = (Entry("/flows/triggers", triggers),)
