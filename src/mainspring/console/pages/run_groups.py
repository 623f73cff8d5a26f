"""Runs taken together by what they share, with the mean, the spread and the extremes of their numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.charts.palette import slot_of
from mainspring.console.finding import cell_of, clause, key_of

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.tracking.search import View
    from mainspring.tracking.types import TrackedRun

__all__ = ["Aggregate", "RunGroup", "group_runs"]

_PAGE, _PAGES = 1000, 20
"""Runs asked for at once; how often at most. What is beyond is counted and not in the figures."""
_GROUPS = 500


class Aggregate(msgspec.Struct, frozen=True):
    """The numbers of one column in one group; of a column of texts, only how many differ."""

    count: int
    mean: float | None = None
    deviation: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    distinct: list[Any] = []
    """Up to four of the different values."""


class RunGroup(msgspec.Struct, frozen=True):
    """The runs with the same values of what is grouped by."""

    label: str
    values: list[Any]
    slot: int
    runs: int
    running: int
    within: str
    """The condition that says which runs these are."""
    cells: list[Aggregate]


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
    fields = sorted({key_of(each)[0] for each in (*by, *ids) if "." in each})
    members: dict[str, tuple[list[Any], list[TrackedRun]]] = {}
    page = ""
    for _ in range(_PAGES):
        found = client.tracking.search(query, experiments=experiments, view=view, fields=fields, limit=_PAGE, page=page)
        for run in found.runs:
            values = [cell_of(run, each) for each in by]
            members.setdefault(repr(values), (values, []))[1].append(run)
        page = found.next_page
        if not page:
            break
    largest = sorted(members.values(), key=lambda each: (-len(each[1]), repr(each[0])))[:_GROUPS]
    return [_group(values, runs, by=by, ids=ids) for values, runs in largest]


def _group(values: list[Any], runs: list[TrackedRun], *, by: list[str], ids: list[str]) -> RunGroup:
    label = ", ".join("none" if value in (None, "") else str(value) for value in values)
    return RunGroup(
        label=label,
        values=values,
        slot=slot_of(label),
        runs=len(runs),
        running=sum(run.status == "running" for run in runs),
        within=" AND ".join(clause(column, value) for column, value in zip(by, values, strict=True)),
        cells=[aggregate([cell_of(run, each) for run in runs]) for each in ids],
    )


def aggregate(cells: list[Any]) -> Aggregate:
    """What is common to the values of a column.

    Example:
        >>> aggregate([1, 3.0, None, "nan"]).mean
        2.0
    """
    there = [each for each in cells if each is not None]
    numbers = [float(each) for each in there if isinstance(each, int | float) and not isinstance(each, bool)]
    if not numbers:
        texts = sorted({each if isinstance(each, str) else repr(each) for each in there})
        return Aggregate(len(there), distinct=texts[:4])
    mean = math.fsum(numbers) / len(numbers)
    spread = (
        math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / (len(numbers) - 1)) if len(numbers) > 1 else 0.0
    )
    return Aggregate(len(there), mean, spread, min(numbers), max(numbers))
