"""Backfills: a form with what it would do, and how far each is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

import msgspec

from mainspring.console.page import Ask, Crumb, Entry
from mainspring.console.pages.flow_parts import FlowsPart, parts
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.pipelines.types_backfills import BackfillItem, BackfillPlan, BackfillProgress, Reprocess
from mainspring.pipelines.types_schedules import Schedule

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_MOMENTS = 200
_ITEMS = 100


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the form."""

    schedule: str
    first: str
    last: str
    reprocess: str
    backward: bool
    parallel: str


class Preview(msgspec.Struct, frozen=True):
    """What a backfill would do, and the call that begins it."""

    plan: BackfillPlan
    moments: list[str]
    """In the zone of the schedule."""
    more: int
    values: dict[str, Any]
    """Arguments of `pipelines.backfill`."""


class BackfillRow(msgspec.Struct, frozen=True):
    """A backfill."""

    progress: BackfillProgress
    href: str
    flow_href: str
    shares: list[tuple[str, float]]
    """Of all its runs: the share in each state, the finished first."""


class ItemRow(msgspec.Struct, frozen=True):
    """One moment of a backfill."""

    item: BackfillItem
    href: str


class BackfillsPage(FlowsPart, frozen=True, kw_only=True):
    """The context of `backfills.html`."""

    template = "backfills.html"

    rows: list[BackfillRow]
    schedules: list[Schedule]
    filled: Filled
    choices: list[str]
    problem: str
    """What is wrong with the form."""
    preview: Preview | None
    name: str
    items: list[ItemRow]
    more_items: str
    everything: str


def backfills(client: Client, ask: Ask) -> BackfillsPage:
    """Backfills, newest first; with a filled form what it would do, with a `name` the moments of that one."""
    schedules = client.pipelines.schedules()
    name = ask.get("name")
    found = client.pipelines.backfills(limit=50) if not name else [client.pipelines.backfill_progress(name)]
    filled = _filled(ask)
    preview, problem = None, ""
    if ask.get("preview"):
        try:
            preview = _preview(client, schedules, filled, ask)
        except MainspringError as error:
            problem = f"{error.message}. {error.hint}".rstrip(". ") + "."
    items, more = _items(client, name, ask) if name else ([], "")
    return BackfillsPage(
        title="Backfills",
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=any(each.backfill.state == "running" for each in found) and not ask.get("preview"),
        parts=parts(ask, "Backfills"),
        rows=[_row(each, ask) for each in found],
        schedules=schedules,
        filled=filled,
        choices=list(get_args(Reprocess)),
        problem=problem,
        preview=preview,
        name=name,
        items=items,
        more_items=more,
        everything=ask.link("/flows/backfills"),
    )


def _filled(ask: Ask) -> Filled:
    today = ask.now.date()
    return Filled(
        schedule=ask.get("schedule"),
        first=ask.get("first") or f"{today - timedelta(days=7)}T00:00",
        last=ask.get("last") or f"{today - timedelta(days=1)}T23:59",
        reprocess=ask.get("reprocess") or "missing",
        backward=bool(ask.get("backward")),
        parallel=ask.get("parallel") or "16",
    )


def _preview(client: Client, schedules: list[Schedule], filled: Filled, ask: Ask) -> Preview:
    schedule = next((each for each in schedules if each.name == filled.schedule), None)
    if schedule is None:
        raise InvalidInput("a backfill is of a schedule", hint="choose one")
    zone = ZoneInfo(schedule.tz)
    first, last = (_moment(text, zone) for text in (filled.first, filled.last))
    if not (filled.parallel.isdigit() and len(filled.parallel) < 7):
        raise InvalidInput("how many at a time is a number", hint="0 for all")
    chosen: dict[str, Any] = {"schedule": schedule.name, "reprocess": filled.reprocess, "backward": filled.backward}
    plan = client.pipelines.plan_backfill(first, last, **chosen)
    shown = plan.moments[:_MOMENTS]
    values = {
        "name": f"{schedule.name}-{ask.now:%Y%m%d-%H%M%S}",
        "first": first.isoformat(),
        "last": last.isoformat(),
        "max_parallel": int(filled.parallel),
        **chosen,
    }
    told = [f"{each.astimezone(zone):%a %Y-%m-%d %H:%M}" for each in shown]
    return Preview(plan, told, max(plan.runs - len(shown), 0), values)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text[:40]!r} is not a moment", hint="as in 2026-12-24T02:15") from None


def _row(found: BackfillProgress, ask: Ask) -> BackfillRow:
    counts = {
        "finished": found.finished,
        "failed": found.failed,
        "cancelled": found.cancelled,
        "running": found.open,
        "waiting": found.waiting,
    }
    total = sum(counts.values()) or 1
    return BackfillRow(
        found,
        ask.link("/flows/backfills", name=found.backfill.id),
        ask.link(f"/flows/of/{found.backfill.flow}"),
        [(state, count / total) for state, count in counts.items() if count],
    )


def _items(client: Client, name: str, ask: Ask) -> tuple[list[ItemRow], str]:
    after = int(ask.get("after")) if ask.get("after").isdigit() else -1
    found = client.pipelines.backfill_items(name, limit=_ITEMS, after=after)
    rows = [ItemRow(each, ask.link(f"/flows/{each.run_id}") if each.run_id else "") for each in found]
    return rows, ask.here(after=found[-1].number) if len(found) == _ITEMS else ""


ENTRIES = (Entry("/flows/backfills", backfills),)
