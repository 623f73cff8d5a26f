"""Runs: the table, window by window, with the columns, order, groups, pins and baseline that its address names.

The page is drawn once by the server and then kept by `static/runs`, which asks the same address with `.json` for more
rows: what a row is stands here alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.console.charts.palette import slot_of
from mainspring.console.finding import Cell, cell_of, clause, key_of, order_by, view_of
from mainspring.console.links import run_path
from mainspring.console.page import Ask, Entry, Page
from mainspring.console.pages.run_groups import RunGroup, group_runs
from mainspring.console.words import short_id
from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.search import View
from mainspring.tracking.types import Experiment, TrackedRun
from mainspring.tracking.views import SavedView

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES", "STATUSES", "Column", "RunRow", "RunsPage", "row_of"]

_FIRST, _MOST = 50, 1000
"""Rows of the drawn page; rows that one window may have."""
_LOOKED_AT = 4
"""Newest runs whose keys decide on the columns when the address names none."""
_METRICS, _PARAMS = 5, 4
STATUSES = ("running", "finished", "failed", "cancelled", "crashed")
SHOWN = ("table", "charts", "parallel", "scatter")
ATTRIBUTES = {
    "status": "Status",
    "started_at": "Started",
    "duration": "Took",
    "experiment": "Experiment",
    "user": "By",
    "group": "Group",
    "note": "Note",
    "finished_at": "Ended",
    "run_id": "Id",
    "parent": "Parent",
}
"""What is known of every run, beside what was logged into it."""
_FIXED = ("status", "started_at", "duration")


class Column(msgspec.Struct, frozen=True):
    """One column: `metrics.loss`, `metrics.loss#min`, `params.depth`, `tags.family`, `tags` or an attribute."""

    id: str
    label: str
    kind: Literal["number", "text", "status", "time", "span", "tags"]
    order: str = ""
    """`ascending`, `descending`, or empty when the table is not ordered by it."""
    href: str = ""
    """The address that orders by it; empty where that cannot be."""


class RunRow(msgspec.Struct, frozen=True):
    """One run in the table; `cells` stand in the order of the columns."""

    id: str
    label: str
    slot: int
    """Of its colour, the same everywhere."""
    status: str
    experiment: str
    started_at: datetime
    finished_at: datetime | None
    group: str
    href: str
    cells: list[Cell]
    deleted: bool = False


class RunsPage(Page, frozen=True, kw_only=True):
    """The context of `runs.html`, and, as JSON, one window of the table."""

    template = "runs.html"

    show: str
    columns: list[Column]
    rows: list[RunRow]
    pinned: list[RunRow]
    baseline: str
    groups: list[RunGroup]
    """Instead of rows, where the address names what to group by."""
    grouped: list[str]
    next_page: str
    """What `page` must be to have the rows after these; empty at the end."""
    next_href: str
    total: int
    """Runs that match; -1 in a window that is not the first."""
    query: str
    problem: str
    """Why the filter cannot be read; empty when it can."""
    problem_at: int
    unknown: list[str]
    """Names in the filter or the order that no run has."""
    experiments: list[Experiment]
    chosen: list[str]
    statuses: list[tuple[str, str, bool]]
    views: list[SavedView]
    compare_path: str
    bare: bool
    """Whether nothing was ever tracked here."""


class _Asked(msgspec.Struct, frozen=True):
    """What an address asks for."""

    experiments: list[str]
    query: str
    status: str
    view: View
    columns: list[str]
    sort: list[str]
    grouped: list[str]
    limit: int
    page: str
    offset: int

    @property
    def filter(self) -> str:
        """The filter with the status that was chosen beside it."""
        status = clause("status", self.status) if self.status else ""
        return f"({self.query}) AND {status}" if self.query and status else self.query or status

    @property
    def fields(self) -> list[str]:
        """What the search must load."""
        named = [key_of(each)[0] for each in self.columns if "." in each]
        return [*named, "tags.*"] if "tags" in self.columns else named


class _Found(msgspec.Struct):
    """What was found for it, or why it cannot be read."""

    runs: list[TrackedRun] = []
    groups: list[RunGroup] = []
    next_page: str = ""
    unknown: list[str] = []
    total: int = 0
    problem: str = ""
    place: int = -1


def runs(client: Client, ask: Ask) -> RunsPage:
    """Tracked runs: filtered, ordered by several columns, grouped, in windows."""
    asked = _asked(client, ask)
    found = _find(client, asked)
    first = not asked.page and not asked.offset
    pinned = _pinned(client, ask, asked.fields) if first else []
    experiments = client.tracking.experiments(limit=200).experiments if first else []
    columns = [_column(each, [*pinned, *found.runs], asked.sort, ask) for each in [*_FIXED, *asked.columns]]
    statuses = ["", *STATUSES]
    return RunsPage(
        title="Runs",
        section="runs",
        follows=True,
        show=ask.get("show") if ask.get("show") in SHOWN else "table",
        columns=columns,
        rows=[row_of(run, columns, ask) for run in found.runs],
        pinned=[row_of(run, columns, ask) for run in pinned],
        baseline=ask.get("base"),
        groups=found.groups,
        grouped=asked.grouped,
        next_page=found.next_page,
        next_href=ask.here(page=found.next_page, offset="") if found.next_page else "",
        total=found.total,
        query=asked.query,
        problem=found.problem,
        problem_at=found.place,
        unknown=found.unknown,
        experiments=experiments,
        chosen=asked.experiments,
        statuses=[(each or "all", ask.here(status=each, page=""), each == asked.status) for each in statuses],
        views=client.tracking.views() if first else [],
        compare_path=ask.link("/compare"),
        bare=first and not found.runs and not experiments,
    )


def _asked(client: Client, ask: Ask) -> _Asked:
    chosen, view = ask.query.get("experiment", []), view_of(ask)
    return _Asked(
        experiments=chosen,
        query=ask.get("q").strip(),
        status=ask.get("status"),
        view=view,
        columns=ask.query.get("col") or _default_columns(client, chosen, view),
        sort=ask.query.get("sort", []),
        grouped=ask.query.get("group", []),
        limit=_number(ask.get("limit", str(_FIRST))),
        page=ask.get("page"),
        offset=int(ask.get("offset")) if ask.get("offset").isdecimal() else 0,
    )


def _find(client: Client, asked: _Asked) -> _Found:
    found = _Found()
    try:
        if asked.grouped:
            found.groups = group_runs(
                client,
                asked.filter,
                experiments=asked.experiments,
                view=asked.view,
                by=asked.grouped,
                ids=asked.columns,
            )
        else:
            page = client.tracking.search(
                asked.filter,
                experiments=asked.experiments,
                view=asked.view,
                order_by=order_by(asked.sort),
                fields=asked.fields,
                limit=asked.limit,
                page=asked.page,
                offset=asked.offset,
            )
            found.runs, found.next_page, found.unknown = page.runs, page.next_page, page.unknown
        if not asked.page and not asked.offset:
            found.total = client.tracking.count(asked.filter, experiments=asked.experiments, view=asked.view)
        else:
            found.total = -1
    except InvalidInput as error:
        if not asked.query:
            raise
        found.problem, found.place = told(error)
        found.place -= 1 if found.place > 0 and asked.status else 0  # the parenthesis around it
    return found


def row_of(run: TrackedRun, columns: list[Column], ask: Ask) -> RunRow:
    """A run as a row under these columns."""
    return RunRow(
        id=run.id,
        label=run.title or short_id(run.id),
        slot=slot_of(run.id),
        status=run.status,
        experiment=run.experiment,
        started_at=run.run.started_at,
        finished_at=run.run.finished_at,
        group=run.group,
        href=ask.link(run_path(run.id, run.run.kind)),
        cells=[cell_of(run, column.id) for column in columns],
        deleted=run.deleted_at is not None,
    )


def _column(name: str, found: list[TrackedRun], sort: list[str], ask: Ask) -> Column:
    plain, aggregate = key_of(name)
    space, _, key = plain.partition(".")
    kinds = {"status": "status", "started_at": "time", "finished_at": "time", "duration": "span", "tags": "tags"}
    if key:
        values = [cell for run in found[:100] if (cell := cell_of(run, name)) is not None]
        numeric = space == "metrics" or (
            bool(values) and all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
        )
        kind = "number" if numeric else "text"
    else:
        kind = kinds.get(plain, "text")
    now = "descending" if f"-{name}" in sort else "ascending" if name in sort else ""
    turned = name if now == "descending" else f"-{name}"
    label = f"{key}{' ' + aggregate if aggregate else ''}" if key else ATTRIBUTES.get(plain, plain.capitalize())
    href = "" if plain == "tags" else ask.here(sort=turned, page="")
    return Column(
        name, label, msgspec.convert(kind, Literal["number", "text", "status", "time", "span", "tags"]), now, href
    )


def _default_columns(client: Client, chosen: list[str], view: View) -> list[str]:
    """The keys that most of the newest runs have: metrics first, then parameters, then tags."""
    newest = client.tracking.search("", experiments=chosen, view=view, limit=_LOOKED_AT).runs
    metrics = _common([run.metrics for run in newest])[:_METRICS]
    params = _common([run.params for run in newest])[:_PARAMS]
    tags = ["tags"] if any(run.tags for run in newest) else []
    return [*(f"metrics.{each}" for each in metrics), *(f"params.{each}" for each in params), *tags]


def _common(rows: list[dict[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    # What a machine measures of itself is there for the one who looks for it.
    return sorted(counts, key=lambda key: (key.startswith(("system/", "mlflow.")), -counts[key], key.count("/"), key))


def _pinned(client: Client, ask: Ask, fields: list[str]) -> list[TrackedRun]:
    ids = list(dict.fromkeys([*ask.query.get("pin", []), *ask.query.get("base", [])]))[:50]
    if not ids:
        return []
    among = ", ".join(f"'{each}'" for each in ids if each.replace("-", "").isalnum())
    found = client.tracking.search(f"run_id IN ({among})", view="all", fields=fields, limit=50).runs
    place = {each: index for index, each in enumerate(ids)}
    return sorted(found, key=lambda run: place.get(run.id, len(ids)))


def _number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise InvalidInput(f"limit={text!r} is not a number from 1 to {_MOST}")
    return int(text)


def told(error: InvalidInput) -> tuple[str, int]:
    """What is wrong with a filter, in one line, and the character where it is; -1 where none is named.

    The search draws the filter with a mark under the place; here the place is lit in the field itself.
    """
    start = error.details.get("start", -1)
    known = f" Known: {', '.join(list(error.known)[:6])}." if error.known else ""
    hint = f" {error.hint}" if error.hint else ""
    return f"{error.message.splitlines()[0].rstrip(':.')}.{known}{hint}", int(start) if isinstance(start, int) else -1


ENTRIES = (Entry("/runs", runs),)
