"""A flow: its runs beside its steps, and on the same rows when each step of one run ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.flow_parts import seconds
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import NotFound
from mainspring.pipelines.types_deployments import Deployment
from mainspring.pipelines.types_overview import GridCell, GridRow, RunMark, ScheduleOutlook

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]

_RUNS = 20
_ROWS = 40


class Column(msgspec.Struct, frozen=True):
    """A run."""

    run: RunMark
    href: str
    choose: str
    """This page with this run's chart."""
    chosen: bool
    share: float
    """Of the longest run shown, the share of time that it took."""


class Cell(msgspec.Struct, frozen=True):
    """The calls of a step in a run."""

    state: str
    count: int
    href: str


class Span(msgspec.Struct, frozen=True):
    """When a step ran in the chosen run, in seconds since it began."""

    state: str
    start: float
    end: float | None
    critical: list[tuple[float, float]]
    spent: float
    """Seconds that the end of the run waited for it."""


class Row(msgspec.Struct, frozen=True):
    """A step."""

    name: str
    cells: list[Cell | None]
    span: Span | None


class FlowPage(Page, frozen=True, kw_only=True):
    """The context of `flow.html`."""

    template = "flow.html"

    flow: str
    columns: list[Column]
    """Oldest first."""
    rows: list[Row]
    hidden: int
    """Rows that are on other pages."""
    next_rows: str
    first_rows: str
    older: str
    newer: str
    chosen: RunMark | None
    length: float
    """Seconds of the chosen run."""
    critical: list[tuple[str, float]]
    """Steps that its end waited for, the longest first, with the seconds."""
    schedules: list[ScheduleOutlook]
    deployment: Deployment | None
    runs_href: str
    backfill_href: str
    deployments_href: str


def flow(client: Client, ask: Ask) -> FlowPage:
    """The runs of a flow beside its steps; `run=<id>` chooses the one whose times are shown."""
    name = str(ask.params["flow"])
    grid = client.pipelines.run_grid(name, runs=_RUNS, before=ask.get("before"))
    schedules = [each for each in client.pipelines.schedule_outlook() if each.schedule.flow == name]
    versions = client.pipelines.deployments(flow=name, limit=100)
    if not grid.runs and not schedules and not versions and not ask.get("before"):
        raise NotFound(f"no flow {name!r} has run, or is scheduled or deployed", hint="the list of flows: /flows")
    chosen = next((run for run in grid.runs if run.id == ask.get("run")), _latest(grid.runs))
    place = grid.runs.index(chosen) if chosen else 0
    spans = _spans(client, chosen, grid.rows, place) if chosen else {}
    offset = int(ask.get("rows") or 0) if ask.get("rows").isdigit() or not ask.get("rows") else 0
    visible = grid.rows[offset : offset + _ROWS]
    longest = max((seconds(run.started_at, run.finished_at) or 0.0 for run in grid.runs), default=0.0)
    waited: dict[str, float] = {each: span.spent for each, span in spans.items() if span.spent > 0}
    return FlowPage(
        title=name,
        section="flows",
        crumbs=[Crumb("Flows", ask.link("/flows"))],
        live=True,
        flow=name,
        columns=[_column(run, chosen, longest, ask) for run in reversed(grid.runs)],
        rows=[Row(row.name, _cells(row, grid.runs, ask), spans.get(row.name)) for row in visible],
        hidden=len(grid.rows) - len(visible),
        next_rows=ask.here(rows=offset + _ROWS) if offset + _ROWS < len(grid.rows) else "",
        first_rows=ask.here(rows="") if offset else "",
        older=ask.here(before=grid.runs[-1].id, run="") if len(grid.runs) == _RUNS else "",
        newer=ask.here(before="", run="") if ask.get("before") else "",
        chosen=chosen,
        length=_length(chosen, grid.rows, place, ask) if chosen else 0.0,
        critical=sorted(waited.items(), key=lambda pair: -pair[1])[:6],
        schedules=schedules,
        deployment=next((each for each in versions if each.active), None),
        runs_href=ask.link("/flows/runs", flow=name),
        backfill_href=ask.link("/flows/backfills", schedule=schedules[0].schedule.name if schedules else ""),
        deployments_href=ask.link("/flows/deployments", flow=name),
    )


def _latest(runs: list[RunMark]) -> RunMark | None:
    """The newest run that has begun."""
    return next((run for run in runs if run.started_at is not None), None)


def _column(run: RunMark, chosen: RunMark | None, longest: float, ask: Ask) -> Column:
    took = seconds(run.started_at, run.finished_at) or 0.0
    return Column(
        run,
        ask.link(f"/flows/{run.id}"),
        ask.here(run=run.id),
        chosen is not None and run.id == chosen.id,
        took / longest if longest else 0.0,
    )


def _cells(row: GridRow, runs: list[RunMark], ask: Ask) -> list[Cell | None]:
    return [_cell(cell, run, row.name, ask) for cell, run in zip(reversed(row.cells), reversed(runs), strict=True)]


def _cell(cell: GridCell | None, run: RunMark, name: str, ask: Ask) -> Cell | None:
    if cell is None:
        return None
    one = ask.link(f"/flows/steps/{cell.step_id}")
    return Cell(cell.state, cell.count, one if cell.count == 1 else ask.link(f"/flows/{run.id}", name=name) + "#steps")


def _length(run: RunMark, rows: list[GridRow], place: int, ask: Ask) -> float:
    ends = [run.finished_at or ask.now]
    ends += [cell.finished_at for row in rows if (cell := row.cells[place]) and cell.finished_at]
    return max(to_micros(end) / 1e6 for end in ends) - _begin(run, rows, place)


def _begin(run: RunMark, rows: list[GridRow], place: int) -> float:
    """The beginning of the clock: of the run, or of a step of an earlier attempt of it."""
    starts = [run.started_at or run.created_at, *(cell.started_at for row in rows if (cell := row.cells[place]))]
    return to_micros(min(starts)) / 1e6


def _spans(client: Client, run: RunMark, rows: list[GridRow], place: int) -> dict[str, Span]:
    begin = _begin(run, rows, place)
    waited: dict[str, list[tuple[float, float]]] = {}
    spent: dict[str, float] = {}
    for each in client.pipelines.critical_path(run.id):
        stretches = waited.setdefault(each.name, [])
        low, high = each.ended - each.seconds - begin, each.ended - begin
        if stretches and low - stretches[-1][1] < 1e-3:
            stretches[-1] = (stretches[-1][0], high)
        elif len(stretches) < 40:
            stretches.append((low, high))
        spent[each.name] = spent.get(each.name, 0.0) + each.seconds
    found = {}
    for row in rows:
        cell = row.cells[place]
        if cell is None:
            continue
        end = cell.finished_at or run.finished_at
        found[row.name] = Span(
            cell.state,
            max(to_micros(cell.started_at) / 1e6 - begin, 0.0),
            to_micros(end) / 1e6 - begin if end else None,
            waited.get(row.name, []),
            spent.get(row.name, 0.0),
        )
    return found


ENTRIES = (Entry("/flows/of/{flow:path}", flow),)
