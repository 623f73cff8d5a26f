"""Runs taken together by what they share, with the mean, the spread and the extremes of their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts.palette import slot_of
from mainspring.console.finding import clause, quoted
from mainspring.tracking.search_groups import RunGroup as Found
from mainspring.tracking.search_groups import Spread

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.tracking.search import View

__all__ = ["RunGroup", "group_runs"]

_GROUPS = 500
_KNOWN = ("metrics", "params", "tags")
_WORDS = ("experiment", "user", "group", "parent", "duration")


class RunGroup(msgspec.Struct, frozen=True):
    """The runs with the same values of what is grouped by."""

    label: str
    values: list[Any]
    slot: int
    runs: int
    running: int
    within: str
    """The condition that says which runs these are."""
    cells: list[Spread]


def group_runs(
    client: Client, query: str, *, experiments: list[str], view: View, by: list[str], ids: list[str]
) -> list[RunGroup]:
    """The groups of the runs that match, the largest first.

    Args:
        client: Whose runs.
        query: The filter.
        experiments: Of these alone, where there are any.
        view: `active`, `deleted` or `all`.
        by: Columns whose values make a group.
        ids: Columns to aggregate.
    """
    fields = {each: quoted(each) for each in ids if each.partition(".")[0] in _KNOWN or each in _WORDS}
    fields.pop("tags", None)
    found = client.tracking.group(
        query,
        by=[quoted(each) for each in by],
        fields=list(dict.fromkeys(fields.values())),
        experiments=experiments,
        view=view,
        limit=_GROUPS,
    )
    places = {field: place for place, field in enumerate(dict.fromkeys(fields.values()))}
    return [
        _group(group, by=by, cells=[group.cells[places[fields[each]]] if each in fields else Spread() for each in ids])
        for group in found.groups
    ]


def _group(group: Found, *, by: list[str], cells: list[Spread]) -> RunGroup:
    label = ", ".join(value or "none" for value in group.values)
    return RunGroup(
        label=label,
        values=list(group.values),
        slot=slot_of(label),
        runs=group.runs,
        running=group.running,
        within=" AND ".join(clause(column, value) for column, value in zip(by, group.values, strict=True)),
        cells=cells,
    )
